"""A stack of gated layers with one skip matmul, and the backward pass that makes training fast.

`_definition` is the forward pass as it is defined: gated layers in a row, the
gated activations of all of them joined, one matmul to the skip channels. When a
gradient is asked for, the same numbers are computed in another order:

- The signal is cut into blocks of time that stay in the cache; each layer hands
  its last `past` samples on to the next block, as in streaming. Memory for the
  backward pass is the layers' activations and little else.
- Inside a block a signal is [channels, batch, time], so that joining taps and
  channels copies whole rows and every elementwise loop runs over time.
- The backward pass goes through the blocks last to first, and carries the
  gradient of the handed-on samples and the sums of the weight gradients.
- Samples that are only context are a block of their own, the first. It has no
  past, so its signals get shorter from layer to layer, and no skip sum.
- With `remat` even the activations are not kept: the backward pass begins a
  block with its forward pass, from the input of the first layer and the pasts.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.export import is_symbolic_dim
from jaxtyping import Array, Bool, Float

from wavedil.ops.devices import on_each_device, split_alike
from wavedil.ops.gate import GatedWeights, gated_block
from wavedil.ops.gated_layers import (
    backward,
    forward,
    past_of,
    scaled,
    weight_gradients,
    zero_sums,
)
from wavedil.ops.gating import TANH_SIGMOID, Gating, kept_gate
from wavedil.ops.own_backward import own_backward
from wavedil.ops.promotion import promoted
from wavedil.ops.time_blocks import (
    channels_first,
    channels_last,
    from_blocks,
    matmul,
    outer,
    sum_over_time,
    to_blocks,
)


def gated_stack(
    x: Float[Array, "batch time channels"],
    layers: Sequence[GatedWeights],
    skip_kernel: Float[Array, "all_gate_channels skip_channels"],
    skip_bias: Float[Array, " skip_channels"],
    dilations: Sequence[int],
    condition: Float[Array, "batch condition_time condition_channels"] | None = None,
    *,
    valid: bool = False,
    mask: Bool[Array, "batch mask_time"] | None = None,
    gating: Gating = TANH_SIGMOID,
    seen_by: Sequence[Callable[[Array], Array]] | None = None,
    remat: bool = False,
) -> tuple[Float[Array, "batch out_time channels"], Float[Array, "batch out_time skip_channels"]]:
    """Gated layers in a row, and the sum of their skip outputs.

    With `y_0 = x` and layer l giving `y_l, z_l` (see `gated_block`):

        residual = y_L        skip = sum_l S_l z_l + b = [z_1 | ... | z_L] S + b

    Before the first sample every layer's input is zero; or, with `valid`, the first `past` samples are context and
    have no outputs, and each layer is computed where a later one reads it and nowhere else:

        input   c c c c c c c c c c T T T T      c context, T outputs
        layer 1   . c c c c c c c c T T T T
        layer 2       . c c c c c c T T T T
        skip sum                    T T T T

    Differentiable in every mode and order; gradients are exact.

    Args:
      x: Signal.
      layers: Weights of each layer.
      skip_kernel: S.
      skip_bias: b.
      dilations: Samples between the taps of each layer.
      condition: For the samples at which the first layer has outputs.
      valid: Whether the first samples are context.
      mask: False where there is no signal: there each layer's input is zero. With `valid` it may be of the context
        alone.
      gating: Of all layers, as in `gated_block`.
      seen_by: For each layer, what its convolution sees of its input: the input after dropout. None: the input
        itself. Otherwise the gradient is JAX's own, which takes longer and more memory.
      remat: Whether the backward pass computes the layers' activations again, a block of time at a time, and keeps of
        n layers with p samples of past in all, in numbers for each sample of a signal,

            without   channels + channels p / block + 2 n gate_channels
            with      channels + channels p / block

        It takes a forward pass more. With `seen_by` every layer is computed again from its input, which is kept, and
        so is what enters the skip sum: n (channels + gate_channels) numbers.

    Returns:
      The residual output of the last layer and the skip sum.
    """
    x, condition, weights = promoted(x, condition, (tuple(layers), skip_kernel, skip_bias))
    condition, mask = split_alike((condition, mask), x)
    num_context = sum(map(past_of, layers, dilations)) if valid else 0
    ones = None
    if mask is not None:
        length = num_context if mask.shape[1] <= num_context else x.shape[1]
        missing = ((0, 0), (0, length - mask.shape[1]))
        ones = jnp.pad(mask.astype(x.dtype), missing, constant_values=1)[..., None]
        x = jnp.concatenate([x[:, :length] * ones, x[:, length:]], axis=1)
    static = tuple(dilations), num_context, gating, remat
    # Without a number of samples, as `jax.export` has it, there is no number of blocks.
    if seen_by is not None or is_symbolic_dim(x.shape[1]):
        return _definition(*static, x, weights, condition, ones, seen_by)
    run = functools.partial(_gated_stack, static)
    # A bias that differs from signal to signal lies where its signal does.
    of_layers = tuple(
        jax.tree.map(lambda _: False, layer)._replace(bias=layer.bias.shape[0] > 1)
        for layer in weights[0]
    )
    by_signal = (True, (of_layers, False, False), True, True)
    return on_each_device(run, (x, weights, condition, ones), by_signal)


def _definition(
    dilations: tuple[int, ...],
    num_context: int,
    gating: Gating,
    remat: bool,
    x: Array,
    weights: Any,
    condition: Any,
    mask: Any,
    seen_by: Sequence[Callable[[Array], Array]] | None = None,
) -> Any:
    layers, skip_kernel, skip_bias = weights
    num_samples = x.shape[1]
    num_outputs = num_samples - num_context
    gated = []
    for number, (layer, dilation) in enumerate(zip(layers, dilations, strict=True)):
        if not num_context:
            x = jnp.pad(x, ((0, 0), (past_of(layer, dilation), 0), (0, 0)))
        count = x.shape[1] - past_of(layer, dilation)
        c = None if condition is None else _last(condition, count)

        def of_layer(
            x: Array, layer: GatedWeights, c: Any, number: int = number, dilation: int = dilation
        ) -> tuple[Array, Array]:
            seen = None if seen_by is None else seen_by[number](x)
            return gated_block(x, layer, dilation, c, gating=gating, seen=seen)

        x, z = (jax.checkpoint(of_layer) if remat else of_layer)(x, layer, c)
        if mask is not None:
            masked = max(0, mask.shape[1] - num_samples + count)
            ones = mask[:, mask.shape[1] - masked :]
            x = jnp.concatenate([x[:, :masked] * ones, x[:, masked:]], axis=1)
        gated.append(_last(z, num_outputs))
    return x, jnp.concatenate(gated, axis=-1) @ skip_kernel + skip_bias[None, None]


def _forward(
    dilations: tuple[int, ...],
    num_context: int,
    gating: Gating,
    remat: bool,
    x: Array,
    weights: Any,
    condition: Any,
    mask: Any,
) -> Any:
    gate = kept_gate(gating)
    layers = [scaled(layer, gate) for layer in weights[0]]
    skip_kernel, skip_bias = weights[1:]
    context, signals = _parts(num_context, x, condition, mask)
    pasts, saved_context = _zero_pasts(layers, dilations, x), None
    if num_context:
        nothing = [past[:, :, :0] for past in pasts]
        pasts, _, _, activations = forward(layers, dilations, gate, nothing, *context)
        saved_context = (context[0], nothing, None if remat else activations)

    def block(pasts: list[Array], signals: Any) -> Any:
        # Every layer has its own past, the last inputs that it had in the blocks before:
        #
        #     input of the layer    |---- past ----|---------- this block ----------|
        #     handed on                                             |---- past ----|
        pasts_after, y, gated, activations = forward(layers, dilations, gate, pasts, *signals)
        skip = matmul(skip_kernel.T, jnp.concatenate(gated)) + skip_bias[:, None, None]
        # Kept for the backward pass: the gate of every layer, the pasts, and the input of the first layer,
        # from which those of the others follow; and so do the gates, where there is to be little memory.
        return pasts_after, (y, skip, (signals[0], pasts, None if remat else activations))

    _, (y, skip, saved) = lax.scan(block, pasts, signals)
    num_outputs = x.shape[1] - num_context
    outputs = from_blocks(y, num_outputs), from_blocks(skip, num_outputs)
    return outputs, (weights, (saved_context, *context[1:]), (saved, *signals[1:]), mask)


def _backward(
    dilations: tuple[int, ...],
    num_context: int,
    gating: Gating,
    remat: bool,
    residuals: Any,
    gradients: Any,
) -> Any:
    gate = kept_gate(gating)
    weights, (saved_context, *of_context), (saved, *of_blocks), mask = residuals
    layers = [scaled(layer, gate) for layer in weights[0]]
    skip_kernel = weights[1]
    num_outputs = gradients[0].shape[1]

    def complete(saved: Any, *others: Any) -> Any:
        """What was kept of a block, with its activations."""
        if not remat:
            return saved
        # Behind the barrier it is not what the forward pass computed, which the compiler would otherwise keep.
        y, pasts, _ = lax.optimization_barrier(saved)
        return y, pasts, forward(layers, dilations, gate, pasts, y, *others)[3]

    def block(carry: Any, signals: Any) -> Any:
        # Blocks come last to first. `dpasts` is the gradient, by layer, of the samples that this block has
        # handed on to the next one; it ends with that of the samples which it was handed itself.
        dpasts, sums = carry
        dy, dskip, saved, c, m = signals
        # One matmul gives the gradient of all gated activations that comes through the skip path.
        dgated = jnp.split(matmul(skip_kernel, dskip), len(layers))
        dpasts, dx, dc, dlayers, gated = backward(
            layers, dilations, gate, dpasts, dy, dgated, complete(saved, c, m), c, m
        )
        dweights = dlayers, outer(jnp.concatenate(gated), dskip), sum_over_time(dskip)
        return (dpasts, jax.tree.map(jnp.add, sums, dweights)), (dx, dc)

    # Blocks end in zeros where the signal has no more samples. Their gradients are zeros too, so these
    # samples add nothing to any sum.
    signals = (*map(to_blocks, gradients), saved, *of_blocks)
    zeros = _zero_pasts(layers, dilations, gradients[0]), zero_sums(weights, gradients[0].shape[0])
    (dpasts, (dlayers, *dskips)), (dx, dc) = lax.scan(block, zeros, signals, reverse=True)
    dx, dc = from_blocks(dx, num_outputs), None if dc is None else from_blocks(dc, num_outputs)
    if num_context:
        # Of the context the later layers see the handed-on samples alone; its last layer has no outputs.
        dy, saved_context = dpasts[-1][:, :, :0], complete(saved_context, *of_context)
        _, before, dc_before, more, _ = backward(
            layers, dilations, gate, dpasts, dy, None, saved_context, *of_context
        )
        dlayers = jax.tree.map(jnp.add, dlayers, more)
        dx = jnp.concatenate([channels_last(before), dx], axis=1)
        if dc is not None and dc_before is not None:
            dc = jnp.concatenate([channels_last(dc_before), dc], axis=1)
    dweights = weight_gradients(weights, gate, dlayers, *dskips)
    return dx, dweights, dc, None if mask is None else jnp.zeros_like(mask)


_gated_stack = own_backward(_definition, _forward, _backward)


def _parts(num_context: int, x: Array, condition: Any, mask: Any) -> tuple[Any, Any]:
    """Signal, condition and mask of the context, channels first, and of what follows it, in blocks."""
    num_outputs = x.shape[1] - num_context
    context, blocks = [], []
    for signal in (x, condition):
        before = None if signal is None else signal.shape[1] - num_outputs
        context.append(None if signal is None else channels_first(signal[:, :before]))
        blocks.append(None if signal is None else to_blocks(signal[:, before:]))
    context.append(None if mask is None else channels_first(mask[:, :num_context]))
    everywhere = mask is not None and mask.shape[1] > num_context
    blocks.append(to_blocks(mask[:, num_context:]) if everywhere else None)
    return tuple(context), tuple(blocks)


def _zero_pasts(layers: list[GatedWeights], dilations: tuple[int, ...], x: Array) -> list[Array]:
    """Zeros before the first sample of x [batch, time, channels], for every layer."""
    return [
        jnp.zeros_like(x, shape=(x.shape[2], x.shape[0], past_of(layer, dilation)))
        for layer, dilation in zip(layers, dilations, strict=True)
    ]


def _last(signal: Array, count: int) -> Array:
    """The last `count` samples."""
    return signal[:, signal.shape[1] - count :]
