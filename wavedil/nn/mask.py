"""Masks of signals of different lengths in one batch: bool [batch, time], True where there is signal."""

import itertools
import math
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Num

from wavedil.errors import UserError
from wavedil.ops.devices import split_alike
from wavedil.receptive_field import ReceptiveField


def masked(
    x: Num[Array, "batch time *channels"], mask: Bool[Array, "batch mask_time"] | None
) -> Num[Array, "batch time *channels"]:
    """x where there is signal, zero elsewhere; a mask that ends early goes on with signal."""
    if mask is None:
        return x
    missing = ((0, 0), (0, x.shape[1] - mask.shape[1]))
    there = jnp.pad(split_alike(mask, x), missing, constant_values=True)
    return jnp.where(there.reshape(x.shape[:2] + (1,) * (x.ndim - 2)), x, 0)


def require_mask(what: str, mask: Any, x: Any, valid: bool = False) -> None:
    """Refuses what is no mask [batch, time] of the signal; in `valid` it may be of its beginning alone."""
    if mask is None:
        return
    fits = tuple(x.shape[:2])
    if not hasattr(mask, "dtype"):
        raise UserError(
            f"the mask is {type(mask).__name__}, but {what} takes an array, bool {list(fits)}, [batch, time], True "
            "where there is signal; jnp.asarray(mask) makes one of lists"
        )
    shape, kind = tuple(jnp.shape(mask)), jnp.result_type(mask)
    begins = valid and len(shape) == 2 and shape[0] == fits[0] and shape[1] <= fits[1]
    if not (begins or shape == fits) or not jnp.issubdtype(kind, jnp.bool_):
        raise UserError(
            f"the mask has shape {list(shape)} of {kind}, but {what} takes bool {list(fits)}, [batch, time], True "
            f"where there is signal; jnp.arange({fits[1]})[None] < lengths[:, None] makes one of lengths"
        )


def inner(mask: Any, past: int, y: Array) -> Any:
    """The mask of the outputs y of `valid`, the first of which stands `past` samples after the signal's."""
    return None if mask is None or mask.shape[1] <= past else mask[:, past:][:, : y.shape[1]]


def at_stride(mask: Any, stride: Fraction) -> Any:
    """The mask of a layer's outputs: output t stands at input floor(stride t)."""
    # stride 1/3    T     T     F             stride 2    T T T T F
    #               T T T T T T F F F                     T   T   F
    if mask is None or stride == 1:
        return mask
    return jnp.repeat(mask, stride.denominator, axis=1)[:, :: stride.numerator]


def first_valid(field: ReceptiveField) -> int:
    """Which of a layer's outputs is the first of its `valid`."""
    if field.stride >= 1:
        return max(0, math.ceil(field.past / field.stride))
    # Of the outputs that an upsampler makes of one input, the last may see no padding where the first does.
    return next(t for t in itertools.count() if field.inputs(t)[0] >= 0)
