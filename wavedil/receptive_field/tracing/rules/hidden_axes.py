"""Hidden axes: the trips of a loop, the devices of a mesh. A body is interpreted once for all of them.

An array in the body has its own axes alone. What differs from trip to trip, or from device to device, is said by
maps of a factor that is in none of its axes.
"""

import numpy as np

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import Axis, new_axis, size_of
from wavedil.receptive_field.tracing.domain.known import mask
from wavedil.receptive_field.tracing.domain.value import Value
from wavedil.receptive_field.tracing.interpreter import Interpreter, Seen
from wavedil.receptive_field.tracing.rules.relations import affine


def hide(value: Value, hidden: Axis) -> Value:
    """The slice of each trip, or device: the first axis is hidden."""
    if len(hidden) > 1:
        value = value.reshaped((*(factor.size for factor in hidden), *value.shape[1:]))
    count = max(1, len(hidden))
    value = value.single(*range(count))
    mine = (factor for axis in value.axes[:count] for factor in axis)
    names = {own.id: factor.id for own, factor in zip(mine, hidden, strict=True)}
    return Value(value.axes[count:], tuple(term.renamed(names) for term in value.terms))


def show(value: Value, hidden: Axis) -> Value:
    """The slices of all trips, or devices, as the indices of a new first axis."""
    axis = tuple(part for factor in hidden for part in new_axis(factor.size))
    names = {factor.id: mine.id for factor, mine in zip(hidden, axis, strict=True)}
    return Value((axis, *value.axes), tuple(term.renamed(names) for term in value.terms))


def later(value: Value, trips: Axis, by: int) -> Value:
    """What trip s - by has, in trip s."""
    moved = show(value, trips)
    return hide(moved.read(0, affine(moved.shape[0], 1, -by)), trips)


def in_trips(tracer: Interpreter, value: Seen, trips: Axis, where: np.ndarray) -> Seen:
    """What a value is in some trips; in the others it sees nothing."""
    if not isinstance(value, Value) or not value.terms or where.all():
        return value
    tracer.unsteady.add(trips)
    return hide(show(value, trips).restricted(0, mask(where)), trips)


def sliced(value: Seen, trips: Axis) -> Seen:
    """What each trip has of what is scanned."""
    if isinstance(value, Value):
        return hide(value, trips)
    return Constant(value.shape[1:], lambda: value.numpy, trips)


def shown(value: Seen, trips: Axis) -> Seen:
    """The outputs of every trip, one after the other."""
    if isinstance(value, Value):
        return show(value, trips)
    return Constant((size_of(trips), *value.shape), lambda: _by_trip(value, trips))


def at_first(value: Seen, trips: Axis) -> Seen:
    """What the first trip alone is given."""
    if not isinstance(value, Value):
        return Constant(value.shape, None)
    first = Value(((), *value.axes), value.terms).read(0, affine(size_of(trips), 1, 0))
    return hide(first, trips)


def at_last(value: Seen, trips: Axis) -> Seen:
    """What the last trip hands on."""
    if not isinstance(value, Value):
        numbers = _by_trip(value, trips)
        return Constant(value.shape, None if numbers is None else lambda: numbers[-1])
    last = show(value, trips).read(0, affine(1, 1, size_of(trips) - 1))
    return Value(last.axes[1:], last.terms)


def _by_trip(value: Constant, trips: Axis) -> np.ndarray | None:
    return value.by_trip if value.trips == trips else None
