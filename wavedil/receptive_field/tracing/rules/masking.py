"""How numbers that are known whatever the signal go through operations: masks and what they hide."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axis_map import full
from wavedil.receptive_field.tracing.domain.known import (
    MINUS_INFINITY,
    Known,
    mask,
    relation,
    shortest,
    varying_axes,
)
from wavedil.receptive_field.tracing.domain.terms import Term
from wavedil.receptive_field.tracing.domain.value import Value
from wavedil.receptive_field.tracing.evaluation import ELEMENTWISE, compact
from wavedil.receptive_field.tracing.interpreter import Seen

TOO_LARGE = "a known array that is too large to look for zeros in"


def moving_axes(value: Value) -> set[int]:
    """The axes along which elements see different inputs."""
    moving = {id for term in value.terms for id, seen in term.maps.items() if seen.moves}
    return {i for i, axis in enumerate(value.axes) if any(part.id in moving for part in axis)}


def of_result(eqn: Any, inputs: Sequence[Seen]) -> Known | None:
    """What is known of the elements of an elementwise operation's result."""
    name = eqn.primitive.name
    regions = []
    for place, operand in enumerate(inputs):
        live, own = _known_of(name, place, operand, inputs)
        if live is not None:
            regions.append((live, _absorbed(name, place, own)))
    if not regions:
        return None
    number = regions[0][1]
    if number is not None and all(other == number for _, other in regions):
        live = regions[0][0]
        for other, _ in regions[1:]:
            live = live & other
        return Known(live, number)
    values = [value for value in inputs if isinstance(value, Value)]
    if len(values) == 1 and values[0].known is not None:
        return Known(values[0].known.live, _computed(eqn, inputs))
    return None


def _known_of(
    name: str, place: int, operand: Seen, inputs: Sequence[Seen]
) -> tuple[np.ndarray | None, float]:
    """Where an operand is not known to be one number, and that number."""
    if isinstance(operand, Value):
        return (None, 0) if operand.known is None else (operand.known.live, operand.known.number)
    others = [value for value in inputs if isinstance(value, Value)]
    numbers = [n for n in (0.0, -np.inf, np.inf) if _absorbed(name, place, n) is not None]
    if not numbers or all(value.known is None and not moving_axes(value) for value in others):
        return None, 0
    array = operand.numpy
    if array is None or array.dtype.kind not in "biuf":
        return None, 0
    array = compact(array)
    for number in numbers:
        hidden = array == 0 if number == 0 else np.sign(number) * array >= -MINUS_INFINITY
        if hidden.any():
            live = shortest(~hidden)
            if len(varying_axes(live)) > 1 or others[0].known is not None:
                return live, number
    return None, 0


def hides_too_much(value: Value, factor: Seen) -> bool:
    """Whether an array of pairs meets a known one whose numbers are not at hand: they may be a mask."""
    return (
        isinstance(factor, Constant)
        and np.prod(factor.shape, dtype=float) > 1
        and len(moving_axes(value)) > 1
        and factor.numpy is None
    )


def _absorbed(name: str, place: int, number: float) -> float | None:
    """What an operation makes of a number, whatever its other operand is; None if that depends on it."""
    zero, lowest = number == 0, number <= MINUS_INFINITY
    if (
        (name == "mul" and zero)
        or (name == "div" and place == 0 and zero)
        or (name == "and" and zero)
    ):
        return 0.0
    if lowest and (name == "add" or (name == "sub" and place == 0)):
        return -np.inf
    if number >= -MINUS_INFINITY and name == "sub" and place == 1:
        return -np.inf
    return None


def _computed(eqn: Any, inputs: Sequence[Seen]) -> float:
    """What an operation makes of a known number and of constants; not a number where that is not one."""
    function = ELEMENTWISE.get(eqn.primitive.name)
    numbers = []
    for operand, var in zip(inputs, eqn.invars, strict=True):
        if isinstance(operand, Value):
            number = np.asarray(operand.known.number if operand.known else np.nan)
        else:
            number = np.asarray(np.nan) if operand.number is None else operand.number
        if function is None or var.aval.dtype.kind not in "biuf" or np.isnan(number):
            return float("nan")
        numbers.append(number.astype(var.aval.dtype))
    with np.errstate(all="ignore"):
        return float(function(eqn.params, *numbers))  # type: ignore[misc]


def filtered_by(value: Value, factor: Seen, product: Value) -> Value:
    """The product of a spectrum and a known factor, which is a filter's response."""
    if value.spectrum is None or not isinstance(factor, Constant):
        return product
    array = factor.numpy
    if array is None:
        return product
    spectrum = value.spectrum
    response = compact(array) if spectrum.response is None else spectrum.response * compact(array)
    return replace(product, spectrum=replace(spectrum, response=response))


def covers(known: Known | None, value: Value) -> bool:
    """Whether the elements that a value knows are among those of a result."""
    if value.known is None:
        return True
    return known is not None and bool((~known.live | value.known.live).all())


def over_live(value: Value, gone: Sequence[int], live: np.ndarray) -> Value:
    """The union over all indices of some axes at which elements are live; these axes go."""
    live = shortest(live)
    varying = varying_axes(live)
    inside, kept = [i for i in varying if i in gone], [i for i in varying if i not in gone]
    if not varying:
        return Value(value.axes, value.terms if live.all() else ()).over(*gone)
    if len(varying) == 1:
        return value.restricted(varying[0], mask(live.reshape(-1))).over(*gone)
    if len(inside) == len(kept) == 1:
        row, column = kept[0], inside[0]
        table = live.reshape([size for size in live.shape if size > 1])
        reads = relation(table if row < column else table.T)
        if reads is not None:
            value = value.single(row, column)
            corners = table if row < column else table.T
            # The last row reads the first column, or the first row the last one: as many as there are.
            open_ends = bool(corners[-1, 0]), bool(corners[0, -1])
            read = value.each(lambda t: _composed(t, value, (row, column), reads, open_ends))
            return read.over(*gone)
    return value.over(*gone).because("a mask of several dimensions")


def _composed(
    term: Term, value: Value, places: tuple[int, int], reads: Any, open_ends: tuple[bool, bool]
) -> list[Term | None]:
    """A term whose column is read by its row, in all columns that the relation gives."""
    (kept,), (gone,) = (value.axes[i] for i in places)
    seen = term.maps.get(gone.id) or full(gone.size)
    # Columns that are all of time, as no other map moves them, grow with it; those of a block do not.
    low, high = seen.bounds
    if low <= term.window[0] and high >= term.window[1] - 1 and low < high:
        term = term.growing(*open_ends)
    alone = replace(term, maps=term.without(gone.id))
    parts = (part for read in reads for part in seen.then_read_by(read))
    return [new for part in parts for new in alone.plus_map(kept.id, part)]
