"""The depthwise separable block of Conv-TasNet's separator."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, require_positive
from wavedil.nn.conv import Conv1d, LayerPadding
from wavedil.nn.door import enter, enter_with_context, weights_dtype
from wavedil.nn.frame_norm import FrameNorm
from wavedil.nn.layer import require_causal
from wavedil.nn.mask import inner, masked
from wavedil.receptive_field import ReceptiveField


class DepthwiseSeparableBlock(nnx.Module):
    """1x1 to many channels, a dilated convolution of each by itself, and a residual and a skip 1x1.

        x -+-> 1x1 -> PReLU -> norm -> depthwise dilated conv -> PReLU -> norm -+-> 1x1 -> + -> residual
           |                                                                    |          |
           |                                                                    +-> 1x1 ---|--> skip
           +-------------------------------------------------------------------------------+

    It has `kernel_size` weights for each of the many channels where an ordinary convolution has as many for each pair.
    The norm is over the channels of one frame, so that the block is causal and sees no more than its receptive field.
    The paper's own causal norm, cumulative over all frames so far, would let every output see the first sample.

    Args:
      channels: Channels of the signal and of the residual output.
      hidden_channels: Channels of the depthwise convolution; usually more.
      skip_channels: Channels of the skip output.
      kernel_size: Taps, at least 1.
      dilation: Samples between taps, at least 1.
      padding: "causal", or "same" for a centred block.
      rngs: Source of the initial weights.

    Shapes:
      __call__: [batch, time, channels] -> ([batch, time, channels], [batch, time, skip_channels])
      state:    [batch, (kernel_size - 1) dilation, hidden_channels], oldest sample first.

    Raises:
      UserError: If a size is no whole number of at least 1.

    Example:
      >>> block = DepthwiseSeparableBlock(16, 64, 16, dilation=4, rngs=nnx.Rngs(0))
      >>> residual, skip = block(jnp.ones((1, 100, 16)))

    Reference: Luo and Mesgarani 2019, arXiv:1809.07454, section II.C.
    """

    def __init__(
        self,
        channels: Size,
        hidden_channels: Size,
        skip_channels: Size,
        *,
        kernel_size: Size = 3,
        dilation: Size = 1,
        padding: LayerPadding = "causal",
        rngs: nnx.Rngs,
    ) -> None:
        channels, hidden_channels, skip_channels = require_positive(
            channels=channels, hidden_channels=hidden_channels, skip_channels=skip_channels
        )
        self.in_channels = channels
        self.enter = Conv1d(channels, hidden_channels, kernel_size=1, rngs=rngs)
        self.enter_activation = _PReLU()
        self.enter_norm = FrameNorm(hidden_channels)
        self.depthwise = Conv1d(
            hidden_channels,
            hidden_channels,
            kernel_size=kernel_size,
            dilation=dilation,
            groups=hidden_channels,
            padding=padding,
            rngs=rngs,
        )
        self.activation = _PReLU()
        self.norm = FrameNorm(hidden_channels)
        self.residual = Conv1d(hidden_channels, channels, kernel_size=1, rngs=rngs)
        self.skip = Conv1d(hidden_channels, skip_channels, kernel_size=1, rngs=rngs)
        self.receptive_field = self.depthwise.receptive_field.union(ReceptiveField(past=0))

    def __call__(
        self,
        x: Num[Array, "batch time channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "batch time channels"], Float[Array, "batch time skip_channels"]]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        residual, skip = self._left(x, self.depthwise(self._hidden(x), mask=mask))
        return masked(residual, mask), masked(skip, mask)

    def valid(
        self,
        x: Num[Array, "batch time channels"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> tuple[
        Float[Array, "batch inner_time channels"], Float[Array, "batch inner_time skip_channels"]
    ]:
        x, _ = enter_with_context(self, x, mask=mask, dropout_key=dropout_key)
        past = self.receptive_field.past
        y = self.depthwise.valid(self._hidden(x), mask=mask)
        residual, skip = self._left(x[:, past : past + y.shape[1]], y)
        there = inner(mask, past, y)
        return masked(residual, there), masked(skip, there)

    def init_state(
        self, batch_size: Size, dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "batch past hidden_channels"]:
        require_causal(self.receptive_field, "DepthwiseSeparableBlock")
        # Before the first sample the convolution sees zeros, as everywhere beyond a signal, and not the norm of zeros.
        return self.depthwise.init_state(batch_size, weights_dtype(self, dtype))

    def step(
        self,
        x: Num[Array, "batch time channels"],
        state: Float[Array, "batch past hidden_channels"],
    ) -> tuple[tuple[Any, Any], Float[Array, "batch past hidden_channels"]]:
        require_causal(self.receptive_field, "DepthwiseSeparableBlock")
        x, _ = enter(self, x)
        y, state = self.depthwise.step(self._hidden(x), state)
        return self._left(x, y), state

    def _hidden(self, x: Array) -> Array:
        """What the depthwise convolution sees."""
        return self.enter_norm(self.enter_activation(self.enter(x)))

    def _left(self, x: Array, y: Array) -> tuple[Array, Array]:
        """What the block gives of its input and the depthwise convolution at the same samples."""
        y = self.norm(self.activation(y))
        return x + self.residual(y), self.skip(y)


class _PReLU(nnx.Module):
    """x where it is positive, else a learned share of it, the same for all channels.

    Reference: He et al. 2015, arXiv:1502.01852.
    """

    def __init__(self) -> None:
        self.slope = nnx.Param(jnp.array(0.25, jnp.float32))

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.where(x > 0, x, self.slope[...].astype(x.dtype) * x)
