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
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from wavedil.ops.gate import GatedWeights, gated_block
from wavedil.ops.time_blocks import from_blocks, matmul, outer, sum_over_time, to_blocks


def gated_stack(
    x: Float[Array, "batch time channels"],
    layers: Sequence[GatedWeights],
    skip_kernel: Float[Array, "all_gate_channels skip_channels"],
    skip_bias: Float[Array, " skip_channels"],
    dilations: Sequence[int],
    condition: Float[Array, "batch time condition_channels"] | None = None,
) -> tuple[Float[Array, "batch time channels"], Float[Array, "batch time skip_channels"]]:
    """Gated layers in a row, zero before the first sample, and the sum of their skip outputs.

    With `y_0 = x` and layer l giving `y_l, z_l` (see `gated_block`):

        residual = y_L        skip = sum_l S_l z_l + b = [z_1 | ... | z_L] S + b

    Differentiable in reverse mode once; gradients are exact.

    Returns:
      The residual output of the last layer and the skip sum.
    """
    weights = (tuple(layers), skip_kernel, skip_bias)
    return _gated_stack(tuple(dilations), x, weights, condition)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _gated_stack(dilations: tuple[int, ...], x: Array, weights: Any, condition: Any) -> Any:
    return _definition(dilations, x, weights, condition)


def _definition(dilations: tuple[int, ...], x: Array, weights: Any, condition: Any) -> Any:
    layers, skip_kernel, skip_bias = weights
    gated = []
    for layer, dilation in zip(layers, dilations, strict=True):
        past = (layer.kernel.shape[0] - 1) * dilation
        padded = jnp.pad(x, ((0, 0), (past, 0), (0, 0)))
        x, z = gated_block(padded, layer, dilation, condition)
        gated.append(z)
    return x, jnp.concatenate(gated, axis=-1) @ skip_kernel + skip_bias


def _forward(dilations: tuple[int, ...], x: Array, weights: Any, condition: Any) -> Any:
    layers = [_halve_gate(layer) for layer in weights[0]]
    skip_kernel, skip_bias = weights[1:]
    blocks = to_blocks(x), None if condition is None else to_blocks(condition)

    def block(pasts: list[Array], signals: tuple[Array, Array | None]) -> Any:
        y, c = signals
        # Every layer has its own past, the last inputs that it had in the blocks before:
        #
        #     input of the layer    |---- past ----|---------- this block ----------|
        #     handed on                                             |---- past ----|
        pasts_after, gated, activations = [], [], []
        block_input = y
        for layer, dilation, past in zip(layers, dilations, pasts, strict=True):
            extended = jnp.concatenate([past, y], axis=2)
            joint = matmul(_joint_kernel(layer).T, _taps(extended, layer, dilation, c))
            activation = jnp.tanh(joint + layer.bias.T[:, :, None])
            z = _gate(activation)
            y = y + _residual(layer, z)
            pasts_after.append(extended[:, :, y.shape[2] :])
            gated.append(z)
            activations.append(activation)
        skip = matmul(skip_kernel.T, jnp.concatenate(gated)) + skip_bias[:, None, None]
        # Kept for the backward pass: the tanh of every layer, the pasts, and the input of the first layer,
        # from which those of the others follow.
        return pasts_after, (y, skip, (block_input, pasts, activations))

    _, (y, skip, saved) = lax.scan(block, _no_pasts(layers, dilations, x), blocks)
    outputs = from_blocks(y, x.shape[1]), from_blocks(skip, x.shape[1])
    return outputs, (weights, blocks[1], saved)


def _backward(dilations: tuple[int, ...], residuals: Any, gradients: Any) -> Any:
    weights, condition, saved = residuals
    layers = [_halve_gate(layer) for layer in weights[0]]
    skip_kernel = weights[1]
    num_samples = gradients[0].shape[1]

    def block(carry: Any, signals: Any) -> Any:
        # Blocks come last to first. `dpasts` is the gradient, by layer, of the samples that this block has
        # handed on to the next one; it ends with that of the samples which it was handed itself.
        dpasts, sums = carry
        dy, dskip, c, saved = signals
        y, pasts, activations = saved
        gated = [_gate(activation) for activation in activations]
        # The inputs of the layers cost a small matmul each to have again, and a third of the memory to keep.
        extended = []
        for layer, past, z in zip(layers, pasts, gated, strict=True):
            extended.append(jnp.concatenate([past, y], axis=2))
            y = y + _residual(layer, z)
        # One matmul gives the gradient of all gated activations that comes through the skip path.
        dgated = jnp.split(matmul(skip_kernel, dskip), len(layers))
        dlayers: list[Any] = []
        dpasts_before: list[Array] = []
        dc = None if c is None else jnp.zeros_like(c)
        for i in reversed(range(len(layers))):
            # dy is the gradient of the layer's residual output. The gated activation has gradients from there
            # and from the skip sum; the layer's input from the shortcut and from its taps, below.
            dz = dgated[i] + matmul(layers[i].residual_kernel, dy)
            djoint = _gate_gradient(dz, activations[i])
            taps = _taps(extended[i], layers[i], dilations[i], c)
            dtaps = matmul(_joint_kernel(layers[i]), djoint)
            dlayers.append(
                (
                    # Of the joint kernel, its bias, the residual kernel, and its bias.
                    outer(taps, djoint),
                    sum_over_time(djoint),
                    outer(gated[i], dy),
                    sum_over_time(dy),
                )
            )
            dpast, dinput, dcondition = _taps_gradient(dtaps, layers[i], dilations[i], dpasts[i])
            dpasts_before.append(dpast)
            dy = dy + dinput
            dc = None if dc is None else dc + dcondition
        dweights = dlayers[::-1], outer(jnp.concatenate(gated), dskip), sum_over_time(dskip)
        return (dpasts_before[::-1], jax.tree.map(jnp.add, sums, dweights)), (dy, dc)

    # Blocks end in zeros where the signal has no more samples. Their gradients are zeros too, so these
    # samples add nothing to any sum.
    dy, dskip = map(to_blocks, gradients)
    carry = _no_pasts(layers, dilations, gradients[0]), _zero_sums(weights, gradients[0].shape[0])
    (_, sums), (dx, dc) = lax.scan(block, carry, (dy, dskip, condition, saved), reverse=True)
    dlayers, dskip_kernel, dskip_bias = sums
    dweights = (
        tuple(_layer_gradient(*pair) for pair in zip(weights[0], dlayers, strict=True)),
        dskip_kernel,
        dskip_bias.sum(1),
    )
    dcondition = None if dc is None else from_blocks(dc, num_samples)
    return from_blocks(dx, num_samples), dweights, dcondition


_gated_stack.defvjp(_forward, _backward)


def _no_pasts(layers: list[GatedWeights], dilations: tuple[int, ...], x: Array) -> list[Array]:
    """Zeros before the first sample of x [batch, time, channels], for every layer."""
    return [
        jnp.zeros((x.shape[2], x.shape[0], (layer.kernel.shape[0] - 1) * dilation), x.dtype)
        for layer, dilation in zip(layers, dilations, strict=True)
    ]


def _taps(extended: Array, layer: GatedWeights, dilation: int, condition: Array | None) -> Array:
    """The rows that meet the joint kernel: every tap of the extended signal, then the condition."""
    kernel_size = layer.kernel.shape[0]
    num_samples = extended.shape[2] - (kernel_size - 1) * dilation
    # Oldest tap first, as in the kernel.
    rows = [extended[:, :, k * dilation : k * dilation + num_samples] for k in range(kernel_size)]
    return jnp.concatenate(rows if condition is None else [*rows, condition])


def _taps_gradient(
    dtaps: Array, layer: GatedWeights, dilation: int, dpast: Array
) -> tuple[Array, Array, Array]:
    """Gradients of the past, the block's own samples, and the condition.

    Tap k reaches from `k dilation` samples into the extended signal; the last `past` samples of that are
    also what the next block sees as its past, with gradient `dpast`.
    """
    # extended    |------ past ------|--------- block ---------|        kernel_size 3
    # tap 0       |========= block =========|
    # tap 1                |========= block =========|
    # tap 2                          |========= block =========|
    # dpast                                 |===== past =======|        as the next block sees it
    kernel_size, num_channels = layer.kernel.shape[:2]
    past = dpast.shape[2]
    *rows, dcondition = jnp.split(dtaps, [num_channels * (k + 1) for k in range(kernel_size)])
    # The first tap ends where the handed-on samples begin, so the two only need joining.
    dextended = jnp.concatenate([rows[0], dpast], axis=2)
    for k, row in enumerate(rows[1:-1], start=1):
        dextended = dextended + jnp.pad(row, ((0, 0), (0, 0), (k * dilation, past - k * dilation)))
    dinput = dextended[:, :, past:]
    # The last tap lies on the block itself, so it is added there and not padded.
    return dextended[:, :, :past], dinput + rows[-1] if kernel_size > 1 else dinput, dcondition


def _joint_kernel(layer: GatedWeights) -> Array:
    """Taps and condition stacked into one kernel [kernel_size * in + condition, 2 * gate_channels]."""
    kernel = layer.kernel.reshape(-1, layer.kernel.shape[2])
    if layer.condition_kernel is None:
        return kernel
    return jnp.concatenate([kernel, layer.condition_kernel])


def _halve_gate(layer: GatedWeights) -> GatedWeights:
    """The layer with `sigmoid(s) = (1 + tanh(s / 2)) / 2` prepared, so that one tanh serves filter and gate."""
    scale = _half_scale(layer)
    condition_kernel = layer.condition_kernel
    return layer._replace(
        kernel=layer.kernel * scale,
        bias=layer.bias * scale,
        condition_kernel=None if condition_kernel is None else condition_kernel * scale,
    )


def _half_scale(layer: GatedWeights) -> Array:
    gate_channels = layer.kernel.shape[2] // 2
    return jnp.repeat(jnp.array([1.0, 0.5], layer.kernel.dtype), gate_channels)


def _residual(layer: GatedWeights, z: Array) -> Array:
    return matmul(layer.residual_kernel.T, z) + layer.residual_bias[:, None, None]


def _gate(activation: Array) -> Array:
    filtered, gate = jnp.split(activation, 2)
    # gate is tanh(s / 2), so this is tanh(f) sigmoid(s).
    return filtered * (0.5 + 0.5 * gate)


def _gate_gradient(dz: Array, activation: Array) -> Array:
    filtered, gate = jnp.split(activation, 2)
    # By f and by s / 2; `_layer_gradient` puts the half into the gradients of the weights.
    dfiltered = dz * (0.5 + 0.5 * gate) * (1 - filtered * filtered)
    return jnp.concatenate([dfiltered, dz * (0.5 * filtered) * (1 - gate * gate)])


def _zero_sums(weights: Any, batch_size: int) -> Any:
    """Zeros that the weight gradients are summed into: kernels, and biases still apart for each signal."""
    layers, skip_kernel, skip_bias = weights
    zeros = functools.partial(jnp.zeros, dtype=skip_kernel.dtype)
    sums = []
    for layer in layers:
        gate, channels = layer.residual_kernel.shape
        # A bias may differ from signal to signal, as where it holds a condition, so its sums do.
        rows = _joint_kernel(layer).shape[0]
        kernels = zeros((rows, 2 * gate)), zeros((gate, channels))
        biases = zeros((2 * gate, batch_size)), zeros((channels, batch_size))
        sums.append((kernels[0], biases[0], kernels[1], biases[1]))
    return sums, jnp.zeros_like(skip_kernel), zeros((*skip_bias.shape, batch_size))


def _layer_gradient(layer: GatedWeights, sums: Any) -> GatedWeights:
    """The sums of one layer as the gradient of its weights."""
    djoint_kernel, dbias, dresidual_kernel, dresidual_bias = sums
    scale = _half_scale(layer)
    dkernel, dcondition_kernel = jnp.split(djoint_kernel * scale, [layer.kernel[..., 0].size])
    dbias = dbias.T * scale
    return GatedWeights(
        kernel=dkernel.reshape(layer.kernel.shape),
        bias=dbias if layer.bias.shape[0] > 1 else dbias.sum(0, keepdims=True),
        residual_kernel=dresidual_kernel,
        residual_bias=dresidual_bias.sum(1),
        condition_kernel=None if layer.condition_kernel is None else dcondition_kernel,
    )
