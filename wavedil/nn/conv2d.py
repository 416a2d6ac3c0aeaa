"""Dilated convolution over time and frequency."""

from typing import Any, get_args

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from wavedil.errors import (
    Size,
    Sizes,
    UserError,
    require_bool,
    require_known,
    require_positive,
    require_size,
    require_sizes,
)
from wavedil.nn.conv import Conv1d, LayerPadding
from wavedil.nn.layer import normal
from wavedil.ops import dilated_conv
from wavedil.receptive_field import Padding, ReceptiveField


class Conv2d(Conv1d):
    r"""Dilated convolution over time and frequency: a `Conv1d` whose samples are spectra.

    y[t, f] = b + sum_jk W[j, k] x[t - dilation (kernel_size - 1 - j), f + dilation (k - floor((kernel_size - 1) / 2))]

    Only time streams: along frequency the taps always lie around f. Outside the signal, and beyond its lowest and
    highest frequency, it is zero.

        kernel_size=3, dilation=2       f + 2     x   .   x   .   x
                                        f         x   .   x   .   x  -> y[t, f]
                                        f - 2     x   .   x   .   x
                                                                  t

    Args:
      in_channels: Channels of the input.
      out_channels: Channels of the output.
      num_frequencies: Frequencies of a sample, which the state must know.
      kernel_size: Taps, at least 1, along both axes; or a pair, (time, frequency).
      dilation: Samples, and frequencies, between taps; or a pair.
      padding: "causal" or "same", of the time axis.
      use_bias: Whether b is there.
      rngs: Source of the initial weights, normal with variance 1 / (taps and channels that meet in an output).

    Shapes:
      __call__: [batch, time, num_frequencies, in_channels] -> [batch, time, num_frequencies, out_channels]
      state:    [batch, past, num_frequencies, in_channels], oldest sample first.

    Raises:
      UserError: If a size is no whole number of at least 1, or no pair of them.

    Example:
      >>> conv = Conv2d(1, 8, num_frequencies=80, kernel_size=3, dilation=(4, 1), rngs=nnx.Rngs(0))
      >>> conv(jnp.ones((1, 100, 80, 1))).shape
      (1, 100, 80, 8)

    Reference: Yu and Koltun 2016, arXiv:1511.07122, section 2.
    """

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        *,
        num_frequencies: Size,
        kernel_size: Size | Sizes,
        dilation: Size | Sizes = 1,
        padding: LayerPadding = "causal",
        use_bias: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        in_channels, out_channels, num_frequencies = require_positive(
            in_channels=in_channels, out_channels=out_channels, num_frequencies=num_frequencies
        )
        kernel_sizes = _pair("kernel_size", kernel_size)
        require_known("padding", padding, get_args(LayerPadding))
        self.in_channels = in_channels
        self.num_frequencies = num_frequencies
        self.dilations = _pair("dilation", dilation)
        self.padding = padding
        self.receptive_field = ReceptiveField.conv(
            kernel_sizes[0], self.dilations[0], padding=padding
        )
        scale = (kernel_sizes[0] * kernel_sizes[1] * in_channels) ** -0.5
        self.kernel = nnx.Param(scale * normal(rngs, (*kernel_sizes, in_channels, out_channels)))
        use_bias = require_bool("use_bias", use_bias)
        self.bias = nnx.Param(jnp.zeros(out_channels, jnp.float32)) if use_bias else None

    def _convolve(self, x: Array, padding: Padding) -> Array:
        y = dilated_conv(x, self.kernel[...], self.dilations, (padding, "same"))
        return y if self.bias is None else y + self.bias[None, None, None].astype(y.dtype)


def conv(
    in_channels: Size, out_channels: Size, *, num_frequencies: Size | None, **settings: Any
) -> Conv1d:
    """A `Conv2d` where there are frequencies, a `Conv1d` where there are none."""
    if num_frequencies is None:
        return Conv1d(in_channels, out_channels, **settings)
    return Conv2d(in_channels, out_channels, num_frequencies=num_frequencies, **settings)


def _pair(name: str, sizes: Any) -> tuple[int, int]:
    """A size for time and one for frequency."""
    if not isinstance(sizes, tuple | list) and getattr(sizes, "ndim", 0) == 0:
        return (require_size(name, sizes),) * 2
    pair = require_sizes(name, sizes)
    if len(pair) != 2:
        raise UserError(
            f"{name} is {sizes!r}, of {len(pair)} axes, but it must be one for time and one for frequency; use (3, 3)"
        )
    return pair[0], pair[1]
