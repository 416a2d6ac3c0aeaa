"""Reading a corpus: every recording of a folder or manifest, decoded once, on all cores."""

import math
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from wavedil import audio
from wavedil.data.config import CorpusConfig
from wavedil.data.corpus import Corpus, Skipped
from wavedil.data.duplicates import repeated, require_apart
from wavedil.data.features import FeatureReader
from wavedil.data.labels import find_labels, require_matches
from wavedil.data.listing import Entry, list_entries
from wavedil.data.recording import Recording
from wavedil.data.sounds import min_max_normalised, read_sound, treated
from wavedil.data.split import split
from wavedil.errors import UserError, require_positive
from wavedil.features import MelConfig
from wavedil.labels import Vocabulary
from wavedil.pitch import PitchConfig
from wavedil.quantizer import Quantizer

_EIGHT_BITS = Quantizer()


def read_corpus(
    config: CorpusConfig,
    *,
    quantizer: Quantizer = _EIGHT_BITS,
    mel: MelConfig | None = None,
    features_hop: int | None = None,
    pitch: PitchConfig | None = None,
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
      pitch: For a vocoder of mel spectra: compute period and voicing beside them.
      progress: Called with the seconds of sound that are read and those that there are, after each file; while only
        headers are read, with 0 and an estimate.

    Raises:
      UserError: If there is no folder, no recording, none that can be read, or none left to train on or to hold out;
        if a sound is both trained on and held out; if the pattern of labels matches no file; with `strict`, at the
        first recording that cannot be used as it is.

    Example:
      corpus = read_corpus(CorpusConfig(folder="fsdd", test=r"_[0-4]\.wav$"))
    """
    _check_features(config, mel, features_hop)
    reader = _Reader(config, quantizer)
    if config.held_out < 1:  # recordings that are scored alone may lack the labels
        require_matches(reader.labels, reader.names)
    recordings = reader.read_all(mel, features_hop, pitch, progress)
    used = [entry for entry in reader.entries if entry.path in recordings]
    train, test = split(recordings, used, config, reader.features.hop)
    found = [recording.labels for recording in recordings.values()]
    require_apart(train, test)
    return Corpus(
        train=train,
        test=test,
        sample_rate=reader.sample_rate,
        skipped=reader.skipped_in_order,
        trimmed_seconds=reader.trimmed_samples / reader.sample_rate,
        label_values=Vocabulary.of(found, reader.names),
        unlabelled={name: sum(name not in item for item in found) for name in reader.names},
        remarks=(*treated(reader.peaks, reader.mixed), *repeated(train), *repeated(test)),
        num_resampled=sum(reader.rates[path] != reader.sample_rate for path in recordings),
        hop=reader.features.hop,
        mel=reader.features.mel,
        pitch=reader.features.pitch,
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


class _Read(NamedTuple):
    """A recording, and what was done to it."""

    recording: Recording
    num_trimmed: int
    peak: float
    num_mixed: int


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
        self.peaks: dict[str, float] = {}
        self.mixed: dict[str, int] = {}

    def read_all(
        self,
        mel: MelConfig | None,
        features_hop: int | None,
        pitch: PitchConfig | None,
        progress: Callable[[int, int], None] | None,
    ) -> dict[str, Recording]:
        """The recordings that can be used, by path; decides the sample rate where none is set."""
        entries = self.read_headers(progress)
        self.sample_rate = self.sample_rate or self.commonest_rate()
        self.features = FeatureReader(mel, features_hop, self.sample_rate, pitch)
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
                        # The last alone is said to be the end.
                        end = math.ceil(total)
                        progress(end if entry is entries[-1] else min(int(done), end - 1), end)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if not recordings:
            raise self.nothing_readable()
        return recordings

    def taken(self, entry: Entry, future: Future[_Read]) -> Recording | None:
        """The recording that was read, or None where it cannot be used."""
        try:
            read = future.result()
            self.features.require_width(entry.file, read.recording.features)
        except audio.AudioError as error:
            self._skip(entry, error)
            return None
        self.trimmed_samples += read.num_trimmed
        self.peaks[entry.path], self.mixed[entry.path] = read.peak, read.num_mixed
        return read.recording

    def read_headers(self, progress: Callable[[int, int], None] | None) -> list[Entry]:
        """The recordings that can be opened."""
        opened, seconds = [], 0.0
        for number, entry in enumerate(self.entries, start=1):
            if self.read_header(entry):
                opened.append(entry)
                seconds += self.seconds[entry.path]
            if progress is not None:
                # Nothing is read yet, of about so much.
                progress(0, 1 + int(seconds * len(self.entries) / number))
        return opened

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

    def read_recording(self, entry: Entry) -> _Read:
        """The recording, and what was done to it.

        Raises:
          AudioError: If it cannot be used.
        """
        sound, num_trimmed = read_sound(self.config, entry, self.sample_rate)
        if self.config.strict and sound.peak > 1:
            raise audio.AudioError(entry.file, f"the peak is {audio.over_full_scale(sound.peak)}")
        kept = sound.samples
        normalised = min_max_normalised(kept) if self.config.min_max_normalisation else kept
        codes = self.quantizer.encode(normalised)
        self.require_sound(entry, codes)
        features = self.features.read(entry.file, kept)
        codes.flags.writeable = False
        recording = Recording(entry.path, codes, self.labels[entry.path], features)
        return _Read(recording, num_trimmed, sound.peak, sound.num_mixed)

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
