"""How numbers that are known whatever the signal go through operations: masks and what they hide."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.diagonals import Numbers
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap
from wavedil.receptive_field.tracing.domain.known import (
    MINUS_INFINITY,
    Known,
    corners,
    mask,
    relation,
    shortest,
    varying_axes,
)
from wavedil.receptive_field.tracing.domain.terms import Term
from wavedil.receptive_field.tracing.domain.value import Value
from wavedil.receptive_field.tracing.evaluation import ELEMENTWISE, compact
from wavedil.receptive_field.tracing.interpreter import Seen

# A zero decides what these make, whatever the other operand is.
_DECIDED_BY_ZERO = {"mul", "div", "and"}
# Numbers that count as minus infinity still do after these, if enough is left of them.
_KEEPING_LOW = set(
    """add add_any clamp convert_element_type copy div max min mul reduce_precision stop_gradient sub""".split()
)
_DECIDED = {*_DECIDED_BY_ZERO, "add", "add_any", "sub"}

TOO_LARGE = "a known array that is too large to look for zeros in"


def moving_axes(value: Value) -> set[int]:
    """The axes along which elements see different inputs."""
    moving = {id for term in value.terms for id, seen in term.maps.items() if seen.moves}
    return {i for i, axis in enumerate(value.axes) if any(part.id in moving for part in axis)}


def of_result(eqn: Any, inputs: Sequence[Seen]) -> Known | None:
    """What is known of the elements of an elementwise operation's result."""
    name = eqn.primitive.name
    values = [value for value in inputs if isinstance(value, Value)]
    numbers = [value.number for value in inputs if isinstance(value, Constant)]
    alone = values[0].known if len(values) == 1 else None
    if alone is not None and None not in numbers:
        return _of_number(eqn, inputs, alone)
    found = [_absorbed(name, place, known, inputs) for place, known in _knowns(name, inputs)]
    both = joined([known for known in found if known is not None])
    if both is None and alone is not None and not alone.about:
        return Known(alone.live, float("nan"))
    return both


def joined(found: Sequence[Known]) -> Known | None:
    """The elements that are known to be any of several numbers, all of which are one or count as minus infinity."""
    if not found:
        return None
    numbers = {known.number for known in found}
    if len(numbers) > 1 and not all(known.low for known in found):
        return None
    live = found[0].live
    for known in found[1:]:
        live = live & known.live
    return Known(live, max(numbers), len(numbers) > 1 or any(known.about for known in found))


def _of_number(eqn: Any, inputs: Sequence[Seen], known: Known) -> Known | None:
    """What an operation on one array and on known numbers makes of the number that is known of it."""
    number = _computed(eqn, inputs, known.number)
    if not known.about:
        return Known(known.live, number)
    # What an exponential makes of half of the number, and of twice as much, is 0: so it is of all about it.
    others = {_computed(eqn, inputs, known.number * factor) for factor in (0.5, 1, 2)}
    if others == {number}:
        return Known(known.live, number)
    still = Known(known.live, number, about=True)
    return still if eqn.primitive.name in _KEEPING_LOW and still.low else None


def _knowns(name: str, inputs: Sequence[Seen]) -> Iterable[tuple[int, Known]]:
    """The operands of which some elements are known to be a number that may decide what the result is."""
    for place, operand in enumerate(inputs):
        if isinstance(operand, Value):
            if operand.known is not None:
                yield place, operand.known
            continue
        others = [value for value in inputs if isinstance(value, Value)]
        if all(value.known is None and not moving_axes(value) for value in others):
            continue
        array = operand.numbers if name in _DECIDED else None
        if array is None or array.dtype.kind not in "biuf":
            continue
        array = compact(array)
        low = array <= MINUS_INFINITY if (name, place) != ("sub", 1) else -array <= MINUS_INFINITY
        hidden = array == 0 if name in _DECIDED_BY_ZERO else low
        if hidden.any():
            live = shortest(~hidden)
            if len(varying_axes(live)) > 1 or others[0].known is not None:
                numbers = array[hidden]
                closest = numbers.min() if (name, place) == ("sub", 1) else numbers.max()
                yield place, Known(live, float(closest))


def hides_too_much(value: Value, factor: Seen) -> bool:
    """Whether an array of pairs meets a known one whose numbers are not at hand: they may be a mask."""
    return (
        isinstance(factor, Constant)
        and np.prod(factor.shape, dtype=float) > 1
        and len(moving_axes(value)) > 1
        and factor.numbers is None
    )


def _absorbed(name: str, place: int, known: Known, inputs: Sequence[Seen]) -> Known | None:
    """What an operation makes of elements that are known, whatever its other operand is; None if that depends on it."""
    if known.number == 0 and name in _DECIDED_BY_ZERO and (name, place) != ("div", 1):
        return Known(known.live, 0.0)
    if name not in _KEEPING_LOW or len(inputs) != 2:
        return None
    other = inputs[1 - place]
    if (name, place) == ("sub", 1):
        known = replace(known, number=-known.number)
    if not known.low:
        return None
    if isinstance(other, Constant):
        return _of_array(name, place, known, other)
    if name not in ("add", "add_any", "sub"):
        return None
    live = known.live
    # What is low of both says nothing of the difference: a row of a mask that hides all, and its maximum.
    if name == "sub" and other.known is not None and other.known.low:
        live = live | ~other.known.live
    return Known(live, known.number, known.about or np.isfinite(known.number))


def _of_array(name: str, place: int, known: Known, other: Constant) -> Known | None:
    """What is left of low numbers, scaled or shifted by a known array of numbers."""
    array = other.numbers
    if array is None or array.dtype.kind not in "biuf" or not array.size:
        return None
    low, high = float(compact(array).min()), float(compact(array).max())
    number = known.number
    if name in ("mul", "div") and (low <= 0 or place == 1):
        return None
    with np.errstate(all="ignore"):
        number = {
            "mul": number * low,
            "div": number / (high or 1),
            "sub": number + high if place else number - low,
        }.get(name, number + high)
    about = Known(known.live, number, about=True)
    return about if about.low else None


def _computed(eqn: Any, inputs: Sequence[Seen], known: float) -> float:
    """What an operation makes of a known number and of constants; not a number where that is not one."""
    function = ELEMENTWISE.get(eqn.primitive.name)
    numbers = []
    for operand, var in zip(inputs, eqn.invars, strict=True):
        own = np.asarray(known) if isinstance(operand, Value) else operand.number
        if function is None or own is None or var.aval.dtype.kind not in "biuf" or np.isnan(own):
            return float("nan")
        with np.errstate(all="ignore"):
            numbers.append(own.astype(var.aval.dtype))
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
    # Of the spectrum's rank, with all frequencies: a single number is the response at each of them.
    sizes = [n if i == spectrum.axis else 1 for i, n in enumerate(product.shape)]
    response = compact(array) * np.ones(sizes, array.dtype)
    if spectrum.response is not None:
        response = spectrum.response * response
    return replace(product, spectrum=replace(spectrum, response=response))


def covers(known: Known | None, value: Value) -> bool:
    """Whether the elements that a value knows are among those of a result."""
    if value.known is None:
        return True
    return known is not None and bool((~known.live | value.known.live).all())


def over_live(value: Value, gone: Sequence[int], live: Numbers) -> Value:
    """The union over all indices of some axes at which elements are live; these axes go."""
    live = shortest(live)
    varying = varying_axes(live)
    inside, kept = [i for i in varying if i in gone], [i for i in varying if i not in gone]
    if not varying:
        return Value(value.axes, value.terms if live.all() else ()).over(*gone)
    if len(varying) == 1:
        return value.restricted(varying[0], mask(np.asarray(live).reshape(-1))).over(*gone)
    if len(inside) == len(kept) == 1:
        row, column = kept[0], inside[0]
        table = live.reshape([size for size in live.shape if size > 1])
        table = table if row < column else table.transpose((1, 0))
        reads = relation(table)
        if reads is not None:
            value = value.single(row, column)
            (of_row,), (of_column,) = value.axes[row], value.axes[column]
            # Where all columns see the same it matters only whether a row reads any.
            reading = mask(np.asarray(table.any((1,))))
            # The last row reads the first column, or the first row the last one: as many as there are.
            open_ends = corners(table)

            def composed(term: Term) -> list[Term | None]:
                if of_column.id not in term.maps:
                    return term.plus_map(of_row.id, reading)
                return _composed(term, of_row.id, of_column.id, reads, open_ends)

            return value.each(composed).over(*gone)
    return value.over(*gone).because("a mask of several dimensions")


def _composed(
    term: Term, row: int, column: int, reads: Sequence[AxisMap], open_ends: tuple[bool, bool]
) -> list[Term | None]:
    """A term whose column is read by its row, in all columns that the relation gives."""
    seen = term.maps[column]
    # Columns that are all of time, as no other map moves them, grow with it; those of a block do not.
    low, high = seen.bounds
    if low <= term.window[0] and high >= term.window[1] - 1 and low < high:
        term = term.growing(*open_ends)
    alone = replace(term, maps=term.without(column))
    parts = (part for read in reads for part in seen.then_read_by(read))
    return [new for part in parts for new in alone.plus_map(row, part)]
