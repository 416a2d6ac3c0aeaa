"""Convolution whose dilation follows the pitch."""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from wavedil.errors import Size, require_bool, require_positive, require_whole
from wavedil.nn.door import enter, enter_pitch, enter_with_context
from wavedil.nn.layer import extend, initial_state, normal
from wavedil.nn.mask import inner, masked
from wavedil.ops import pitch_dilated_conv
from wavedil.ops.promotion import promoted
from wavedil.receptive_field import ReceptiveField

Dilation = Int[Array, "batch time"]
Voicing = Num[Array, "batch time"]


class PitchConv1d(nnx.Module):
    r"""Convolution over the sample itself and those one, two ... pitch periods ago.

    y[t] = b + W_0 x[t] + v[t] sum_k sum_{|j| <= spread} W[k, j] x[t - k d[t] + j]        k = 1 .. taps

    d is the pitch period in samples, or a part of it, and v how voiced the sound is: both come with every sample.
    The receptive field is that of the longest period:

        taps=1, spread=1       x   a b c . . . . . e
                                    \|/            |
                               y                   y[t]        (t under e, longest_lag under b)

    Args:
      in_channels: Channels of the input.
      out_channels: Channels of the output.
      longest_lag: The longest dilation that there may be, in samples.
      taps: How many periods back it sees, at least 1.
      spread: Neighbours that it sees on either side of each tap, fewer than longest_lag.
      use_bias: Whether b is there.
      rngs: Source of the initial weights, normal with variance 1 / (taps and channels that meet in an output).

    Shapes:
      __call__: x [batch, time, in_channels], dilation int [batch, time] from spread + 1 to longest_lag,
                voicing [batch, time] from 0 to 1, or None for 1 -> [batch, time, out_channels]
      state:    [batch, taps longest_lag + spread, in_channels], oldest sample first.

    Raises:
      UserError: If a size is none; when called, if dilation or voicing do not fit the signal, or a dilation that is
        known is out of range. One that is out of range in a compiled function gives NaN.

    Example:
      >>> conv = PitchConv1d(1, 8, longest_lag=120, spread=2, rngs=nnx.Rngs(0))
      >>> conv(jnp.ones((1, 500, 1)), jnp.full((1, 500), 80), jnp.ones((1, 500))).shape
      (1, 500, 8)

    Reference: Wu et al. 2019, arXiv:1907.00797 (spread 0); Valin and Skoglund 2018, arXiv:1810.11846.
    """

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        *,
        longest_lag: Size,
        taps: Size = 1,
        spread: int = 0,
        use_bias: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        in_channels, out_channels, longest_lag, taps = require_positive(
            in_channels=in_channels, out_channels=out_channels, longest_lag=longest_lag, taps=taps
        )
        spread = require_whole("spread", spread, least=0)
        require_whole("longest_lag", longest_lag, least=spread + 1)
        self.in_channels, self.longest_lag, self.spread = in_channels, longest_lag, spread
        self.receptive_field = ReceptiveField.pitch_conv(longest_lag, taps, spread)
        window = 2 * spread + 1
        # An output of inputs with variance 1 then has variance 1.
        scale = ((1 + taps * window) * in_channels) ** -0.5
        self.newest = nnx.Param(scale * normal(rngs, (in_channels, out_channels)))
        self.kernel = nnx.Param(scale * normal(rngs, (taps, window, in_channels, out_channels)))
        use_bias = require_bool("use_bias", use_bias)
        self.bias = nnx.Param(jnp.zeros(out_channels, jnp.float32)) if use_bias else None

    def __call__(
        self,
        x: Num[Array, "batch time in_channels"],
        dilation: Dilation,
        voicing: Voicing | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time out_channels"]:
        signal, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        dilation, voicing = enter_pitch(self, x, signal, dilation, voicing, mask)
        return masked(self._convolve(signal, signal, dilation, voicing), mask)

    def valid(
        self,
        x: Num[Array, "batch time in_channels"],
        dilation: Dilation,
        voicing: Voicing | None = None,
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time out_channels"]:
        signal, _ = enter_with_context(self, x, mask=mask, dropout_key=dropout_key)
        dilation, voicing = enter_pitch(self, x, signal, dilation, voicing, mask)
        past = self.receptive_field.past
        voicing = None if voicing is None else voicing[:, past:]
        y = self._convolve(signal, signal[:, past:], dilation[:, past:], voicing)
        return masked(y, inner(mask, past, y))

    def init_state(
        self, batch_size: Size, dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "batch past in_channels"]:
        return initial_state(self, batch_size, self.receptive_field.past, self.in_channels, dtype)

    def step(
        self,
        x: Num[Array, "batch time in_channels"],
        state: Float[Array, "batch past in_channels"],
        dilation: Dilation,
        voicing: Voicing | None = None,
    ) -> tuple[Float[Array, "batch time out_channels"], Float[Array, "batch past in_channels"]]:
        signal, _ = enter(self, x)
        dilation, voicing = enter_pitch(self, x, signal, dilation, voicing)
        extended, state = extend(self, signal, state)
        return self._convolve(extended, signal, dilation, voicing), state

    def _convolve(self, x: Array, now: Array, dilation: Array, voicing: Array | None) -> Array:
        """The outputs at the last samples of x, which are `now`."""
        newest, kernel, now = promoted(self.newest[...], self.kernel[...], now)
        voicing = None if voicing is None else jnp.asarray(voicing, x.dtype)
        past = pitch_dilated_conv(x, kernel, dilation, voicing, longest_lag=self.longest_lag)
        y = now @ newest + past
        return y if self.bias is None else y + self.bias[...][None, None].astype(y.dtype)
