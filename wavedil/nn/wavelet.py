"""The undecimated wavelet transform, whose filters are dilated convolutions."""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, require_bool, require_positive
from wavedil.nn.door import enter, enter_with_context, require_parts
from wavedil.nn.layer import extend, initial_state
from wavedil.nn.mask import inner, masked
from wavedil.nn.wavelet_filters import scaling_filter, wavelet_filter
from wavedil.receptive_field import ReceptiveField

State = list[Float[Array, "batch _ channels"]]


class _Wavelet(nnx.Module):
    """What analysis and synthesis have in common."""

    def __init__(
        self, channels: Size, *, levels: Size, wavelet: str = "haar", learnable: bool = False
    ) -> None:
        channels, levels = require_positive(channels=channels, levels=levels)
        self.channels, self.wavelet = channels, wavelet
        scaling = scaling_filter(wavelet)
        self.dilations = tuple(2**level for level in range(levels))
        # Samples that a filter sees before its output's own, level by level.
        self.spans = tuple((len(scaling) - 1) * dilation for dilation in self.dilations)
        pairs = [(scaling, wavelet_filter(scaling))] * levels
        learnable = require_bool("learnable", learnable)
        # Filters that are fixed are numbers of the program, so that no optimizer, cast or file can change them.
        self.filters = nnx.Param(jnp.array(pairs, jnp.float32)) if learnable else None
        self.receptive_field = ReceptiveField(past=sum(self.spans))

    @property
    def delay(self) -> int:
        """Samples from a signal to its reconstruction: (2^levels - 1)(taps - 1)."""
        return sum(self.spans)

    def _pairs(self, dtype: Any) -> list[tuple[Any, Any]]:
        """The scaling filter and the wavelet filter of every level."""
        if self.filters is None:
            scaling = scaling_filter(self.wavelet)
            return [(scaling, wavelet_filter(scaling))] * len(self.dilations)
        filters = self.filters[...].astype(dtype)
        numbers = range(filters.shape[-1])
        return [
            ([low[k] for k in numbers], [high[k] for k in numbers])
            for low, high in (filters[level] for level in range(len(self.dilations)))
        ]


class AtrousWavelet(_Wavelet):
    """Undecimated wavelet transform: the signal as an approximation and the details left out of it at each level.

    With a_0 = x, the scaling filter h, the wavelet filter g, and holes ("trous") between their 2n taps,

        a_j[t] = sum_k h[2n - 1 - k] a_(j-1)[t - 2^(j-1) k]        d_j[t] = sum_k g[2n - 1 - k] a_(j-1)[t - 2^(j-1) k]

    in every channel by itself. It shifts with the signal, keeps its rate, and is causal.

        x = a_0 -+-> h, dilation 1 -> a_1 -+-> h, dilation 2 -> a_2 -> ... a_levels
                 |                         |
                 +-> g, dilation 1 -> d_1  +-> g, dilation 2 -> d_2

    Away from the ends it is PyWavelets' `swt(x, wavelet, levels, trim_approx=True)`, whose filters are centred: its
    a_j[t] and d_j[t] are those here at t + (2^j - 1) n.

    Args:
      channels: Channels of the signal.
      levels: How often the approximation is divided, at least 1.
      wavelet: "haar", Daubechies' "db1" (which is "haar") to "db10", or the symlets "sym2" to "sym8", of n = 1 to 10
        vanishing moments.
      learnable: Whether the filters are weights, one pair [h, g] for each level, that begin as the wavelet's;
        otherwise they are fixed, and the layer has no weights.

    Shapes:
      __call__: [batch, time, channels] -> [batch, time, (levels + 1) channels]: all channels of a_levels, then of
                d_levels, d_(levels-1) ... d_1.
      filters:  [levels, 2, 2n] of a learnable one.
      state:    one array [batch, (2n - 1) 2^(j-1), channels] of a_(j-1) for each level j, oldest sample first.

    Raises:
      UserError: If a size is no whole number of at least 1, or the wavelet is unknown.

    Example:
      >>> bands = AtrousWavelet(1, levels=4, wavelet="db2")(jnp.ones((1, 100, 1)))
      >>> bands.shape
      (1, 100, 5)

    Reference: Holschneider, Kronland-Martinet, Morlet and Tchamitchian 1989, "A real-time algorithm for signal
    analysis with the help of the wavelet transform", doi:10.1007/978-3-642-75988-8_28.
    """

    def __init__(
        self, channels: Size, *, levels: Size, wavelet: str = "haar", learnable: bool = False
    ) -> None:
        super().__init__(channels, levels=levels, wavelet=wavelet, learnable=learnable)
        self.in_channels = self.channels

    def __call__(
        self,
        x: Num[Array, "batch time channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time bands"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        return masked(self._run(x, self.init_state(x.shape[0], x.dtype))[0], mask)

    def valid(
        self,
        x: Num[Array, "batch time channels"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time bands"]:
        x, _ = enter_with_context(self, x, mask=mask, dropout_key=dropout_key)
        y, _ = self._run(x, None)
        return masked(y, inner(mask, self.delay, y))

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> State:
        return [initial_state(self, batch_size, span, self.channels, dtype) for span in self.spans]

    def step(
        self, x: Num[Array, "batch time channels"], state: State
    ) -> tuple[Float[Array, "batch time bands"], State]:
        require_parts(self, state, range(len(self.spans)))
        return self._run(enter(self, x)[0], state)

    def _run(self, x: Array, state: State | None) -> tuple[Array, State]:
        details, after = [], []
        for level, (low, high) in enumerate(self._pairs(x.dtype)):
            if state is not None:
                x, past = _extended(self, x, state[level], self.spans[level])
                after.append(past)
            dilation = self.dilations[level]
            details.append(_correlated(x, high, dilation))
            x = _correlated(x, low, dilation)
        bands = [x, *reversed(details)]
        # Without a state the first levels have more outputs than the last.
        return jnp.concatenate([y[:, y.shape[1] - x.shape[1] :] for y in bands], axis=-1), after


class AtrousWaveletSynthesis(_Wavelet):
    """The signal from the approximation and details of `AtrousWavelet`, `delay` samples later.

    From the last level to the first,

        a_(j-1)[t] = 1/2 sum_k (h[k] a_j[t - 2^(j-1) k] + g[k] d_j[t - 2^(j-1) k])

    A level answers (2n - 1) 2^(j-1) samples after its signal, so details wait for the approximation of their level:

        a_3 -> h, g, dilation 4 -> h, g, dilation 2 -> h, g, dilation 1 -> x delayed by 7 (2n - 1)
        d_3 ---^                   ^                   ^
        d_2 ------- 4 (2n - 1) ----+                   |
        d_1 --------------------------- 6 (2n - 1) ----+

    From the first sample on, synthesis(analysis(x)) is zero for `delay` samples and then x. A signal ends in its last
    `delay` samples: put as many zeros after it to have all of it back.

    Args:
      channels: Channels of the signal.
      levels: Levels of the analysis.
      wavelet: Wavelet of the analysis.
      learnable: Whether the filters are weights of this layer.

    Shapes:
      __call__: [batch, time, (levels + 1) channels] -> [batch, time, channels]
      filters:  [levels, 2, 2n] of a learnable one.
      state:    for each level j one array of a_j, then for each one of d_j, oldest sample first.

    Raises:
      UserError: If a size is no whole number of at least 1, or the wavelet is unknown.

    Example:
      >>> analysis, synthesis = AtrousWavelet(1, levels=3), AtrousWaveletSynthesis(1, levels=3)
      >>> synthesis(analysis(x))  # x 7 samples later, synthesis.delay

    Reference: as `AtrousWavelet`; Shensa 1992, "The discrete wavelet transform: wedding the à trous and Mallat
    algorithms", doi:10.1109/78.157290.
    """

    def __init__(
        self, channels: Size, *, levels: Size, wavelet: str = "haar", learnable: bool = False
    ) -> None:
        super().__init__(channels, levels=levels, wavelet=wavelet, learnable=learnable)
        num_levels = len(self.spans)
        self.in_channels = (num_levels + 1) * self.channels
        # What an approximation lags behind at its level, and with it what the filters there see.
        self._waits = tuple(sum(self.spans[level:]) for level in range(num_levels))

    def __call__(
        self,
        x: Num[Array, "batch time bands"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time channels"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        return masked(self._run(x, self.init_state(x.shape[0], x.dtype))[0], mask)

    def valid(
        self,
        x: Num[Array, "batch time bands"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time channels"]:
        x, _ = enter_with_context(self, x, mask=mask, dropout_key=dropout_key)
        y, _ = self._run(x, None)
        return masked(y, inner(mask, self.delay, y))

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> State:
        lengths = self.spans + self._waits
        return [initial_state(self, batch_size, past, self.channels, dtype) for past in lengths]

    def step(
        self, x: Num[Array, "batch time bands"], state: State
    ) -> tuple[Float[Array, "batch time channels"], State]:
        require_parts(self, state, range(2 * len(self.spans)))
        return self._run(enter(self, x)[0], state)

    def _run(self, x: Array, state: State | None) -> tuple[Array, State]:
        num_levels, pairs = len(self.spans), self._pairs(x.dtype)
        approximation, *details = jnp.split(x, num_levels + 1, axis=-1)
        after = list(state or ())
        for level, detail in zip(reversed(range(num_levels)), details, strict=True):
            if state is not None:
                approximation, after[level] = _extended(
                    self, approximation, state[level], self.spans[level]
                )
                waiting = num_levels + level
                detail, after[waiting] = _extended(self, detail, state[waiting], self._waits[level])
            # Both begin with what the first output sees; the detail goes on with what has yet to wait.
            detail = detail[:, : approximation.shape[1]]
            low, high = (
                _correlated(band, taps[::-1], self.dilations[level])
                for band, taps in zip((approximation, detail), pairs[level], strict=True)
            )
            approximation = 0.5 * (low + high)
        return approximation, after


def _extended(layer: Any, x: Array, past: Array, num_samples: int) -> tuple[Array, Array]:
    extended, past = extend(layer, x, past, num_samples)
    # Otherwise XLA joins past and block again at every tap, and levels within levels.
    return lax.optimization_barrier(extended), past


def _correlated(x: Array, taps: Sequence[Any], dilation: int) -> Array:
    """The valid outputs sum_i taps[i] x[t + dilation i], of every channel by itself."""
    # A sum of shifted signals, which XLA computes in one pass; a convolution of one channel takes many times as long.
    num_samples = x.shape[1] - (len(taps) - 1) * dilation
    shifted = [x[:, i * dilation : i * dilation + num_samples] for i in range(len(taps))]
    return functools.reduce(operator.add, map(operator.mul, taps, shifted))
