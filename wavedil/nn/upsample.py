"""Learned upsampling: repetition and a convolution that smooths it, and sub-pixels.

A transposed convolution does the same with an uneven number of taps at every other sample, which is heard
as a tone (Odena et al. 2016, doi:10.23915/distill.00003), and XLA is slow at it on a CPU.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, require_positive
from wavedil.nn.conv import Conv1d, LayerPadding
from wavedil.nn.door import enter
from wavedil.nn.layer import extend, initial_state, require_causal
from wavedil.nn.mask import at_stride
from wavedil.ops.devices import reshaped
from wavedil.receptive_field import ReceptiveField


class RepeatUpsample(nnx.Module):
    r"""Every sample `factor` times, then a convolution that smooths the steps.

    y = W * r + b        r[t] = x[floor(t / factor)]

        factor=4, kernel_size=3, "same"      x   a        b
                                             r   a a a a  b b b b
                                                       \ | /
                                             y           t        (sees a and b)

    Args:
      in_channels: Channels of the input.
      out_channels: Channels of the output.
      factor: Output samples for each input sample.
      kernel_size: Taps of the convolution, in output samples.
      padding: "causal" or "same".
      rngs: Source of the initial weights: an orthogonal mixture of channels, weighted along the taps by a bell.

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, factor time, out_channels]
      state:    [batch, past, in_channels], oldest sample first.

    Raises:
      UserError: If a size is no whole number of at least 1.

    Example:
      >>> RepeatUpsample(8, 8, factor=4, rngs=nnx.Rngs(0))(jnp.ones((1, 10, 8))).shape
      (1, 40, 8)
    """

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        *,
        factor: Size,
        kernel_size: Size = 3,
        padding: LayerPadding = "causal",
        rngs: nnx.Rngs,
    ) -> None:
        in_channels, out_channels, factor, kernel_size = require_positive(
            in_channels=in_channels,
            out_channels=out_channels,
            factor=factor,
            kernel_size=kernel_size,
        )
        self.in_channels = in_channels
        self.factor = factor
        self.conv = Conv1d(
            in_channels, out_channels, kernel_size=kernel_size, padding=padding, rngs=rngs
        )
        # Starts as a smooth repetition; taps drawn one by one would start as noise at every step.
        bell = np.array([1.0])
        # Binomial weights, which add up to 1: a constant input stays as it is.
        for _ in range(kernel_size - 1):
            bell = np.convolve(bell, [0.5, 0.5])
        mixture = _orthogonal(1, in_channels, out_channels, rngs)
        self.conv.kernel[...] = jnp.asarray(bell, mixture.dtype)[:, None, None] * mixture
        self.receptive_field = ReceptiveField.upsample(factor).then(self.conv.receptive_field)

    def __call__(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch out_time out_channels"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        mask = at_stride(mask, self.receptive_field.stride)
        return self.conv(jnp.repeat(x, self.factor, axis=1), mask=mask)

    def valid(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch out_time out_channels"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key, valid=True)
        mask = at_stride(mask, self.receptive_field.stride)
        return self.conv.valid(jnp.repeat(x, self.factor, axis=1), mask=mask)

    def init_state(
        self, batch_size: Size, dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "batch past in_channels"]:
        require_causal(self.receptive_field, f"RepeatUpsample with padding={self.conv.padding!r}")
        return initial_state(self, batch_size, self.receptive_field.past, self.in_channels, dtype)

    def step(
        self,
        x: Num[Array, "batch time in_channels"],
        state: Float[Array, "batch past in_channels"],
    ) -> tuple[Float[Array, "batch out_time out_channels"], Float[Array, "batch past in_channels"]]:
        x, _ = enter(self, x)
        _, after = extend(self, x, state)
        # The state holds inputs. The convolution has a past of output samples, and of those that the oldest
        # input is repeated to it may need the last ones alone:
        #
        #     state       a       b
        #     repeated    a a a a b b b b           factor 4
        #     past              a b b b b           of a convolution with 6 taps
        past = jnp.repeat(state, self.factor, axis=1)
        past = past[:, past.shape[1] - self.conv.receptive_field.past :]
        y, _ = self.conv.step(jnp.repeat(x, self.factor, axis=1), past)
        return y, after


class SubPixelUpsample(nnx.Module):
    r"""A convolution to `factor` times the channels, which become as many samples one after the other.

    y[factor t + p] = b[p] + sum_k W[k, p] x[t - kernel_size + 1 + k]        p = 0 .. factor - 1

        factor=4, kernel_size=1      x   a           b
                                       / | | \     / | | \
                                     y 0 1 2 3     4 5 6 7

    Args:
      in_channels: Channels of the input.
      out_channels: Channels of the output.
      factor: Output samples for each input sample.
      kernel_size: Taps of the convolution, in input samples.
      padding: "causal" or "same".
      rngs: Source of the initial weights: an orthogonal mixture of channels, the same for every p, so that it
        starts as a repetition.

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, factor time, out_channels]
      state:    [batch, past, in_channels], oldest sample first.

    Raises:
      UserError: If a size is no whole number of at least 1.

    Example:
      >>> SubPixelUpsample(8, 8, factor=4, rngs=nnx.Rngs(0))(jnp.ones((1, 10, 8))).shape
      (1, 40, 8)

    Reference: Shi et al. 2016, arXiv:1609.05158; the initial weights, Aitken et al. 2017, arXiv:1707.02937.
    """

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        *,
        factor: Size,
        kernel_size: Size = 1,
        padding: LayerPadding = "causal",
        rngs: nnx.Rngs,
    ) -> None:
        in_channels, out_channels, factor, kernel_size = require_positive(
            in_channels=in_channels,
            out_channels=out_channels,
            factor=factor,
            kernel_size=kernel_size,
        )
        self.in_channels = in_channels
        self.factor = factor
        self.conv = Conv1d(
            in_channels, factor * out_channels, kernel_size=kernel_size, padding=padding, rngs=rngs
        )
        mixture = _orthogonal(kernel_size, in_channels, out_channels, rngs)
        # The same mixture for all `factor` samples: the layer starts as a repetition, without a tone of its own.
        self.conv.kernel[...] = jnp.tile(mixture, factor)
        self.receptive_field = self.conv.receptive_field.then(ReceptiveField.upsample(factor))

    def __call__(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch out_time out_channels"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        return self._spread(self.conv(x, mask=mask))

    def valid(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch out_time out_channels"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key, valid=True)
        return self._spread(self.conv.valid(x, mask=mask))

    def init_state(
        self, batch_size: Size, dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "batch past in_channels"]:
        require_causal(self.receptive_field, f"SubPixelUpsample with padding={self.conv.padding!r}")
        return self.conv.init_state(batch_size, dtype)

    def step(
        self,
        x: Num[Array, "batch time in_channels"],
        state: Float[Array, "batch past in_channels"],
    ) -> tuple[Float[Array, "batch out_time out_channels"], Float[Array, "batch past in_channels"]]:
        y, state = self.conv.step(enter(self, x)[0], state)
        return self._spread(y), state

    def _spread(self, y: Array) -> Array:
        # Channels p C .. (p + 1) C - 1 are the C channels of sample p.
        _, num_samples, num_channels = y.shape
        return reshaped(y, num_samples * self.factor, num_channels // self.factor)


def _orthogonal(
    kernel_size: int, in_channels: int, out_channels: int, rngs: nnx.Rngs
) -> Float[Array, "kernel_size in_channels out_channels"]:
    """An orthogonal mixture of channels, which keeps the norm; random ones lose a little of it in each layer."""
    make = jax.nn.initializers.orthogonal()
    flat = make(rngs.params(), (kernel_size * in_channels, out_channels), jnp.float32)
    return flat.reshape(kernel_size, in_channels, out_channels)
