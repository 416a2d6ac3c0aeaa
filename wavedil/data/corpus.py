"""A corpus: recordings to train on and held-out ones, held as codes."""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from wavedil.data.fingerprints import Fingerprint, fingerprints
from wavedil.data.pair import Pair
from wavedil.data.recording import Recording
from wavedil.data.shards.codes import stored_sha256
from wavedil.labels import Vocabulary
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig

Item = TypeVar("Item")
Of = TypeVar("Of", Recording, Pair)


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A recording that could not be used, and why."""

    path: str
    reason: str


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus(Generic[Of]):
    """Recordings to train on and held-out recordings, as codes; or pairs of a dry and a wet signal.

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
      pitch: How the pitch beside the mel spectra is computed; None where there is none.
      decided: Settings of the reading that were decided when the recordings were prepared, by name.
      remarks: On recordings that are used otherwise than as they are, or twice, in lines for people.
    """

    train: tuple[Of, ...]
    test: tuple[Of, ...]
    sample_rate: int
    skipped: tuple[Skipped, ...]
    trimmed_seconds: float
    label_values: Vocabulary
    unlabelled: dict[str, int]
    num_resampled: int = 0
    hop: int | None = None
    mel: MelConfig | None = None
    pitch: PitchConfig | None = None
    remarks: tuple[str, ...] = ()
    decided: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def num_features(self) -> int:
        """Numbers in a frame of features; 0 where the recordings have none."""
        features = (self.train or self.test)[0].features
        return 0 if features is None else features.shape[1]

    def held_out(self, seconds: float) -> tuple[Of, ...]:
        """About so many seconds of held-out sound, the same each time.

        They are pieces of a second or two at equal distances over all of it; a shorter recording is a piece.
        """
        pieces = []
        for recording in self.test:
            length = recording.num_scored
            first, count = (recording.scored or (0, 0))[0], max(1, length // self.sample_rate)
            cuts = [first + number * length // count for number in range(count + 1)]
            pieces += [(recording, scored) for scored in itertools.pairwise(cuts)]
        held_out = sum(recording.num_scored for recording in self.test)
        if seconds * self.sample_rate >= held_out:
            return self.test
        share = seconds * self.sample_rate / held_out
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
                for array in recording.arrays:
                    stored = stored_sha256(array)
                    digest.update(array.tobytes() if stored is None else stored.encode())
                if recording.features is not None:
                    stored = stored_sha256(recording.features)
                    digest.update(
                        recording.features.tobytes() if stored is None else stored.encode()
                    )
        return digest.hexdigest()[:16]

    @functools.cached_property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """The recordings, one by one, as `fingerprint` tells them apart."""
        return fingerprints(self.train, self.test)

    def describe(self) -> list[str]:
        """A summary of what was read, held out, skipped, resampled and trimmed, in lines for people."""
        lines = [self._amount("train", self.train), self._held_out()]
        for name, values in self.label_values.items():
            missing = self.unlabelled[name]
            trained = {recording.labels.get(name) for recording in self.train}
            untrained = [value for value in values if value not in trained]
            lines.append(
                f"label {name}: {len(values)} values"
                + (f", {missing} recordings without it" if missing else "")
                + (f"; no recording to train on has {', '.join(untrained)}" if untrained else "")
            )
        if self.hop is not None:
            spectra = "mel spectra" if self.pitch is None else "mel spectra and pitch"
            kind = "features beside them" if self.mel is None else spectra
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
            used = len({recording.path for recording in self.train + self.test})
            found = used + len(self.skipped)
            lines.append(f"reading: {used} of {found}, {len(self.skipped)} skipped:")
            lines += [f"  {bad.path}: {bad.reason}" for bad in self.skipped]
        return lines

    def _held_out(self) -> str:
        if not self.test:
            return "held out: nothing; all recordings are trained on, and no score is of sound that is new to the model"
        last = self.test[-1]
        if last.scored is None or isinstance(last, Pair):
            return self._amount("held out", self.test)
        return f"held out: the last {last.num_scored / self.sample_rate:.1f} s of {last.path}, the only recording"

    def _amount(self, name: str, recordings: Sequence[Of]) -> str:
        seconds = sum(recording.num_scored for recording in recordings) / self.sample_rate
        kind = "pairs" if any(isinstance(item, Pair) for item in recordings) else "recordings"
        ends = "the ends of " if any(item.scored for item in recordings) else ""
        return f"{name}: {ends}{len(recordings)} {kind}, {seconds:.1f} s at {self.sample_rate} Hz"


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many of the items, at equal distances over the list, the first of them included."""
    return [items[number * len(items) // count] for number in range(count)]
