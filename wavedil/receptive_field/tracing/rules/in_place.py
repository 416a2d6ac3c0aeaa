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
from wavedil.receptive_field.tracing.domain.axes import Axis, new_axes
from wavedil.receptive_field.tracing.domain.value import Value
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.jax_internals import opened
from wavedil.receptive_field.tracing.rules import gathering, scattering
from wavedil.receptive_field.tracing.rules.access import Access, NoLineError
from wavedil.receptive_field.tracing.rules.elementwise import either
from wavedil.receptive_field.tracing.rules.line import Line, Read

_ADDING = {"scatter-add", "scatter_add"}
_WRITES = {"dynamic_update_slice", "scatter", *_ADDING}


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
        # What is handed on may be a number.
        if hasattr(after, "val"):
            continue
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
        self._reads: list[tuple[Read, int | None]] = []
        self._writes: list[tuple[Any, Line, tuple[Read, int | None] | None]] = []
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
        written = Access.of(write, operands[write.outvars[0]], trips)
        line = Line(first, written, trips)
        reads = [Read(eqn, operands[eqn.outvars[0]], line, after) for eqn, after in found.reads]
        if write.primitive.name in _ADDING:
            # What is there is read as well.
            eqn, indices = _slice_at(first.shape, written, trips)
            reads.append(Read(eqn, [operands[write.outvars[0]][0], *indices], line, False))
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

        def of(read: Read, slot: int | None, tracer: Interpreter, value: Seen) -> Seen:
            return read.of(tracer, value, None if slot is None else before[slot])

        def reading(read: Read, slot: int | None) -> Rule:
            return lambda tracer, eqn, inputs: of(read, slot, tracer, inputs[0])

        def writing(line: Line, added: tuple[Read, int | None] | None) -> Rule:
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
