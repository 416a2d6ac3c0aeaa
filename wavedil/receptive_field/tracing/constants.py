"""Arrays that do not depend on the signal: computed only if their numbers turn out to matter."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.evaluation import as_numpy, compact, evaluate


class Constant:
    """An array of a known shape whose numbers are computed when they are asked for.

    Args:
      shape: Its shape.
      make: Computes the array, or gives None where it cannot; None itself where the array is known to be unknown.
    """

    __slots__ = ("_known", "_make", "_value", "shape")

    def __init__(self, shape: Sequence[int], make: Callable[[], Any] | None) -> None:
        self.shape = tuple(shape)
        self._make = make
        self._known = False
        self._value: Any = None

    @classmethod
    def holding(cls, value: Any) -> "Constant":
        """A constant whose array is at hand."""
        return cls(np.shape(value), lambda: value)

    @property
    def value(self) -> Any:
        """The array, or None."""
        if not self._known:
            self._value = None if self._make is None else self._make()
            self._known, self._make = True, None
        return self._value

    @property
    def numpy(self) -> np.ndarray | None:
        """The array as NumPy's, or None where it is not known yet or not made of numbers."""
        return None if self.value is None else as_numpy(self.value)

    @property
    def number(self) -> np.ndarray | None:
        """The one number that all elements repeat; None where they may differ, or are not known or no numbers."""
        array = self.numpy
        if array is None or array.dtype.kind not in "biuf" or compact(array).size != 1:
            return None
        return compact(array).reshape(())


def computed(eqn: Any, inputs: Sequence[Constant]) -> list[Constant]:
    """The outputs of an equation on constants."""
    results: list[Any] = []

    def output(i: int) -> Any:
        # All outputs are computed at once, the first time that one of them is asked for.
        if not results:
            values = [constant.value for constant in inputs]
            known = all(value is not None for value in values)
            results.extend(
                (_evaluated(eqn, values) if known else None) or [None] * len(eqn.outvars)
            )
        return results[i]

    return [
        Constant(getattr(var.aval, "shape", ()), functools.partial(output, i))
        for i, var in enumerate(eqn.outvars)
    ]


def _evaluated(eqn: Any, values: Sequence[Any]) -> list[Any] | None:
    if eqn.effects:
        return None
    try:
        return evaluate(eqn, values)
    except Exception:  # what cannot be computed here is not known here, and every index is possible
        return None
