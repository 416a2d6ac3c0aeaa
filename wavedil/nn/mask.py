"""Masks of signals of different lengths in one batch: bool [batch, time], True where there is signal."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Num

from wavedil.errors import UserError
from wavedil.ops.devices import split_alike


def masked(
    x: Num[Array, "batch time *channels"], mask: Bool[Array, "batch mask_time"] | None
) -> Num[Array, "batch time *channels"]:
    """x where there is signal, zero elsewhere; a mask that ends early goes on with signal."""
    if mask is None:
        return x
    missing = ((0, 0), (0, x.shape[1] - mask.shape[1]))
    there = jnp.pad(split_alike(mask, x), missing, constant_values=True)
    return jnp.where(there.reshape(x.shape[:2] + (1,) * (x.ndim - 2)), x, 0)


def require_mask(what: str, mask: Any, x: Any) -> None:
    """Refuses what is no mask [batch, time] of the signal or of its beginning."""
    if mask is None:
        return
    shape, fits, kind = tuple(jnp.shape(mask)), tuple(x.shape[:2]), jnp.result_type(mask)
    beside = len(shape) == 2 and shape[0] == fits[0] and shape[1] <= fits[1]
    if not beside or not jnp.issubdtype(kind, jnp.bool_):
        raise UserError(
            f"the mask has shape {list(shape)} of {kind}, but {what} takes bool [batch, time] for "
            f"x {list(x.shape)}: {fits[0]} signals, and at most {fits[1]} samples"
        )


def inner(mask: Any, past: int, y: Array) -> Any:
    """The mask of the outputs y of `valid`, the first of which stands `past` samples after the signal's."""
    return None if mask is None else mask[:, past:][:, : y.shape[1]]
