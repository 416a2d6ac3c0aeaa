"""Where the trips of a loop write to an array, or read it, by indices that are known of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wavedil.receptive_field.limits import MAX_ELEMENTS
from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import Axis, size_of
from wavedil.receptive_field.tracing.interpreter import Seen
from wavedil.receptive_field.tracing.rules import scattering


class NoLineError(Exception):
    """Trips write to places that are not known, or read what was written at other times before."""


@dataclass(frozen=True)
class Access:
    """Where trips write to an array or read it.

    Attributes:
      axis: The axis along which they take a part of it.
      places: The indices along it, [trips, windows, samples]; below 0 for none.
      indices: The equation's indices in the first trip.
      column: Which of them, or which column of the last axis of the one, is the axis's.
      out_axes: The axes of what is read along which the windows lie, and the samples of one.
    """

    axis: int
    places: np.ndarray
    indices: list[np.ndarray]
    column: int
    out_axes: tuple[int | None, int | None]

    @classmethod
    def of(cls, eqn: Any, operands: Sequence[Seen], trips: Axis) -> "Access":
        """That of an equation, whose operands are the array, an update if it writes, and indices."""
        shape, length = operands[0].shape, size_of(trips)
        if eqn.primitive.name.startswith("dynamic"):
            writes = eqn.primitive.name == "dynamic_update_slice"
            arrays = [_by_trip(index, trips) for index in operands[2 if writes else 1 :]]
            sizes = list(operands[1].shape if writes else eqn.params["slice_sizes"])
            starts = {d: array[:, None] for d, array in enumerate(arrays)}
            moved, offsets, windows = True, dict(enumerate(range(len(shape)))), None
        else:
            numbers = eqn.params["dimension_numbers"]
            if numbers.operand_batching_dims:
                raise NoLineError
            arrays = [_by_trip(operands[1], trips)]
            if eqn.primitive.name == "gather":
                dims, gone = numbers.start_index_map, numbers.collapsed_slice_dims
                sizes = list(eqn.params["slice_sizes"])
                ndim = len(eqn.outvars[0].aval.shape)
                batch = [i for i in range(ndim) if i not in numbers.offset_dims]
                large = [i for i in batch if eqn.outvars[0].aval.shape[i] > 1]
                windows = large[0] if len(large) == 1 else None
            else:
                dims, gone = numbers.scatter_dims_to_operand_dims, numbers.inserted_window_dims
                sizes, _ = scattering.windows(eqn, shape, operands[2].shape)
                windows = None
            kept = [d for d in range(len(shape)) if d not in gone]
            offsets = dict(zip(kept, getattr(numbers, "offset_dims", kept), strict=True))
            flat = arrays[0].reshape(length, -1, len(dims))
            starts = {d: flat[..., j] for j, d in enumerate(dims)}
            moved = "CLIP" in str(eqn.params["mode"]) or "PROMISE" in str(eqn.params["mode"])
        partly = [d for d in range(len(shape)) if sizes[d] != shape[d]]
        if len(partly) != 1 or partly[0] not in starts:
            raise NoLineError
        (axis,) = partly
        others = [starts[d] for d in starts if d != axis]
        if not moved and any(other.any() for other in others):
            raise NoLineError
        own, last = starts[axis].astype(np.int64), shape[axis] - sizes[axis]
        if own.size * sizes[axis] > MAX_ELEMENTS:
            raise NoLineError
        there = np.ones(own.shape, bool) if moved else (own >= 0) & (own <= last)
        places = np.clip(own, 0, last)[..., None] + np.arange(sizes[axis])
        places = np.where(there[..., None], places, -1)
        return cls(
            axis,
            places,
            [a[0] for a in arrays],
            list(starts).index(axis),
            (windows, offsets.get(axis)),
        )

    def at(self, starts: Sequence[int]) -> list[Constant]:
        """The equation's indices, with others along the axis."""
        if len(self.indices) > 1:
            changed = [np.asarray(index) for index in self.indices]
            changed[self.column] = np.asarray(starts[0], np.int32)
            return [*map(Constant.holding, changed)]
        index = np.array(self.indices[0], np.int32)
        index.reshape(len(starts), -1)[:, self.column] = starts
        return [Constant.holding(index)]


def _by_trip(index: Seen, trips: Axis) -> np.ndarray:
    if isinstance(index, Constant) and index.trips in ((), trips):
        numbers = index.by_trip if index.trips else index.numpy
        if numbers is not None:
            length = size_of(trips)
            return numbers if index.trips else np.broadcast_to(numbers, (length, *numbers.shape))
    raise NoLineError
