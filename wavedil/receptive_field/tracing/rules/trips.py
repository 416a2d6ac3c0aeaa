"""All trips of a loop at once: a hidden axis of trips, and the solution of the equation of what they carry.

What is scanned has the trip as a factor beside its own axes, and what is carried into trip s is what trip s - 1 hands
on, see `fixpoint`. What trips count is known of all of them; arrays that they write to are carried as lines, see
`in_place`.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import Axis, new_axis, size_of
from wavedil.receptive_field.tracing.domain.value import Value
from wavedil.receptive_field.tracing.interpreter import Interpreter, Seen
from wavedil.receptive_field.tracing.jax_internals import inner_jaxprs, opened
from wavedil.receptive_field.tracing.rules import fixpoint, hidden_axes
from wavedil.receptive_field.tracing.rules.fixpoint import Carry
from wavedil.receptive_field.tracing.rules.in_place import Lines
from wavedil.receptive_field.tracing.rules.relations import affine

# Increments are gone through, as long as they have no more equations than this in all, about a second; and as long as
# they carry no more pieces, where no delay line needs them. A trace asks for several lengths.
MAX_WORK = 20_000
_MAX_INCREMENTS = 3_000
_PIECE = 4  # what a piece costs, in equations
# Increments that grow after which they are taken to do so for ever.
_MAX_ROUNDS = 48
# Guesses of the solution, and rounds of widening, before something coarser.
_MAX_GUESSES = 8


class Trips:
    """All trips of a loop at once.

    Args:
      tracer: Interprets the body.
      body: Its jaxpr.
      length: How many trips there are.
      reverse: Whether the first trip is given the last slice.
      constants: What the body is given in every trip.
      first: What is carried into the first trip.
      scanned: The slices of all trips.

    Attributes:
      lines: The arrays that trips write to, and of which the last samples are carried.
    """

    def __init__(
        self,
        tracer: Interpreter,
        body: Any,
        length: int,
        reverse: bool,
        constants: Sequence[Seen],
        first: Sequence[Seen],
        scanned: Sequence[Seen],
    ) -> None:
        self._tracer, self._body, self._reverse = tracer, body, reverse
        self._trips = trips = new_axis(length)
        self._constants = [*constants]
        self._slices = [hidden_axes.sliced(_in_order(v, self._reverse), trips) for v in scanned]
        self._settled = dict(settled(self._body, constants, first, trips))
        self._start = [hidden_axes.at_first(value, trips) for value in first]
        inputs = [*constants, *self._with_settled(self._start), *self._slices]
        self.lines = Lines(tracer, self._body, [*map(blank, inputs)], first, len(constants), trips)
        for number, line in self.lines.lines.items():
            self._start[number] = hidden_axes.at_first(line.start, trips)

    def _with_settled(self, carried: Carry) -> Carry:
        return [self._settled.get(i, value) for i, value in enumerate(carried)]

    def _run(self, carried: Carry) -> list[Seen]:
        inputs = [*self._constants, *self._with_settled(carried), *self._slices]
        rules = self.lines.rules(self.lines.before)
        return self._tracer.run_closed(self._body, inputs, rules)

    def _handed_on(self, increment: Carry) -> Carry:
        """What the body makes of an increment alone."""
        settled = [
            blank(self._settled[i]) if i in self._settled else value
            for i, value in enumerate(increment)
        ]
        inputs = [*map(blank, self._constants), *settled, *map(blank, self._slices)]
        rules = self.lines.rules([*map(blank, self.lines.before)])
        outputs = self._tracer.run_closed(self._body, inputs, rules)[: len(increment)]
        return [fixpoint.without_outside(self._next_trip(value)) for value in outputs]

    def _next_trip(self, value: Seen) -> Seen:
        return fixpoint.next_trip(value, self._trips)

    def _renewed(self, outputs: list[Seen]) -> Carry:
        handed_on = [self._next_trip(value) for value in outputs[: len(self._start)]]
        return fixpoint.joined(self._start, handed_on)

    def outputs(self) -> list[Seen]:
        """The carry out of the last trip, and the outputs of every trip, one after the other."""
        outputs = self._solved()
        count = len(self._start)
        last = [
            self.lines.lines[i].array(value)
            if i in self.lines.lines
            else hidden_axes.at_last(value, self._trips)
            for i, value in enumerate(outputs[:count])
        ]
        given = [hidden_axes.shown(value, self._trips) for value in outputs[count:]]
        return [*last, *(_in_order(value, self._reverse) for value in given)]

    def _solved(self) -> list[Seen]:
        """The outputs of every trip, given the solution of the carry's equation."""
        trips = self._trips
        increments = [self._renewed(self._run([*map(blank, self._start)]))]
        names = increments[0]
        self._tracer.unsteady.discard(trips)
        unsteady: set[Axis] = set()
        seen_before: dict[Any, int] = {fixpoint.places(increments[0], trips): 0}
        growing = guesses = 0
        work, equations = 0, 1 + num_equations(self._body)
        # A delay line has handed all on after as many trips as it holds samples.
        held = sum(max(value.shape, default=1) for value in self._start)
        for n in itertools.count(1):
            work += equations + weight(increments[-1])
            long = n > 2 * held or trips in unsteady
            if n * equations > MAX_WORK or (long and work > _MAX_INCREMENTS):
                break
            handed_on = self._handed_on(increments[-1])
            unsteady |= self._tracer.unsteady
            increments.append([*map(fixpoint.like, names, handed_on)])
            names = [*map(_first_value, names, increments[-1])]
            if not any(isinstance(value, Value) and value.terms for value in increments[-1]):
                return self._run(fixpoint.join(increments))
            places = fixpoint.places(increments[-1], trips)
            if places in seen_before and guesses < _MAX_GUESSES:
                guesses += 1
                guess, certain = fixpoint.continued(increments, seen_before[places], trips)
                outputs = [] if guess is None else self._run(guess)
                if guess is not None and (
                    (certain and trips not in unsteady)
                    or all(map(fixpoint.equal, self._renewed(outputs), guess))
                ):
                    return outputs
            growing += places in seen_before
            seen_before[places] = n
            if growing > _MAX_ROUNDS:
                break
        return self._run(self._widened(fixpoint.join(increments)))

    def _widened(self, carried: Carry) -> Carry:
        """A carry that holds all that its equation makes of it."""
        tracer, trips = self._tracer, self._trips
        for coarse in (False, True):
            for _ in range(_MAX_GUESSES):
                wider = [
                    fixpoint.like(v, fixpoint.all_before(v, trips, coarse, tracer.num_inputs))
                    for v in carried
                ]
                after = fixpoint.joined(wider, self._renewed(self._run(wider)))
                if all(map(fixpoint.equal, after, wider)):
                    return wider
                carried = after
        reason = "scan whose increments do not settle"
        return [tracer.everything(value.shape, reason) for value in carried]


def settled(
    body: Any, constants: Sequence[Seen], first: Sequence[Seen], trips: Axis
) -> Iterator[tuple[int, Seen]]:
    """What is carried into every trip, where it stays as it is, or a number is added to it in each trip."""
    jaxpr, held = opened(body)
    known: dict[Any, Seen] = dict(zip(jaxpr.constvars, map(Constant.holding, held), strict=True))
    known.update(zip(jaxpr.invars, constants, strict=False))
    made_by = {var: eqn for eqn in jaxpr.eqns for var in eqn.outvars}
    carried = jaxpr.invars[len(constants) : len(constants) + len(first)]
    for number, (before, value, after) in enumerate(
        zip(carried, first, jaxpr.outvars, strict=False)
    ):
        eqn = None if hasattr(after, "val") else made_by.get(after)
        if after is before:
            yield number, value
        elif eqn is not None and eqn.primitive.name == "add" and before in eqn.invars:
            step = eqn.invars[1 - eqn.invars.index(before)]
            numbers = Constant.holding(step.val) if hasattr(step, "val") else known.get(step)
            if isinstance(value, Constant) and isinstance(numbers, Constant):
                yield number, _counting(value, numbers, trips)


def _counting(first: Constant, step: Constant, trips: Axis) -> Constant:
    """A number that grows by a step in every trip."""

    def make() -> np.ndarray | None:
        if first.number is None or step.number is None or first.shape:
            return None
        return (first.number + step.number * np.arange(size_of(trips))).astype(first.number.dtype)

    return Constant(first.shape, make, trips)


def blank(value: Seen) -> Seen:
    """The same array, of which nothing counts."""
    return Value(value.axes, ()) if isinstance(value, Value) else value


def _first_value(old: Seen, new: Seen) -> Seen:
    return old if isinstance(old, Value) else new


def _in_order(value: Seen, reverse: bool) -> Seen:
    """Along the trips as they are made: backwards through the first axis of a reverse scan."""
    if not reverse:
        return value
    if not isinstance(value, Value):
        return Constant(value.shape, lambda: None if value.numpy is None else value.numpy[::-1])
    size = value.shape[0]
    return value.read(0, affine(size, -1, size - 1))


def num_equations(jaxpr: Any) -> int:
    """Equations of a body, and of the functions that it calls, once each."""
    equations = opened(jaxpr)[0].eqns
    return len(equations) + sum(num_equations(j) for eqn in equations for j in inner_jaxprs(eqn))


def weight(carried: Sequence[Seen]) -> int:
    """How much a carry is made of: an array that trips write to has more pieces after each."""
    values = [value for value in carried if isinstance(value, Value)]
    pieces = sum(len(m.pieces) for v in values for term in v.terms for m in term.maps.values())
    return _PIECE * pieces
