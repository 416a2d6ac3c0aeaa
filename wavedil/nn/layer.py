"""The contract of a layer, and the state that every causal layer keeps."""

import math
from typing import Any, Protocol

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from wavedil.receptive_field import ReceptiveField


class Layer(Protocol):
    """A stream transformer: the same numbers on a whole signal and block by block.

    `step` on consecutive blocks of any lengths, with the state handed on, gives the blocks of `layer(x)`;
    before the first sample the signal is zero in both.
    """

    @property
    def receptive_field(self) -> ReceptiveField:
        """The inputs that an output sees."""

    def __call__(self, x: Any) -> Any:
        """x [batch, time, in_channels] -> [batch, time, out_channels]."""

    def init_state(self, batch_size: int, dtype: DTypeLike = jnp.float32) -> Any:
        """The state before the first sample of a signal of that type: a pytree of arrays, oldest sample first."""

    def step(self, x: Any, state: Any) -> tuple[Any, Any]:
        """The outputs of the next block, and the state after it."""


def past_samples(
    batch_size: int, past: int, num_channels: int, dtype: DTypeLike
) -> Float[Array, "batch past channels"]:
    """The samples before the first one: zeros."""
    return jnp.zeros((batch_size, past, num_channels), dtype)


def extend(
    x: Float[Array, "batch time channels"], past: Float[Array, "batch past channels"]
) -> tuple[Float[Array, "batch past_and_time channels"], Float[Array, "batch past channels"]]:
    """The block with its past samples in front, and the past samples of the next block."""
    # past         a b c
    # x                  d e
    # extended     a b c d e
    # next past        c d e       of the same length, however short the block
    extended = jnp.concatenate([past.astype(x.dtype), x], axis=1)
    return extended, extended[:, x.shape[1] :]


def require_causal(field: ReceptiveField, what: str) -> None:
    """Raises for a layer that sees the future, with the delay that would make it causal."""
    if field.future > 0:
        delay = math.ceil(field.future / field.stride)
        raise ValueError(
            f"{what} sees {field.future} samples of the future, so it has no step; delay its output by "
            f"{delay} samples, or use padding='causal'"
        )
