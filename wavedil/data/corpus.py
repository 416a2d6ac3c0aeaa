"""A corpus: every recording of a folder or manifest, decoded once and held as codes."""

import dataclasses
import functools
import hashlib
import itertools
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, UInt

from wavedil import audio
from wavedil.data.config import CorpusConfig
from wavedil.data.features import FeatureReader
from wavedil.data.labels import find_labels, require_matches
from wavedil.data.listing import Entry, list_entries
from wavedil.data.sounds import min_max_normalised, read_sound
from wavedil.data.split import held_out_paths
from wavedil.errors import UserError, require_positive
from wavedil.features import MelConfig
from wavedil.labels import Vocabulary
from wavedil.quantizer import Quantizer

Item = TypeVar("Item")
_EIGHT_BITS = Quantizer()


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
        if self.skipped:
            lines.append(f"skipped {len(self.skipped)} recordings that could not be used:")
            lines += [f"  {bad.path}: {bad.reason}" for bad in self.skipped]
        return lines

    def _seconds(self, recordings: Sequence[Recording]) -> float:
        return sum(len(recording.codes) for recording in recordings) / self.sample_rate


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many of the items, at equal distances over the list, the first of them included."""
    return [items[number * len(items) // count] for number in range(count)]


def read_corpus(
    config: CorpusConfig,
    *,
    quantizer: Quantizer = _EIGHT_BITS,
    mel: MelConfig | None = None,
    features_hop: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Corpus:
    r"""Decode every recording of a corpus once and split it into train and held-out files.

    All codes stay in memory, one byte a sample (two above 256 levels).

    Args:
      config: What to read.
      quantizer: The levels of a sample; a file that stores samples in fewer bits cannot be used.
      mel: For a vocoder: compute these log-mel spectra of every recording.
      features_hop: For a vocoder: read features of your own from `x.npy` beside `x.wav`, an array
        [frames, features] with a frame for every so many samples.
      progress: Called with the seconds of sound that are read and those that there are, after each file.

    Raises:
      UserError: If there is no folder, no recording, none that can be read, or none left to train
        on or to hold out; if the pattern of labels matches no file; with `strict`, at the first recording that
        cannot be used.

    Example:
      corpus = read_corpus(CorpusConfig(folder="fsdd", test=r"_[0-4]\.wav$"))
    """
    _check_features(config, mel, features_hop)
    reader = _Reader(config, quantizer)
    if config.held_out < 1:  # recordings that are scored alone may lack the labels
        require_matches(reader.labels, reader.names)
    recordings = reader.read_all(mel, features_hop, progress)
    held_out = held_out_paths([e for e in reader.entries if e.path in recordings], config)
    found = [recording.labels for recording in recordings.values()]
    return Corpus(
        train=tuple(item for path, item in recordings.items() if path not in held_out),
        test=tuple(item for path, item in recordings.items() if path in held_out),
        sample_rate=reader.sample_rate,
        skipped=reader.skipped_in_order,
        trimmed_seconds=reader.trimmed_samples / reader.sample_rate,
        label_values=Vocabulary.of(found, reader.names),
        unlabelled={name: sum(name not in item for item in found) for name in reader.names},
        num_resampled=sum(reader.rates[path] != reader.sample_rate for path in recordings),
        hop=reader.features.hop,
        mel=reader.features.mel,
    )


def _check_features(config: CorpusConfig, mel: MelConfig | None, hop: int | None) -> None:
    require_positive(features_hop=hop)
    if hop is not None and mel is not None:
        raise UserError(
            f"features_hop is {hop}, and mel is given too; read features of your own, or compute mel spectra"
        )
    if hop is not None and config.trim_db is not None:
        raise UserError(
            f"trim_db is {config.trim_db}, which cuts the sound but not the features beside it; cut both "
            "beforehand and leave trim_db out"
        )


class _Reader:
    """Decodes files, as many at once as there are cores, and keeps account of what could not be used."""

    def __init__(self, config: CorpusConfig, quantizer: Quantizer) -> None:
        self.config, self.quantizer = config, quantizer
        self.entries = list_entries(config.folder)
        self.labels, self.names = find_labels(self.entries, config.labels)
        self.sample_rate = config.sample_rate or 0
        self.skipped: list[Skipped] = []
        self.rates: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.trimmed_samples = 0

    def read_all(
        self,
        mel: MelConfig | None,
        features_hop: int | None,
        progress: Callable[[int, int], None] | None,
    ) -> dict[str, Recording]:
        """The recordings that can be used, by path; decides the sample rate where none is set."""
        entries = [entry for entry in self.entries if self.read_header(entry)]
        self.sample_rate = self.sample_rate or self.commonest_rate()
        self.features = FeatureReader(mel, features_hop, self.sample_rate)
        recordings = {}
        done, total = 0.0, sum(self.seconds.values())
        # Decoding, resampling and spectra let other threads run.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            futures = [pool.submit(self.read_recording, entry) for entry in entries]
            try:
                for entry, future in zip(entries, futures, strict=True):
                    recording = self.taken(entry, future)
                    if recording is not None:
                        recordings[entry.path] = recording
                    done += self.seconds[entry.path]
                    if progress is not None:
                        progress(math.ceil(done), math.ceil(total))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if not recordings:
            raise self.nothing_readable()
        return recordings

    def taken(self, entry: Entry, future: Future[tuple[Recording, int]]) -> Recording | None:
        """The recording that was read, or None where it cannot be used."""
        try:
            recording, trimmed = future.result()
            self.features.require_width(entry.file, recording.features)
        except audio.AudioError as error:
            self._skip(entry, error)
            return None
        self.trimmed_samples += trimmed
        return recording

    def read_header(self, entry: Entry) -> bool:
        try:
            header = audio.read_info(entry.file)
            self.require_bits(entry, header.bits)
        except audio.AudioError as error:
            self._skip(entry, error)
            return False
        self.rates[entry.path] = header.sample_rate
        self.seconds[entry.path] = header.seconds
        return True

    def require_bits(self, entry: Entry, bits: int | None) -> None:
        """Refuses a file of fewer values than levels: most levels stay empty, and bits per sample mean nothing."""
        if bits is None or self.quantizer.levels <= 1 << bits:
            return
        raise audio.AudioError(
            entry.file,
            f"stores a sample in {bits} bits, {1 << bits} values, too few for {self.quantizer.levels} levels; "
            f"use at most {1 << bits} levels, or recordings of more bits",
        )

    def commonest_rate(self) -> int:
        """The rate most files have; of equals the lower, which invents no high frequencies."""
        if not self.rates:
            raise self.nothing_readable()
        counts = Counter(self.rates.values())
        return min(counts, key=lambda rate: (-counts[rate], rate))

    def read_recording(self, entry: Entry) -> tuple[Recording, int]:
        """The recording, and how many samples trimming removed.

        Raises:
          AudioError: If it cannot be used.
        """
        kept, trimmed = read_sound(self.config, entry, self.sample_rate)
        normalised = min_max_normalised(kept) if self.config.min_max_normalisation else kept
        codes = self.quantizer.encode(normalised)
        self.require_sound(entry, codes)
        features = self.features.read(entry.file, kept)
        codes.flags.writeable = False
        return Recording(entry.path, codes, self.labels[entry.path], features), trimmed

    def require_sound(self, entry: Entry, codes: np.ndarray) -> None:
        """Refuses silence, which teaches nothing and flatters bits per sample."""
        if (codes == codes[:1]).all():
            raise audio.AudioError(
                entry.file,
                f"is silent: its {codes.size} samples are all at the same one of {self.quantizer.levels} levels; "
                "remove it or record it again",
            )

    @property
    def skipped_in_order(self) -> tuple[Skipped, ...]:
        return tuple(sorted(self.skipped, key=lambda bad: bad.path))

    def nothing_readable(self) -> UserError:
        first = self.skipped_in_order[0]
        return UserError(
            f"none of the {len(self.skipped)} recordings of {self.config.folder} can be used; "
            f"the first: {first.path}: {first.reason}"
        )

    def _skip(self, entry: Entry, error: audio.AudioError) -> None:
        if self.config.strict:
            raise UserError(f"{error} (strict: recordings that cannot be used stop the run)")
        self.skipped.append(Skipped(entry.path, error.reason))
