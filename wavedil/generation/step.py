"""One sample at a time: `WaveNet.step` with rings for state, its matmuls arranged for speed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from wavedil.generation.context import context_from_state, context_update
from wavedil.generation.rings import delayed_samples, rings_from_state, write
from wavedil.models.wavenet import WaveNet


class Loop(NamedTuple):
    """The carry from one sample to the next."""

    rings: dict[str, Any]
    position: Int[Array, ""]
    code: Int[Array, " batch"]


def rings_of(model: WaveNet, state: dict[str, Any]) -> dict[str, Any]:
    """The state of a model as the loop keeps it, at position 0."""
    rings = jax.tree.map(rings_from_state, {name: state[name] for name in ("input", "stack")})
    if model.conditioning.context_stack is not None:
        rings["context"] = context_from_state(model, state["context"])
    return rings


def step_function(
    model: WaveNet, condition: Float[Array, "batch time_or_1 channels"] | None, local: bool = False
) -> Callable[..., tuple[Array, dict[str, Any]]]:
    """`model.step` for one sample.

        past taps, condition of all layers  --one batched matmul-->  joint [layers]
        layer 0   joint[0] + newest tap -> gate -> residual ->  layer 1   joint[1] + newest tap -> ...

    The past of every layer is known before the sample is computed, and so is the condition: they meet all their
    kernels in one matmul. What is left for each layer in turn is the newest tap, the gate and the residual. A
    context stack takes the sample in first, and its output is ready for all layers.

    Args:
      model: A WaveNet.
      condition: What it is conditioned on, if anything, its context left out.
      local: Whether that differs from sample to sample; then every step is given its part of it.

    Returns:
      A function of the newest code [batch], the rings, the position in them, the local condition [batch, channels]
      or None, and the age of each signal, or None where each draws one: its samples so far. What lies before
      that in a ring is of the signal before, and counts as zero.
    """
    stack = model.stack
    layers = [block.weights(condition, local) for block in stack.blocks]
    bias = jnp.stack([layer.bias for layer in layers])
    kernels = []
    for layer in layers:
        past_kernel = layer.kernel[:-1].reshape(-1, layer.kernel.shape[2])
        parts = (
            [past_kernel]
            if layer.condition_kernel is None
            else [past_kernel, layer.condition_kernel]
        )
        kernels.append(jnp.concatenate(parts))
    known_kernel = jnp.stack(kernels)
    # Out here, or every sample would copy them: a slice inside the loop is made anew each time.
    newest_kernels = [layer.kernel[-1] for layer in layers]
    gating = stack.blocks[0].gating()
    ago = np.stack([_steps_ago(block.conv, stack.in_channels) for block in stack.blocks])
    far = model.conditioning.context_stack
    update_context = None if far is None else context_update(model)

    def step(
        code: Array, rings: dict[str, Any], position: Array, now: Array | None, age: Array | None
    ) -> tuple[Array, dict[str, Any]]:
        rings_after: dict[str, Any] = {}
        x = model.enter(code)
        if update_context is not None:
            rings_after["context"] = update_context(x, rings["context"], position, age)
        x, rings_after["input"] = _convolve(model.input, x, rings["input"], position, age)
        known = jnp.stack(
            [
                delayed_samples(ring, block.dilation, position)
                for ring, block in zip(rings["stack"], stack.blocks, strict=True)
            ]
        )
        if age is not None:
            known = _own(known, ago, age)
        if now is not None:
            conditions = jnp.broadcast_to(now, (len(layers), *now.shape))
            known = jnp.concatenate([known, conditions], axis=-1)
        joint = jnp.einsum("lbi,lio->lbo", known, known_kernel) + bias
        if update_context is not None:
            joint = joint + rings_after["context"].held
        after, gated = [], []
        for i, layer in enumerate(layers):
            after.append(write(rings["stack"][i], x, position))
            gated.append(gating(joint[i] + x @ newest_kernels[i]))
            x = x + (gated[-1] @ layer.residual_kernel + layer.residual_bias[None])
        skip = jnp.concatenate(gated, axis=-1) @ stack.skip_kernel[...]
        skip = skip + stack.skip_bias_or_zeros()[None]
        rings_after["stack"] = after
        return model.head(skip[:, None])[:, 0], rings_after

    return step


def _convolve(
    conv: Any, x: Array, ring: Array, position: Array, age: Array | None
) -> tuple[Array, Array]:
    """One output of a causal convolution without dilation."""
    past = delayed_samples(ring, conv.dilation, position)
    if age is not None:
        past = _own(past, _steps_ago(conv, x.shape[-1]), age)
    kernel = conv.kernel[...]
    y = jnp.concatenate([past, x], axis=-1) @ kernel.reshape(-1, kernel.shape[2])
    return y + conv.bias_or_zeros()[None], write(ring, x, position)


def _steps_ago(conv: Any, channels: int) -> np.ndarray:
    """How long ago each number of `delayed_samples` came in, oldest first."""
    return np.repeat(np.arange(conv.receptive_field.past, 0, -conv.dilation), channels)


def _own(past: Array, ago: np.ndarray, age: Array) -> Array:
    """The past [..., batch, numbers] of each signal itself: zero before its first sample, as before any signal."""
    own = jnp.expand_dims(age, (*range(past.ndim - 2), -1)) >= jnp.expand_dims(ago, -2)
    return jnp.where(own, past, 0.0)
