"""What a sound file says of itself before a sample is decoded."""

import dataclasses
import re

from wavedil.audio.errors import FilePath
from wavedil.audio.opening import OpenSound, open_sound


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """The header of a sound file.

    Attributes:
      sample_rate: Hz.
      num_channels: 1 for mono.
      num_samples: Samples of each channel.
      bits: Of a stored sample, those that count: 24 also where they are stored in 32, 8 for mu-law and A-law files;
        None where it is floating-point or a lossy format, whose samples lie on no grid.
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
    """Rate, channels, length and bits of a sound file; nothing is decoded.

    Raises:
      AudioError: If the file cannot be opened as audio, is empty, or is cut off.
    """
    with open_sound(path) as sound:
        return info_of(sound)


def info_of(sound: OpenSound) -> AudioInfo:
    """What an open sound file says of itself."""
    return AudioInfo(
        sample_rate=sound.sample_rate,
        num_channels=sound.num_channels,
        num_samples=sound.num_samples,
        bits=_bits(sound.subtype, sound.bits),
    )


def _bits(subtype: str, said: int | None) -> int | None:
    if subtype in ("ULAW", "ALAW"):
        return 8
    stored = re.fullmatch(r"(?:PCM_[SU]?|ALAC_|DWVW_)(\d+)", subtype)
    if stored is None:
        return None
    return min(int(stored[1]), said or 64)
