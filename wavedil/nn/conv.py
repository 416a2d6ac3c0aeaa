"""Dilated 1-D convolution."""

import math
from typing import Literal, get_args

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, UserError, require_bool, require_known, require_positive
from wavedil.nn.door import enter, enter_with_context
from wavedil.nn.layer import extend, initial_state, normal, require_causal
from wavedil.nn.mask import inner, masked
from wavedil.ops import dilated_conv
from wavedil.receptive_field import Padding, ReceptiveField

# A layer has as many outputs as inputs, so "valid" is none of its paddings.
LayerPadding = Literal["causal", "same"]


class Conv1d(nnx.Module):
    r"""Dilated 1-D convolution over time.

    y[t] = b + sum_k W[k] x[t - dilation (kernel_size - 1 - k)]

    With causal padding output `t` depends on inputs `t - past .. t`, where
    `past = (kernel_size - 1) dilation`; with "same" padding the taps lie
    around `t`, the longer half after it. Outside the signal it is zero.

        kernel_size=3, dilation=2       x  . . a . b . c
                                              \   |   /
                                        y         y[t]      (t under c)

    Args:
      in_channels: Channels of the input.
      out_channels: Channels of the output.
      kernel_size: Taps, at least 1.
      dilation: Samples between taps, at least 1.
      groups: Groups of channels that do not see each other.
      padding: "causal" or "same".
      use_bias: Whether b is there.
      weight_norm: Whether W is g v / |v| with trained v and g, a gain for each output channel; both begin so that W is
        as without.
      rngs: Source of the initial weights, normal with variance 1 / (taps and channels that meet in an output).

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, time, out_channels]
      state:    [batch, past, in_channels], oldest sample first.

    Raises:
      UserError: If a size is no whole number of at least 1, groups does not divide the channels, or use_bias or
        weight_norm is not true or false.

    Example:
      >>> conv = Conv1d(1, 8, kernel_size=2, dilation=4, rngs=nnx.Rngs(0))
      >>> conv(jnp.ones((1, 100, 1))).shape
      (1, 100, 8)

    Reference: van den Oord et al. 2016, arXiv:1609.03499, section 2.1; Salimans and Kingma 2016, arXiv:1602.07868
    (weight normalisation).
    """

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        *,
        kernel_size: Size,
        dilation: Size = 1,
        groups: Size = 1,
        padding: LayerPadding = "causal",
        use_bias: bool = True,
        weight_norm: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        in_channels, out_channels, kernel_size, dilation, groups = require_positive(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=kernel_size,
            dilation=dilation,
            groups=groups,
        )
        if in_channels % groups or out_channels % groups:
            raise UserError(
                f"groups is {groups}, which does not divide {in_channels} input and {out_channels} output channels; "
                f"use a divisor of {math.gcd(in_channels, out_channels)}"
            )
        require_known("padding", padding, get_args(LayerPadding))
        self.in_channels = in_channels
        self.dilation = dilation
        self.padding = padding
        self.receptive_field = ReceptiveField.conv(kernel_size, dilation, padding=padding)
        shape = (kernel_size, in_channels // groups, out_channels)
        # An output of inputs with variance 1 then has variance 1.
        scale = (kernel_size * in_channels // groups) ** -0.5
        self.kernel = nnx.Param(scale * normal(rngs, shape))
        use_bias = require_bool("use_bias", use_bias)
        self.bias = nnx.Param(jnp.zeros(out_channels, jnp.float32)) if use_bias else None
        weight_norm = require_bool("weight_norm", weight_norm)
        self.gain = nnx.Param(_norms(self.kernel[...])) if weight_norm else None

    def bias_or_zeros(self) -> Float[Array, " out_channels"]:
        """b, or zeros where there is none."""
        if self.bias is None:
            return jnp.zeros(self.kernel.shape[-1], self.kernel.dtype)
        return self.bias[...]

    def __call__(
        self,
        x: Num[Array, "batch time *frequency in_channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time *frequency out_channels"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        return masked(self._convolve(x, self.padding), mask)

    def valid(
        self,
        x: Num[Array, "batch time *frequency in_channels"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time *frequency out_channels"]:
        """The outputs that see no padding: `past` fewer at the beginning and `future` fewer at the end."""
        x, _ = enter_with_context(self, x, mask=mask, dropout_key=dropout_key)
        y = self._convolve(x, "valid")
        return masked(y, inner(mask, self.receptive_field.past, y))

    def init_state(
        self, batch_size: Size, dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "batch past *frequency in_channels"]:
        require_causal(self.receptive_field, f"{type(self).__name__} with padding={self.padding!r}")
        return initial_state(self, batch_size, self.receptive_field.past, self.in_channels, dtype)

    def step(
        self,
        x: Num[Array, "batch time *frequency in_channels"],
        state: Float[Array, "batch past *frequency in_channels"],
    ) -> tuple[
        Float[Array, "batch time *frequency out_channels"],
        Float[Array, "batch past *frequency in_channels"],
    ]:
        require_causal(self.receptive_field, f"{type(self).__name__} with padding={self.padding!r}")
        extended, state = extend(self, enter(self, x)[0], state)
        # The past stands where padding would, so the valid outputs are those of the block.
        return self._convolve(extended, "valid"), state

    def _convolve(self, x: Array, padding: Padding) -> Array:
        y = dilated_conv(x, self._weights(), self.dilation, padding)
        return y if self.bias is None else y + self.bias[None, None].astype(y.dtype)

    def _weights(self) -> Array:
        """W."""
        kernel = self.kernel[...]
        if self.gain is None:
            return kernel
        return kernel * (self.gain[...] / _norms(kernel))[None, None]


def _norms(kernel: Array) -> Array:
    """|v| of each output channel."""
    return jnp.sqrt(jnp.sum(kernel * kernel, axis=(0, 1)))
