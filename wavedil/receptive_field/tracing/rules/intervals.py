"""Between which two numbers all elements of an array lie, whatever the signal: of an index that has been clipped.

    i = jnp.clip(i, 0, 5)         from 0 to 5
    i < 0                         is False, so what counts from the end has no say
    dynamic_slice(x, i, 4)        output j reads x from j to 5 + j

Every operation here goes on or stops as its operand grows, in steps of one on integers, so that no number between the
two is left out.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.domain.value import Interval, Value
from wavedil.receptive_field.tracing.interpreter import Seen


def _whole(rounded: Callable[[float], int]) -> Callable[[float], float]:
    return lambda x: rounded(x) if math.isfinite(x) else x


# What it makes of numbers, and for each operand whether that grows with it (+) or falls.
_MONOTONE: dict[str, tuple[Callable[..., Any], str]] = {
    "add": (operator.add, "++"),
    "ceil": (_whole(math.ceil), "+"),
    "clamp": (lambda low, x, high: min(max(low, x), high), "+++"),
    "convert_element_type": (lambda x: x, "+"),
    "floor": (_whole(math.floor), "+"),
    "ge": (operator.ge, "+-"),
    "gt": (operator.gt, "+-"),
    "le": (operator.le, "-+"),
    "lt": (operator.lt, "-+"),
    "max": (max, "++"),
    "min": (min, "++"),
    "sub": (operator.sub, "+-"),
}


def of_result(eqn: Any, inputs: Sequence[Seen]) -> Interval | None:
    """Between which numbers the result of an elementwise operation on one array and on known scalars lies."""
    name, out = eqn.primitive.name, eqn.outvars[0].aval.dtype
    if name not in _MONOTONE or sum(isinstance(value, Value) for value in inputs) > 1:
        return None
    # Sums of floats are rounded, and other conversions lose numbers or have none in between.
    if out.kind not in {"add": "i", "sub": "i", "convert_element_type": "iu"}.get(name, "biuf"):
        return None
    function, signs = _MONOTONE[name]
    ends = [
        _of_operand(value, var.aval.dtype) for value, var in zip(inputs, eqn.invars, strict=True)
    ]
    found = []
    for upper in (False, True):
        picked = [
            pair[upper == (sign == "+")] for pair, sign in zip(ends, signs, strict=True) if pair
        ]
        if len(picked) < len(ends):
            return None
        found.append(function(*picked))
    low, high = found
    if out.kind in "iu":
        least, most = _limits(out)
        if not least <= low <= high <= most:  # it may wrap round
            return None
        low, high = int(low), int(high)
    return low, high


def _of_operand(value: Seen, dtype: np.dtype) -> Interval | None:
    if isinstance(value, Value):
        if value.known is not None or dtype.kind not in "iuf":
            return None
        return value.between or _limits(dtype)
    known = value.number if math.prod(value.shape) == 1 else None
    if known is None or np.isnan(known):
        return None
    return known.item(), known.item()


def _limits(dtype: np.dtype) -> Interval:
    """The least and the largest number of a type."""
    if dtype.kind == "f":
        return -math.inf, math.inf
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
