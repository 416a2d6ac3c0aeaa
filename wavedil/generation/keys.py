"""The keys that sounds are drawn with."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from wavedil.errors import UserError


def as_key(key: Any) -> PRNGKeyArray:
    """A key, or several, of a seed, or as JAX makes them.

    Raises:
      UserError: If it is neither, or a seed out of range.
    """
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        if not 0 <= key < 2**32:
            raise UserError(f"the seed is {key}, but it must be at least 0 and below {2**32}")
        return jax.random.key(int(key))
    if jnp.issubdtype(getattr(key, "dtype", bool), jax.dtypes.prng_key):
        return key
    try:
        return jax.random.wrap_key_data(jnp.asarray(key))  # as jax.random.PRNGKey makes them
    except (TypeError, ValueError):
        raise UserError(
            f"the key is {key!r}, but it must be a seed such as 0, or jax.random.key(0)"
        ) from None


def signal_keys(key: Any, num_signals: int) -> PRNGKeyArray:
    """A key for each signal: split from one, or as they are given.

    Raises:
      UserError: As `as_key`, or if there are several keys, and not one for each signal.
    """
    key = as_key(key)
    if key.ndim == 0:
        return jax.random.split(key, num_signals)
    if key.shape != (num_signals,):
        raise UserError(
            f"there are {key.shape[0]} keys for {num_signals} signals; give one key, or one for each signal"
        )
    return key
