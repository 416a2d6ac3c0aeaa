"""The multi-scale context module: convolutions whose dilation grows."""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from wavedil.errors import Size, Sizes, UserError, require_positive, require_sizes
from wavedil.nn.conv import Conv1d, LayerPadding
from wavedil.nn.conv2d import conv
from wavedil.nn.layer import normal
from wavedil.nn.sequential import Sequential

_KERNEL_SIZE = 3


class ContextModule(Sequential):
    r"""Convolutions of three taps with growing dilation, each with ReLU, and a last 1x1.

        layer            1    2    3    4    5    6    7    8
        dilation         1    1    2    4    8   16    1    1x1
        sees so far      3    5    9   17   33   65   67   67       samples

    As many outputs as inputs, each of which sees 67 samples. On an input that is nowhere negative it starts as the
    identity; of any other it starts as max(x, 0). With wider layers channels start as copies of each other, which a
    little noise tells apart, so that this holds up to a few per cent.

    Args:
      channels: Channels of the input and of the output.
      num_frequencies: Frequencies of a spectrogram, over which the convolutions run too; None: a signal of frames.
      dilations: Of the layers before the 1x1.
      widths: Channels of each of these, in multiples of `channels`; 1 by default, the paper's basic form. Its large
        form is (2, 2, 4, 8, 16, 32, 32).
      padding: "same", centred as in the paper, or "causal": of the time axis.
      rngs: Source of the noise.

    Shapes:
      __call__: [batch, time, channels] -> the same; or [batch, time, num_frequencies, channels] -> the same.
      state:    of each layer, [batch, 2 dilation, channels], or [batch, 2 dilation, num_frequencies, channels].

    Raises:
      UserError: If a size is no whole number of at least 1, or there are not as many widths as dilations.

    Example:
      >>> context = ContextModule(16, num_frequencies=80, padding="causal", rngs=nnx.Rngs(0))
      >>> context.receptive_field.size
      67

    Reference: Yu and Koltun 2016, arXiv:1511.07122, section 3.
    """

    def __init__(
        self,
        channels: Size,
        *,
        num_frequencies: Size | None = None,
        dilations: Sizes = (1, 1, 2, 4, 8, 16, 1),
        widths: Sizes | None = None,
        padding: LayerPadding = "same",
        rngs: nnx.Rngs,
    ) -> None:
        channels, num_frequencies = require_positive(
            channels=channels, num_frequencies=num_frequencies
        )
        dilations = require_sizes("dilation", dilations)
        widths = (1,) * len(dilations) if widths is None else require_sizes("width", widths)
        if len(widths) != len(dilations):
            raise UserError(
                f"widths has {len(widths)} entries and dilations {len(dilations)}; give a width for each dilation"
            )
        layers: list = []
        width = 1
        for dilation, wider in zip(dilations, widths, strict=True):
            layer = conv(
                width * channels,
                wider * channels,
                num_frequencies=num_frequencies,
                kernel_size=_KERNEL_SIZE,
                dilation=dilation,
                padding=padding,
                rngs=rngs,
            )
            layers += [_as_identity(layer, channels, rngs), jax.nn.relu]
            width = wider
        last = conv(
            width * channels, channels, num_frequencies=num_frequencies, kernel_size=1, rngs=rngs
        )
        super().__init__(*layers, _as_identity(last, channels, rngs))
        self.in_channels, self.num_frequencies = channels, num_frequencies


def _as_identity(layer: Conv1d, channels: int, rngs: nnx.Rngs) -> Conv1d:
    """The convolution as the mean of the copies of each channel, to each of its copies, by the tap at the output.

    Equations 4 and 5 of the paper: inputs of width v hold v copies of each channel, C the number of channels.

        W[t, a, b] = 1 / w  where t = 0 and floor(a / v) = floor(b / w), a of v C inputs and b of w C outputs
                     noise  elsewhere

    A copy of width w holds a w-th of its channel, so that the copies add up to it.
    """
    *taps, num_inputs, num_outputs = layer.kernel.shape
    wide, wider = num_inputs // channels, num_outputs // channels
    # The tap that stands at the output: the last one along a causal axis, the middle one along the others.
    place = [size // 2 for size in taps]
    if layer.padding == "causal":
        place[0] = taps[0] - 1
    same = jnp.arange(num_inputs)[:, None] // wide == jnp.arange(num_outputs)[None] // wider
    identity = jnp.zeros(layer.kernel.shape, jnp.float32)
    identity = identity.at[tuple(place)].set(same.astype(jnp.float32) / wider)
    if max(wide, wider) > 1:
        # Together a hundredth of what the identity gives, whatever the number of inputs.
        size = 0.01 / wider / math.sqrt(math.prod(taps) * num_inputs)
        identity = jnp.where(identity == 0, size * normal(rngs, identity.shape), identity)
    layer.kernel[...] = identity
    return layer
