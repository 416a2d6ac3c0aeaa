"""Whether a function does to a short signal what it does to a long one, so that one may speak for the other.

The jaxprs of both are gone through side by side. What is as large in both, as a padding of 200, moves samples by so
much of an axis; what grows with the signal is compared with a multiple of its length:

    n = 2000      pad 200     i < 2000      slice 0 to 1999 of 2000
    n =   50      pad 200     i < 50        slice 0 to   49 of   50
                  4 axes      as it should  1 sample from the end

All that added up says over how much of the short signal samples are moved at most. Where that is little, its ends
hide nothing of what the function reads.
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from jax.extend.core import Literal

from wavedil.receptive_field.tracing.jax_internals import called, opened

Lengths = tuple[int, int]

_COMPARISONS = {"lt", "le", "gt", "ge", "eq", "ne"}
# Numbers from here on are no indices, but ends of what integers there are.
_NO_INDEX = 2**30
# Sizes are multiples of the length, or parts of it; other fractions are of few parts.
_FEW_PARTS = 16
# What strides may leave over, at either length.
_LEFT_OVER = 2


def reach(long: Any, short: Any, lengths: Lengths) -> float:
    """Over how much of the short signal the function moves samples at most; infinite where it is another function."""
    (a, own), (b, other) = opened(long), opened(short)
    if _kinds(a) != _kinds(b) or len(own) != len(other):
        return math.inf
    held = sum(_of_array(x, y, lengths) for x, y in zip(own, other, strict=True))
    return held + sum(_of_equation(e, f, lengths) for e, f in zip(a.eqns, b.eqns, strict=True))


def _kinds(jaxpr: Any) -> list[Any]:
    """What its equations do, with how many functions, to how many arrays of how many axes."""
    return [
        (eqn.primitive.name, len(list(_functions(eqn))), [*map(len, _shapes(eqn))])
        for eqn in jaxpr.eqns
    ]


def _of_array(long: Any, short: Any, lengths: Lengths) -> float:
    """Of an array that the function holds: of indices; weights move nothing."""
    if np.shape(long) != np.shape(short):
        return math.inf
    if getattr(long, "dtype", np.dtype(float)).kind != "i" or not np.size(long):
        return 0
    far = [int(np.abs(np.asarray(array)).max()) for array in (long, short)]
    return _distance(far[0], far[1], lengths) / lengths[1]


def _of_equation(long: Any, short: Any, lengths: Lengths) -> float:
    name = long.primitive.name
    inner = 0.0
    for a, b in zip(_functions(long), _functions(short), strict=True):
        inner += reach(a, b, lengths)
    if name == "scan" and long.params["length"] == short.params["length"]:
        inner *= long.params["length"]
    growing = [
        (i, size)
        for a, b in zip(_shapes(long), _shapes(short), strict=True)
        for i, (whole, size) in enumerate(zip(a, b, strict=False))
        if whole != size
    ]
    # A number may be an index along any axis; along the shortest it counts most.
    shortest = max(1, min((size for _, size in growing), default=lengths[1]))
    numbers = list(zip(_numbers(long), _numbers(short), strict=True))
    if name == "while":
        inner *= max((a for a, b in numbers if a == b), default=1)
    parts = [_distance(a, b, lengths) / shortest for a, b in numbers]
    parts += [
        _distance(amount, other, lengths) / max(1, size)
        for (amount, whole), (other, size) in zip(_moves(long), _moves(short), strict=True)
        if whole != size
    ]
    # Blocks are cut out of the signal: one of them is moved over.
    if name == "reshape" and growing:
        parts.append(1 / shortest)
    return inner + sum(parts)


def _functions(eqn: Any) -> Iterator[Any]:
    """The functions that belong to an equation, with their constants."""
    function = called(eqn)
    held = [function] if function is not None else list(eqn.params.values())
    for value in held:
        for each in value if isinstance(value, tuple | list) else (value,):
            if hasattr(each, "eqns") or hasattr(each, "jaxpr"):
                yield each


def _shapes(eqn: Any) -> list[tuple[int, ...]]:
    return [getattr(v.aval, "shape", ()) for v in (*eqn.invars, *eqn.outvars)]


def _numbers(eqn: Any) -> list[int]:
    """The numbers that stand in the program and may be indices."""
    found = []
    for var in eqn.invars:
        value = np.asarray(var.val) if isinstance(var, Literal) else np.zeros(1)
        kinds = "if" if eqn.primitive.name in _COMPARISONS else "i"
        # Ones count trips and last places, and make no step that an end of the signal could hide.
        large = value.ndim == 0 and value.dtype.kind in kinds and 1 < abs(value) < _NO_INDEX
        found.append(abs(int(value)) if large else 0)
    return found


def _moves(eqn: Any) -> list[tuple[int, int]]:
    """How far samples are moved along an axis, and its size."""
    params, shapes = eqn.params, _shapes(eqn)
    operand = shapes[0] if shapes else ()
    moves: list[tuple[int, Sequence[int] | int]] = []
    match eqn.primitive.name:
        case "pad":
            moves = [
                (size, p[:2]) for size, p in zip(operand, params["padding_config"], strict=True)
            ]
        case "slice":
            ends = zip(params["start_indices"], params["limit_indices"], strict=True)
            moves = [(n, (a, n - b)) for n, (a, b) in zip(operand, ends, strict=True)]
        case "concatenate":
            axis = params["dimension"]
            moves = [(shapes[-1][axis], [shape[axis] for shape in shapes[:-1]])]
        case "gather" | "dynamic_slice":
            moves = [(n, size - 1) for n, size in zip(operand, params["slice_sizes"], strict=True)]
        case "dynamic_update_slice":
            moves = [(n, size - 1) for n, size in zip(operand, shapes[1], strict=True)]
        case "conv_general_dilated":
            lhs, rhs, _ = params["dimension_numbers"]
            for i, (axis, taps) in enumerate(zip(lhs[2:], rhs[2:], strict=True)):
                span = params["rhs_dilation"][i] * (shapes[1][taps] - 1)
                moves.append((operand[axis], (span, *params["padding"][i])))
        case name if name.startswith(("reduce_window", "select_and")) and "padding" in params:
            ones = (1,) * len(operand)
            dilations = params.get("window_dilation") or ones
            spans = zip(dilations, params["window_dimensions"], params["padding"], strict=True)
            moves = [(n, (d * (w - 1), *p)) for n, (d, w, p) in zip(operand, spans, strict=True)]
    return [
        (abs(int(amount)), size)
        for size, amounts in moves
        for amount in (amounts if isinstance(amounts, tuple | list) else (amounts,))
    ]


def _distance(long: int, short: int, lengths: Lengths) -> float:
    """How far a number is from a multiple or a part of the length; infinite where it is another at both."""
    if long == short:
        return short
    rate = Fraction(long - short, lengths[0] - lengths[1])
    few = rate.limit_denominator(_FEW_PARTS)
    if rate > 1:
        few = Fraction(round(rate))
    elif 0 < rate < Fraction(1, _FEW_PARTS):
        few = Fraction(1, round(1 / rate))
    if abs(long - short - few * (lengths[0] - lengths[1])) > _LEFT_OVER:
        return math.inf
    return abs(float(short - few * lengths[1]))
