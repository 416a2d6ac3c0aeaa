"""The distance between a recording and its resynthesis, by their spectra."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from wavedil.errors import UserError
from wavedil.frames import crop
from wavedil.mel import MelConfig, mel

# FFT size, window and hop at 24 kHz, as Parallel WaveGAN has them: windows of 10, 25 and 50 ms.
_RESOLUTIONS = ((512, 240, 50), (1024, 600, 120), (2048, 1200, 240))
_RESOLUTIONS_RATE = 24000
# Fourier magnitudes below this count as this: far below what 16 bits can say.
_SMALLEST = math.sqrt(1e-7)
# What is quieter than the loudest by this much is taken for silence where mean spectra are compared.
_RANGE_DB = 70.0
_MOST_CEPSTRA = 13
# Spectra of a long recording are compared this many frames at a time, to bound the memory.
_BLOCK_FRAMES = 4096


class StftDistance(NamedTuple):
    """Two views of the difference of two spectrograms, 0 where they are equal."""

    convergence: float
    """||S - S'|| / ||S|| of the magnitudes: the loud parts decide. Relative to the recording, so not symmetric."""
    log_magnitude: float
    """mean |log S - log S'|: every part counts alike, quiet ones too."""


def multi_resolution_stft(
    recording: Float[np.ndarray, " time"], resynthesis: Float[np.ndarray, " time"], sample_rate: int
) -> StftDistance:
    """Difference of short-time Fourier magnitudes, a mean over three resolutions.

    FFT sizes are 512, 1024 and 2048 at 24 kHz, with windows of 10, 25 and 50 ms; at other rates windows and hops
    last as long, and sizes are the powers of two that come nearest.

    Args:
      recording: Samples in [-1, 1].
      resynthesis: As many samples, sample t that of sample t.
      sample_rate: Hz.

    Raises:
      UserError: If the lengths differ, or the recording is silent or shorter than the longest window.

    Example:
      >>> multi_resolution_stft(x, 0.5 * x, 16000)
      StftDistance(convergence=0.5, log_magnitude=0.69)

    Reference: Yamamoto et al. 2020, "Parallel WaveGAN", arXiv:1910.11480, section 2.2.
    """
    recording, resynthesis = _require_pair(recording, resynthesis)
    require_comparable(recording, sample_rate)
    distances = [_distance(recording, resynthesis, *sizes) for sizes in _resolutions(sample_rate)]
    return StftDistance(*(float(value) for value in np.mean(distances, axis=0)))


def mean_spectra_distance_db(
    recordings: Sequence[Float[np.ndarray, " time"]],
    sounds: Sequence[Float[np.ndarray, " time"]],
    sample_rate: int,
) -> float:
    """How far sounds are from recordings that none of them copies: the difference of their mean spectra, in dB.

        d = mean over frequencies and frames of |M - M'|
        M = max(mean over recordings of 20 log10 S, loudest - 70),      M' likewise of the sounds

    where loudest is the largest value of the recordings' mean: what lies 70 dB below it, where pictures are black, is
    taken for silence. A mean over the three resolutions of `multi_resolution_stft`. All begin together and are cut to
    the shortest. A few recordings and others of the same kind are a few dB apart by chance.

    Args:
      recordings: Samples in [-1, 1] of each, at least one.
      sounds: Likewise; of the same note, say.
      sample_rate: Hz.

    Raises:
      UserError: If a recording is silent, or the shortest sound is shorter than the longest window.
    """
    shortest = min(map(len, (*recordings, *sounds)))
    for recording in recordings:
        require_comparable(recording[:shortest], sample_rate)
    differences = []
    for sizes in _resolutions(sample_rate):
        levels, others = (
            _mean_level_db([one[:shortest] for one in group], *sizes)
            for group in (recordings, sounds)
        )
        least = float(levels.max()) - _RANGE_DB
        differences.append(np.mean(np.abs(np.maximum(levels, least) - np.maximum(others, least))))
    return float(np.mean(differences))


def mel_cepstral_distortion_db(
    recording: Float[np.ndarray, " time"],
    resynthesis: Float[np.ndarray, " time"],
    settings: MelConfig,
) -> float:
    """Mel-cepstral distortion: the difference in the shape of the spectra, in dB, a mean over the frames.

        d = 10 / ln 10 sqrt(2 sum over k = 1 .. 13 of (c_k - c'_k)^2)
        c_k = 2 / B sum over bands b of log a_b cos(pi k (b + 1/2) / B)

    with a_b the magnitude of mel band b of B. In words, the root mean square over the bands of the difference in
    dB, smoothed over frequency, its mean (k = 0, the loudness) left out. Values compare at equal settings only.
    Nothing is warped in time: frame i is compared with frame i.

    Args:
      recording: Samples in [-1, 1], at the settings' rate.
      resynthesis: As many samples.
      settings: Complete ones, of at least 2 mel bands.

    Raises:
      UserError: If the lengths differ, the sound is shorter than a frame, or there is one band.

    Reference: Kubichek 1993, "Mel-cepstral distance measure for objective speech quality assessment".
    """
    recording, resynthesis = _require_pair(recording, resynthesis)
    if settings.num_mels < 2:
        raise UserError(
            f"{settings.num_mels} mel band has no shape to compare; use at least 2 (num_mels)"
        )
    difference = _cepstra(recording, settings) - _cepstra(resynthesis, settings)
    distances = np.sqrt(2.0 * np.sum(difference**2, axis=1))
    return float(10.0 / np.log(10.0) * np.mean(distances))


def require_comparable(recording: Float[np.ndarray, " time"], sample_rate: int) -> None:
    """Refuses a recording that no resynthesis can be compared with.

    Raises:
      UserError: If it is silent, or shorter than the longest window.
    """
    longest = max(window for _, window, _ in _resolutions(sample_rate))
    if len(recording) < longest:
        raise UserError(
            f"{len(recording)} samples ({len(recording) / sample_rate:.3g} s) are too short to compare spectra, which "
            f"takes {longest} samples ({longest / sample_rate:.3g} s at {sample_rate} Hz); leave the recording out"
        )
    if not np.any(recording):
        raise UserError("the recording is silent, so no resynthesis can be near it; leave it out")


def _resolutions(sample_rate: int) -> list[tuple[int, int, int]]:
    """FFT size, window and hop, in samples."""
    scale = sample_rate / _RESOLUTIONS_RATE
    return [
        (
            2 ** round(math.log2(fft_size * scale)),
            max(2, round(window * scale)),
            max(1, round(hop * scale)),
        )
        for fft_size, window, hop in _RESOLUTIONS
    ]


def _distance(
    recording: np.ndarray, resynthesis: np.ndarray, fft_size: int, window: int, hop: int
) -> tuple[float, float]:
    """Convergence and log magnitude at one resolution."""
    difference, energy, logs, count = 0.0, 0.0, 0.0, 0
    both = (_magnitudes(samples, fft_size, window, hop) for samples in (recording, resynthesis))
    for spectra, others in zip(*both, strict=True):
        difference += float(np.sum((spectra - others) ** 2))
        energy += float(np.sum(spectra**2))
        logs += float(np.sum(np.abs(np.log(spectra) - np.log(others))))
        count += spectra.size
    return math.sqrt(difference / energy), logs / count


def _mean_level_db(sounds: Sequence[np.ndarray], *sizes: int) -> np.ndarray:
    """Of sounds of one length: [frequencies, frames]."""
    spectra = (np.concatenate(list(_magnitudes(one, *sizes)), axis=1) for one in sounds)
    return np.asarray(np.mean([20.0 * np.log10(one) for one in spectra], axis=0))


def _magnitudes(samples: np.ndarray, fft_size: int, window: int, hop: int) -> Iterator[np.ndarray]:
    """Of frames around every `hop`-th sample, silence beyond the ends: [frequencies, frames], block by block.

    In double precision, so that a distance is not that of rounding.
    """
    import librosa

    frames = 1 + len(samples) // hop
    for first in range(0, frames, _BLOCK_FRAMES):
        count = min(_BLOCK_FRAMES, frames - first)
        part = crop(samples, first * hop - fft_size // 2, (count - 1) * hop + fft_size)
        spectra = librosa.stft(
            part.astype(np.float64), n_fft=fft_size, hop_length=hop, win_length=window, center=False
        )
        yield np.maximum(np.abs(spectra), _SMALLEST)


def _cepstra(samples: np.ndarray, settings: MelConfig) -> np.ndarray:
    """Coefficients 1 .. 13 (fewer of fewer bands) of every frame: [frames, coefficients]."""
    scaled = mel(samples, settings).astype(np.float64)
    # Undoes the scaling to 0 .. 1, and the exponent of the magnitudes.
    logs = (1.0 - scaled) * np.log(settings.smallest) / settings.power
    count = settings.num_mels
    orders = np.arange(1, min(_MOST_CEPSTRA, count - 1) + 1)
    waves = np.cos(np.pi * np.outer(np.arange(count) + 0.5, orders) / count)
    return np.asarray(2.0 / count * logs @ waves)


def _require_pair(recording: np.ndarray, resynthesis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    recording, resynthesis = np.asarray(recording), np.asarray(resynthesis)
    if recording.ndim != 1 or recording.shape != resynthesis.shape:
        raise UserError(
            f"the recording has shape {recording.shape} and the resynthesis {resynthesis.shape}, but both must be "
            "[time] of the same number of samples; cut the longer one"
        )
    return recording, resynthesis
