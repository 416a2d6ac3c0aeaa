"""One sample at a time: `WaveNet.step` with rings for state, its matmuls arranged for speed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from wavedil.generation.context import context_from_state, context_update
from wavedil.generation.rings import delayed_samples, pitch_samples, rings_from_state, write
from wavedil.models.linear_prediction import smoothed
from wavedil.models.pitch_taps import with_taps
from wavedil.models.wavenet import WaveNet


class Loop(NamedTuple):
    """The carry from one sample to the next."""

    rings: dict[str, Any]
    position: Int[Array, ""]
    code: Int[Array, " batch"]


def rings_of(model: WaveNet, state: dict[str, Any]) -> dict[str, Any]:
    """The state of a model as the loop keeps it, at position 0."""
    kept = {
        name: state[name] for name in ("input", "stack", "pitch", "prediction") if name in state
    }
    rings = jax.tree.map(rings_from_state, kept)
    if model.conditioning.context_stack is not None:
        rings["context"] = context_from_state(model, state["context"])
    return rings


class Now(NamedTuple):
    """What comes with a sample: the local condition, dilation and voicing where the model follows the pitch, and the
    coefficients of its linear prediction.
    """

    local: Any = None
    """Float [batch, channels], or None"""
    dilation: Any = None
    """Int [batch]"""
    voicing: Any = None
    """Float [batch]"""
    predictor: Any = None
    """Float [batch, order]"""


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
      A function of the newest code [batch], the rings, the position in them, what comes with the sample, and the age
      of each signal, or None where each draws one: its samples so far. What lies before that in a ring is of the
      signal before, and counts as zero.
    """
    stack = model.stack
    blocks = [*stack.blocks, *(() if model.pitch_stack is None else model.pitch_stack.blocks)]
    layers = [block.weights(condition, local) for block in blocks]
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
    skip_kernel, skip_bias = stack.skip_kernel[...], stack.skip_bias_or_zeros()
    if model.pitch_stack is not None:
        skip_kernel = jnp.concatenate([skip_kernel, model.pitch_stack.skip_kernel[...]])
        skip_bias = skip_bias + model.pitch_stack.skip_bias_or_zeros()
    far = model.conditioning.context_stack
    update_context = None if far is None else context_update(model)

    def step(
        code: Array, rings: dict[str, Any], position: Array, now: Now, age: Array | None
    ) -> tuple[Array, dict[str, Any]]:
        rings_after: dict[str, Any] = {}
        x = model.enter(code)
        if update_context is not None:
            rings_after["context"] = update_context(x, rings["context"], position, age)
        entered, rings_after["input"] = _convolve(model.input, x, rings["input"], position, age)
        given = now.local
        if model.pitch_entry is not None:
            seen = x @ model.pitch_entry.kernel[0]
            taps = _pitch_taps(model.pitch_input, seen, rings["pitch"], position, now, age)
            rings_after["pitch"] = write(rings["pitch"], seen, position)
            entered, given = with_taps(entered, given, taps)
        guess = None
        if model.prediction is not None:
            amplitude = model.amplitudes(code)[:, None]
            guess, rings_after["prediction"] = _guess(
                amplitude, rings["prediction"], position, now, age
            )
            entered = model.prediction.with_input(entered, guess)
        x = entered
        known = [
            _past_taps(block.conv, ring, position, age)
            for ring, block in zip(rings["stack"], stack.blocks, strict=True)
        ]
        if model.pitch_stack is not None:
            pairs = zip(rings["pitch"], model.pitch_stack.blocks, strict=True)
            known += [
                _past_pitch_taps(
                    block.conv, block.dilation_of(now.dilation), ring, position, now, age
                )
                for ring, block in pairs
            ]
        before = jnp.stack(known)
        if given is not None:
            conditions = jnp.broadcast_to(given, (len(layers), *given.shape))
            before = jnp.concatenate([before, conditions], axis=-1)
        joint = jnp.einsum("lbi,lio->lbo", before, known_kernel) + bias
        if update_context is not None:
            joint = joint + rings_after["context"].held
        gated, inputs = [], []
        for i, layer in enumerate(layers):
            inputs.append(x)
            gated.append(gating(joint[i] + x @ newest_kernels[i]))
            x = x + (gated[-1] @ layer.residual_kernel + layer.residual_bias[None])
        skip = jnp.concatenate(gated, axis=-1) @ skip_kernel + skip_bias[None]
        fixed = len(stack.blocks)
        rings_after["stack"] = [
            write(ring, x, position) for ring, x in zip(rings["stack"], inputs[:fixed], strict=True)
        ]
        if model.pitch_stack is not None:
            rings_after["pitch"] = [
                write(ring, x, position)
                for ring, x in zip(rings["pitch"], inputs[fixed:], strict=True)
            ]
        of_next = None if guess is None else guess[:, None]
        return model.head(skip[:, None], of_next)[:, 0], rings_after

    return step


def _past_taps(conv: Any, ring: Array, position: Array, age: Array | None) -> Array:
    """What a convolution sees of the past, side by side, oldest first."""
    past = delayed_samples(ring, conv.dilation, position)
    if age is None:
        return past
    return _own(past, _steps_ago(conv, ring.shape[2])[None], age)


def _past_pitch_taps(
    conv: Any, dilation: Array, ring: Array, position: Array, now: Now, age: Array | None
) -> Array:
    """What a convolution that follows the pitch sees of the past, side by side, oldest first."""
    taps, window, channels, _ = conv.kernel.shape
    past = pitch_samples(ring, dilation, taps, window // 2, position)
    if now.voicing is not None:
        past = past * now.voicing[:, None]
    if age is None:
        return past
    offsets = np.arange(window, dtype=np.int32) - window // 2
    ago = dilation[:, None, None] * np.arange(taps, 0, -1, dtype=np.int32)[None, :, None]
    ago = (ago - offsets[None, None]).reshape(len(dilation), taps * window)
    return _own(past, jnp.repeat(ago, channels, axis=1), age)


def _pitch_taps(
    conv: Any, x: Array, ring: Array, position: Array, now: Now, age: Array | None
) -> Array:
    """One output of a convolution that follows the pitch."""
    past = _past_pitch_taps(conv, now.dilation, ring, position, now, age)
    kernel = conv.kernel[::-1].reshape(-1, conv.kernel.shape[3])
    return past @ kernel + x @ conv.newest[...]


def _guess(
    amplitude: Array, rings: dict[str, Array], position: Array, now: Now, age: Any
) -> tuple[Array, dict[str, Array]]:
    """The linear prediction of the next sample, from the newest and those in the rings; and the rings after."""
    past = delayed_samples(rings["amplitudes"], 1, position)
    if age is not None:
        past = _own(past, np.arange(past.shape[1], 0, -1)[None], age)
    seen = jnp.concatenate([past, amplitude], axis=1)
    short = (now.predictor * seen[:, ::-1]).sum(axis=1)
    after = {"amplitudes": write(rings["amplitudes"], amplitude, position)}
    if "residuals" not in rings:
        return short, after
    before = rings["short"][0]
    if age is not None:
        before = _own(before, 1, age)
    residual = amplitude - before
    around = pitch_samples(rings["residuals"], now.dilation, 1, 1, position)
    if age is not None:
        ago = now.dilation[:, None] - np.array([[-1, 0, 1]], np.int32)
        around = _own(around, ago, age)
    after["short"] = write(rings["short"], short[:, None], position)
    after["residuals"] = write(rings["residuals"], residual, position)
    return short + now.voicing * smoothed(*around.T), after


def _convolve(
    conv: Any, x: Array, ring: Array, position: Array, age: Array | None
) -> tuple[Array, Array]:
    """One output of a causal convolution without dilation."""
    kernel, past = conv.kernel[...], _past_taps(conv, ring, position, age)
    y = jnp.concatenate([past, x], axis=-1) @ kernel.reshape(-1, kernel.shape[2])
    return y + conv.bias_or_zeros()[None], write(ring, x, position)


def _steps_ago(conv: Any, channels: int) -> np.ndarray:
    """How long ago each number of `delayed_samples` came in, oldest first."""
    return np.repeat(np.arange(conv.receptive_field.past, 0, -conv.dilation), channels)


def _own(past: Array, ago: Any, age: Array) -> Array:
    """The past [batch, numbers] of each signal itself: zero before its first sample, as before any signal."""
    return jnp.where(age[:, None] >= ago, past, 0.0)
