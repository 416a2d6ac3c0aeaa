"""Matrices whose elements depend on the difference of two indices alone: causal masks, sliding windows, distances.

query - key         0 -1 -2 -3        one number for each diagonal, however large the matrix is:
1  0 -1 -2
2  1  0 -1        -3 -2 -1  0  1  2
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.limits import require_small

# Floating-point numbers up to this are integers without a gap, in single precision too.
_MAX_WHOLE = 2**24
# What is made of the difference of two numbers, whatever they are themselves.
_OF_DIFFERENCES = {"sub", "eq", "ne", "lt", "le", "gt", "ge"}


class Diagonals(np.lib.mixins.NDArrayOperatorsMixin):
    """An array as the numbers of its diagonals; it repeats itself along all axes but two.

        array[..., i, ..., j, ...] = numbers[i - j + columns - 1]

    It stands for an array of NumPy in what masks are made by. With an array that has no such diagonals it makes one of
    NumPy, if that is small.

    Args:
      numbers: Of the diagonals, from the last column's to the first's.
      shape: Of the array.
      axes: Those of i and j, in this order.
    """

    def __init__(self, numbers: np.ndarray, shape: Sequence[int], axes: tuple[int, int]) -> None:
        self.numbers, self.shape, self.axes = numbers, tuple(shape), axes
        assert len(numbers) == self._rows + self._columns - 1 and axes[0] < axes[1]

    @classmethod
    def found_in(cls, array: np.ndarray) -> "Diagonals | None":
        """An array as its diagonals, if it has them."""
        axes = [i for i, size in enumerate(array.shape) if size > 1 and array.strides[i]]
        if len(axes) != 2 or array.dtype.kind not in "biuf":
            return None
        table = array[tuple(slice(None) if i in axes else 0 for i in range(array.ndim))]
        # A few rows first: most arrays are none of these.
        for rows in (slice(0, 3), slice(None)):
            part = table[rows]
            if not (part[1:, 1:] == part[:-1, :-1]).all():
                return None
        numbers = np.concatenate([table[0, :0:-1], table[:, 0]])
        return cls(numbers, array.shape, (axes[0], axes[1]))

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
        return int(np.prod(self.shape, dtype=object))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        require_small(self.shape)
        step = self.numbers.strides[0]
        strides = [0] * self.ndim
        strides[self.axes[0]], strides[self.axes[1]] = step, -step
        last = self.numbers[self._columns - 1 :]
        dense = np.lib.stride_tricks.as_strided(last, self.shape, strides, writeable=False)
        return dense if dtype is None else dense.astype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        return joined(ufunc, inputs) or ufunc(*map(np.asarray, inputs))

    def __getitem__(self, key: Any) -> Any:
        """One number of a matrix, or those where another such array is true, one of each diagonal."""
        if isinstance(key, Diagonals):
            return self.numbers[key.numbers]
        row, column = (
            range(size)[index] for index, size in zip(key, (self._rows, self._columns), strict=True)
        )
        return self.numbers[row - column + self._columns - 1]

    def min(self) -> Any:
        return self.numbers.min()

    def max(self) -> Any:
        return self.numbers.max()

    def any(self, axes: Sequence[int] | None = None) -> Any:
        """As NumPy's: of truth values, over all axes by default."""
        gone = range(self.ndim) if axes is None else [axis % self.ndim for axis in axes]
        shape = [size for i, size in enumerate(self.shape) if i not in gone]
        over_rows, over_columns = (axis in gone for axis in self.axes)
        if over_rows and over_columns:
            return np.broadcast_to(self.numbers.any(), shape)
        if not over_rows and not over_columns:
            return self.squeeze(gone)
        # Of each row, or each column, the diagonals that cross it follow one another.
        length = self._rows if over_rows else self._columns
        counts = np.concatenate([[0], np.cumsum(self.numbers)])
        some = counts[length:] > counts[:-length]
        kept, some = (self.axes[1], some[::-1]) if over_rows else (self.axes[0], some)
        place = kept - sum(axis < kept for axis in gone)
        own = [size if i == place else 1 for i, size in enumerate(shape)]
        return np.broadcast_to(some.reshape(own), shape)

    def all(self, axes: Sequence[int] | None = None) -> Any:
        """As NumPy's: of truth values or numbers."""
        return ~(self == 0).any(axes)

    def reshape(self, shape: Sequence[int]) -> "Numbers":
        """As NumPy's; axes of size 1 may come and go without a computation."""
        old, new = ([i for i, size in enumerate(s) if size > 1] for s in (self.shape, shape))
        if [self.shape[i] for i in old] != [shape[i] for i in new]:
            return np.asarray(self).reshape(shape)
        rows, columns = (new[old.index(axis)] for axis in self.axes)
        return Diagonals(self.numbers, shape, (rows, columns))

    def cut(
        self, starts: Sequence[int], stops: Sequence[int], strides: Sequence[int] | None
    ) -> "Numbers":
        """A slice of the array."""
        bounds = list(zip(starts, stops, strides or [1] * self.ndim, strict=True))
        shape = [len(range(*bound)) for bound in bounds]
        row, column = (bounds[axis] for axis in self.axes)
        if row[2] != 1 or column[2] != 1 or min(shape[axis] for axis in self.axes) < 2:
            return np.asarray(self)[tuple(slice(*bound) for bound in bounds)]
        sizes = [shape[axis] for axis in self.axes]
        first = self._columns - sizes[1] + row[0] - column[0]
        numbers = self.numbers[first : first + sum(sizes) - 1]
        return Diagonals(numbers, shape, self.axes)

    def squeeze(self, axes: Sequence[int]) -> "Diagonals":
        """The array without axes along which it repeats itself."""
        kept = [i for i in range(self.ndim) if i not in axes]
        rows, columns = map(kept.index, self.axes)
        return Diagonals(self.numbers, [self.shape[i] for i in kept], (rows, columns))

    def transpose(self, order: Sequence[int]) -> "Diagonals":
        """Axes in another order."""
        shape = [self.shape[i] for i in order]
        rows, columns = map(list(order).index, self.axes)
        if rows < columns:
            return Diagonals(self.numbers, shape, (rows, columns))
        return Diagonals(self.numbers[::-1], shape, (columns, rows))

    def broadcast(self, shape: Sequence[int], places: Sequence[int]) -> "Diagonals":
        """The array with its axes at these places of a larger shape."""
        rows, columns = (places[axis] for axis in self.axes)
        return Diagonals(self.numbers, shape, (rows, columns))

    @property
    def compact(self) -> "Diagonals":
        """The array with size 1 along all axes but two."""
        shape = [size if i in self.axes else 1 for i, size in enumerate(self.shape)]
        return Diagonals(self.numbers, shape, self.axes)


Numbers = np.ndarray | Diagonals


def joined(function: Callable[..., Any], arrays: Sequence[Any]) -> Diagonals | None:
    """A function of numbers applied element by element, if all that are not one number have the same diagonals."""
    ndim = max(np.ndim(array) for array in arrays)
    found = [array.compact for array in arrays if isinstance(array, Diagonals)]
    if not found or len({(array.shape, array.axes) for array in found}) > 1:
        return None
    if any(array.ndim < ndim for array in found):
        return None
    numbers = []
    for array in arrays:
        if isinstance(array, Diagonals):
            numbers.append(array.numbers)
        elif np.size(array) == 1:
            numbers.append(np.reshape(array, ()))
        else:
            return None
    sizes = [array.shape if isinstance(array, Diagonals) else np.shape(array) for array in arrays]
    shape = np.broadcast_shapes(*sizes)
    return Diagonals(np.asarray(function(*numbers)), shape, found[0].axes)


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
    numbers = function(*(both[i] for i in order))
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    return Diagonals(np.asarray(numbers), shape, (min(first, second), max(first, second)))


def _step(numbers: np.ndarray) -> int | None:
    """The step by which whole numbers count, if they do."""
    if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        return None
    if np.abs(numbers.astype(float)).max() > _MAX_WHOLE or (numbers != np.rint(numbers)).any():
        return None
    steps = {b - a for a, b in itertools.pairwise(numbers.astype(np.int64).tolist())}
    return steps.pop() if len(steps) == 1 else None
