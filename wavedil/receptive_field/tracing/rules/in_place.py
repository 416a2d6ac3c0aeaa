"""Arrays that the trips of a loop write to, and read where trips before have written.

    for i in range(n):
        y[i] = x[i] + 0.7 y[i - 5]

Which trip reads what another one wrote follows from the places, which the trips count. Where it is the same writes
before in every trip, the loop does what one does that carries a line of the samples that were written last:

    y        . . . # # # # # i . .        line        # # # # #        the last 5

What no trip has written yet is read of the array as it was before the loop, a slice of it in every trip.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import Axis, new_axes, size_of
from wavedil.receptive_field.tracing.domain.known import mask
from wavedil.receptive_field.tracing.domain.value import Value, union_of
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.jax_internals import opened
from wavedil.receptive_field.tracing.rules import gathering, hidden_axes, scattering
from wavedil.receptive_field.tracing.rules.access import Access, NoLineError
from wavedil.receptive_field.tracing.rules.elementwise import either
from wavedil.receptive_field.tracing.rules.relations import IRREGULAR, affine, coarse, listed

_ADDING = {"scatter-add", "scatter_add"}
_WRITES = {"dynamic_update_slice", "scatter", *_ADDING}
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
        self._trips = trips
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
            shown = hidden_axes.show(new, self._trips)
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


class _Read:
    """What trips read of a line, and of the array before the loop."""

    def __init__(self, eqn: Any, operands: Sequence[Seen], line: Line, after: bool) -> None:
        self.eqn, self._operands, self._line = eqn, operands, line
        trips = size_of(line._trips)
        self._access = Access.of(eqn, operands, trips)
        if self._access.axis != line.axis:
            raise NoLineError
        count = ((np.arange(trips) + after) * line.block)[:, None, None]
        last = line.last_written(self._access.places, count)
        self._never = last < 0
        ages = np.where(self._never, 0, count - last)
        # Samples of equal age in all trips in which they were written.
        self._ages = ages.max(axis=0)
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
        slices = gathering.in_all_trips(tracer, self.eqn, first, self._operands[1:], line._trips)
        if slices is None:
            raise NoLineError
        return hidden_axes.hide(self._where_never(slices), line._trips)

    def _take_from_start(self) -> None:
        """What comes to be written is in the line from the start, if no other read says that something else is."""
        line, windows, samples = self._line, *np.nonzero(self._ages)
        trips, which = np.nonzero(self._never[:, windows, samples])
        windows, samples = windows[which], samples[which]
        slots = np.array(self._starts)[windows] + samples + line.block * trips
        places = self._access.places[trips, windows, samples]
        origin = dict(line.origin)
        for slot, place in zip(slots.tolist(), places.tolist(), strict=True):
            if slot >= line.depth or origin.setdefault(slot, place) != place:
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
        read = []
        if isinstance(value, Value):
            rule = gathering.RULES[self.eqn.primitive.name]
            read.append(rule(tracer, self.eqn, [value, *self._access.at(self._starts)]))
        read += [before] if before is not None else []
        return either(read, self.eqn.outvars[0].aval.shape)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Written:
    """An array that one equation of a body writes to, and those that read it, before or after that."""

    number: int
    write: Any
    reads: list[tuple[Any, bool]]


def _written_in_place(jaxpr: Any, carried: range) -> Iterator[_Written]:
    """Of what is carried, the arrays that one equation writes to, and nothing else but reads uses."""
    users: dict[Any, list[Any]] = {}
    for eqn in jaxpr.eqns:
        for atom in eqn.invars:
            if not hasattr(atom, "val"):
                users.setdefault(atom, []).append(eqn)
    for number, (before, after) in enumerate(
        zip([jaxpr.invars[i] for i in carried], jaxpr.outvars, strict=False)
    ):
        of_before, of_after = users.get(before, []), users.get(after, [])
        writes = [eqn for eqn in of_before if after in eqn.outvars]
        reads = [eqn for eqn in of_before if after not in eqn.outvars]
        if (
            len(writes) == 1
            and writes[0].primitive.name in _WRITES
            and all(eqn.primitive.name in gathering.RULES for eqn in (*reads, *of_after))
            and all(eqn.invars[0] in (before, after) for eqn in (*writes, *reads, *of_after))
            and not any(atom in (before, after) for eqn in of_before for atom in eqn.invars[1:])
            and sum(atom is after for atom in jaxpr.outvars) == 1
            and not any(atom is before for atom in jaxpr.outvars)
        ):
            both = [*((eqn, False) for eqn in reads), *((eqn, True) for eqn in of_after)]
            yield _Written(number, writes[0], both)


class Lines:
    """The arrays of a loop that are carried as lines.

    Args:
      tracer: Interprets the body.
      body: Its jaxpr.
      inputs: What the body is given in any trip; only constants count.
      first: What is carried into the first trip.
      carried: Which of the inputs is the first that is carried.
      trips: The axis of the trips.

    Attributes:
      lines: By number among what is carried.
      before: What trips read of arrays as they were before the loop.
    """

    def __init__(
        self,
        tracer: Interpreter,
        body: Any,
        inputs: Sequence[Seen],
        first: Sequence[Seen],
        carried: int,
        trips: Axis,
    ) -> None:
        self.lines: dict[int, Line] = {}
        self.before: list[Seen] = []
        self._reads: list[tuple[_Read, int | None]] = []
        self._writes: list[tuple[Any, Line, tuple[_Read, int | None] | None]] = []
        operands: dict[Any, list[Seen]] = {}

        def noted(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
            operands[eqn.outvars[0]] = inputs
            return Value(new_axes(eqn.outvars[0].aval.shape), ())

        found = list(_written_in_place(opened(body)[0], range(carried, carried + len(first))))
        noting = [eqn for each in found for eqn in (each.write, *(e for e, _ in each.reads))]
        if noting:
            tracer.run_closed(body, inputs, {eqn.outvars[0]: noted for eqn in noting})
        for each in found:
            try:
                self._add(tracer, each, first[each.number], operands, trips)
            except NoLineError:
                continue

    def _add(
        self,
        tracer: Interpreter,
        found: _Written,
        first: Seen,
        operands: Mapping[Any, list[Seen]],
        trips: Axis,
    ) -> None:
        write = found.write
        written = Access.of(write, operands[write.outvars[0]], size_of(trips))
        line = Line(first, written, trips)
        reads = [_Read(eqn, operands[eqn.outvars[0]], line, after) for eqn, after in found.reads]
        if write.primitive.name in _ADDING:
            # What is there is read as well.
            eqn, indices = _slice_at(first.shape, written, trips)
            reads.append(_Read(eqn, [operands[write.outvars[0]][0], *indices], line, False))
        elif write.primitive.name == "scatter" and not scattering.replaces(write):
            raise NoLineError
        before = [read.settle(tracer) for read in reads]
        slots = []
        for each in before:
            slots.append(None if each is None else len(self.before))
            self.before += [] if each is None else [each]
        settled = [*zip(reads, slots, strict=True)]
        added = settled.pop() if write.primitive.name in _ADDING else None
        self._reads += settled
        self._writes.append((write, line, added))
        self.lines[found.number] = line

    def rules(self, before: Sequence[Seen]) -> Mapping[Any, Rule]:
        """The rules of the equations that read and write lines, given what is read of before the loop."""

        def of(read: _Read, slot: int | None, tracer: Interpreter, value: Seen) -> Seen:
            return read.of(tracer, value, None if slot is None else before[slot])

        def reading(read: _Read, slot: int | None) -> Rule:
            return lambda tracer, eqn, inputs: of(read, slot, tracer, inputs[0])

        def writing(line: Line, added: tuple[_Read, int | None] | None) -> Rule:
            def rule(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
                update = _aligned(eqn, inputs, line)
                if added is not None:
                    there = of(*added, tracer, inputs[0])
                    update = either([update, there], update.shape)
                return line.shifted(inputs[0], update)

            return rule

        return {
            **{read.eqn.outvars[0]: reading(read, slot) for read, slot in self._reads},
            **{write.outvars[0]: writing(line, added) for write, line, added in self._writes},
        }


def _slice_at(shape: Sequence[int], written: Access, trips: Axis) -> tuple[Any, list[Seen]]:
    """An equation that reads what another one writes to, and its indices."""
    sizes = list(shape)
    sizes[written.axis] = written.places.shape[-1]
    jaxpr = jax.make_jaxpr(lambda x, *at: lax.dynamic_slice(x, at, sizes))(
        jax.ShapeDtypeStruct(shape, jnp.float32), *[np.int32(0)] * len(shape)
    )
    eqn = next(e for e in jaxpr.jaxpr.eqns if e.primitive.name == "dynamic_slice")
    indices: list[Seen] = [Constant.holding(np.int32(0))] * len(shape)
    indices[written.axis] = Constant((), lambda: written.places[:, 0, 0].astype(np.int32), trips)
    return eqn, indices


def _aligned(eqn: Any, inputs: Sequence[Seen], line: Line) -> Seen:
    """The update of a trip, with the axes of the array."""
    shape = (*line.first.shape[: line.axis], line.block, *line.first.shape[line.axis + 1 :])
    if eqn.primitive.name == "dynamic_update_slice":
        return inputs[1]
    updates = inputs[2]
    if not isinstance(updates, Value):
        return Constant(shape, None)
    _, places = scattering.windows(eqn, line.first.shape, updates.shape)
    axes = [updates.axes[places[d]] if d in places else () for d in range(len(shape))]
    return Value(tuple(axes), updates.terms)
