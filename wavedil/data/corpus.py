"""A corpus: every recording of a folder or manifest, decoded once and held as codes."""

import dataclasses
import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float32, UInt

from wavedil import audio
from wavedil.data.features import FeatureReader
from wavedil.data.labels import find_labels, require_matches, vocabulary
from wavedil.data.listing import Entry, list_entries
from wavedil.data.settings import CorpusSettings as CorpusSettings
from wavedil.data.sounds import read_sound, stretch
from wavedil.data.split import held_out_paths
from wavedil.errors import UserError
from wavedil.features import MelSettings
from wavedil.levels import Levels


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """One decoded recording.

    Attributes:
      path: Relative to the corpus folder, or as the manifest gives it.
      codes: Codes [time] on the corpus's grid of levels, read-only.
      labels: Name -> value; a label that the file lacks is absent.
      features: [frames, features], frame i of samples `i hop .. (i + 1) hop - 1`, read-only; None
        where the corpus has none.
    """

    path: str
    codes: UInt[np.ndarray, " time"]
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    features: Float32[np.ndarray, "frames features"] | None = None


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
      label_values: Label -> its sorted values in train and test together.
      unlabelled: Label -> number of files that lack it.
      num_resampled: Files that came at another rate.
      hop: Samples that a frame of features governs; None where the recordings have none.
      mel: How the features are computed; None where they were read.
    """

    train: tuple[Recording, ...]
    test: tuple[Recording, ...]
    sample_rate: int
    skipped: tuple[Skipped, ...]
    trimmed_seconds: float
    label_values: dict[str, tuple[str, ...]]
    unlabelled: dict[str, int]
    num_resampled: int = 0
    hop: int | None = None
    mel: MelSettings | None = None

    @property
    def num_features(self) -> int:
        """Numbers in a frame of features; 0 where the recordings have none."""
        features = self.train[0].features
        return 0 if features is None else features.shape[1]

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
        """What was read, held out, skipped, resampled and trimmed, a line each, for people."""
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
        if self.skipped:
            lines.append(f"skipped {len(self.skipped)} recordings that could not be used:")
            lines += [f"  {bad.path}: {bad.reason}" for bad in self.skipped]
        return lines

    def _seconds(self, recordings: Sequence[Recording]) -> float:
        return sum(len(recording.codes) for recording in recordings) / self.sample_rate


def read_corpus(
    settings: CorpusSettings, progress: Callable[[int, int], None] | None = None
) -> Corpus:
    r"""Decode every recording of a corpus once and split it into train and held-out files.

    All codes stay in memory, one byte a sample (two above 256 levels).

    Args:
      settings: What to read.
      progress: Called as `progress(num_done, num_files)` after each file.

    Raises:
      UserError: If there is no folder, no recording, none that can be read, or none left to train
        on or to hold out; if the pattern of labels matches no file; with `strict`, at the first
        recording that cannot be used.

    Example:
      corpus = read_corpus(CorpusSettings(folder="fsdd", test=r"_[0-4]\.wav$"))
    """
    reader = _Reader(settings)
    require_matches(reader.labels, reader.names)
    recordings = reader.read_all(progress)
    held_out = held_out_paths([e for e in reader.entries if e.path in recordings], settings)
    found = [recording.labels for recording in recordings.values()]
    return Corpus(
        train=tuple(item for path, item in recordings.items() if path not in held_out),
        test=tuple(item for path, item in recordings.items() if path in held_out),
        sample_rate=reader.sample_rate,
        skipped=reader.skipped_in_order,
        trimmed_seconds=reader.trimmed_samples / reader.sample_rate,
        label_values=vocabulary(found, reader.names),
        unlabelled={name: sum(name not in item for item in found) for name in reader.names},
        num_resampled=sum(reader.rates[path] != reader.sample_rate for path in recordings),
        hop=reader.features.hop,
        mel=reader.features.mel,
    )


def read_recordings(
    settings: CorpusSettings,
    progress: Callable[[int, int], None] | None = None,
    skip: Callable[[Skipped], None] | None = None,
) -> tuple[Recording, ...]:
    """Every recording of a folder or manifest that can be used, one or more, without a split.

    Args:
      settings: What to read.
      progress: As `read_corpus`.
      skip: Called with each recording that cannot be used, in the order of their paths.

    Raises:
      UserError: As `read_corpus`, except that nothing has to be left to train on or hold out, and the pattern of
        labels may match no file.
    """
    reader = _Reader(settings)
    recordings = tuple(reader.read_all(progress).values())
    if skip is not None:
        for skipped in reader.skipped_in_order:
            skip(skipped)
    return recordings


class _Reader:
    """Decodes files one by one, and keeps account of what could not be used."""

    def __init__(self, settings: CorpusSettings) -> None:
        self.settings = settings
        self.grid = Levels(settings.levels, settings.scale)
        self.entries = list_entries(settings.folder)
        self.labels, self.names = find_labels(self.entries, settings.labels)
        self.sample_rate = settings.sample_rate or 0
        self.skipped: list[Skipped] = []
        self.rates: dict[str, int] = {}
        self.trimmed_samples = 0

    def read_all(self, progress: Callable[[int, int], None] | None) -> dict[str, Recording]:
        """The recordings that can be used, by path; decides the sample rate where none is set."""
        entries = [entry for entry in self.entries if self.read_header(entry)]
        self.sample_rate = self.sample_rate or self.commonest_rate()
        self.features = FeatureReader(self.settings, self.sample_rate)
        recordings = {}
        for done, entry in enumerate(entries, start=1):
            recording = self.read_recording(entry)
            if recording is not None:
                recordings[entry.path] = recording
            if progress is not None:
                progress(done, len(entries))
        if not recordings:
            raise self.nothing_readable()
        return recordings

    def read_header(self, entry: Entry) -> bool:
        try:
            header = audio.read_info(entry.file)
            self.require_bits(entry, header.bits)
        except audio.AudioError as error:
            self._skip(entry, error)
            return False
        self.rates[entry.path] = header.sample_rate
        return True

    def require_bits(self, entry: Entry, bits: int | None) -> None:
        """Refuses a file of fewer values than levels: most levels stay empty, and bits per sample mean nothing."""
        if bits is None or self.grid.count <= 1 << bits:
            return
        raise audio.AudioError(
            entry.file,
            f"stores a sample in {bits} bits, {1 << bits} values, too few for {self.grid.count} levels; "
            f"use at most {1 << bits} levels, or recordings of more bits",
        )

    def commonest_rate(self) -> int:
        """The rate most files have; of equals the lower, which invents no high frequencies."""
        if not self.rates:
            raise self.nothing_readable()
        counts = Counter(self.rates.values())
        return min(counts, key=lambda rate: (-counts[rate], rate))

    def read_recording(self, entry: Entry) -> Recording | None:
        """The recording, or None where it cannot be used."""
        try:
            kept, trimmed = read_sound(self.settings, entry, self.sample_rate)
            codes = self.grid.encode(stretch(kept) if self.settings.min_max else kept)
            self.require_sound(entry, codes)
            features = self.features.read(entry.file, kept)
        except audio.AudioError as error:
            self._skip(entry, error)
            return None
        self.trimmed_samples += trimmed
        codes.flags.writeable = False
        return Recording(entry.path, codes, self.labels[entry.path], features)

    def require_sound(self, entry: Entry, codes: np.ndarray) -> None:
        """Refuses silence, which teaches nothing and flatters bits per sample."""
        if (codes == codes[:1]).all():
            raise audio.AudioError(
                entry.file,
                f"is silent: its {codes.size} samples are all at the same one of {self.grid.count} levels; "
                "remove it or record it again",
            )

    @property
    def skipped_in_order(self) -> tuple[Skipped, ...]:
        return tuple(sorted(self.skipped, key=lambda bad: bad.path))

    def nothing_readable(self) -> UserError:
        first = self.skipped_in_order[0]
        return UserError(
            f"none of the {len(self.skipped)} recordings of {self.settings.folder} can be used; "
            f"the first: {first.path}: {first.reason}"
        )

    def _skip(self, entry: Entry, error: audio.AudioError) -> None:
        if self.settings.strict:
            raise UserError(f"{error} (strict: recordings that cannot be used stop the run)")
        self.skipped.append(Skipped(entry.path, error.reason))
