"""The sound of recordings as a corpus takes it, before it becomes codes."""

import dataclasses
from collections.abc import Mapping, Sequence

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


def treated(peaks: Mapping[str, float], num_mixed: Mapping[str, int]) -> list[str]:
    """Lines on recordings that were changed to be used: limited to full scale, or averaged from many channels.

    Args:
      peaks: Path -> as `audio.Decoded.peak`.
      num_mixed: Path -> as `audio.Decoded.num_mixed`.
    """
    lines = []
    limited = [path for path, peak in peaks.items() if peak > 1]
    if limited:
        loudest = max(limited, key=peaks.__getitem__)
        lines.append(
            f"limited {len(limited)} recordings to full scale; the peak of the loudest, {loudest}, is "
            f"{audio.over_full_scale(peaks[loudest])}"
        )
    surround = [path for path, count in num_mixed.items() if count > 2]
    if surround:
        lines.append(
            f"averaged all channels of {len(surround)} recordings of more than two; the first, {surround[0]}, has "
            f"{num_mixed[surround[0]]}; channel left takes the left one alone"
        )
    return lines
