"""The dilated convolution whose dilation follows the pitch of the signal."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Num

from wavedil.errors import UserError, require_size
from wavedil.ops.devices import on_each_device, split_alike
from wavedil.ops.promotion import promoted


def pitch_dilated_conv(
    x: Num[Array, "batch past_and_time in_channels"],
    kernel: Num[Array, "taps window in_channels out_channels"],
    dilation: Int[Array, "batch time"],
    voicing: Num[Array, "batch time"] | None = None,
    *,
    longest_lag: int,
) -> Float[Array, "batch time out_channels"]:
    r"""Convolution whose taps lie one, two ... dilations back, where the dilation is another at every sample.

        y[t] = v[t] sum_k sum_{|j| <= spread} W[k, j] x[t - k d[t] + j]        k = 1 .. taps

    With d the pitch period, the taps see what the sound was one period ago:

        taps=1, spread=1        x   . . a b c . . . . . .
                                         \|/       |
                                    d[t]  |<------>|
                                        y          y[t]

    The taps are gathered in one array [batch, time, taps, 2 spread + 1, in_channels] and meet the filter in one matmul.

    Args:
      x: Signal. Before its first sample it is zero; or it has `taps longest_lag + spread` samples more than the
        dilation, which are its past and have no outputs.
      kernel: W, of 2 spread + 1 samples around each tap; the last of them is the newest.
      dilation: d, from spread + 1 to longest_lag.
      voicing: v, from 0 to 1; 1 where it is left out.
      longest_lag: The longest dilation that there may be.

    Returns:
      The outputs, in the type that standard promotion gives. Where the dilation is out of range and that shows only
      when the compiled function runs, NaN.

    Raises:
      UserError: If shapes do not fit, or a dilation whose value is known is out of range.

    Example:
      >>> x = jnp.sin(2 * jnp.pi * jnp.arange(100) / 20)[None, :, None]
      >>> y = pitch_dilated_conv(x, jnp.ones((1, 1, 1, 1)), jnp.full((1, 100), 20), longest_lag=40)   # x again

    Reference: Wu et al. 2019, arXiv:1907.00797 (spread 0).
    """
    longest_lag = require_size("longest_lag", longest_lag)
    num_taps, spread = _check(x, kernel, dilation, voicing, longest_lag)
    past = num_taps * longest_lag + spread
    x, kernel, voicing = promoted(x, kernel, voicing)
    dilation, voicing = split_alike((jnp.asarray(dilation, jnp.int32), voicing), x)
    if x.shape[1] - dilation.shape[1] == 0:
        x = jnp.pad(x, ((0, 0), (past, 0), (0, 0)))

    def convolve(x: Array, kernel: Array, dilation: Array, voicing: Array | None) -> Array:
        y = taps_at(x, dilation, num_taps, spread, past) @ kernel.reshape(-1, kernel.shape[-1])
        y = y if voicing is None else y * voicing[..., None]
        fits = (dilation > spread) & (dilation <= longest_lag)
        return jnp.where(fits[..., None], y, jnp.nan)

    return on_each_device(convolve, (x, kernel, dilation, voicing), (True, False, True, True))


def taps_at(
    x: Float[Array, "batch past_and_time channels"],
    dilation: Int[Array, "batch time"],
    num_taps: int,
    spread: int,
    past: int,
) -> Float[Array, "batch time taps_and_channels"]:
    """The samples around t - k d[t] for every t, side by side: k = 1 first, of each the oldest first."""
    # Where d is out of range, slices are moved inside the signal.
    now = past + jnp.arange(dilation.shape[1], dtype=jnp.int32)[None, :, None]
    back = dilation[..., None] * np.arange(1, num_taps + 1, dtype=np.int32)[None, None]
    first = now - back - spread

    def of_signal(x: Array, first: Array) -> Array:
        # Windows of neighbouring samples lie side by side in memory: one copy for each.
        read = jax.vmap(lambda start: lax.dynamic_slice_in_dim(x, start, 2 * spread + 1))
        return read(first)

    windows = jax.vmap(of_signal)(x, first.reshape(len(x), dilation.shape[1] * num_taps))
    return windows.reshape(*dilation.shape, num_taps * (2 * spread + 1) * x.shape[2])


def require_dilation(dilation: Any, shortest: int, longest: int) -> None:
    """Refuses dilations whose values are known and out of range."""
    if isinstance(dilation, jax.core.Tracer) or not dilation.size:
        return
    low, high = int(np.min(dilation)), int(np.max(dilation))
    if low < shortest or high > longest:
        raise UserError(
            f"the dilation goes from {low} to {high} samples, but it must lie between spread + 1 = {shortest} and "
            f"longest_lag = {longest}; use jnp.clip(dilation, {shortest}, {longest}) with voicing 0 where there is no "
            "pitch, or another longest_lag"
        )


def _check(x: Any, kernel: Any, dilation: Any, voicing: Any, longest_lag: int) -> tuple[int, int]:
    """The taps and the spread of a filter that fits the signal."""
    if x.ndim != 3 or kernel.ndim != 4 or kernel.shape[1] % 2 != 1 or x.shape[2] != kernel.shape[2]:
        raise UserError(
            f"x has shape {x.shape} and kernel {kernel.shape}; expected x [batch, time, in] and kernel "
            "[taps, 2 spread + 1, in, out]"
        )
    num_taps, spread = kernel.shape[0], kernel.shape[1] // 2
    past = num_taps * longest_lag + spread
    if not jnp.issubdtype(jnp.result_type(dilation), jnp.integer):
        raise UserError(
            f"the dilation holds {jnp.result_type(dilation)}, but it counts samples; round it to int32"
        )
    for name, given in (("dilation", dilation), ("voicing", voicing)):
        if given is not None and (
            given.ndim != 2
            or given.shape[0] != x.shape[0]
            or given.shape[1] not in (x.shape[1], x.shape[1] - past)
            or given.shape != dilation.shape
        ):
            raise UserError(
                f"the {name} has shape {given.shape} and x {x.shape}; give one [batch, time] for every sample of x, or "
                f"for all but the first {past}"
            )
    require_dilation(dilation, spread + 1, longest_lag)
    return num_taps, spread
