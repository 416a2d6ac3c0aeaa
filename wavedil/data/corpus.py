"""A corpus: recordings to train on and held-out ones, held as codes."""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, UInt

from wavedil.features import MelConfig
from wavedil.labels import Vocabulary

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """One decoded recording.

    Attributes:
      path: Relative to the corpus folder, or as the manifest gives it.
      codes: Codes [time] of the corpus's quantizer, read-only.
      labels: Name -> value; a label that the file lacks is absent.
      features: [frames, features], frame i of samples `i hop .. (i + 1) hop - 1`, read-only; None
        where the corpus has none.
      scored: First sample, and the one after the last, of those that an evaluation scores; None: all.
    """

    path: str
    codes: UInt[np.ndarray, " time"]
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    features: Float32[np.ndarray, "frames features"] | None = None
    scored: tuple[int, int] | None = None

    @property
    def num_samples(self) -> int:
        """Samples of the recording."""
        return self.codes.size

    @property
    def num_scored(self) -> int:
        """Samples that an evaluation scores."""
        first, end = self.scored or (0, self.num_samples)
        return end - first


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A recording that could not be used, and why."""

    path: str
    reason: str


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """Recordings to train on and held-out recordings, as codes.

    Attributes:
      train, test: In the order of the listing.
      sample_rate: Hz, of every recording.
      skipped: Recordings that could not be used, in the order of their paths.
      trimmed_seconds: Silence that trimming removed, over all files.
      label_values: Label -> its sorted values in train and test together; none where no file matches the pattern.
      unlabelled: Label -> number of files that lack it.
      num_resampled: Files that came at another rate.
      hop: Samples that a frame of features covers; None where the recordings have none.
      mel: How the features are computed; None where they were read.
      remarks: On recordings that are used otherwise than as they are, or twice, in lines for people.
    """

    train: tuple[Recording, ...]
    test: tuple[Recording, ...]
    sample_rate: int
    skipped: tuple[Skipped, ...]
    trimmed_seconds: float
    label_values: Vocabulary
    unlabelled: dict[str, int]
    num_resampled: int = 0
    hop: int | None = None
    mel: MelConfig | None = None
    remarks: tuple[str, ...] = ()

    @property
    def num_features(self) -> int:
        """Numbers in a frame of features; 0 where the recordings have none."""
        features = (self.train or self.test)[0].features
        return 0 if features is None else features.shape[1]

    def held_out(self, seconds: float) -> tuple[Recording, ...]:
        """About so many seconds of held-out sound, the same each time.

        They are pieces of a second or two at equal distances over all of it; a shorter recording is a piece.
        """
        pieces = []
        for recording in self.test:
            count = max(1, recording.num_samples // self.sample_rate)
            cuts = [number * recording.num_samples // count for number in range(count + 1)]
            pieces += [(recording, scored) for scored in itertools.pairwise(cuts)]
        share = seconds * self.sample_rate / sum(recording.num_samples for recording in self.test)
        if share >= 1:
            return self.test
        chosen = spread(pieces, max(1, round(share * len(pieces))))
        return tuple(dataclasses.replace(recording, scored=scored) for recording, scored in chosen)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that are others for other recordings, labels or split, wherever they lie."""
        digest = hashlib.sha256()
        for split, recordings in (("train", self.train), ("test", self.test)):
            for recording in recordings:
                digest.update(
                    repr((split, recording.path, sorted(recording.labels.items()))).encode()
                )
                digest.update(recording.codes.tobytes())
                if recording.features is not None:
                    digest.update(recording.features.tobytes())
        return digest.hexdigest()[:16]

    def describe(self) -> list[str]:
        """A summary of what was read, held out, skipped, resampled and trimmed, in lines for people."""
        lines = [
            f"{name}: {len(files)} recordings, {self._seconds(files):.1f} s "
            f"at {self.sample_rate} Hz"
            for name, files in (("train", self.train), ("held out", self.test))
        ]
        for name, values in self.label_values.items():
            missing = self.unlabelled[name]
            lines.append(
                f"label {name}: {len(values)} values"
                + (f", {missing} recordings without it" if missing else "")
            )
        if self.hop is not None:
            kind = "features beside them" if self.mel is None else "mel spectra"
            lines.append(
                f"{kind}: {self.num_features} numbers every {self.hop} samples "
                f"({1000 * self.hop / self.sample_rate:.3g} ms)"
            )
        if self.num_resampled:
            lines.append(f"resampled {self.num_resampled} recordings to {self.sample_rate} Hz")
        if self.trimmed_seconds:
            lines.append(f"trimming removed {self.trimmed_seconds:.1f} s of silence")
        lines += self.remarks
        if self.skipped:
            lines.append(f"skipped {len(self.skipped)} recordings that could not be used:")
            lines += [f"  {bad.path}: {bad.reason}" for bad in self.skipped]
        return lines

    def _seconds(self, recordings: Sequence[Recording]) -> float:
        return sum(len(recording.codes) for recording in recordings) / self.sample_rate


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many of the items, at equal distances over the list, the first of them included."""
    return [items[number * len(items) // count] for number in range(count)]
