"""Gated layers in a row over one block of time, forward and backward, on signals [channels, batch, time].

Every layer has a past, the inputs that it had before the block; it may be empty, and then the layer's output is
shorter than its input by as many samples as it should have had.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from wavedil.ops.gate import GatedWeights
from wavedil.ops.gating import KeptGate
from wavedil.ops.time_blocks import matmul, outer, sum_over_time


def past_of(layer: GatedWeights, dilation: int) -> int:
    """Samples that an output of the layer sees before its own."""
    return (layer.kernel.shape[0] - 1) * dilation


def forward(
    layers: Sequence[GatedWeights],
    dilations: Sequence[int],
    gate: KeptGate,
    pasts: Sequence[Array],
    y: Array,
    condition: Array | None = None,
    mask: Array | None = None,
) -> tuple[list[Array], Array, list[Array], list[Array]]:
    """The layers on a block.

    Args:
      layers: From `scaled`.
      dilations: Of each layer.
      gate: Of all layers.
      pasts: Of each layer, the inputs before the block; all complete, or all empty.
      y: Input of the first layer.
      condition: At the outputs of the first layer.
      mask: As long as y; each layer's output is multiplied by it.

    Returns:
      The pasts for the next block, the residual output, and of each layer its gated activation and what the gate
      keeps, which the backward pass needs.
    """
    pasts_after, gated, activations = [], [], []
    for layer, dilation, past in zip(layers, dilations, pasts, strict=True):
        extended = jnp.concatenate([past, y], axis=2)
        reach = past_of(layer, dilation)
        joint = matmul(_joint_kernel(layer).T, _taps(extended, layer, dilation, condition))
        activation = gate.keep(joint + layer.bias.T[:, :, None])
        z = gate.gated(activation)
        y = _masked(extended[:, :, reach:] + _residual(layer, z), mask)
        pasts_after.append(extended[:, :, extended.shape[2] - reach :])
        gated.append(z)
        activations.append(activation)
    return pasts_after, y, gated, activations


def backward(
    layers: Sequence[GatedWeights],
    dilations: Sequence[int],
    gate: KeptGate,
    dpasts: Sequence[Array],
    dy: Array,
    dgated: Sequence[Array] | None,
    saved: tuple[Array, Sequence[Array], Sequence[Array]],
    condition: Array | None = None,
    mask: Array | None = None,
) -> tuple[list[Array], Array, Array | None, list[Any], list[Array]]:
    """Gradients through `forward`.

    Args:
      layers: As there.
      dilations: As there.
      gate: As there.
      dpasts: Gradient of the pasts for the next block.
      dy: Gradient of the residual output.
      dgated: Gradient of each gated activation; None: zero.
      saved: The input of the first layer, the pasts, and what the gate keeps of each layer.
      condition: As there.
      mask: As there.

    Returns:
      Gradients of the pasts, of the input, of the condition, and of the weights of each layer (of the joint
      kernel, its bias, the residual kernel, its bias); and the gated activations.
    """
    y, pasts, activations = saved
    gated = [gate.gated(activation) for activation in activations]
    # The inputs of the layers cost a small matmul each to have again, and a third of the memory to keep.
    extended = []
    for layer, dilation, past, z in zip(layers, dilations, pasts, gated, strict=True):
        extended.append(jnp.concatenate([past, y], axis=2))
        shortcut = extended[-1][:, :, past_of(layer, dilation) :]
        y = _masked(shortcut + _residual(layer, z), mask)
    dlayers: list[Any] = []
    dpasts_before: list[Array] = []
    dcondition = None if condition is None else jnp.zeros_like(condition)
    for i in reversed(range(len(layers))):
        layer, dilation = layers[i], dilations[i]
        # dy is the gradient of the layer's residual output. The gated activation has gradients from there
        # and from the skip sum; the layer's input from the shortcut and from its taps, below.
        dy = _masked(dy, mask)
        dz = matmul(layer.residual_kernel, dy)
        dz = dz if dgated is None else dgated[i] + dz
        djoint = gate.gradient(dz, activations[i])
        taps = _taps(extended[i], layer, dilation, condition)
        dtaps = matmul(_joint_kernel(layer), djoint)
        dlayers.append(
            (outer(taps, djoint), sum_over_time(djoint), outer(gated[i], dy), sum_over_time(dy))
        )
        own = pasts[i].shape[2]
        dpast, dy, dc = _taps_gradient(dtaps, layer, dilation, dpasts[i], dy, own)
        dpasts_before.append(dpast)
        if dcondition is not None:
            # A layer's outputs end with the block, and may begin later than those of the layers before it.
            later = dcondition.shape[2] - dc.shape[2]
            dcondition = dcondition + jnp.pad(dc, ((0, 0), (0, 0), (later, 0)))
    return dpasts_before[::-1], dy, dcondition, dlayers[::-1], gated


def scaled(layer: GatedWeights, gate: KeptGate) -> GatedWeights:
    """The layer with filter and gate as the gate takes them."""
    condition_kernel = layer.condition_kernel
    return layer._replace(
        kernel=gate.scaled(layer.kernel),
        bias=gate.scaled(layer.bias),
        condition_kernel=None if condition_kernel is None else gate.scaled(condition_kernel),
    )


def zero_sums(weights: Any, batch_size: int) -> Any:
    """Zeros that the weight gradients are summed into: kernels, and biases still apart for each signal."""

    def zeros(kernel: Array) -> tuple[Array, Array]:
        # A bias may differ from signal to signal, as where it holds a condition, so its sums do.
        return jnp.zeros_like(kernel), jnp.zeros_like(kernel, shape=(kernel.shape[1], batch_size))

    layers, skip_kernel, _ = weights
    sums = [(*zeros(_joint_kernel(layer)), *zeros(layer.residual_kernel)) for layer in layers]
    return sums, *zeros(skip_kernel)


def weight_gradients(
    weights: Any, gate: KeptGate, dlayers: Any, dskip_kernel: Array, dskip_bias: Array
) -> Any:
    """The sums over all blocks as the gradient of the weights."""
    layers = tuple(_layer_gradient(*pair, gate) for pair in zip(weights[0], dlayers, strict=True))
    return layers, dskip_kernel, dskip_bias.sum(1)


def _taps(extended: Array, layer: GatedWeights, dilation: int, condition: Array | None) -> Array:
    """The rows that meet the joint kernel: every tap of the extended signal, then the condition."""
    num_samples = extended.shape[2] - past_of(layer, dilation)
    # Oldest tap first, as in the kernel.
    rows = [
        extended[:, :, k * dilation : k * dilation + num_samples]
        for k in range(layer.kernel.shape[0])
    ]
    if condition is not None:
        rows.append(condition[:, :, condition.shape[2] - num_samples :])
    return jnp.concatenate(rows)


def _taps_gradient(
    dtaps: Array, layer: GatedWeights, dilation: int, dpast: Array, dy: Array, own: int
) -> tuple[Array, Array, Array]:
    """Gradients of the layer's own past (`own` samples), of its input, and of the condition.

    Tap k reaches from `k dilation` samples into the extended signal; its last samples are also what the next block
    sees as its past, with gradient `dpast`. The shortcut, with gradient dy, lies on the last tap.
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
    # The last tap lies on the block itself, so it is added there and not padded.
    newest = dextended[:, :, past:] + dy
    newest = newest + rows[-1] if kernel_size > 1 else newest
    if own == past:
        return dextended[:, :, :past], newest, dcondition
    # Without a past of its own, the layer's input is all of the extended signal.
    return (
        dextended[:, :, :0],
        jnp.concatenate([dextended[:, :, :past], newest], axis=2),
        dcondition,
    )


def _masked(y: Array, mask: Array | None) -> Array:
    """y times the end of the mask."""
    return y if mask is None else y * mask[:, :, mask.shape[2] - y.shape[2] :]


def _joint_kernel(layer: GatedWeights) -> Array:
    """Taps and condition stacked into one kernel [kernel_size * in + condition, 2 * gate_channels]."""
    kernel = layer.kernel.reshape(-1, layer.kernel.shape[2])
    if layer.condition_kernel is None:
        return kernel
    return jnp.concatenate([kernel, layer.condition_kernel])


def _residual(layer: GatedWeights, z: Array) -> Array:
    return matmul(layer.residual_kernel.T, z) + layer.residual_bias[:, None, None]


def _layer_gradient(layer: GatedWeights, sums: Any, gate: KeptGate) -> GatedWeights:
    """The sums of one layer as the gradient of its weights."""
    djoint_kernel, dbias, dresidual_kernel, dresidual_bias = sums
    dkernel, dcondition_kernel = jnp.split(gate.scaled(djoint_kernel), [layer.kernel[..., 0].size])
    dbias = gate.scaled(dbias.T)
    return GatedWeights(
        kernel=dkernel.reshape(layer.kernel.shape),
        bias=dbias if layer.bias.shape[0] > 1 else dbias.sum(0, keepdims=True),
        residual_kernel=dresidual_kernel,
        residual_bias=dresidual_bias.sum(1),
        condition_kernel=None if layer.condition_kernel is None else dcondition_kernel,
    )
