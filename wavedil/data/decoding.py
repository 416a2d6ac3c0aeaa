"""One recording, from its file to codes and features, with all that a corpus asks of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from wavedil import audio
from wavedil.data.config import CorpusConfig
from wavedil.data.features import FeatureReader
from wavedil.data.listing import Entry
from wavedil.data.recording import Recording
from wavedil.data.sounds import min_max_normalised, read_sound
from wavedil.quantizer import Quantizer


class Decoded(NamedTuple):
    """A recording, and what was done to it."""

    recording: Recording
    num_trimmed: int
    peak: float
    num_mixed: int
    resampled: bool


class Decoder:
    """Recordings of a corpus, one by one.

    Args:
      config: Of the corpus.
      quantizer: Of the codes.
      features: Reads those of each recording; it knows the sample rate.
    """

    def __init__(self, config: CorpusConfig, quantizer: Quantizer, features: FeatureReader) -> None:
        self.config, self.quantizer, self.features = config, quantizer, features

    def read(self, entry: Entry, labels: Mapping[str, str]) -> Decoded:
        """The recording, and what was done to it.

        Raises:
          AudioError: If it cannot be used.
        """
        sound, num_trimmed = read_sound(self.config, entry, self.features.sample_rate)
        _require_bits(entry, sound.info, self.quantizer)
        if self.config.strict and sound.peak > 1:
            raise audio.AudioError(entry.file, f"the peak is {audio.over_full_scale(sound.peak)}")
        kept = sound.samples
        normalised = min_max_normalised(kept) if self.config.min_max_normalisation else kept
        codes = self.quantizer.encode(normalised)
        self._require_sound(entry, codes)
        features = self.features.read(entry.file, kept)
        codes.flags.writeable = False
        recording = Recording(entry.path, codes, labels, features)
        resampled = sound.info.sample_rate != self.features.sample_rate
        return Decoded(recording, num_trimmed, sound.peak, sound.num_mixed, resampled)

    def _require_sound(self, entry: Entry, codes: np.ndarray) -> None:
        """Refuses silence, which teaches nothing and flatters bits per sample."""
        if (codes == codes[:1]).all():
            raise audio.AudioError(
                entry.file,
                f"is silent: its {codes.size} samples are all at the same one of {self.quantizer.levels} levels; "
                "remove it or record it again",
            )


def read_header(entry: Entry, quantizer: Quantizer) -> audio.AudioInfo:
    """What a file says of itself.

    Raises:
      AudioError: If it cannot be opened, or has fewer values than levels.
    """
    header = audio.read_info(entry.file)
    _require_bits(entry, header, quantizer)
    return header


def _require_bits(entry: Entry, header: audio.AudioInfo, quantizer: Quantizer) -> None:
    """Refuses fewer values than levels: most levels stay empty, and bits per sample mean nothing."""
    if header.bits is not None and quantizer.levels > 1 << header.bits:
        raise audio.AudioError(
            entry.file,
            f"stores a sample in {header.bits} bits, {1 << header.bits} values, too few for {quantizer.levels} levels; "
            f"use at most {1 << header.bits} levels, or recordings of more bits",
        )


def commonest_rate(rates: Iterable[int]) -> int:
    """The rate most files have; of equals the lower, which invents no high frequencies."""
    counts = Counter(rates)
    return min(counts, key=lambda rate: (-counts[rate], rate))
