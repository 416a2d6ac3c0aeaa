"""Matrices whose elements depend on the difference of two indices alone: causal masks, sliding windows, distances.

    query - key     0 -1 -2 -3
                    1  0 -1 -2
                    2  1  0 -1        diagonals -3 -2 -1  0  1  2

One number for each diagonal says all of it, however large the matrix is.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.limits import require_small

# Floating-point numbers up to this are integers without a gap, in single precision too.
_MAX_WHOLE = 2**24
# What is made of the difference of two numbers, whatever they are themselves.
_OF_DIFFERENCES = {"sub", "eq", "ne", "lt", "le", "gt", "ge"}


class Diagonals(np.lib.mixins.NDArrayOperatorsMixin):
    """An array as the numbers of its diagonals along two of its axes.

        array[..., i, ..., j, ...] = numbers[..., i - j + columns - 1, ..., 0, ...]

    It stands for an array of NumPy in what masks are made by. With an array that has no such diagonals it makes one of
    NumPy, if that is small.

    Args:
      numbers: Those of the diagonals, from the last column's to the first's, along the axis of i. Of size 1 along that
        of j, and along axes along which the array repeats itself.
      shape: Of the array.
      axes: Those of i and j, in this order.
    """

    def __init__(self, numbers: np.ndarray, shape: Sequence[int], axes: tuple[int, int]) -> None:
        self.numbers, self.shape, self.axes = numbers, tuple(map(int, shape)), axes
        assert numbers.ndim == len(shape) and axes[0] < axes[1]
        assert numbers.shape[axes[0]] == self._rows + self._columns - 1

    @classmethod
    def found_in(cls, array: np.ndarray) -> "Diagonals | None":
        """An array as its diagonals along the last two axes along which it varies, if it has them."""
        varying = [i for i, size in enumerate(array.shape) if size > 1 and array.strides[i]]
        if len(varying) < 2 or array.dtype.kind not in "biuf":
            return None
        (rows, columns), shape = varying[-2:], array.shape
        array = array[
            tuple(slice(None) if i in varying else slice(0, 1) for i in range(array.ndim))
        ]
        tables = np.moveaxis(array, (rows, columns), (-2, -1))
        # A few rows first: most arrays are none of these.
        for part in (tables[..., :3, :], tables):
            if not (part[..., 1:, 1:] == part[..., :-1, :-1]).all():
                return None
        numbers = np.concatenate([tables[..., 0, :0:-1], tables[..., 0]], axis=-1)[..., None]
        return cls(np.moveaxis(numbers, (-2, -1), (rows, columns)), shape, (rows, columns))

    @property
    def _rows(self) -> int:
        return self.shape[self.axes[0]]

    @property
    def _columns(self) -> int:
        return self.shape[self.axes[1]]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.numbers.dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        require_small(self.shape)
        rows, columns = self.axes
        own = zip(self.numbers.shape, self.numbers.strides, strict=True)
        strides = [stride if size > 1 else 0 for size, stride in own]
        strides[columns] = -strides[rows]
        zeroth = self.numbers[self._along_rows(slice(self._columns - 1, None))]
        dense = np.lib.stride_tricks.as_strided(zeroth, self.shape, strides, writeable=False)
        return dense if dtype is None else dense.astype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        return by_diagonals(ufunc, inputs) or ufunc(*map(np.asarray, inputs))

    def __getitem__(self, chosen: "Diagonals") -> np.ndarray:
        """The numbers that there are where another such array is true, one of each diagonal."""
        numbers, where = np.broadcast_arrays(self.numbers, chosen.numbers)
        return numbers[where]

    def min(self) -> Any:
        return self.numbers.min()

    def max(self) -> Any:
        return self.numbers.max()

    def any(self, axes: Sequence[int] | None = None) -> Any:
        """As NumPy's, of truth values: over all axes by default."""
        gone = tuple(range(self.ndim) if axes is None else (axis % self.ndim for axis in axes))
        shape = [size for i, size in enumerate(self.shape) if i not in gone]
        others = tuple(axis for axis in gone if axis not in self.axes)
        some: Any = self.numbers.any(others, keepdims=True)
        rows, columns = self.axes
        if rows not in gone and columns not in gone:
            sizes = [1 if i in others else size for i, size in enumerate(self.shape)]
            return Diagonals(some, sizes, self.axes).squeeze(others)
        if rows in gone and columns in gone:
            some = some.any(rows, keepdims=True)
        else:
            # The diagonals that cross a row, or a column, follow one another.
            length = self._rows if rows in gone else self._columns
            counts = np.insert(np.cumsum(some, rows), 0, 0, rows)
            ends, starts = (self._along_rows(s) for s in (slice(length, None), slice(-length)))
            some = counts[ends] > counts[starts]
            if rows in gone:
                some = np.flip(some, rows).swapaxes(rows, columns)
        return np.broadcast_to(some.squeeze(gone), shape)

    def all(self, axes: Sequence[int] | None = None) -> Any:
        """As NumPy's, of truth values or numbers: over all axes by default."""
        return ~(self == 0).any(axes)

    def reshape(self, shape: Sequence[int]) -> "Numbers":
        """As NumPy's; axes of size 1 may come and go without a computation."""
        old, new = ([i for i, size in enumerate(s) if size > 1] for s in (self.shape, shape))
        if [self.shape[i] for i in old] != [shape[i] for i in new]:
            return np.asarray(self).reshape(shape)
        sizes = [1] * len(shape)
        for before, after in zip(old, new, strict=True):
            sizes[after] = self.numbers.shape[before]
        rows, columns = (new[old.index(axis)] for axis in self.axes)
        return Diagonals(self.numbers.reshape(sizes), shape, (rows, columns))

    def cut(
        self, starts: Sequence[int], stops: Sequence[int], strides: Sequence[int] | None
    ) -> "Numbers":
        """A slice of the array."""
        bounds = list(zip(starts, stops, strides or [1] * self.ndim, strict=True))
        shape = [len(range(*bound)) for bound in bounds]
        row, column = (bounds[axis] for axis in self.axes)
        num_rows, num_columns = (shape[axis] for axis in self.axes)
        if row[2] != 1 or column[2] != 1 or min(num_rows, num_columns) < 2:
            return np.asarray(self)[tuple(slice(*bound) for bound in bounds)]
        first = self._columns - num_columns + row[0] - column[0]
        places = [
            slice(*bound) if size > 1 else slice(None)
            for bound, size in zip(bounds, self.numbers.shape, strict=True)
        ]
        places[self.axes[0]] = slice(first, first + num_rows + num_columns - 1)
        return Diagonals(self.numbers[tuple(places)], shape, self.axes)

    def squeeze(self, axes: Sequence[int]) -> "Diagonals":
        """The array without axes of size 1."""
        kept = [i for i in range(self.ndim) if i not in axes]
        rows, columns = map(kept.index, self.axes)
        shape = [self.shape[i] for i in kept]
        return Diagonals(self.numbers.squeeze(tuple(axes)), shape, (rows, columns))

    def transpose(self, order: Sequence[int]) -> "Diagonals":
        """Axes in another order."""
        shape = [self.shape[i] for i in order]
        rows, columns = map(list(order).index, self.axes)
        numbers = self.numbers.transpose(order)
        if rows < columns:
            return Diagonals(numbers, shape, (rows, columns))
        return Diagonals(np.flip(numbers.swapaxes(rows, columns), columns), shape, (columns, rows))

    def broadcast(self, shape: Sequence[int], places: Sequence[int]) -> "Diagonals":
        """The array with its axes at these places of a larger shape."""
        sizes = [1] * len(shape)
        for place, size in zip(places, self.numbers.shape, strict=True):
            sizes[place] = size
        rows, columns = (places[axis] for axis in self.axes)
        return Diagonals(self.numbers.reshape(sizes), shape, (rows, columns))

    @property
    def compact(self) -> "Diagonals":
        """The array with size 1 along axes along which it repeats itself."""
        sizes = zip(self.shape, self.numbers.shape, strict=True)
        shape = [size if i in self.axes else min(size, own) for i, (size, own) in enumerate(sizes)]
        return Diagonals(self.numbers, shape, self.axes)

    def first_along(self, axes: Sequence[int]) -> "Diagonals":
        """The array at index 0 of these axes, which stay."""
        first = tuple(slice(0, 1) if i in axes else slice(None) for i in range(self.ndim))
        shape = [1 if i in axes else size for i, size in enumerate(self.shape)]
        return Diagonals(self.numbers[first], shape, self.axes)

    @property
    def uniform(self) -> np.ndarray | None:
        """An array of NumPy of size 1 along both axes, if all diagonals are the same."""
        first = self.numbers[self._along_rows(slice(0, 1))]
        return first if (self.numbers == first).all() else None

    def _along_rows(self, part: slice) -> tuple[slice, ...]:
        return tuple(part if i == self.axes[0] else slice(None) for i in range(self.ndim))


Numbers = np.ndarray | Diagonals


def by_diagonals(function: Callable[..., Any], arrays: Sequence[Any]) -> Diagonals | None:
    """A function applied element by element, of arrays that have the same diagonals or do not vary along their axes."""
    found = [array for array in arrays if isinstance(array, Diagonals)]
    if not found:
        return None
    axes = found[0].axes
    sizes = [found[0].shape[axis] for axis in axes]
    for array in arrays:
        if isinstance(array, Diagonals):
            fits = array.axes == axes and [array.shape[axis] for axis in axes] == sizes
        else:
            fits = np.ndim(array) == 0 or all(array.shape[axis] == 1 for axis in axes)
        if not fits or np.ndim(array) not in (0, found[0].ndim):
            return None
    numbers = [array.numbers if isinstance(array, Diagonals) else array for array in arrays]
    shape = np.broadcast_shapes(*(np.shape(array) for array in arrays))
    return Diagonals(np.asarray(function(*numbers)), shape, axes)


def of_difference(
    name: str, function: Callable[..., Any], arrays: Sequence[Any]
) -> Diagonals | None:
    """What is made of two arrays that count along one axis each, by equal steps, if only their difference matters."""
    if name not in _OF_DIFFERENCES or any(isinstance(array, Diagonals) for array in arrays):
        return None
    axes = [[i for i, size in enumerate(array.shape) if size > 1] for array in arrays]
    if any(len(own) != 1 for own in axes) or axes[0] == axes[1]:
        return None
    counted = [array.reshape(-1) for array in arrays]
    steps = [_step(numbers) for numbers in counted]
    if steps[0] is None or steps[0] != steps[1]:
        return None
    # The elements of the first row from its end, and then those of the first column.
    (first,), (second,) = axes
    order = (0, 1) if first < second else (1, 0)
    rows, columns = (counted[i] for i in order)
    both = (
        np.concatenate([np.repeat(rows[:1], len(columns) - 1), rows]),
        np.concatenate([columns[:0:-1], np.repeat(columns[:1], len(rows))]),
    )
    numbers = np.asarray(function(*(both[i] for i in order)))
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    sizes = [1] * len(shape)
    sizes[min(first, second)] = len(numbers)
    return Diagonals(numbers.reshape(sizes), shape, (min(first, second), max(first, second)))


def _step(numbers: np.ndarray) -> int | None:
    """The step by which whole numbers count, if they do."""
    if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        return None
    if np.abs(numbers.astype(float)).max() > _MAX_WHOLE or (numbers != np.rint(numbers)).any():
        return None
    steps = {b - a for a, b in itertools.pairwise(numbers.astype(np.int64).tolist())}
    return steps.pop() if len(steps) == 1 else None
