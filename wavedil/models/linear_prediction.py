"""Linear prediction of the next sample, by coefficients that follow from mel spectra: what a vocoder starts from."""

import functools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from wavedil.mel import MelConfig, filters, sizes
from wavedil.models.embeddings import smooth_embedding
from wavedil.ops.devices import rows_of

# Points of a table over the mu-law values from -1 to 1, with straight lines between them.
_NUM_POINTS = 256
# White noise that is added to a spectrum, of its power: without, a spectrum with empty bands has no stable prediction.
_NOISE = 1e-4


class LinearPrediction(nnx.Module):
    """What a network makes of a guess of the next sample.

        mel spectra -> power spectrum -> autocorrelation -> a_1 .. a_K            of every frame
        s[t] = a_1 x[t] + a_2 x[t - 1] + ... + a_K x[t - K + 1]                   of sample t + 1, at t

    and where features carry pitch, half of what that left a pitch period before, as far as the sound is voiced: with
    the residual r[t] = x[t] - s[t - 1], the dilation d (one less than the period) and the voicing v,

        g[t] = s[t] + v[t] (r[t - d - 1] + 2 r[t - d] + r[t - d + 1]) / 8

    All of it makes sounds that grow louder with every period, of what a network draws wrongly.

    Features say which frequencies a voice has; how that makes the next sample of those before it is what a network
    is slow to learn, and is known beforehand. The network learns what such a guess is worth by two tables over its
    mu-law value, with straight lines between their points: one is added to the input of the stack, one to the
    parameters of the distribution.

    Args:
      channels: Of the input of the stack.
      num_outputs: Parameters of the distribution.
      rngs: Source of the initial weights.

    Shapes:
      guess: [batch, time], beside the input of the stack and the parameters, [batch, time, ...]

    Reference: Atal and Hanauer 1971, doi:10.1121/1.1912679; Valin and Skoglund 2018 (LPCNet), arXiv:1810.11846.
    """

    def __init__(self, channels: int, num_outputs: int, *, rngs: nnx.Rngs) -> None:
        self.input_table = nnx.Param(smooth_embedding(_NUM_POINTS, channels, rngs))
        self.output_table = nnx.Param(jnp.zeros((_NUM_POINTS, num_outputs), jnp.float32))

    def with_input(
        self, entered: Float[Array, "*samples channels"], guess: Float[Array, "*samples"]
    ) -> Float[Array, "*samples channels"]:
        """The input of the stack with what the guess adds to it."""
        return entered + _between_points(self.input_table[...].astype(entered.dtype), guess)

    def with_output(
        self, parameters: Float[Array, "*samples outputs"], guess: Float[Array, "*samples"]
    ) -> Float[Array, "*samples outputs"]:
        """The parameters of the distribution with what the guess adds to them."""
        return parameters + _between_points(self.output_table[...].astype(parameters.dtype), guess)


def coefficients(
    frames: Float[Array, "*frames num_mels"], settings: MelConfig, order: int
) -> Float[Array, "*frames order"]:
    """Those of the linear prediction that leaves least of a sound with these mel spectra, the newest sample's first.

    A band's mean magnitude is taken for that of the frequencies in it, by their share in it, and the nearest one's for
    those in none. Levinson's recursion solves for what minimises the residual's power.

    Args:
      frames: As `mel.mel` makes them.
      settings: With which it made them.
      order: Samples that a prediction is made of.
    """
    dtype = jnp.promote_types(frames.dtype, jnp.float32)
    bands = math.log(settings.smallest) * (1 - frames.astype(dtype))
    shares, sums, to_lags = (array.astype(dtype) for array in _constants(settings, order))
    means = bands - sums.reshape((1,) * (bands.ndim - 1) + sums.shape)
    log_power = 2 / settings.power * (means @ shares)
    # Relative to the loudest, which a prediction does not depend on.
    power = jnp.exp(log_power - log_power.max(-1, keepdims=True))
    lags = power @ to_lags
    return _levinson(lags / lags[..., :1])


State = dict[str, Float[Array, "batch past 1"]]
"""What came before: amplitudes, the last s, and the residuals of a model whose features carry pitch."""


def state_before(batch_size: int, order: int, longest_lag: int | None, dtype: Any) -> State:
    """The state before any sample.

    Args:
      batch_size: Signals.
      order: Samples that a prediction is made of.
      longest_lag: The longest dilation; None for a model whose features carry no pitch.
      dtype: Of floats.
    """
    past = {"amplitudes": order - 1}
    if longest_lag is not None:
        past |= {"short": 1, "residuals": longest_lag + 1}
    return {name: jnp.zeros((batch_size, count, 1), dtype) for name, count in past.items()}


def guess_of(
    amplitudes: Float[Array, "batch time"],
    weights: Float[Array, "batch time order"],
    dilation: Int[Array, "batch time"] | None,
    voicing: Float[Array, "batch time"] | None,
    before: State,
) -> tuple[Float[Array, "batch time"], State]:
    """The guess of each next sample, g in `LinearPrediction`, and the state after the last one."""
    order, count = weights.shape[-1], amplitudes.shape[1]
    seen = jnp.concatenate([before["amplitudes"][..., 0], amplitudes], axis=1)
    after = {"amplitudes": seen[:, seen.shape[1] - order + 1 :, None]}
    short = jnp.zeros_like(amplitudes)
    for lag in range(order):
        end = order - 1 - lag
        short = short + weights[..., lag] * seen[:, end : end + count]
    if dilation is None or voicing is None:
        return short, after
    shorts = jnp.concatenate([before["short"][..., 0], short], axis=1)
    residuals = jnp.concatenate([before["residuals"][..., 0], amplitudes - shorts[:, :-1]], axis=1)
    past = before["residuals"].shape[1]
    middle = jnp.arange(past, past + count, dtype=jnp.int32)[None] - dilation
    around = [jnp.take_along_axis(residuals, middle + by, axis=1) for by in (-1, 0, 1)]
    after |= {
        "short": shorts[:, count:, None],
        "residuals": residuals[:, count:, None],
    }
    return short + voicing.astype(short.dtype) * smoothed(*around), after


def smoothed(earlier: Array, middle: Array, later: Array) -> Array:
    """Half of the residuals around one period before: a period is rounded to samples."""
    return (earlier + 2 * middle + later) / 8


def _between_points(table: Array, guess: Array) -> Array:
    limited = jnp.clip(guess, -1, 1)
    compressed = jnp.sign(limited) * jnp.log1p(255 * jnp.abs(limited)) / math.log(256)
    place = (compressed + 1) * ((len(table) - 1) / 2)
    below = jnp.clip(jnp.floor(place), 0, len(table) - 2)
    share = (place - below).astype(table.dtype)[..., None]
    row = jnp.nan_to_num(below).astype(jnp.int32)
    return (1 - share) * rows_of(table, row) + share * rows_of(table, row + 1)


def _levinson(lags: Array) -> Array:
    """The coefficients a_k with sum_k a_k r[|i - k|] = r[i], i = 1 .. order, of autocorrelations r[0 .. order]."""
    order = lags.shape[-1] - 1

    def add_one(carry: Any, given: Any) -> Any:
        # Coefficients so far, the same and the autocorrelations the other way round, and the residual's power.
        ahead, back, newest, error = carry
        lag, last = given
        reflection = (lag - (ahead * newest).sum(-1)) / error
        by = reflection[..., None]
        ahead, back = ahead - by * back + by * last, back - by * ahead
        back = jnp.concatenate([by, back[..., :-1]], -1)
        newest = jnp.concatenate([lag[..., None], newest[..., :-1]], -1)
        return (ahead, back, newest, error * (1 - reflection**2)), None

    nothing = 0 * lags[..., 1:]
    start = nothing, nothing, nothing, lags[..., 0]
    last = jnp.eye(order, dtype=lags.dtype).reshape(order, *(1,) * (lags.ndim - 1), order)
    return lax.scan(add_one, start, (jnp.moveaxis(lags[..., 1:], -1, 0), last))[0][0]


@functools.lru_cache(maxsize=8)
def _constants(settings: MelConfig, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of each band in every frequency, the logarithms of the bands' sums, and powers -> autocorrelations."""
    bands = np.asarray(filters(settings).todense(), np.float64)
    sums = bands.sum(axis=0)
    known = np.flatnonzero(sums)
    nearest = np.abs(np.arange(len(sums))[:, None] - known).argmin(axis=1)
    shares = (bands / np.where(sums, sums, 1))[:, known[nearest]]
    _, fft_size, _ = sizes(settings)
    lags = np.arange(order + 1)
    cosines = np.cos(2 * np.pi * np.outer(np.arange(len(sums)), lags) / fft_size)
    cosines[1 : (fft_size + 1) // 2] *= 2
    cosines[:, 0] *= 1 + _NOISE
    return shares, np.log(bands.sum(axis=1)), cosines / fft_size
