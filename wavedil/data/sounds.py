"""The sound of recordings as a corpus takes it, before it becomes codes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from wavedil import audio
from wavedil.data.listing import Entry, list_entries
from wavedil.data.settings import CorpusSettings


def read_sounds(
    settings: CorpusSettings, paths: Sequence[str]
) -> list[Float32[np.ndarray, " time"]]:
    """The samples of recordings that a corpus holds as codes.

    Args:
      settings: Of the corpus, with its sample rate.
      paths: As `Recording.path` gives them.

    Raises:
      AudioError: If a file can no longer be read.
    """
    assert settings.sample_rate is not None
    entries = {entry.path: entry for entry in list_entries(settings.folder)}
    kept = [read_sound(settings, entries[path], settings.sample_rate)[0] for path in paths]
    return [stretch(samples) if settings.min_max else samples for samples in kept]


def read_sound(
    settings: CorpusSettings, entry: Entry, sample_rate: int
) -> tuple[Float32[np.ndarray, " time"], int]:
    """The samples of one recording that trimming leaves, and how many it removed.

    Raises:
      AudioError: If the file cannot be read.
    """
    samples, _ = audio.load(entry.file, sample_rate)
    if settings.trim_db is None:
        return samples, 0
    import librosa

    kept = np.asarray(librosa.effects.trim(samples, top_db=settings.trim_db)[0])
    return kept, len(samples) - len(kept)


def stretch(samples: Float32[np.ndarray, " time"]) -> Float32[np.ndarray, " time"]:
    """From -1 to 1 by their own minimum and maximum; a constant stays what it is."""
    lowest, highest = samples.min(), samples.max()
    if lowest == highest:
        return samples
    return np.asarray(2.0 * ((samples - lowest) / (highest - lowest)) - 1.0)
