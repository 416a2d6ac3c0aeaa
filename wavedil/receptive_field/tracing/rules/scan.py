"""scan: its trips, one by one or all at once.

A scan's trips are indices of a hidden axis, so that its body is interpreted once for all of them:
what is scanned has the trip as a factor beside its own axes, and what is carried into trip s is
what trip s - 1 hands on:

    carried(0) = first        carried(s) = body(carried(s - 1), scanned(s - 1))

That is solved by going round until nothing changes. Delay lines and blocks that hand on their last
samples settle after a few rounds. A true recurrence sees further back each round; it sees
everything before, so what still changes after some rounds is closed under "and all trips before".
"""

from collections.abc import Sequence
from typing import Any

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.jax_internals import scan_inputs
from wavedil.receptive_field.tracing.rules import trips as hidden
from wavedil.receptive_field.tracing.rules.control import either
from wavedil.receptive_field.tracing.rules.relations import affine
from wavedil.receptive_field.tracing.rules.shape import stacked
from wavedil.receptive_field.tracing.rules.trips import (
    MAX_CLOSINGS,
    MAX_EQUATIONS,
    MAX_ROUNDS,
    num_equations,
)
from wavedil.receptive_field.tracing.value import Axis, Value, new_axis


def scan(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """The carry out of the last trip, and the outputs of every trip, one after the other."""
    constants, first, scanned = scan_inputs(eqn, inputs)
    length = eqn.params["length"]
    alone = not any(isinstance(value, Value) for value in scanned)
    if length <= 1 or (alone and length * num_equations(eqn.params["jaxpr"]) <= MAX_EQUATIONS):
        return _trip_by_trip(tracer, eqn, constants, first, scanned)
    return _all_trips(tracer, eqn, constants, first, scanned)


def _trip_by_trip(
    tracer: Interpreter,
    eqn: Any,
    constants: Sequence[Seen],
    carried: Sequence[Seen],
    scanned: Sequence[Seen],
) -> list[Seen]:
    length = eqn.params["length"]
    trips = range(length)[::-1] if eqn.params["reverse"] else range(length)
    given: list[Sequence[Seen]] = [()] * length
    for trip in trips:
        slices = [_at_trip(value, trip) for value in scanned]
        outputs = tracer.run_closed(eqn.params["jaxpr"], [*constants, *carried, *slices])
        carried, given[trip] = outputs[: len(carried)], outputs[len(carried) :]
    if not length:
        return [*carried, *(Constant(v.aval.shape, None) for v in eqn.outvars[len(carried) :])]
    return [*carried, *(stacked(values, 0) for values in zip(*given, strict=True))]


def _at_trip(value: Seen, trip: int) -> Seen:
    if isinstance(value, Value):
        read = value.read(0, affine(1, 1, trip))
        return Value(read.axes[1:], read.terms)

    def make() -> Any:
        array = value.value
        return None if array is None else array[trip]

    return Constant(value.shape[1:], make)


def _all_trips(
    tracer: Interpreter,
    eqn: Any,
    constants: Sequence[Seen],
    first: Sequence[Seen],
    scanned: Sequence[Seen],
) -> list[Seen]:
    length, reverse = eqn.params["length"], eqn.params["reverse"]
    trips = new_axis(length)
    forward = [hidden.in_order(value, reverse) for value in scanned]
    slices = [hidden.per_trip(value, trips) for value in forward]
    start = [hidden.at_first(value, trips) for value in first]
    outputs = _after_all_rounds(tracer, eqn, trips, [*constants], start, slices)
    last = [hidden.at_last(value, trips) for value in outputs[: len(first)]]
    given = [hidden.as_axis(value, trips, length) for value in outputs[len(first) :]]
    return [*last, *(hidden.in_order(value, reverse) for value in given)]


def _after_all_rounds(
    tracer: Interpreter,
    eqn: Any,
    trips: Axis,
    constants: list[Seen],
    start: Sequence[Seen],
    slices: Sequence[Seen],
) -> list[Seen]:
    """The outputs of a trip, once another round would leave its carry as it is."""
    body = eqn.params["jaxpr"]
    carried = list(start)
    growing, closing = 0, 0
    for _ in range(MAX_EQUATIONS // (1 + num_equations(body))):
        if growing > MAX_ROUNDS:
            closing += 1
        if closing == 1:
            # Anew: the closure has as a whole what the rounds so far have added piece by piece.
            carried = list(start)
        if closing > MAX_CLOSINGS:
            break
        outputs = tracer.run_closed(body, [*constants, *carried, *slices])
        handed_on = [hidden.next_trip(value, trips) for value in outputs[: len(start)]]
        renewed = [
            hidden.like(old, either([first, new]))
            for old, first, new in zip(carried, start, handed_on, strict=True)
        ]
        if closing:
            renewed = [
                hidden.like(old, hidden.and_all_before(either([old, new]), trips))
                for old, new in zip(carried, renewed, strict=True)
            ]
        if all(map(hidden.equal, renewed, carried)):
            return outputs
        # A buffer that fills sees the same of more places; a recurrence sees more.
        growing += [*map(_formulas, renewed)] != [*map(_formulas, carried)]
        carried = renewed
    tracer.note("scan whose rounds do not settle", eqn)
    whole = [tracer.everything(value.shape) for value in carried]
    return tracer.run_closed(body, [*constants, *whole, *slices])


def _formulas(value: Seen) -> set[Any]:
    """The content of a value's terms, whichever indices they are about."""
    if not isinstance(value, Value):
        return set()
    return {
        (term.base, id, piece.formula)
        for term in value.terms
        for id, seen in term.maps.items()
        for piece in seen.pieces
    }


RULES: dict[str, Rule] = {"scan": scan}
