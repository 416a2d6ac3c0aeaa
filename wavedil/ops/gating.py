"""The gate, z = activation(f) gate(s), as it is defined and as the backward pass of a stack takes it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Gating(NamedTuple):
    """z = activation(f) gate(s), of f | s side by side in the last axis."""

    activation: Callable[[Array], Array] = jnp.tanh
    gate: Callable[[Array], Array] = jax.nn.sigmoid

    def __call__(self, joint: Array) -> Array:
        return self.of_halves(joint, -1)

    def of_halves(self, joint: Array, axis: int) -> Array:
        """The same of f | s in another axis."""
        filtered, gate = jnp.split(joint, 2, axis)
        return self.activation(filtered) * self.gate(gate)


TANH_SIGMOID = Gating()


class KeptGate(NamedTuple):
    """A gate on f | s [channels, batch, time], in terms of what is kept of it for the backward pass."""

    gating: Gating

    def scaled(self, kernel: Array) -> Array:
        """A kernel or a bias [..., filter | gate] for what is given to `keep`; and its gradient from there."""
        return kernel

    def keep(self, joint: Array) -> Array:
        """What is kept: f | s, of which the functions are computed again."""
        return joint

    def gated(self, kept: Array) -> Array:
        """z."""
        return self.gating.of_halves(kept, 0)

    def gradient(self, dz: Array, kept: Array) -> Array:
        """Gradient of what is given to `keep`."""
        (gradient,) = jax.vjp(self.gated, kept)[1](dz)
        return gradient


class _TanhSigmoid(KeptGate):
    """By one tanh over both halves, sigmoid(s) = 0.5 + 0.5 tanh(s / 2), which is kept."""

    def scaled(self, kernel: Array) -> Array:
        scale = jnp.repeat(jnp.array([1.0, 0.5], kernel.dtype), kernel.shape[-1] // 2)
        return kernel * jnp.expand_dims(scale, range(kernel.ndim - 1))

    def keep(self, joint: Array) -> Array:
        return jnp.tanh(joint)

    def gated(self, kept: Array) -> Array:
        filtered, gate = jnp.split(kept, 2)
        return filtered * (0.5 + 0.5 * gate)

    def gradient(self, dz: Array, kept: Array) -> Array:
        filtered, gate = jnp.split(kept, 2)
        dfiltered = dz * (0.5 + 0.5 * gate) * (1 - filtered * filtered)
        return jnp.concatenate([dfiltered, dz * (0.5 * filtered) * (1 - gate * gate)])


def kept_gate(gating: Gating) -> KeptGate:
    """The gate as the backward pass takes it."""
    return (_TanhSigmoid if gating == TANH_SIGMOID else KeptGate)(gating)
