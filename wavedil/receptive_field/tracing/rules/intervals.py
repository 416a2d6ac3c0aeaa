"""Between which two numbers all elements of an array lie, whatever the signal: of an index that has been clipped.

    i = jnp.clip(i, 0, 5)         from 0 to 5
    i < 0                         is False, so what counts from the end has no say
    dynamic_slice(x, i, 4)        output j reads x from j to 5 + j

Every operation here goes on or stops as its operand grows, in steps of one on integers, so that no number between the
two is left out of what the operand does not leave out. The signal itself takes all numbers of its type; what is made
of it by other operations takes nobody knows which.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.constants import Constant
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


# On floats these make all numbers of all numbers.
_ONTO = {"add", "div", "mul", "neg", "sub"}


def of_result(eqn: Any, inputs: Sequence[Seen]) -> Interval | None:
    """Between which numbers the result of an elementwise operation on one array and on known scalars lies."""
    name, out = eqn.primitive.name, eqn.outvars[0].aval.dtype
    if name in _ONTO and out.kind == "f":
        return _of_all(name, inputs)
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
        least, most, _ = _limits(out)
        if name == "convert_element_type":
            # What is below the least integer, or above the most, is made that.
            floats = next(iter(eqn.invars)).aval.dtype.kind == "f"
            low, high = (max(low, least), min(high, most)) if floats else (low, high)
        if not least <= low <= high <= most:  # it may wrap round
            return None
        low, high = int(low), int(high)
    return Interval(low, high, all(pair.every for pair in ends if pair))


def _of_all(name: str, inputs: Sequence[Seen]) -> Interval | None:
    """All numbers, shifted by one or scaled by one that is not zero, are all numbers."""
    place, value = next((i, v) for i, v in enumerate(inputs) if isinstance(v, Value))
    numbers = [v.number for v in inputs if isinstance(v, Constant)]
    if not is_free(value) or value.known is not None or (name == "div" and place == 1):
        return None
    if any(n is None or not np.isfinite(n) or (name in ("mul", "div") and n == 0) for n in numbers):
        return None
    return value.between


def is_free(value: Value) -> bool:
    """Whether all floats are taken, for some signal."""
    return value.between == Interval(-math.inf, math.inf, every=True)


def of_type(dtype: np.dtype, every: bool) -> Interval | None:
    """Between the least and the largest number of a type, if its numbers are real."""
    if dtype.kind not in "biuf":
        return None
    return _limits(dtype)._replace(every=every)


def _of_operand(value: Seen, dtype: np.dtype) -> Interval | None:
    if isinstance(value, Value):
        if value.known is not None:
            return None
        # Whatever depends on the signal and is true or false is taken to be both.
        return value.between or of_type(dtype, every=dtype.kind == "b")
    known = value.number if math.prod(value.shape) == 1 else None
    if known is None or np.isnan(known):
        return None
    return Interval(known.item(), known.item(), every=True)


def _limits(dtype: np.dtype) -> Interval:
    """The least and the largest number of a type."""
    if dtype.kind == "f":
        return Interval(-math.inf, math.inf)
    if dtype.kind == "b":
        return Interval(False, True)
    return Interval(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
