"""Sound files of any length written block by block."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from wavedil.audio.errors import AudioError, FilePath
from wavedil.files import replacing, unwritable

# The size of a WAV file is written in 32 bits; RF64 is its form for more.
_MOST_WAV_BYTES = 2**32 - 2**16
_BYTES = 3

Write = Callable[[Float[np.ndarray, "time channels"]], None]


@contextlib.contextmanager
def writing_blocks(
    path: FilePath, sample_rate: int, num_channels: int, num_samples: int
) -> Iterator[Write]:
    """A function that writes the next samples [time, channels] of a 24-bit WAV or FLAC file, by the suffix of its path.

    Samples beyond full scale are limited to it. The file takes its place when the block ends without an error.

    Args:
      path: Ends in .wav or .flac; an existing file is replaced.
      sample_rate: Hz.
      num_channels: Of every block.
      num_samples: That will be written.

    Raises:
      AudioError: If the suffix is another, or the file cannot be written.
    """
    import soundfile

    path = Path(path)
    container = {".wav": "WAV", ".flac": "FLAC"}.get(path.suffix.lower())
    if container is None:
        raise AudioError(
            path, f"cannot write {path.suffix or 'a file without suffix'}; use .wav or .flac"
        )
    if container == "WAV" and _BYTES * num_channels * num_samples > _MOST_WAV_BYTES:
        container = "RF64"
    settings = {"format": container, "subtype": "PCM_24"}
    try:
        with (
            replacing(path) as scratch,
            soundfile.SoundFile(scratch, "w", sample_rate, num_channels, **settings) as file,
        ):
            yield lambda block: file.write(np.clip(block, -1.0, 1.0))
    except (OSError, soundfile.LibsndfileError) as error:
        reason = unwritable(error) if isinstance(error, OSError) else f"cannot be written ({error})"
        raise AudioError(path, reason) from None
