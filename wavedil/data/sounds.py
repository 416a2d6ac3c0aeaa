"""The sound of recordings as a corpus takes it, before it becomes codes."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from wavedil import audio
from wavedil.data.config import CorpusConfig
from wavedil.data.listing import Entry, list_entries


def read_sounds(config: CorpusConfig, paths: Sequence[str]) -> list[Float32[np.ndarray, " time"]]:
    """The samples of recordings that a corpus holds as codes.

    Args:
      config: Of the corpus, with its sample rate.
      paths: As `Recording.path` gives them.

    Raises:
      AudioError: If a file can no longer be read.
    """
    assert config.sample_rate is not None
    entries = {entry.path: entry for entry in list_entries(config.folder)}
    kept = [read_sound(config, entries[path], config.sample_rate)[0].samples for path in paths]
    return [
        min_max_normalised(samples) if config.min_max_normalisation else samples for samples in kept
    ]


def read_sound(config: CorpusConfig, entry: Entry, sample_rate: int) -> tuple[audio.Decoded, int]:
    """One recording, with the samples that trimming leaves, and how many it removed.

    Raises:
      AudioError: If the file cannot be read.
    """
    decoded = audio.decode(entry.file, sample_rate, channel=config.channel)
    if config.trim_db is None:
        return decoded, 0
    import librosa

    kept = np.asarray(librosa.effects.trim(decoded.samples, top_db=config.trim_db)[0])
    removed = len(decoded.samples) - len(kept)
    return dataclasses.replace(decoded, samples=kept), removed


def min_max_normalised(samples: Float32[np.ndarray, " time"]) -> Float32[np.ndarray, " time"]:
    """The samples brought to reach from -1 to 1 by their own minimum and maximum; a constant stays what it is."""
    lowest, highest = samples.min(), samples.max()
    if lowest == highest:
        return samples
    return np.asarray(2.0 * ((samples - lowest) / (highest - lowest)) - 1.0)
