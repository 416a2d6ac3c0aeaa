"""What a sound file says of itself before a sample is decoded."""

import dataclasses
import re

from wavedil.audio.errors import FilePath
from wavedil.audio.opening import open_sound


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
    with open_sound(path) as file:
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
