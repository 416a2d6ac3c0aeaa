"""A function of every sample by itself, as a layer."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Num, PRNGKeyArray

from wavedil.errors import Size, UserError, require_whole
from wavedil.nn.door import require_parts
from wavedil.nn.mask import masked, require_mask
from wavedil.receptive_field import ReceptiveField, trace
from wavedil.receptive_field.tracing import TracedField

# Samples of the shortest signal that a function is traced on: on one sample nothing is seen to reach further.
_FEWEST_SAMPLES = 64


class Pointwise(nnx.Module):
    """A function or module that acts on every sample by itself, as a layer without state.

    Whether it does is traced when it is first called, and again for other channels, another type, or twice the length.
    Inside, types meet by standard promotion, as at the door of every layer.

    Args:
      function: [batch, time, in_channels] -> [batch, time, out_channels].

    Raises:
      UserError: If it cannot be called; when called, if output t sees other samples than t.
    """

    def __init__(self, function: Any) -> None:
        if not callable(function):
            raise UserError(
                f"{function!r} is no layer of a Sequential; give a layer with init_state and step, or a module or "
                "function that acts on every sample by itself"
            )
        self.function = function
        self.receptive_field = ReceptiveField(past=0)
        self._traced = _Traced()

    def __call__(
        self,
        x: Num[Array, "batch time *in"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Num[Array, "batch time *out"]:
        require_mask(_name(self.function), mask, x)
        return masked(self._run(masked(x, mask)), mask)

    def _run(self, x: Num[Array, "batch time *in"]) -> Num[Array, "batch time *out"]:
        # A size that is left open while JAX exports is none that a function could depend on.
        batch_size, num_samples = (n if isinstance(n, int) else 1 for n in x.shape[:2])
        # Twice the length, and not any other one: blocks of a stream may each have their own.
        length = max(_FEWEST_SAMPLES, 1 << (num_samples - 1).bit_length())
        key = (x.shape[2:], x.dtype, length)
        with jax.numpy_dtype_promotion("standard"):
            if key not in self._traced:
                shape = (max(1, batch_size), length, *x.shape[2:])
                _require_pointwise(self.function, jax.ShapeDtypeStruct(shape, x.dtype))
                self._traced.add(key)
            return self.function(x)

    def valid(
        self,
        x: Num[Array, "batch time *in"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Num[Array, "batch time *out"]:
        require_mask(_name(self.function), mask, x, valid=True)
        return masked(self._run(masked(x, mask)), mask)

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> tuple[()]:
        require_whole("batch_size", batch_size, least=0)
        return ()

    def step(
        self, x: Num[Array, "batch time *in"], state: tuple[()]
    ) -> tuple[Num[Array, "batch time *out"], tuple[()]]:
        require_parts(self, state, ())
        return self._run(x), state


class _Traced(set[Any]):
    """The shapes that a function is known to be pointwise for. Modules that differ in it alone are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Traced)

    def __hash__(self) -> int:  # type: ignore[override]
        return 0


def _require_pointwise(function: Any, x: jax.ShapeDtypeStruct) -> None:
    name = _name(function)
    try:
        field = trace(function, x)
    except (UserError, TypeError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise UserError(f"{name} does not act on x {list(x.shape)} of {x.dtype}: {said}") from error
    if (seen := _seen_beside(field)) is not None:
        raise UserError(f"{name} {seen}; wrap it in a layer with init_state and step")
    signals = jax.ShapeDtypeStruct((_FEWEST_SAMPLES, *x.shape[1:]), x.dtype)
    try:
        over_batch = trace(function, signals, time_axis=0)
    except (
        UserError
    ):  # not every function that is pointwise along time can be traced along the batch
        return
    if over_batch.exact and _seen_beside(over_batch) is not None:
        raise UserError(
            f"{name} mixes the signals of a batch, each of which stands by itself; give a function of each signal"
        )


def _seen_beside(field: TracedField) -> str | None:
    """What outputs see beside their own sample, in words; None if nothing."""
    if field.num_outputs != field.num_inputs:
        return f"makes {field.num_outputs} samples of {field.num_inputs}"
    if not field.depends:
        return None
    if math.inf in (field.past, field.future):
        first = "the first sample" if field.past == math.inf else _at(-field.past)
        last = "the last" if field.future == math.inf else _at(field.future)
        return f"sees from {first} to {last}"
    if (field.past, field.future) != (0, 0):
        first, last = _at(-field.past), _at(field.future)
        return f"sees {first}" if first == last else f"sees from {first} to {last}"
    return None if field.uniform else "sees other samples than t at the ends of the signal"


def _at(offset: int | float) -> str:
    return "t" if offset == 0 else f"t {'+' if offset > 0 else '-'} {abs(offset)}"


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)
