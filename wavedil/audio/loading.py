"""Whole recordings and segments of them as float32 samples."""

import dataclasses
import functools
import warnings

import numpy as np
from jaxtyping import Float32

from wavedil.audio.channels import MIX, column
from wavedil.audio.errors import AudioError, FilePath
from wavedil.audio.headers import AudioInfo, info_of
from wavedil.audio.opening import OpenSound, open_sound
from wavedil.errors import UserError
from wavedil.full_scale import peak_above_1

# Hz; what the fastest converters of sound give. Beyond it resampling takes seconds a second of sound.
HIGHEST_SAMPLE_RATE = 768_000
# Beyond this a file is in other units (integers stored as floats), not a loud recording.
_LARGEST_PEAK = 2.0
# Channels cancel where their mean has less than this share of their mean energy: -40 dB.
_CANCELLED = 1e-4
# What is made room for before anything is decoded; a piece is never longer.
_FIRST_SAMPLES = 1 << 22


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """The samples of a recording, and what was done to get them.

    Attributes:
      samples: In [-1, 1].
      sample_rate: Hz.
      peak: The largest magnitude that the file has, 1 where it is below; where it is above, samples were limited.
      num_mixed: Channels of which they are the mean.
      info: What the file says of itself.
    """

    samples: Float32[np.ndarray, " time"]
    sample_rate: int
    peak: float
    num_mixed: int
    info: AudioInfo


def over_full_scale(peak: float) -> str:
    """A peak beyond full scale and its remedy, for people.

    Example:
      >>> over_full_scale(1.25)
      '1.25 (+1.9 dBFS), beyond full scale 1; divide the samples by 1.25'
    """
    shown = peak_above_1(peak)
    return f"{shown} ({20 * np.log10(peak):+.1f} dBFS), beyond full scale 1; divide the samples by {shown}"


def load(
    path: FilePath, sample_rate: int | None = None, *, channel: str | int = MIX
) -> tuple[Float32[np.ndarray, " time"], int]:
    """A whole sound file as mono float32 samples in [-1, 1].

    Channels are averaged and other rates resampled as `librosa.load` does (soxr, high quality). The ripple of
    resampling, and of lossy formats, can pass full scale by a little: such samples are limited to -1 and 1. Stored
    floating-point samples beyond full scale, up to 2, are limited with a warning that gives the peak. Files that lie
    behind one another in one, as `cat` joins them, are one sound.

    Args:
      path: Any file that libsndfile reads: WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF, AU, CAF ...
      sample_rate: Wanted rate in Hz; None keeps the file's own.
      channel: "mix", the mean of all; "left" or 1, "right" or 2, or the number of another. A mono file is taken as
        it is.

    Returns:
      Samples [time] and their rate in Hz.

    Raises:
      AudioError: If the file is missing, empty, truncated, not audio, in a format that needs conversion (M4A),
        holds samples that are not finite or far beyond full scale, has no such channel, or its channels cancel in
        the mix.

    Example:
      samples, rate = load("speech.flac", sample_rate=16000)
    """
    decoded = decode(path, sample_rate, channel=channel)
    if decoded.peak > 1:
        warnings.warn(
            f"{path}: limited to full scale: the peak is {over_full_scale(decoded.peak)}",
            stacklevel=2,
        )
    if decoded.num_mixed > 2:
        warnings.warn(
            f"{path}: its {decoded.num_mixed} channels are averaged; channel=1 takes the first alone",
            stacklevel=2,
        )
    return decoded.samples, decoded.sample_rate


def decode(path: FilePath, sample_rate: int | None = None, *, channel: str | int = MIX) -> Decoded:
    """As `load`; what it would warn of stands in the result.

    Raises:
      AudioError: As `load`.
    """
    if sample_rate is not None and not 1 <= sample_rate <= HIGHEST_SAMPLE_RATE:
        raise UserError(
            f"sample_rate is {sample_rate} Hz, but it must be 1 to {HIGHEST_SAMPLE_RATE}; 16000 is usual for speech"
        )
    with open_sound(path) as sound:
        decoded = _mono(path, sound, 0, sound.num_samples, channel)
    if sample_rate is None or sample_rate == decoded.sample_rate:
        return decoded
    import librosa

    samples = librosa.resample(
        decoded.samples, orig_sr=decoded.sample_rate, target_sr=sample_rate, res_type="soxr_hq"
    )
    return dataclasses.replace(
        decoded, samples=np.clip(samples, -1.0, 1.0, out=samples), sample_rate=sample_rate
    )


def load_segment(
    path: FilePath, start: int, stop: int, *, channel: str | int = MIX
) -> Float32[np.ndarray, " time"]:
    """Samples `start` .. `stop - 1` of a sound file, mono, at the file's own rate.

    Only the segment is decoded, where the format can be sought. Samples are counted from 0 in each channel.

    Raises:
      AudioError: As `load`; also if the segment is empty or not within the file.
    """
    with open_sound(path) as sound:
        if not 0 <= start < stop <= sound.num_samples:
            reason = (
                f"segment {start} to {stop} is not within its {sound.num_samples} samples; choose "
                "0 <= start < stop"
            )
            raise AudioError(path, reason)
        return _mono(path, sound, start, stop, channel).samples


def _mono(path: FilePath, sound: OpenSound, start: int, stop: int, channel: str | int) -> Decoded:
    """Samples of one signal: finite, within full scale."""
    try:
        chosen = column(channel, sound.num_channels)
    except UserError as error:
        raise AudioError(path, str(error)) from None
    # One array, filled: a recording of hours is there once. It grows with what is decoded, since a damaged header may
    # promise any number of samples.
    samples, end = np.empty(min(stop - start, _FIRST_SAMPLES), np.float32), 0
    num_values, num_bad, peak = 0, 0, 0.0
    energy = energy_mixed = 0.0
    for piece in sound.pieces(start, stop):
        channels = piece if chosen is None else piece[:, chosen : chosen + 1]
        num_values += channels.size
        num_bad += channels.size - int(np.count_nonzero(np.isfinite(channels)))
        peak = max(peak, _peak(channels))
        if num_bad or peak > _LARGEST_PEAK:
            continue  # refused below
        mixed = channels[:, 0]
        if channels.shape[1] > 1:
            # Column by column: NumPy's mean over so short an axis takes thirty times as long.
            mixed = functools.reduce(np.add, channels.T) / np.float32(sound.num_channels)
            energy += float(np.vdot(channels, channels)) / sound.num_channels
            energy_mixed += float(np.vdot(mixed, mixed))
        if end + len(mixed) > len(samples):
            samples.resize(min(stop - start, 2 * len(samples)), refcheck=False)
        samples[end : end + len(mixed)] = mixed
        end += len(mixed)
    if num_bad:
        raise AudioError(
            path,
            f"{num_bad} of {num_values} samples are NaN or infinite; export it again from its source",
        )
    if peak > _LARGEST_PEAK:
        raise AudioError(path, f"the peak is {over_full_scale(peak)}")
    num_mixed = 1 if chosen is not None else sound.num_channels
    if energy_mixed < _CANCELLED * energy:
        raise AudioError(
            path,
            f"is silent only as a mix: its {num_mixed} channels cancel; choose one, channel left say",
        )
    samples = samples[:end]
    peak = max(1.0, _peak(samples))
    return Decoded(
        samples=np.clip(samples, -1.0, 1.0, out=samples),
        sample_rate=sound.sample_rate,
        # What lossy formats have beyond full scale is ripple, as that of resampling is.
        peak=peak if sound.subtype in ("FLOAT", "DOUBLE") else 1.0,
        num_mixed=num_mixed,
        info=info_of(sound),
    )


def _peak(samples: Float32[np.ndarray, "..."]) -> float:
    return max(float(samples.max()), -float(samples.min()))
