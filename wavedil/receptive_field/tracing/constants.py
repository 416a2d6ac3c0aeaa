"""Arrays that do not depend on the signal: computed only if their numbers turn out to matter."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wavedil.receptive_field.tracing.jax_internals import called, opened

# Weights are larger.
_MAX_ELEMENTS = 2**22
# Indices and masks, of frames that overlap: a minute at 16 kHz in frames of 1024 at a hop of 160 has 6 million.
_MAX_INDICES = 2**24


class Constant:
    """An array of a known shape whose numbers are computed when they are asked for.

    Args:
      shape: Its shape.
      make: Computes the array, or gives None where it cannot; None itself where the array is known to be unknown.
      dtype: Its type of number; larger arrays of integers than of floats are computed.
    """

    __slots__ = ("_known", "_limit", "_make", "_value", "shape")

    def __init__(
        self, shape: Sequence[int], make: Callable[[], Any] | None, dtype: Any = None
    ) -> None:
        self.shape = tuple(shape)
        integers = isinstance(dtype, np.dtype) and dtype.kind in "biu"
        self._limit = _MAX_INDICES if integers else _MAX_ELEMENTS
        self._make = make
        self._known = False
        self._value: Any = None

    @classmethod
    def holding(cls, value: Any) -> "Constant":
        """A constant whose array is at hand."""
        return cls(np.shape(value), lambda: value, getattr(value, "dtype", None))

    @property
    def value(self) -> Any:
        """The array, or None."""
        if not self._known:
            small = math.prod(self.shape) <= self._limit
            self._value = self._make() if self._make is not None and small else None
            self._known, self._make = True, None
        return self._value

    @property
    def numpy(self) -> np.ndarray | None:
        """The array as NumPy's, or None where it is not known yet or not made of numbers."""
        value = self.value
        if value is None or isinstance(value, jax.core.Tracer):
            return None
        try:
            return np.asarray(value)
        except TypeError:  # keys of random numbers
            return None


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
        Constant(
            getattr(var.aval, "shape", ()),
            functools.partial(output, i),
            getattr(var.aval, "dtype", None),
        )
        for i, var in enumerate(eqn.outvars)
    ]


def _evaluated(eqn: Any, values: Sequence[Any]) -> list[Any] | None:
    if eqn.effects:
        return None
    try:
        with jax.ensure_compile_time_eval(), jax.debug_nans(False):
            arrays = [v if isinstance(v, jax.Array) else jnp.asarray(np.asarray(v)) for v in values]
            # A scan has a jaxpr too, but of one trip, so it is bound like other primitives.
            function = called(eqn)
            if function is not None:
                return list(jax.core.eval_jaxpr(*opened(function), *arrays))
            outputs = eqn.primitive.bind(*arrays, **eqn.params)
            return list(outputs) if eqn.primitive.multiple_results else [outputs]
    except Exception:  # what cannot be computed here is not known here, and every index is possible
        return None
