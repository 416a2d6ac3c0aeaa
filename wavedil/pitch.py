"""Pitch of recordings: the period, and how voiced the sound is, for every frame.

Frame i covers samples `i hop .. (i + 1) hop - 1`.

correlation with the sound one lag ago -> peaks, the candidates -> the cheapest path through them
"""

import dataclasses
from typing import Self

import numpy as np
from jaxtyping import Float, Float32

from wavedil.config import Config, decided
from wavedil.errors import UserError, require_positive
from wavedil.frames import num_frames

# Long enough for two periods of a low voice.
_WINDOW_SECONDS = 0.04
# Frames that are looked at together, to bound the memory.
_BLOCK_FRAMES = 4096
# Peaks of a frame that may be its period.
_CANDIDATES = 6
# Of the cost of a path: of long lags beside short ones with equal correlation, of a frame that is unvoiced beside one
# that correlates by nothing, of an octave within 8 ms, and of the beginning or end of voicing.
_LONG_LAG, _UNVOICED, _OCTAVE, _CHANGE = 0.1, -0.1, 2.0, 0.15
# Below the peak of a recording by this factor, sound is silence.
_SILENCE = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class PitchConfig(Config):
    """Between which frequencies a pitch is looked for.

    Example:
      >>> PitchConfig().at(8000).longest_period
      124
    """

    sample_rate: int | None = decided(by="the recordings", default=None)
    """Hz of the sound; None: that of the recordings."""
    lowest_hz: float = 65.0
    """Lowest pitch (Hz): how far back a model sees follows from it."""
    highest_hz: float = 400.0
    """Highest pitch (Hz)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("pitch", sample_rate=self.sample_rate)
        highest = np.inf if self.sample_rate is None else self.sample_rate / 8
        if not 0 < self.lowest_hz < self.highest_hz <= highest:
            raise UserError(
                f"pitch from {self.lowest_hz:g} Hz to {self.highest_hz:g} Hz does not fit into sound where pitch goes "
                f"to {highest:g} Hz, an eighth of the sample rate; choose 0 < lowest_hz < highest_hz within it"
            )

    def at(self, sample_rate: int) -> Self:
        """These settings for a sample rate.

        Raises:
          UserError: If they are for another, or a pitch is too high for it.
        """
        if self.sample_rate not in (None, sample_rate):
            raise UserError(
                f"pitch settings are for {self.sample_rate} Hz, but the sound has {sample_rate} Hz; resample it"
            )
        return dataclasses.replace(self, sample_rate=sample_rate)

    @property
    def shortest_period(self) -> int:
        """Samples of a period of the highest pitch."""
        return int(self._rate / self.highest_hz)

    @property
    def longest_period(self) -> int:
        """Samples of a period of the lowest pitch."""
        return int(np.ceil(self._rate / self.lowest_hz))

    @property
    def _rate(self) -> int:
        if self.sample_rate is None:
            raise UserError("pitch settings leave the sample rate open: settings.at(sample_rate)")
        return self.sample_rate


def pitch(
    samples: Float[np.ndarray, " time"], settings: PitchConfig, hop: int
) -> Float32[np.ndarray, "frames 2"]:
    """The pitch period in samples, and the voicing, of every frame.

    Of the lags between the shortest period and the longest, the correlation

        r[l] = sum_n x[n] x[n + l] / sqrt(sum_n x[n]^2 sum_n x[n + l]^2)

    over 40 ms around the middle of a frame has its peaks at the period and its multiples. The path through the peaks
    that is cheapest over the whole sound, or leaves them where it is unvoiced, is the pitch: high correlations, short
    lags and small steps cost little (Talkin 1995).

    Args:
      samples: Sound, at the settings' rate.
      settings: With their sample rate, as `PitchConfig.at` makes them.
      hop: Samples that a frame covers.

    Returns:
      `ceil(samples / hop)` frames of (period, voicing): the voicing is r of the voiced, at most 1, and 0 of the others,
      whose period goes on between those of the voiced frames around them.

    Example:
      >>> pitch(np.sin(np.arange(8000) * 2 * np.pi / 50), PitchConfig().at(8000), 64)[40]
      array([50., 1.], dtype=float32)

    Reference: Talkin 1995, "A robust algorithm for pitch tracking (RAPT)".
    """
    shortest, longest = settings.shortest_period, settings.longest_period
    lags, strengths = _candidates(samples, settings, hop, shortest, longest)
    octave = _OCTAVE * 0.008 * settings._rate / hop
    path = _cheapest_path(lags, strengths, longest, octave)
    rows = np.arange(len(path))
    voiced = path >= 0
    period, voicing = (
        np.where(voiced, of_peaks[rows, path], 0.0) for of_peaks in (lags, strengths)
    )
    if voiced.any():
        period = np.interp(rows, rows[voiced], period[voiced])
    else:
        period = np.full(len(rows), np.sqrt(shortest * longest))
    return np.stack([period, np.clip(voicing, 0, 1)], axis=1).astype(np.float32)


def _candidates(
    samples: np.ndarray, settings: PitchConfig, hop: int, shortest: int, longest: int
) -> tuple[np.ndarray, np.ndarray]:
    """The lags of the highest peaks of every frame [frames, candidates], and their correlations."""
    count = num_frames(len(samples), hop)
    window = round(_WINDOW_SECONDS * settings._rate)
    length = window + longest + 1
    before = (length - hop) // 2 + hop
    padded = np.pad(np.asarray(samples, np.float32), (before, length + hop))
    floor = window * (_SILENCE * np.abs(padded).max(initial=1e-6)) ** 2
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)
    # The frame's middle is that of the stretch.
    first = before + hop // 2 - length // 2
    found = [
        _peaks(
            frames[first + start * hop :: hop][: min(_BLOCK_FRAMES, count - start)],
            window,
            shortest,
            floor,
        )
        for start in range(0, count, _BLOCK_FRAMES)
    ]
    lags, strengths = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return lags, strengths


def _peaks(
    frames: np.ndarray, window: int, shortest: int, floor: float
) -> tuple[np.ndarray, np.ndarray]:
    size = 1 << int(np.ceil(np.log2(frames.shape[1] + window)))
    spectra = np.fft.rfft(frames, size)
    products = np.fft.irfft(np.fft.rfft(frames[:, :window], size).conj() * spectra, size)
    energies = np.pad(np.cumsum(frames.astype(np.float64) ** 2, axis=1), ((0, 0), (1, 0)))
    energies = energies[:, window:] - energies[:, :-window] + floor
    num_lags = frames.shape[1] - window
    r = products[:, :num_lags] / np.sqrt(energies[:, :1] * energies[:, :num_lags])
    around = r[:, shortest - 1 :]
    left, middle, right = around[:, :-2], around[:, 1:-1], around[:, 2:]
    peaks = np.where((middle >= left) & (middle > right), middle, -1.0)
    best = np.argsort(-peaks, axis=1)[:, :_CANDIDATES]
    rows = np.arange(len(r))[:, None]
    strength = peaks[rows, best]
    # A parabola through the peak and its neighbours has its top between samples.
    bend = np.minimum(left + right - 2 * middle, -1e-9)[rows, best]
    offset = np.clip(0.5 * (left - right)[rows, best] / bend, -0.5, 0.5)
    return np.where(strength > 0, best + shortest + offset, shortest), np.maximum(strength, 0.0)


def _cheapest_path(
    lags: np.ndarray, strengths: np.ndarray, longest: int, octave: float
) -> np.ndarray:
    """Which candidate every frame takes; -1 where it is unvoiced."""
    local = 1 - strengths * (1 - _LONG_LAG * lags / longest)
    unvoiced = _UNVOICED + strengths.max(axis=1, keepdims=True)
    costs = np.concatenate([local, unvoiced], axis=1)
    octaves = np.log2(lags)
    count, last = costs.shape[0], costs.shape[1] - 1
    step = np.full((last + 1, last + 1), _CHANGE)
    step[last, last] = 0.0
    total, came_from = costs[0], np.zeros(costs.shape, np.int64)
    for i in range(1, count):
        step[:last, :last] = octave * np.abs(octaves[i - 1][:, None] - octaves[i])
        paths = total[:, None] + step
        came_from[i] = paths.argmin(axis=0)
        total = paths.min(axis=0) + costs[i]
    path = np.empty(count, np.int64)
    at = int(total.argmin())
    for i in range(count - 1, -1, -1):
        path[i] = at
        at = came_from[i, at]
    return np.where(path == last, -1, path)
