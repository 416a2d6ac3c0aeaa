"""The samples that the trips of a loop wrote last to an array, and what later trips read of them; see `in_place`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import Axis, new_axes, size_of
from wavedil.receptive_field.tracing.domain.known import mask
from wavedil.receptive_field.tracing.domain.value import Value, union_of
from wavedil.receptive_field.tracing.interpreter import Interpreter, Seen
from wavedil.receptive_field.tracing.rules import gathering, hidden_axes, scattering
from wavedil.receptive_field.tracing.rules.access import Access, NoLineError
from wavedil.receptive_field.tracing.rules.elementwise import either
from wavedil.receptive_field.tracing.rules.relations import IRREGULAR, affine, coarse, listed

# Parts of what a trip reads at once that are written from different trips on.
_MAX_PARTS = 16


class Line:
    """The samples that trips wrote last to an array.

    Args:
      first: The array before the loop.
      written: Where trips write.
      trips: Their axis.
    """

    def __init__(self, first: Seen, written: Access, trips: Axis) -> None:
        if written.places.shape[1] != 1:
            raise NoLineError
        places = written.places[:, 0]
        self.first, self.axis, self.block = first, written.axis, places.shape[1]
        self.depth, self.ahead = self.block, 0
        # Where in the array the line's samples are before the first trip.
        self.origin: dict[int, int] = {}
        self.trips = trips
        # By place, and those of one place by time.
        self._base = places.size + 1
        self._places = places.reshape(-1)
        self._keys = np.sort(self._places * self._base + np.arange(places.size))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the samples that are carried, and places for those that are not written yet."""
        shape, i = self.first.shape, self.axis
        return (*shape[:i], self.depth + self.ahead, *shape[i + 1 :])

    @property
    def start(self) -> Seen:
        """The line before the first trip."""
        if not isinstance(self.first, Value):
            return Value(new_axes(self.shape), ())
        size = self.shape[self.axis]
        origin = np.array([self.origin.get(i, -1) for i in range(size)])
        reads = listed(origin, origin >= 0)
        return gathering.read_any(self.first, self.axis, reads, size)

    def last_written(self, places: np.ndarray, count: np.ndarray | int) -> np.ndarray:
        """Which sample was written last to a place, of the first `count` ones; -1 where none was."""
        at = np.searchsorted(self._keys, places * self._base + count) - 1
        keys = self._keys[np.maximum(at, 0)]
        hit = (places >= 0) & (at >= 0) & (keys // self._base == places)
        return np.where(hit, keys % self._base, -1)

    def read(self, value: Seen, start: int, size: int) -> Seen:
        """A part of the line."""
        if not isinstance(value, Value):
            return Constant((*value.shape[: self.axis], size, *value.shape[self.axis + 1 :]), None)
        return value.read(self.axis, affine(size, 1, start))

    def shifted(self, value: Seen, update: Seen) -> Seen:
        """The line when a trip has written an update."""
        size = self.depth + self.ahead
        after = [self.read(value, self.block, size)]
        if isinstance(update, Value):
            after.append(update.read(self.axis, affine(size, 1, self.block - self.depth)))
        return either(after, self.shape)

    def array(self, value: Seen) -> Seen:
        """The array after the loop, given the line after each trip."""
        size, i = self.first.shape[self.axis], self.axis
        total = self._base - 1
        last = self.last_written(np.arange(size), total)
        parts = []
        if isinstance(self.first, Value):
            parts.append(self.first.restricted(i, mask(last < 0)))
        new = self.read(value, self.depth - self.block, self.block)
        if isinstance(new, Value):
            shown = hidden_axes.show(new, self.trips)
            # Trips and the samples of each, as one axis before the others.
            (trips, *others), own = shown.axes, shown.axes[i + 1]
            del others[i]
            rest = [size_of(axis) for axis in others]
            joined = Value((trips, own, *others), shown.terms).reshaped((total, *rest))
            if (last >= 0).sum() == (self._places >= 0).sum():
                reads = scattering.inverted(self._places, self._places >= 0, size)
            else:
                reads = listed(last, last >= 0)
            if coarse(last, last >= 0) and coarse(self._places, self._places >= 0):
                joined = joined.because(IRREGULAR)
            placed = gathering.read_any(joined, 0, reads, size)
            (axis, *others) = placed.axes
            parts.append(Value((*others[:i], axis, *others[i:]), placed.terms))
        return either(parts, self.first.shape)


class Read:
    """What trips read of a line, and of the array before the loop."""

    def __init__(self, eqn: Any, operands: Sequence[Seen], line: Line, after: bool) -> None:
        self.eqn, self._operands, self._line = eqn, operands, line
        trips = size_of(line.trips)
        self._after = after
        self._access = Access.of(eqn, operands, line.trips)
        if self._access.axis != line.axis:
            raise NoLineError
        count = ((np.arange(trips) + after) * line.block)[:, None, None]
        last = line.last_written(self._access.places, count)
        self._never = last < 0
        ages = np.where(self._never, 0, count - last)
        # Samples of equal age in all trips in which they were written.
        self._ages = ages.max(axis=0)
        self._written: np.ndarray | None = None
        if (ages != np.where(self._never, 0, self._ages)).any():
            raise NoLineError
        line.depth = max(line.depth, int(self._ages.max()))

    def settle(self, tracer: Interpreter) -> Seen | None:
        """Finds the places in the line, now that all reads are known; what trips read of before the loop."""
        line, steps = self._line, np.arange(self._ages.shape[1])
        self._starts = []
        for ages in self._ages:
            found = {int(start) for start in (line.depth - ages - steps)[ages > 0]} or {line.depth}
            (start,) = found if len(found) == 1 else (-1,)
            # What is not written yet lies ahead.
            if start < 0 or (start + steps < line.depth)[ages == 0].any():
                raise NoLineError
            line.ahead = max(line.ahead, start + len(steps) - line.depth)
            self._starts.append(start)
        self._take_from_start()
        first = self._line.first
        if not isinstance(first, Value) or not self._never.any():
            return None
        slices = gathering.in_all_trips(tracer, self.eqn, first, self._operands[1:], line.trips)
        if slices is None:
            raise NoLineError
        return hidden_axes.hide(self._where_never(slices), line.trips)

    def _take_from_start(self) -> None:
        """What comes to be written is in the line from the start, if no other read says that something else is.

        Otherwise the line is read in those trips alone in which it holds what was written.
        """
        line, windows, samples = self._line, *np.nonzero(self._ages)
        trips, which = np.nonzero(self._never[:, windows, samples])
        windows, samples = windows[which], samples[which]
        slots = np.array(self._starts)[windows] + samples + line.block * (trips + self._after)
        places = self._access.places[trips, windows, samples]
        origin = dict(line.origin)
        for slot, place in zip(slots.tolist(), places.tolist(), strict=True):
            if slot >= line.depth or origin.setdefault(slot, place) != place:
                if self._ages.size > 1:
                    raise NoLineError
                self._written = ~self._never[:, 0, 0]
                return
        line.origin = origin
        self._never = self._never & (self._ages == 0)

    def _where_never(self, slices: Value) -> Value:
        """What is read in each trip, where it was not written in one before."""
        never = self._never
        columns = never.reshape(len(never), -1)
        patterns = np.unique(columns, axis=1)
        if patterns.shape[1] == 1:
            return slices.restricted(0, mask(patterns[:, 0]))
        windows, samples = never.shape[1:]
        axis = self._access.out_axes[0 if windows > 1 else 1]
        if (windows > 1 and samples > 1) or axis is None or patterns.shape[1] > _MAX_PARTS:
            raise NoLineError
        parts = []
        for pattern in patterns.T:
            where = (columns == pattern[:, None]).all(axis=0)
            parts.append(slices.restricted(0, mask(pattern)).restricted(1 + axis, mask(where)))
        return union_of(parts)

    def of(self, tracer: Interpreter, value: Seen, before: Seen | None) -> Seen:
        """What a trip reads, of its line and of before the loop."""
        read = [] if before is None else [before]
        if isinstance(value, Value):
            rules = {"gather": gathering.gather, "dynamic_slice": gathering.dynamic_slice}
            rule = rules[self.eqn.primitive.name]
            part = rule(tracer, self.eqn, [value, *self._access.at(self._starts)])
            if self._written is not None:
                part = hidden_axes.in_trips(tracer, part, self._line.trips, self._written)
            read.append(part)
        return either(read, self.eqn.outvars[0].aval.shape)
