"""Sound files: whole recordings and segments as float32, headers, and writing."""

import contextlib
import dataclasses
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32

from wavedil.errors import UserError

if TYPE_CHECKING:
    import soundfile

# Suffixes of recordings. The second group is audio that libsndfile cannot decode: it is
# named with a remedy rather than passed over as if it were no recording.
READABLE_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif"),
    *(".aifc", ".au", ".snd", ".caf", ".w64", ".rf64"),
)
CONVERTIBLE_SUFFIXES = (".m4a", ".m4b", ".mp4", ".aac", ".wma", ".wv", ".ape", ".webm", ".mka")

# Beyond this a file is in other units (integers stored as floats), not a loud recording.
_LARGEST_PEAK = 2.0
_PIECE = 1 << 20
# An MP3 header may state a length that is an estimate (libsndfile issue 1001), off by under 1 %.
_SHORTEST_READ = 0.95
# What a program that writes to a pipe puts where the length would be.
_UNKNOWN_LENGTH = 0x7FFF0000

FilePath = str | os.PathLike[str]


class AudioError(UserError):
    """A sound file cannot be used.

    Attributes:
      path: The file.
      reason: What is wrong with it and the remedy; the message is `path: reason`.
    """

    def __init__(self, path: FilePath, reason: str) -> None:
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path = os.fspath(path)
        self.reason = reason


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """The header of a sound file.

    Attributes:
      sample_rate: Hz.
      num_channels: 1 for mono.
      num_samples: Samples of each channel; for MP3 the header's estimate.
      bits: In which the file stores a sample, 8 for mu-law and A-law files; None where it is floating-point or
        a lossy format, whose samples lie on no grid.
    """

    sample_rate: int
    num_channels: int
    num_samples: int
    bits: int | None = None

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.num_samples / self.sample_rate


def read_info(path: FilePath) -> AudioInfo:
    """Rate, channels, length and bits of a sound file, from its header alone.

    Raises:
      AudioError: If the file cannot be opened as audio, is empty, or is cut off.
    """
    with _open(path) as file:
        return AudioInfo(
            sample_rate=file.samplerate,
            num_channels=file.channels,
            num_samples=file.frames,
            bits=_bits(file.subtype),
        )


def _bits(subtype: str) -> int | None:
    if subtype in ("ULAW", "ALAW"):
        return 8
    integers = re.fullmatch(r"(?:PCM_[SU]?|ALAC_|DWVW_)(\d+)", subtype)
    return None if integers is None else int(integers[1])


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
    with _open(path) as file:
        native_rate, promised = file.samplerate, file.frames
        samples = file.read(dtype="float32")
    if len(samples) < _SHORTEST_READ * promised:
        raise AudioError(path, _truncated(f"{promised} samples", f"{len(samples)} could be read"))
    return _finish(path, samples, native_rate, sample_rate), sample_rate or native_rate


def load_segment(path: FilePath, start: int, stop: int) -> Float32[np.ndarray, " time"]:
    """Samples `start` .. `stop - 1` of a sound file, mono, at the file's own rate.

    Only the segment is decoded. Samples are counted from 0 in each channel.

    Raises:
      AudioError: As `load`; also if the segment is empty or not within the file.
    """
    with _open(path) as file:
        if not 0 <= start < stop <= file.frames:
            reason = f"segment {start} to {stop} is not within its {file.frames} samples; choose 0 <= start < stop"
            raise AudioError(path, reason)
        file.seek(start)
        samples, native_rate = file.read(stop - start, dtype="float32"), file.samplerate
    if len(samples) < stop - start:
        raise AudioError(
            path, _truncated(f"samples up to {stop}", f"{start + len(samples)} could be read")
        )
    return _finish(path, samples, native_rate, None)


def save(path: FilePath, samples: Float[np.ndarray, " time"], sample_rate: int) -> None:
    """Write mono samples as a 16-bit WAV or FLAC file, by the suffix of `path`.

    A sample x is stored as round(32768 x), so a 16-bit file that was loaded is written back unchanged; only
    x = 1 lies beyond the largest 16-bit value and moves by one step. Nothing louder is clipped silently.

    Args:
      path: Ends in .wav or .flac; an existing file is replaced.
      samples: Finite values in [-1, 1].
      sample_rate: Hz.

    Raises:
      AudioError: If a sample is not finite or beyond full scale, the suffix is another, or the file cannot be
        written.
    """
    import soundfile

    path = Path(path)
    container = {".wav": "WAV", ".flac": "FLAC"}.get(path.suffix.lower())
    if container is None:
        raise AudioError(
            path, f"cannot write {path.suffix or 'a file without suffix'}; use .wav or .flac"
        )
    values = np.asarray(samples)
    if values.ndim != 1:
        raise AudioError(
            path,
            f"samples have shape {values.shape}, but mono [time] is written; save one signal a file",
        )
    _check_finite(path, values)
    peak = max(abs(float(values.max(initial=0.0))), abs(float(values.min(initial=0.0))))
    if peak > 1.0:
        raise AudioError(
            path,
            f"the peak is {peak:.4g}, beyond full scale 1; divide the samples by at least {peak:.4g}",
        )
    integers = np.empty(values.shape, np.int16)
    # Piece by piece, so that a long sound is not there three times more in double precision.
    for start in range(0, len(values), _PIECE):
        piece = np.rint(32768.0 * values[start : start + _PIECE].astype(np.float64))
        integers[start : start + _PIECE] = np.minimum(piece, 32767)
    # Encoded in memory first: a full disk or a missing permission is then an ordinary OSError.
    encoded = io.BytesIO()
    soundfile.write(encoded, integers, sample_rate, format=container, subtype="PCM_16")
    try:
        path.write_bytes(encoded.getbuffer())
    except OSError as error:
        reason = f"cannot be written ({error.strerror}); choose a folder that exists and that you may write to"
        raise AudioError(path, reason) from None


@contextlib.contextmanager
def _open(path: FilePath) -> Iterator["soundfile.SoundFile"]:
    """The open file, after every check that the header allows."""
    import soundfile

    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError as error:
        raise AudioError(
            path, f"cannot be opened ({error.strerror}); check the path and its permissions"
        ) from None
    if not head:
        raise AudioError(path, "is empty (0 bytes); remove it or copy it again")
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            _check_length(path, file)
            yield file
    except soundfile.LibsndfileError as error:
        raise AudioError(path, _why_unreadable(path, head, error)) from None


def _check_length(path: FilePath, file: "soundfile.SoundFile") -> None:
    # libsndfile reads a cut-off WAV or AIFF as if it were a shorter one and only notes in its
    # log that a chunk should have had another size, as in "data : 16000 (should be 7978)".
    for declared, present in re.findall(
        r"(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", file.extra_info
    ):
        if int(present) < int(declared) < _UNKNOWN_LENGTH:
            raise AudioError(
                path, _truncated(f"{declared} bytes of samples", f"{present} are there")
            )
    if file.frames < 1:
        raise AudioError(path, "has no samples; remove it or record it again")


def _truncated(promised: str, found: str) -> str:
    return f"is truncated: its header promises {promised}, only {found}; copy it again"


def _why_unreadable(path: FilePath, head: bytes, error: "soundfile.LibsndfileError") -> str:
    suffix = Path(path).suffix.lower()
    if head[4:8] == b"ftyp" or suffix in CONVERTIBLE_SUFFIXES:
        name = Path(path).name
        kind = suffix[1:].upper() if suffix in CONVERTIBLE_SUFFIXES else "MPEG-4 audio"
        return f"{kind} is not read; convert it: ffmpeg -i {name!r} {Path(name).stem + '.flac'!r}"
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM", b"fLaC", b"OggS"):
        return f"is truncated or damaged (libsndfile: {error.error_string}); copy it again"
    return "is not audio that libsndfile reads; use WAV, FLAC, Ogg or MP3, or remove it"


def _finish(
    path: FilePath, samples: np.ndarray, native_rate: int, sample_rate: int | None
) -> np.ndarray:
    """Mono, at the wanted rate, finite, within full scale."""
    _check_finite(path, samples)
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


def _check_finite(path: FilePath, samples: np.ndarray) -> None:
    bad = int(samples.size - np.count_nonzero(np.isfinite(samples)))
    if bad:
        reason = (
            f"{bad} of {samples.size} samples are NaN or infinite; export it again from its source"
        )
        raise AudioError(path, reason)
