"""Whole recordings and segments of them as float32 samples."""

import numpy as np
from jaxtyping import Float32

from wavedil.audio.errors import AudioError, FilePath, require_finite
from wavedil.audio.opening import open_sound, truncated
from wavedil.errors import UserError

# Beyond this a file is in other units (integers stored as floats), not a loud recording.
_LARGEST_PEAK = 2.0
# An MP3 header may state a length that is an estimate (libsndfile issue 1001), off by under 1 %.
_SHORTEST_READ = 0.95


def load(
    path: FilePath, sample_rate: int | None = None
) -> tuple[Float32[np.ndarray, " time"], int]:
    """A whole sound file as mono float32 samples in [-1, 1].

    Channels are averaged and other rates resampled as `librosa.load` does (soxr, high quality). The ripple of
    resampling, and lossy formats, can pass full scale by a little: such samples are limited to -1 and 1.

    Args:
      path: Any file that libsndfile reads: WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF, AU, CAF ...
      sample_rate: Wanted rate in Hz; None keeps the file's own.

    Returns:
      Samples [time] and their rate in Hz.

    Raises:
      AudioError: If the file is missing, empty, truncated, not audio, in a format that needs conversion (M4A),
        or holds samples that are not finite or far beyond full scale.

    Example:
      samples, rate = load("speech.flac", sample_rate=16000)
    """
    if sample_rate is not None and sample_rate < 1:
        raise UserError(
            f"sample_rate is {sample_rate} Hz, but it must be at least 1; 16000 is usual for speech"
        )
    with open_sound(path) as file:
        native_rate, promised = file.samplerate, file.frames
        samples = file.read(dtype="float32")
    if len(samples) < _SHORTEST_READ * promised:
        raise AudioError(path, truncated(f"{promised} samples", f"{len(samples)} could be read"))
    return _finish(path, samples, native_rate, sample_rate), sample_rate or native_rate


def load_segment(path: FilePath, start: int, stop: int) -> Float32[np.ndarray, " time"]:
    """Samples `start` .. `stop - 1` of a sound file, mono, at the file's own rate.

    Only the segment is decoded. Samples are counted from 0 in each channel.

    Raises:
      AudioError: As `load`; also if the segment is empty or not within the file.
    """
    with open_sound(path) as file:
        if not 0 <= start < stop <= file.frames:
            reason = f"segment {start} to {stop} is not within its {file.frames} samples; choose 0 <= start < stop"
            raise AudioError(path, reason)
        file.seek(start)
        samples, native_rate = file.read(stop - start, dtype="float32"), file.samplerate
    if len(samples) < stop - start:
        raise AudioError(
            path, truncated(f"samples up to {stop}", f"{start + len(samples)} could be read")
        )
    return _finish(path, samples, native_rate, None)


def _finish(
    path: FilePath, samples: np.ndarray, native_rate: int, sample_rate: int | None
) -> np.ndarray:
    """Mono, at the wanted rate, finite, within full scale."""
    require_finite(path, samples)
    peak = np.abs(samples).max()
    if peak > _LARGEST_PEAK:
        raise AudioError(
            path, f"the peak is {peak:.4g}, but full scale is 1; divide the samples by {peak:.4g}"
        )
    # librosa's first call costs seconds (it compiles), and a mono file at its own rate needs none of it.
    if samples.ndim > 1:
        import librosa

        samples = librosa.to_mono(samples.T)
    if sample_rate is not None and sample_rate != native_rate:
        import librosa

        samples = librosa.resample(
            samples, orig_sr=native_rate, target_sr=sample_rate, res_type="soxr_hq"
        )
    return np.clip(samples, -1.0, 1.0)
