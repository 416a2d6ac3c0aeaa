"""Opening sound files: one recording of all that lies in a file, with every promise that it makes held."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from jaxtyping import Float32

from wavedil.audio import containers, flac, mp3, ogg
from wavedil.audio.errors import AudioError, FilePath
from wavedil.audio.parts import Part, View, bytes_at, truncated
from wavedil.audio.suffixes import CONVERTIBLE_SUFFIXES
from wavedil.errors import UserError
from wavedil.files import open_regular

if TYPE_CHECKING:
    import soundfile

# Values that are decoded at once.
_PIECE = 1 << 20
# A file whose length nobody knows has the largest number that there is.
_UNKNOWN_LENGTH = 1 << 40
# How files begin that are sound, whatever follows.
_KNOWN = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"caff", b"fLaC", b"OggS", b".snd", b"NIST")
# Frames of MP3 may lean on earlier ones; those at the start of a sound that was cut out of another have none.
_MP3_LEAD = 10 * 1152


class OpenSound:
    """An open sound file; where several lie behind one another in it, they are one recording.

    Attributes:
      sample_rate: Hz.
      num_channels: 1 for mono.
      num_samples: Of each channel.
      subtype: How libsndfile calls the way in which samples are stored.
      bits: Of a stored sample, where the file says so.
    """

    def __init__(self, path: FilePath, sounds: "list[soundfile.SoundFile]", parts: list[Part]):
        self._path, self._sounds, self._parts = path, sounds, parts
        self.sample_rate, self.num_channels = sounds[0].samplerate, sounds[0].channels
        self.num_samples = sum(sound.frames for sound in sounds)
        self.subtype, self.bits = sounds[0].subtype, parts[0].bits

    def pieces(self, start: int, stop: int) -> Iterator[Float32[np.ndarray, "time channels"]]:
        """Samples `start` .. `stop - 1`, a piece after the other.

        Raises:
          AudioError: If fewer can be decoded than the file promises.
        """
        for number, sound in enumerate(self._sounds):
            first, end = max(0, start), min(stop, sound.frames)
            if first < end:
                yield from self._pieces_of(number, first, end)
            start, stop = start - sound.frames, stop - sound.frames

    def _pieces_of(self, number: int, start: int, stop: int) -> Iterator[np.ndarray]:
        sound = self._sounds[number]
        at = 0
        if sound.seekable():
            at = sound.seek(start)
        while at < stop:
            # What cannot be sought is decoded, and left out.
            wanted = min(_PIECE // self.num_channels + 1, (start if at < start else stop) - at)
            piece = sound.read(wanted, dtype="float32", always_2d=True)
            if at >= start and len(piece):
                yield piece
            at += len(piece)
            if len(piece) < wanted:
                break
        if at < stop - (_MP3_LEAD if sound.format == "MP3" else 0):
            reason = f"is truncated or damaged: it promises {stop} samples, but {at} can be decoded"
            raise AudioError(self._path, f"{_which(self._parts, number)}{reason}; copy it again")


@contextlib.contextmanager
def open_sound(path: FilePath) -> Iterator[OpenSound]:
    """The open file, after every check that its bytes allow without decoding them.

    Raises:
      AudioError: Also for whatever is raised while the file is open: decoders fail in many ways.
    """
    import soundfile

    head = b""
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(_opened(path))
            head = bytes_at(file, 0, 12)
            parts = _find_parts(path, file)
            sounds = []
            for part in parts:
                sound = stack.enter_context(soundfile.SoundFile(View(file, part)))
                sounds.append(sound)
                _check(path, sounds, parts)
            yield OpenSound(path, sounds, parts)
    except (UserError, MemoryError):
        raise
    except Exception as error:
        raise AudioError(path, _why_unreadable(path, head, error)) from error


def _opened(path: FilePath) -> BinaryIO:
    try:
        return open_regular(path)
    except OSError as error:
        reason = f"cannot be opened ({error.strerror}); check the path and its permissions"
        raise AudioError(path, reason) from None


def _find_parts(path: FilePath, file: BinaryIO) -> list[Part]:
    """The sound files that lie in a file."""
    size = file.seek(0, 2)
    if not size:
        raise AudioError(path, "is empty (0 bytes); remove it or copy it again")
    parts: list[Part] = []
    while not parts or parts[-1].end < size:
        parts.append(_part(file, parts[-1].end if parts else 0, size))
        if parts[-1].fault:
            reason = f"{_which(parts, len(parts) - 1)}{parts[-1].fault}; copy it again"
            raise AudioError(path, reason)
    return parts


def _part(file: BinaryIO, start: int, size: int) -> Part:
    magic = bytes_at(file, start, 16)
    if _is_mp3(magic):
        return mp3.mp3_part(file, start, size)
    if magic[:4] == b"OggS":
        return ogg.ogg_part(file, start, size)
    if magic[:4] == b"fLaC":
        return flac.flac_part(file, start, size)
    if magic[:4] in (b".snd", b"dns."):
        return containers.au_part(file, start, size)
    if magic[:7] == b"NIST_1A":
        return containers.sphere_part(file, start, size)
    for layout in containers.LAYOUTS:
        if magic.startswith(layout.magic):
            return containers.chunked_part(file, start, size, layout)
    return Part(start=start, stop=size)


def _check(path: FilePath, sounds: "list[soundfile.SoundFile]", parts: list[Part]) -> None:
    """Refuses a part that is shorter than it says, or does not go on where the one before it ends."""
    number, sound = len(sounds) - 1, sounds[-1]
    first, promised = sounds[0], parts[number].num_samples
    if promised is not None and sound.frames < promised:
        reason = truncated(f"{promised} samples", sound.frames)
        raise AudioError(path, f"{_which(parts, number)}{reason}; copy it again")
    if not 1 <= sound.frames < _UNKNOWN_LENGTH:
        reason = "has no samples; remove it or record it again"
        raise AudioError(path, _which(parts, number) + reason)
    if (sound.samplerate, sound.channels) != (first.samplerate, first.channels):
        raise AudioError(
            path,
            f"holds two recordings: behind {first.samplerate} Hz and {first.channels} channels another begins at "
            f"byte {parts[number].start}, of {sound.samplerate} Hz and {sound.channels}; save each in a file",
        )


def _is_mp3(head: bytes) -> bool:
    """Whether a file begins like MP3: with an ID3 tag, or with the synchronisation of a frame."""
    return head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")


def _which(parts: list[Part], number: int) -> str:
    """Which of several parts is spoken of."""
    if not number:
        return ""
    return f"holds {number + 1} recordings, and the last, from byte {parts[number].start} on, "


def _why_unreadable(path: FilePath, head: bytes, error: Exception) -> str:
    suffix = Path(path).suffix.lower()
    if head[4:8] == b"ftyp" or suffix in CONVERTIBLE_SUFFIXES:
        name = Path(path).name
        kind = suffix[1:].upper() if suffix in CONVERTIBLE_SUFFIXES else "MPEG-4 audio"
        return f"{kind} is not read; convert it: ffmpeg -i {name!r} {Path(name).stem + '.flac'!r}"
    if head[:4] in _KNOWN or _is_mp3(head):
        said = getattr(error, "error_string", str(error)) or type(error).__name__
        return f"is truncated or damaged (libsndfile: {said.rstrip('.')}); copy it again"
    return "is not audio that libsndfile reads; use WAV, FLAC, Ogg or MP3, or remove it"
