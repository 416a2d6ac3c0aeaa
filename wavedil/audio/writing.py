"""Writing sound files."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float

from wavedil.audio.errors import AudioError, FilePath
from wavedil.errors import UserError
from wavedil.files import replacing, unwritable
from wavedil.full_scale import within_full_scale

_PIECE = 1 << 20


def save(path: FilePath, samples: Float[np.ndarray, " time"], sample_rate: int) -> None:
    """Write mono samples as a 16-bit WAV or FLAC file, by the suffix of `path`.

    A sample x is stored as round(32768 x), so a 16-bit file that was loaded is written back unchanged; only
    x = 1 lies beyond the largest 16-bit value and moves by one step.

    Args:
      path: Ends in .wav or .flac; an existing file is replaced, once the new one is complete.
      samples: Finite floats in [-1, 1]; a peak between 1 and 2 is limited to full scale, with a warning.
      sample_rate: Hz.

    Raises:
      AudioError: If the samples are integers, not finite or far beyond full scale, the suffix is another, or the
        file cannot be written.
    """
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
    try:
        values = within_full_scale(values)
    except UserError as error:
        raise AudioError(path, str(error)) from None
    # In memory first: a full disk or a missing permission is then an ordinary OSError.
    content = encoded(values, sample_rate, container)
    try:
        with replacing(path) as scratch:
            scratch.write_bytes(content)
    except OSError as error:
        raise AudioError(path, unwritable(error)) from None


def encoded(samples: Float[np.ndarray, " time"], sample_rate: int, container: str) -> bytes:
    """A file of 16-bit samples, as `save` writes it.

    Args:
      samples: Floats in [-1, 1].
      sample_rate: Hz.
      container: "WAV" or "FLAC".
    """
    import soundfile

    integers = np.empty(samples.shape, np.int16)
    # Piece by piece, so that a long sound is not there three times more in double precision.
    for start in range(0, len(samples), _PIECE):
        piece = np.rint(32768.0 * samples[start : start + _PIECE].astype(np.float64))
        integers[start : start + _PIECE] = np.minimum(piece, 32767)
    file = io.BytesIO()
    soundfile.write(file, integers, sample_rate, format=container, subtype="PCM_16")
    return file.getvalue()
