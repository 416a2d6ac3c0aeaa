"""Reading at indices: gather and dynamic slices. Indices that are known without the signal are used as they are."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import Axis, Factor, new_axes, new_axis, size_of
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap
from wavedil.receptive_field.tracing.domain.terms import Term, united
from wavedil.receptive_field.tracing.domain.value import Value, union_of, with_axis
from wavedil.receptive_field.tracing.evaluation import function_of
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.rules import hidden_axes
from wavedil.receptive_field.tracing.rules.elementwise import either
from wavedil.receptive_field.tracing.rules.relations import IRREGULAR, coarse, listed

# The first and the last start of a slice.
Starts = tuple[int, int]


def starts_of(index: Seen, size: int, num_read: int) -> Starts | None:
    """The first and the last start that a slice may have, as JAX clamps it; None where the one start is not known."""
    last = size - num_read
    # A slice of all there is can start nowhere else.
    if last == 0:
        return 0, 0
    if isinstance(index, Value):
        first_and_last = index.between[:2] if index.between else (0, last)
    elif index.numpy is None:
        return None
    else:
        first_and_last = int(index.numpy), int(index.numpy)
    low, high = (min(max(int(start), 0), last) for start in first_and_last)
    return low, high


def dynamic_slice(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Output j reads start + j of every start that there may be."""
    value, *indices = inputs
    shape = eqn.outvars[0].aval.shape
    of_trips = by_trip(tracer, eqn, inputs)
    if of_trips is not None:
        return of_trips
    values = []
    sizes = value.shape
    starts = [starts_of(*triple) for triple in zip(indices, sizes, shape, strict=True)]
    if isinstance(value, Value):
        value = unless_known(value, eqn, indices, starts)
        for i, place in enumerate(starts):
            if place is None:
                value = read_anywhere(value, i, shape[i])
            elif shape[i] != sizes[i]:
                value = value.read(i, from_any(place, shape[i]))
        values.append(value)
    return either([*values, *deciding(indices, starts)], shape)


def from_any(starts: Starts, size: int) -> AxisMap:
    """Output j reads start + j of every start."""
    return AxisMap.of(size, 1, [Taps.between(*starts)])


def unless_known(
    value: Value,
    eqn: Any,
    indices: Sequence[Seen],
    starts: Sequence[Starts | None],
) -> Value:
    """An upper bound for a slice whose place is one that is not known, or may be one of a few that are not known."""
    for index, place in zip(indices, starts, strict=True):
        if place is None:
            return value.because(f"{eqn.primitive.name} at an index that is not known here")
        if place[0] < place[1] and isinstance(index, Value) and not takes_all(index):
            return value.because(f"{eqn.primitive.name} at an index from the signal")
    return value


def takes_all(index: Value) -> bool:
    """Whether an index is each of the numbers between which it lies, for some signal."""
    return index.between is not None and index.between.every


def read_anywhere(value: Value, i: int, size: int) -> Value:
    """Every index of axis i may be read at any index of the new one."""
    return Value(with_axis(value.axes, i, new_axis(size)), value.terms_over(value.axes[i]))


def deciding(indices: Sequence[Seen], starts: Sequence[Starts | None]) -> list[Value]:
    """The indices that may say one start or another: every element sees them."""
    return [
        index
        for index, place in zip(indices, starts, strict=True)
        if isinstance(index, Value) and place is not None and place[0] < place[1]
    ]


def gather(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Slices of the operand at indices; output axes are the indices' axes and the slices'."""
    operand, indices = inputs
    numbers = eqn.params["dimension_numbers"]
    shape = eqn.outvars[0].aval.shape
    of_trips = by_trip(tracer, eqn, inputs)
    if of_trips is not None:
        return of_trips
    batch = [i for i in range(len(shape)) if i not in numbers.offset_dims]
    parts = []
    if isinstance(indices, Value):
        axes = list(new_axes(shape))
        chosen = indices.over(len(indices.axes) - 1)
        for place, axis in zip(batch, chosen.axes, strict=True):
            axes[place] = axis
        parts.append(Value(tuple(axes), chosen.terms))
    if isinstance(operand, Value):
        known = indices.numpy if isinstance(indices, Constant) else None
        if known is None and isinstance(indices, Constant):
            operand = operand.because("gather at indices that are not known here")
        parts.append(_of_operand(eqn, operand, indices, known, batch))
    return union_of(parts)


def _of_operand(
    eqn: Any, value: Value, indices: Seen, known: np.ndarray | None, batch: list[int]
) -> Value:
    numbers, sizes = eqn.params["dimension_numbers"], eqn.params["slice_sizes"]
    shape = eqn.outvars[0].aval.shape
    # In mode fill, slices that do not fit are filled with a number; in the others they are moved inside.
    drops = "FILL" in str(eqn.params.get("mode"))
    # The output's axes are those of the indices, the batch, and those of the slices, the offsets. Into
    # `placed` goes every axis of the operand, at the place in the output where it is read:
    #
    #     operand [time, channel], indices [frame], slices of 400 times and all channels
    #     output  [frame, 400, channel]     frame, 400 <- time        channel <- channel
    gone = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    kept = [d for d in range(len(sizes)) if d not in gone]
    offset_place = dict(zip(kept, numbers.offset_dims, strict=True))
    placed: dict[int, list[Axis]] = {i: [] for i in range(len(shape))}
    operand_shape = value.shape
    for d, size in enumerate(operand_shape):
        if d in numbers.operand_batching_dims:
            where = numbers.operand_batching_dims.index(d)
            placed[batch[numbers.start_indices_batching_dims[where]]].append(value.axes[d])
            continue
        places = [offset_place[d]] if d in offset_place else []
        if d not in numbers.start_index_map or sizes[d] == size:
            if sizes[d] != size:
                value = value.read(d, from_any((0, 0), sizes[d]))
            if places:
                placed[places[0]].append(value.axes[d])
        elif known is None:
            place = starts_of(indices, size, sizes[d]) or (0, size - sizes[d])
            if isinstance(indices, Value) and place[0] < place[1] and not takes_all(indices):
                value = value.because("gather at indices from the signal")
            value = value.read(d, from_any(place, sizes[d]))
            if places:
                placed[places[0]].append(value.axes[d])
        else:
            starts = known[..., numbers.start_index_map.index(d)]
            # All reads of an axis as one long list of indices, which is then folded into frames and places.
            moving, flat, valid, inner = _flat_indices(starts, sizes[d], size, drops)
            if coarse(flat, valid):
                value = value.because(IRREGULAR)
            value = read_any(value, d, listed(flat, None if valid.all() else valid), len(flat))
            value, axes = _unfolded(value, d, inner)
            # A slice of one index has no axis to unfold, but may keep its place in the output.
            for place, axis in zip([*(batch[i] for i in moving), *places], axes, strict=False):
                placed[place].append(axis)
    return _assembled(value, shape, placed)


def by_trip(tracer: Interpreter, eqn: Any, inputs: Sequence[Seen]) -> Value | None:
    """What a trip reads at indices that are known of every trip; None where they are not, or the same in all."""
    value, *indices = inputs
    loops = {index.trips for index in indices if isinstance(index, Constant) and index.trips}
    if len(loops) != 1 or not isinstance(value, Value):
        return None
    if not value.terms:
        return Value(new_axes(eqn.outvars[0].aval.shape), ())
    (trips,) = loops
    tracer.unsteady.add(trips)
    slices = in_all_trips(tracer, eqn, value, indices, trips)
    return None if slices is None else hidden_axes.hide(slices, trips)


def in_all_trips(
    tracer: Interpreter, eqn: Any, value: Value, indices: Sequence[Seen], trips: Axis
) -> Value | None:
    """What all trips read, [trips, ...], at indices that are known; None where they are not."""
    constants = [index for index in indices if isinstance(index, Constant)]
    arrays = [index.by_trip if index.trips else index.numpy for index in constants]
    known = [array for array in arrays if array is not None]
    if len(known) < len(indices):
        return None
    ids = {factor.id for factor in trips}
    differs = any(ids & term.maps.keys() for term in value.terms)
    operand = hidden_axes.show(value, trips) if differs else value
    mapped = (0 if differs else None, *(0 if index.trips else None for index in constants))
    # One equation may be in several loops, of a function that all of them call.
    key = eqn, mapped, size_of(trips)
    if key not in tracer.expansions:
        read = jax.vmap(lambda *arrays: function_of(eqn)(*arrays)[0], mapped)
        spec = jax.ShapeDtypeStruct(operand.shape, eqn.invars[0].aval.dtype)
        tracer.expansions[key] = jax.make_jaxpr(read)(spec, *known)
    (slices,) = tracer.run_closed(tracer.expansions[key], [operand, *map(Constant.holding, known)])
    return slices if isinstance(slices, Value) else None


def varying(indices: np.ndarray) -> list[int]:
    """The axes along which indices differ."""
    return [i for i in range(indices.ndim) if (np.diff(indices, axis=i) != 0).any()]


def _flat_indices(
    starts: np.ndarray, num_read: int, size: int, drops: bool
) -> tuple[list[int], np.ndarray, np.ndarray, list[int]]:
    """The axes along which starts vary, and the indices read over these axes and the slice's."""
    moving = varying(starts)
    # Axes along which the starts do not vary are read once.
    ours = tuple(slice(None) if i in moving else 0 for i in range(starts.ndim))
    own = starts[ours].astype(np.int64)
    last = size - num_read
    valid = (own >= 0) & (own <= last) if drops else np.ones(own.shape, bool)
    flat = np.clip(own, 0, last)[..., None] + np.arange(num_read)
    valid = np.broadcast_to(valid[..., None], flat.shape)
    return moving, flat.reshape(-1), valid.reshape(-1), list(flat.shape)


def read_any(value: Value, i: int, reads: Sequence[AxisMap], size: int) -> Value:
    """The union over several maps of what is read."""
    if not reads:
        return Value(with_axis(value.axes, i, new_axis(size)), ())
    return union_of([value.read(i, each) for each in reads])


def _unfolded(value: Value, i: int, sizes: list[int]) -> tuple[Value, Sequence[Axis]]:
    """Axis i cut into axes of the given sizes, which are returned beside the value."""
    others = [a for j, a in enumerate(value.axes) if j != i]
    alone = Value((value.axes[i],), value.terms).reshaped(sizes)
    first = value.axes[i]
    axes = (*others[:i], first, *others[i:])
    return Value(axes, alone.terms), alone.axes


def _assembled(value: Value, shape: Sequence[int], placed: dict[int, list[Axis]]) -> Value:
    """The output's axes; where two of the operand's are read by the same index, their sums count."""
    terms = value.terms
    axes = []
    for i, size in enumerate(shape):
        mine = [axis for axis in placed[i] if axis]
        if len(mine) > 1:
            single = Value(tuple(mine), terms).single(*range(len(mine)))
            terms = single.terms
            for other in single.axes[1:]:
                # As x[i, i] does: element i of the output reads index i of both axes.
                terms = diagonal(terms, single.axes[0][0], other[0])
            mine = [single.axes[0]]
        axes.append(mine[0] if mine else new_axis(size))
    return Value(tuple(axes), terms)


def diagonal(terms: Iterable[Term], kept: Factor, other: Factor) -> tuple[Term, ...]:
    """Two factors that have the same index, as one."""
    merged: list[Term | None] = []
    for term in terms:
        if other.id in term.maps:
            alone = replace(term, maps=term.without(other.id))
            merged += alone.plus_map(kept.id, term.maps[other.id])
        else:
            merged.append(term)
    return united(merged)


RULES: dict[str, Rule] = {"gather": gather, "dynamic_slice": dynamic_slice}
