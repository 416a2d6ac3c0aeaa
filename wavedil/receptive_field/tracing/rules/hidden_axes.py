"""Hidden axes: the trips of a loop, the devices of a mesh. A body is interpreted once for all of them.

An array in the body has its own axes alone. What differs from trip to trip, or from device to device, is said by
maps of a factor that is in none of its axes.
"""

from wavedil.receptive_field.tracing.domain.value import Axis, Value, new_axis
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
