"""One gated residual layer of a WaveNet, as a pure function."""

from typing import NamedTuple

from jaxtyping import Array, Float

from wavedil.ops.convolution import dilated_conv
from wavedil.ops.gating import TANH_SIGMOID, Gating
from wavedil.ops.promotion import promoted


class GatedWeights(NamedTuple):
    """Weights of one gated layer; `filter | gate` lie side by side in the last axis.

    A bias may differ between the signals of a batch: a condition that is the
    same at every sample acts as such a bias.
    """

    kernel: Float[Array, "kernel_size channels 2*gate_channels"]
    bias: Float[Array, "batch_or_1 2*gate_channels"]
    residual_kernel: Float[Array, "gate_channels channels"]
    residual_bias: Float[Array, " channels"]
    condition_kernel: Float[Array, "condition_channels 2*gate_channels"] | None = None


def gated_block(
    x: Float[Array, "batch past_and_time channels"],
    weights: GatedWeights,
    dilation: int,
    condition: Float[Array, "batch time condition_channels"] | None = None,
    *,
    gating: Gating = TANH_SIGMOID,
    seen: Float[Array, "batch past_and_time channels"] | None = None,
) -> tuple[Float[Array, "batch time channels"], Float[Array, "batch time gate_channels"]]:
    """Dilated convolution, tanh x sigmoid gate, residual: the layer of arXiv:1609.03499, section 2.3.

        f | s = W * x + V c + b        z = tanh(f) sigmoid(s)        y = x + W_r z + b_r

    Args:
      x: Signal with the `past = (kernel_size - 1) dilation` samples that come before it.
      weights: The layer's weights.
      dilation: Samples between taps.
      condition: Signal c that steers the gate at each sample.
      gating: Other functions for tanh and sigmoid.
      seen: x as the convolution sees it, where that is another: after dropout.

    Returns:
      The residual output y and the gated activation z, `past` samples shorter than x.
    """
    x, weights, condition, seen = promoted(x, weights, condition, seen)
    past = (weights.kernel.shape[0] - 1) * dilation
    # Filter and gate see the same samples, so one convolution to twice the channels serves both.
    joint = dilated_conv(x if seen is None else seen, weights.kernel, dilation, padding="valid")
    joint = joint + weights.bias[:, None]
    if condition is not None and weights.condition_kernel is not None:
        joint = joint + condition @ weights.condition_kernel
    gated = gating(joint)
    # The shortcut is the newest tap: the sample at which the output stands.
    return x[:, past:] + (
        gated @ weights.residual_kernel + weights.residual_bias[None, None]
    ), gated
