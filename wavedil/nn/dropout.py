"""Dropout: where a key is given and nowhere else, so that the same call always gives the same numbers."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wavedil.errors import UserError
from wavedil.ops.devices import split_alike


def dropout(x: Float[Array, "..."], rate: float, key: Any) -> Float[Array, "..."]:
    """Every number is 0 with probability `rate`, and else divided by 1 - rate, so that its mean stays.

    Without a key, or at rate 0, x as it is.

    Reference: Srivastava et al. 2014, Journal of Machine Learning Research 15.
    """
    if key is None or rate == 0:
        return x
    keep = split_alike(jax.random.bernoulli(key, 1 - rate, x.shape), x)
    return jnp.where(keep, x / (1 - rate), 0)


def require_key(dropout_key: Any) -> None:
    """Refuses what is no key of `jax.random`, but not None.

    Raises:
      UserError: With what makes a key of a seed.
    """
    if dropout_key is None:
        return
    kind = getattr(dropout_key, "dtype", None)
    typed = kind is not None and jnp.issubdtype(kind, jax.dtypes.prng_key)
    # The numbers of a key without a type of its own; how many there are depends on the generator.
    raw = kind == jnp.uint32 and dropout_key.shape in ((2,), (4,))
    if not (typed and dropout_key.shape == ()) and not raw:
        raise UserError(
            f"dropout_key is {dropout_key!r}, but it must be one key; use jax.random.key(0)"
        )


def keys_of(dropout_key: Any, number: int) -> Any:
    """A key of its own for each of several layers; None for each where there is none."""
    return [None] * number if dropout_key is None else jax.random.split(dropout_key, number)
