"""Opening sound files, and what can be checked without decoding them."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from wavedil.audio.errors import AudioError, FilePath
from wavedil.audio.suffixes import CONVERTIBLE_SUFFIXES

if TYPE_CHECKING:
    import soundfile

# What a program that writes to a pipe puts where the length would be.
_UNKNOWN_LENGTH = 0x7FFF0000


@contextlib.contextmanager
def open_sound(path: FilePath) -> Iterator["soundfile.SoundFile"]:
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
        with soundfile.SoundFile(os.fspath(path)) as file:
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
                path, truncated(f"{declared} bytes of samples", f"{present} are there")
            )
    if file.frames < 1:
        raise AudioError(path, "has no samples; remove it or record it again")


def truncated(promised: str, found: str) -> str:
    """The reason of an error: what is promised, and what is found."""
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
