"""Loops: scan and while. Trips one by one, or all at once as the solution of an equation.

The trips of a scan are indices of a hidden axis, so that its body is interpreted once for all of them: what is
scanned has the trip as a factor beside its own axes, and what is carried into trip s is what trip s - 1 hands on:

    carried(0) = first        carried(s) = body(carried(s - 1), scanned(s - 1))

`fixpoint` says how that is solved.
"""

import itertools
from collections.abc import Sequence
from typing import Any

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import Axis, new_axis
from wavedil.receptive_field.tracing.domain.value import Value
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen, because
from wavedil.receptive_field.tracing.jax_internals import inner_jaxprs, opened, scan_inputs
from wavedil.receptive_field.tracing.rules import fixpoint, hidden_axes
from wavedil.receptive_field.tracing.rules.elementwise import either
from wavedil.receptive_field.tracing.rules.fixpoint import Carry
from wavedil.receptive_field.tracing.rules.relations import affine
from wavedil.receptive_field.tracing.rules.shape import stacked

# Trips whose indices and decisions are known are run one by one, and increments are gone through, as long as they
# have no more equations, and carry no more pieces, than this in all: about a second.
_MAX_WORK = 20_000
_MAX_INCREMENTS = 3_000  # of increments that no delay line needs; a trace asks for several lengths
_PIECE = 4  # what a piece costs, in equations
# Increments that grow, and rounds of a while, after which they are taken to do so for ever.
_MAX_ROUNDS = 48
# Guesses of the solution of a scan, and rounds of widening, before something coarser.
_MAX_GUESSES = 8


def scan(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """The carry out of the last trip, and the outputs of every trip, one after the other."""
    constants, first, scanned = scan_inputs(eqn, inputs)
    length = eqn.params["length"]
    alone = not any(isinstance(value, Value) for value in scanned)
    if length <= 1 or (alone and length * _num_equations(eqn.params["jaxpr"]) <= _MAX_WORK):
        outputs = _trip_by_trip(tracer, eqn, constants, first, scanned)
        if outputs is not None:
            return outputs
    return _all_trips(tracer, eqn, constants, first, scanned)


def _num_equations(jaxpr: Any) -> int:
    """Equations of a body, and of the functions that it calls, once each."""
    equations = opened(jaxpr)[0].eqns
    return len(equations) + sum(_num_equations(j) for eqn in equations for j in inner_jaxprs(eqn))


def _weight(carried: Sequence[Seen]) -> int:
    """How much a carry is made of: an array that trips write to has more pieces after each."""
    values = [value for value in carried if isinstance(value, Value)]
    pieces = sum(len(m.pieces) for v in values for term in v.terms for m in term.maps.values())
    return _PIECE * pieces


def _trip_by_trip(
    tracer: Interpreter,
    eqn: Any,
    constants: Sequence[Seen],
    carried: Sequence[Seen],
    scanned: Sequence[Seen],
) -> list[Seen] | None:
    length = eqn.params["length"]
    trips = range(length)[::-1] if eqn.params["reverse"] else range(length)
    given: list[Sequence[Seen]] = [()] * length
    work = 0
    for trip in trips:
        work += _weight(carried)
        if length * _num_equations(eqn.params["jaxpr"]) + work > _MAX_WORK and length > 1:
            return None
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
    length, reverse, count = eqn.params["length"], eqn.params["reverse"], len(first)
    trips = new_axis(length)
    slices = [hidden_axes.sliced(_in_order(value, reverse), trips) for value in scanned]
    start = [hidden_axes.at_first(value, trips) for value in first]
    outputs = _solved(tracer, eqn, trips, [*constants], start, slices)
    last = [hidden_axes.at_last(value, trips) for value in outputs[:count]]
    given = [hidden_axes.shown(value, trips) for value in outputs[count:]]
    return [*last, *(_in_order(value, reverse) for value in given)]


def _solved(
    tracer: Interpreter,
    eqn: Any,
    trips: Axis,
    constants: list[Seen],
    start: Carry,
    slices: list[Seen],
) -> list[Seen]:
    """The outputs of every trip, given the solution of the carry's equation."""
    body = eqn.params["jaxpr"]

    def run(carried: Carry) -> list[Seen]:
        return tracer.run_closed(body, [*constants, *carried, *slices])

    def renewed(outputs: list[Seen]) -> Carry:
        return fixpoint.joined(
            start, [fixpoint.next_trip(value, trips) for value in outputs[: len(start)]]
        )

    increments = [renewed(run([*map(_blank, start)]))]
    names = increments[0]
    blank = [*map(_blank, constants)], [*map(_blank, slices)]
    seen_before: dict[Any, int] = {fixpoint.places(increments[0], trips): 0}
    growing = guesses = 0
    work, equations = 0, 1 + _num_equations(body)
    # A delay line has handed all on after as many trips as it holds samples.
    held = sum(max(value.shape, default=1) for value in start)
    for n in itertools.count(1):
        work += equations + _weight(increments[-1])
        if n * equations > _MAX_WORK or (n > 2 * held and work > _MAX_INCREMENTS):
            break
        handed_on = tracer.run_closed(body, [*blank[0], *increments[-1], *blank[1]])[: len(start)]
        moved = [fixpoint.without_outside(fixpoint.next_trip(value, trips)) for value in handed_on]
        increments.append([*map(fixpoint.like, names, moved)])
        names = [*map(_first_value, names, increments[-1])]
        if not any(isinstance(value, Value) and value.terms for value in increments[-1]):
            return run(fixpoint.join(increments))
        places = fixpoint.places(increments[-1], trips)
        if places in seen_before and guesses < _MAX_GUESSES:
            guesses += 1
            guess = fixpoint.continued(increments, seen_before[places], trips)
            outputs = run(guess) if guess is not None else []
            if guess is not None and all(map(fixpoint.equal, renewed(outputs), guess)):
                return outputs
        growing += places in seen_before
        seen_before[places] = n
        if growing > _MAX_ROUNDS:
            break
    widened = _widened(tracer, trips, fixpoint.join(increments), lambda c: renewed(run(c)))
    return run(widened)


def _blank(value: Seen) -> Seen:
    """The same array, of which nothing counts."""
    return Value(value.axes, ()) if isinstance(value, Value) else value


def _first_value(old: Seen, new: Seen) -> Seen:
    return old if isinstance(old, Value) else new


def _widened(tracer: Interpreter, trips: Axis, carried: Carry, renewed: Any) -> Carry:
    """A carry that holds all that its equation makes of it."""
    for coarse in (False, True):
        for _ in range(_MAX_GUESSES):
            wider = [
                fixpoint.like(value, fixpoint.all_before(value, trips, coarse, tracer.num_inputs))
                for value in carried
            ]
            after = fixpoint.joined(wider, renewed(wider))
            if all(map(fixpoint.equal, after, wider)):
                return wider
            carried = after
    reason = "scan whose increments do not settle"
    return [tracer.everything(value.shape, reason) for value in carried]


def _in_order(value: Seen, reverse: bool) -> Seen:
    """Along the trips as they are made: backwards through the first axis of a reverse scan."""
    if not reverse:
        return value
    if not isinstance(value, Value):
        return Constant(value.shape, None)
    size = value.shape[0]
    return value.read(0, affine(size, -1, size - 1))


def while_loop(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
    """The union over any number of trips; every output also sees what decides on the next trip."""
    params = eqn.params
    split = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    deciding, constants, first = inputs[: split[0]], inputs[split[0] : split[1]], inputs[split[1] :]
    ahead, ended = _run_ahead(tracer, params, deciding, constants, first)
    if ended:
        return ahead
    # Of numbers that are known nothing is, for the rounds to come change them.
    carried: list[Seen] = [
        Value(v.axes, v.terms) if isinstance(v, Value) else Constant(v.shape, None) for v in ahead
    ]
    reason = "while with as many rounds as there may be"
    for _ in range(_MAX_ROUNDS):
        handed_on = tracer.run_closed(params["body_jaxpr"], [*constants, *carried])
        (going_on,) = tracer.run_closed(params["cond_jaxpr"], [*deciding, *carried])
        choice = [going_on] if isinstance(going_on, Value) else []
        renewed = [
            fixpoint.like(old, either([*choice, old, new], old.shape))
            for old, new in zip(carried, handed_on, strict=True)
        ]
        if all(map(fixpoint.equal, renewed, carried)):
            return [because(value, reason) for value in carried]
        carried = renewed
    return [tracer.everything(value.shape, reason) for value in carried]


def _run_ahead(
    tracer: Interpreter,
    params: Any,
    deciding: Sequence[Seen],
    constants: Sequence[Seen],
    carried: Sequence[Seen],
) -> tuple[Sequence[Seen], bool]:
    """Trips whose decision is known without the signal, as of a counter; and whether they were all."""
    work, equations = 0, 1 + _num_equations(params["body_jaxpr"])
    while work < _MAX_WORK:
        work += equations + _weight(carried)
        (going_on,) = tracer.run_closed(params["cond_jaxpr"], [*deciding, *carried])
        decision = going_on.numpy if isinstance(going_on, Constant) else None
        if decision is None or not decision.all():
            return carried, decision is not None
        carried = tracer.run_closed(params["body_jaxpr"], [*constants, *carried])
    return carried, False


RULES: dict[str, Rule] = {"scan": scan, "while": while_loop}
