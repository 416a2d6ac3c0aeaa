"""Whether a sound made again has the tones of its recording: chroma, and the fundamental where there is one."""

from collections.abc import Sequence

import librosa
import numpy as np

# Samples of a spectrum, and from one to the next; Hz of the lowest and the highest fundamental.
FFT_SIZE, HOP = 4096, 512
LOWEST_HZ, HIGHEST_HZ = 65, 1000
# Frames in which a recording is quieter have no tones to compare.
QUIET_DBFS = -50
# A fundamental further from the recording's than this is another one.
GROSS_CENTS = 50


def distances(
    recordings: Sequence[np.ndarray], made: Sequence[np.ndarray], rate: int
) -> dict[str, float | None]:
    """Of sounds from what they should be.

    - chroma: 1 - cosine of the two powers of the twelve pitch classes, a mean over the frames; 0 at best, 1 where
      there is none in common.
    - chroma_of_noise: The same of as much power in each class.
    - f0_missing: Of the frames in which a recording has a fundamental, the share in which the sound has none.
    - f0_gross: Of those in which both have one, the share in which it is another by more than 50 cents.
    - f0_cents: Median difference of the others; None where there are none.
    """
    pairs = [
        (one[: len(other)], other[: len(one)]) for one, other in zip(recordings, made, strict=True)
    ]
    loud = [_loudness(one) > QUIET_DBFS for one, _ in pairs]
    wanted, found = (
        [_chroma(pair[side], rate)[:, frames] for pair, frames in zip(pairs, loud, strict=True)]
        for side in (0, 1)
    )
    flat = [np.ones_like(chroma) for chroma in wanted]
    hz, made_hz = (
        np.concatenate(
            [
                _fundamental(pair[side], rate)[frames]
                for pair, frames in zip(pairs, loud, strict=True)
            ]
        )
        for side in (0, 1)
    )
    tonal, both = np.isfinite(hz), np.isfinite(hz) & np.isfinite(made_hz)
    cents = np.abs(1200 * np.log2(made_hz[both] / hz[both]))
    near = cents[cents <= GROSS_CENTS]
    return {
        "chroma": _cosine_distance(wanted, found),
        "chroma_of_noise": _cosine_distance(wanted, flat),
        "f0_frames": int(tonal.sum()),
        "f0_missing": float(1 - both.sum() / tonal.sum()),
        "f0_gross": float((cents > GROSS_CENTS).mean()) if len(cents) else 1.0,
        "f0_cents": float(np.median(near)) if len(near) else None,
    }


def _cosine_distance(wanted: Sequence[np.ndarray], made: Sequence[np.ndarray]) -> float:
    one, other = np.concatenate(wanted, axis=1), np.concatenate(made, axis=1)
    norms = np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0)
    # Silence has no tones in common with anything.
    return float(np.mean(1 - (one * other).sum(axis=0) / np.maximum(norms, 1e-12)))


def _chroma(sound: np.ndarray, rate: int) -> np.ndarray:
    """Power of each pitch class [12, frames]."""
    return librosa.feature.chroma_stft(
        y=sound, sr=rate, n_fft=FFT_SIZE, hop_length=HOP, norm=None, tuning=0.0
    )


def _loudness(sound: np.ndarray) -> np.ndarray:
    """dBFS of each frame."""
    rms = librosa.feature.rms(y=sound, frame_length=FFT_SIZE, hop_length=HOP)[0]
    return 20 * np.log10(np.maximum(rms, 1e-9))


def _fundamental(sound: np.ndarray, rate: int) -> np.ndarray:
    """Hz of each frame, NaN where there is none (librosa's pyin)."""
    return librosa.pyin(
        sound, fmin=LOWEST_HZ, fmax=HIGHEST_HZ, sr=rate, frame_length=2048, hop_length=HOP
    )[0]
