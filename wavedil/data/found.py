"""What reading finds of a corpus, and the corpus that it makes."""

import dataclasses
from collections.abc import Mapping, Sequence

from wavedil.data.config import CorpusConfig
from wavedil.data.corpus import Corpus, Skipped
from wavedil.data.duplicates import repeated
from wavedil.data.features import FeatureReader
from wavedil.data.labels import find_labels, require_matches
from wavedil.data.listing import Entry
from wavedil.data.recording import Recording
from wavedil.data.sounds import treated
from wavedil.data.split import split
from wavedil.errors import UserError
from wavedil.labels import Vocabulary


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What there is of a corpus: recordings that can be used, in the order of the listing, and an account of all.

    Attributes:
      recordings: Path -> recording.
      entries: Of all that are listed.
      names: Of the labels.
      sample_rate: Hz.
      skipped: What cannot be used.
      num_trimmed: Samples that trimming removed.
      num_resampled: Recordings that came at another rate.
      peaks, mixed: Path -> as `audio.Decoded` has them, of those where they are out of the ordinary at least.
      features: How the features were made.
    """

    recordings: dict[str, Recording]
    entries: Sequence[Entry]
    names: Sequence[str]
    sample_rate: int
    skipped: Sequence[Skipped]
    num_trimmed: int
    num_resampled: int
    peaks: Mapping[str, float]
    mixed: Mapping[str, int]
    features: FeatureReader


def corpus_of(found: Found, config: CorpusConfig) -> Corpus:
    """What was found, split into what is trained on and what is held out."""
    used = [entry for entry in found.entries if entry.path in found.recordings]
    train, test = split(found.recordings, used, config, found.features.hop)
    labels = [recording.labels for recording in found.recordings.values()]
    return Corpus(
        train=train,
        test=test,
        sample_rate=found.sample_rate,
        skipped=_in_order(found.skipped),
        trimmed_seconds=found.num_trimmed / found.sample_rate,
        label_values=Vocabulary.of(labels, found.names),
        unlabelled={name: sum(name not in item for item in labels) for name in found.names},
        remarks=(*treated(found.peaks, found.mixed), *repeated(train, test)),
        num_resampled=found.num_resampled,
        hop=found.features.hop,
        mel=found.features.mel,
        pitch=found.features.pitch,
    )


def labels_of(
    entries: Sequence[Entry], config: CorpusConfig
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Path -> labels, and the names of all labels.

    Raises:
      UserError: If the pattern of labels matches no file.
    """
    labels, names = find_labels(entries, config.labels)
    if config.held_out < 1:  # recordings that are scored alone may lack the labels
        require_matches(labels, names)
    return labels, names


def nothing_usable(folder: str, skipped: Sequence[Skipped]) -> UserError:
    """The error where no recording of a corpus can be used."""
    first = _in_order(skipped)[0]
    return UserError(
        f"none of the {len(skipped)} recordings of {folder} can be used; the first: {first.path}: {first.reason}"
    )


def _in_order(skipped: Sequence[Skipped]) -> tuple[Skipped, ...]:
    """In the order of their paths."""
    return tuple(sorted(skipped, key=lambda bad: bad.path))
