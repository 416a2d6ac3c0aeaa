"""Arrays that do not depend on the signal: computed only if their numbers turn out to matter."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.diagonals import Diagonals, Numbers
from wavedil.receptive_field.tracing.domain.axes import Axis
from wavedil.receptive_field.tracing.evaluation import as_numpy, compact, evaluate, of_all_trips


class Constant:
    """An array of a known shape whose numbers are computed when they are asked for.

    Args:
      shape: Its shape.
      make: Computes the array, or gives None where it cannot; None itself where the array is known to be unknown.
      trips: The trips of a loop, where numbers differ from trip to trip: what `make` computes has an axis of them
        before the others.
    """

    __slots__ = ("_known", "_make", "_numbers", "_value", "shape", "trips")

    def __init__(
        self, shape: Sequence[int], make: Callable[[], Any] | None, trips: Axis = ()
    ) -> None:
        self.shape = tuple(shape)
        self.trips = trips
        self._make = make
        self._known = False
        self._value: Any = None
        # What `numbers` gives; None before it has been asked for.
        self._numbers: Numbers | None = None

    @classmethod
    def holding(cls, value: Any) -> "Constant":
        """A constant whose array is at hand."""
        return cls(np.shape(value), lambda: value)

    @property
    def value(self) -> Any:
        """The array, or None; of what differs from trip to trip there is none."""
        return None if self.trips else _dense(self.held)

    @property
    def by_trip(self) -> np.ndarray | None:
        """The arrays of all trips, [trips, ...], where they differ from trip to trip and are known."""
        made = self.held if self.trips else None
        return None if made is None else as_numpy(made)

    @property
    def held(self) -> Any:
        """The array, or the arrays of all trips, and only its diagonals where it was made of such; None if unknown."""
        if not self._known:
            self._value = None if self._make is None else self._make()
            self._known, self._make = True, None
        return self._value

    @property
    def numbers(self) -> Numbers | None:
        """The array as its diagonals if it has them, or as NumPy's; None as of `numpy`."""
        if self._numbers is None and not self.trips:
            array = self.held if isinstance(self.held, Diagonals) else self.numpy
            found = Diagonals.found_in(array) if isinstance(array, np.ndarray) else None
            self._numbers = array if found is None else found
        return self._numbers

    @property
    def numpy(self) -> np.ndarray | None:
        """The array as NumPy's; None where it is not known yet, not made of numbers, or larger than is computed."""
        return None if self.value is None else as_numpy(self.value)

    @property
    def number(self) -> np.ndarray | None:
        """The one number that all elements repeat; None where they may differ, or are not known or no numbers."""
        array = self.numpy
        if array is None or array.dtype.kind not in "biuf" or compact(array).size != 1:
            return None
        return compact(array).reshape(())


def _dense(value: Any) -> Any:
    return as_numpy(value) if isinstance(value, Diagonals) else value


def computed(eqn: Any, inputs: Sequence[Constant]) -> list[Constant]:
    """The outputs of an equation on constants."""
    loops = {constant.trips for constant in inputs if constant.trips}
    trips = loops.pop() if len(loops) == 1 else ()
    results: list[Any] = []

    def output(i: int) -> Any:
        # All outputs are computed at once, the first time that one of them is asked for.
        if not results:
            values = [_dense(c.held) if trips else c.held for c in inputs]
            known = all(value is not None for value in values)
            mapped = [0 if trips and constant.trips else None for constant in inputs]
            results.extend(
                (_evaluated(eqn, values, mapped) if known else None) or [None] * len(eqn.outvars)
            )
        return results[i]

    return [
        Constant(getattr(var.aval, "shape", ()), functools.partial(output, i), trips)
        for i, var in enumerate(eqn.outvars)
    ]


def _evaluated(eqn: Any, values: Sequence[Any], mapped: Sequence[int | None]) -> list[Any] | None:
    if eqn.effects:
        return None
    try:
        return evaluate(eqn, values) if set(mapped) <= {None} else of_all_trips(eqn, values, mapped)
    except Exception:  # what cannot be computed here is not known here, and every index is possible
        return None
