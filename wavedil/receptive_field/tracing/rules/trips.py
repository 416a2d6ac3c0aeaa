"""The trips of a loop as a hidden axis, and going round until nothing changes."""

from typing import Any

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.interpreter import Seen
from wavedil.receptive_field.tracing.jax_internals import inner_jaxprs, opened
from wavedil.receptive_field.tracing.rules.reduction import running
from wavedil.receptive_field.tracing.rules.relations import affine
from wavedil.receptive_field.tracing.terms import trimmed
from wavedil.receptive_field.tracing.value import Axis, Value, new_axes, new_axis, union_of

# Trips whose indices and decisions are known are run one by one, and rounds are gone, as long as they have no
# more equations than this in all: about a second.
MAX_EQUATIONS = 20_000
# Rounds after which what a loop carries is taken to grow for ever.
MAX_ROUNDS = 48
# Rounds after which what is closed under "and all trips before" is given up: rounds of it are dear.
MAX_CLOSINGS = 16


def num_equations(jaxpr: Any) -> int:
    """Equations of a body, and of the functions that it calls, once each."""
    equations = opened(jaxpr)[0].eqns
    return len(equations) + sum(num_equations(j) for eqn in equations for j in inner_jaxprs(eqn))


def in_order(value: Seen, reverse: bool) -> Seen:
    """Along the trips as they are made: backwards through the first axis of a reverse scan."""
    if not reverse:
        return value
    if not isinstance(value, Value):
        return Constant(value.shape, None)
    size = value.shape[0]
    return value.read(0, affine(size, -1, size - 1))


def per_trip(value: Seen, trips: Axis) -> Seen:
    """A slice of what is scanned: its first axis is hidden as the trips'."""
    if not isinstance(value, Value):
        return Constant(value.shape[1:], None)
    value = value.single(0)
    names = {mine.id: trip.id for mine, trip in zip(value.axes[0], trips, strict=True)}
    return Value(value.axes[1:], tuple(term.renamed(names) for term in value.terms))


def as_axis(value: Seen, trips: Axis, length: int) -> Seen:
    """The outputs of every trip, with the hidden axis as their first."""
    if not isinstance(value, Value):
        return Constant((length, *value.shape), None)
    axis = new_axis(length)
    names = {trip.id: mine.id for trip, mine in zip(trips, axis, strict=True)}
    return Value((axis, *value.axes), tuple(term.renamed(names) for term in value.terms))


def next_trip(value: Seen, trips: Axis) -> Seen:
    """The carry of trip s, from trip s - 1."""
    if not isinstance(value, Value):
        return value
    moved = Value((trips, *value.axes), value.terms).read(0, affine(trips[0].size, 1, -1))
    return per_trip(moved, trips)


def at_first(value: Seen, trips: Axis) -> Seen:
    """The carry into the first trip alone."""
    if not isinstance(value, Value):
        return Constant(value.shape, None)
    read = Value(((), *value.axes), value.terms).read(0, affine(trips[0].size, 1, 0))
    return per_trip(read, trips)


def at_last(value: Seen, trips: Axis) -> Seen:
    """The carry out of the last trip."""
    if not isinstance(value, Value):
        return Constant(value.shape, None)
    last = Value((trips, *value.axes), value.terms).read(0, affine(1, 1, trips[0].size - 1))
    return Value(last.axes[1:], last.terms)


def and_all_before(value: Seen, trips: Axis) -> Seen:
    """The reads of a trip anywhere and of all trips before it, at every place."""
    if not isinstance(value, Value):
        return value
    terms = value.terms_over(factor for axis in value.axes for factor in axis)
    before = running(Value((trips, *new_axes(value.shape)), terms), 0)
    seen = before.each(lambda term: [trimmed(term)])
    return per_trip(Value(before.axes, seen), trips)


def like(old: Seen, new: Seen) -> Seen:
    """New terms under the old axes' names, so that rounds can be compared."""
    if isinstance(old, Value) and isinstance(new, Value):
        both = union_of([Value(old.axes, ()), new])
        if both.axes == old.axes:
            return both
    return new


def equal(a: Seen, b: Seen) -> bool:
    """Whether two rounds say the same."""
    if isinstance(a, Value) and isinstance(b, Value):
        return a.axes == b.axes and set(a.terms) == set(b.terms)
    return isinstance(a, Constant) and isinstance(b, Constant)
