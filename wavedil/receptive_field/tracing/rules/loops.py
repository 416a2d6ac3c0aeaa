"""Loops: scan and while. Trips one by one, or all at once where there are many, see `trips`."""

import math
from collections.abc import Sequence
from typing import Any

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import new_axis
from wavedil.receptive_field.tracing.domain.value import Value
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen, because
from wavedil.receptive_field.tracing.jax_internals import scan_inputs
from wavedil.receptive_field.tracing.rules import fixpoint
from wavedil.receptive_field.tracing.rules.elementwise import either
from wavedil.receptive_field.tracing.rules.relations import affine
from wavedil.receptive_field.tracing.rules.shape import stacked
from wavedil.receptive_field.tracing.rules.trips import (
    MAX_WORK,
    Trips,
    blank,
    num_equations,
    settled,
    weight,
)

# Trips whose indices and decisions are known are run one by one, as long as they have no more equations, and carry no
# more pieces, than `MAX_WORK` in all; those that write in place no more than this, for they are exact at once too.
_MAX_FOLLOWED = 1_000
# Rounds of a while without a known end after which what it carries is taken to grow for ever.
_MAX_ROUNDS = 48
# Rounds that are counted.
_MAX_COUNTED = 2**22


def scan(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """The carry out of the last trip, and the outputs of every trip, one after the other."""
    constants, first, scanned = scan_inputs(eqn, inputs)
    length = eqn.params["length"]
    alone = not any(isinstance(value, Value) for value in scanned)
    if length <= 1:
        return list(_trip_by_trip(tracer, eqn, constants, first, scanned) or ())
    body, reverse = eqn.params["jaxpr"], eqn.params["reverse"]
    trips = Trips(tracer, body, length, reverse, constants, first, scanned)
    most = _MAX_FOLLOWED if trips.lines.lines else MAX_WORK
    outputs = _trip_by_trip(tracer, eqn, constants, first, scanned, most) if alone else None
    return trips.outputs() if outputs is None else outputs


def _trip_by_trip(
    tracer: Interpreter,
    eqn: Any,
    constants: Sequence[Seen],
    carried: Sequence[Seen],
    scanned: Sequence[Seen],
    most: float = math.inf,
) -> list[Seen] | None:
    """One trip after the other; None where that is more work than `most`."""
    length = eqn.params["length"]
    trips = range(length)[::-1] if eqn.params["reverse"] else range(length)
    given: list[Sequence[Seen]] = [()] * length
    work = 0
    for trip in trips:
        work += weight(carried)
        if length * num_equations(eqn.params["jaxpr"]) + work > most:
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


def while_loop(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
    """The union over any number of trips; every output also sees what decides on the next trip."""
    params = eqn.params
    split = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    deciding, constants, first = inputs[: split[0]], inputs[split[0] : split[1]], inputs[split[1] :]
    body = params["body_jaxpr"]
    count = _num_rounds(tracer, params, deciding, constants, first)
    if count is not None and count > 1:
        trips = Trips(tracer, body, count, False, constants, first, ())
        if count * num_equations(body) > (_MAX_FOLLOWED if trips.lines.lines else MAX_WORK):
            return trips.outputs()
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


def _num_rounds(
    tracer: Interpreter,
    params: Any,
    deciding: Sequence[Seen],
    constants: Sequence[Seen],
    first: Sequence[Seen],
) -> int | None:
    """How many rounds there are, where what is counted decides on that; None where something else does, or too many."""
    most = 64
    while most <= _MAX_COUNTED:
        counted = dict(settled(params["body_jaxpr"], constants, first, new_axis(most)))
        carried = [
            counted.get(i, blank(v) if isinstance(v, Value) else Constant(v.shape, None))
            for i, v in enumerate(first)
        ]
        (going_on,) = tracer.run_closed(params["cond_jaxpr"], [*map(blank, deciding), *carried])
        numbers = going_on.by_trip if isinstance(going_on, Constant) else None
        if numbers is None:
            return None
        if not numbers.all():
            return int(numbers.argmin())
        most *= 16
    return None


def _run_ahead(
    tracer: Interpreter,
    params: Any,
    deciding: Sequence[Seen],
    constants: Sequence[Seen],
    carried: Sequence[Seen],
) -> tuple[Sequence[Seen], bool]:
    """Trips whose decision is known without the signal, as of a counter; and whether they were all."""
    work, equations = 0, 1 + num_equations(params["body_jaxpr"])
    while work < MAX_WORK:
        work += equations + weight(carried)
        (going_on,) = tracer.run_closed(params["cond_jaxpr"], [*deciding, *carried])
        decision = going_on.numpy if isinstance(going_on, Constant) else None
        if decision is None or not decision.all():
            return carried, decision is not None
        carried = tracer.run_closed(params["body_jaxpr"], [*constants, *carried])
    return carried, False


RULES: dict[str, Rule] = {"scan": scan, "while": while_loop}
