"""Reading a corpus: every recording of a folder or manifest, decoded once, on all cores."""

import contextlib
import dataclasses
import gc
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from wavedil import audio
from wavedil.data.config import CorpusConfig
from wavedil.data.corpus import Corpus, Skipped
from wavedil.data.decoding import Decoded, Decoder, commonest_rate, read_header
from wavedil.data.features import FeatureReader
from wavedil.data.found import Found, corpus_of, labels_of, nothing_usable
from wavedil.data.listing import Entry, list_entries
from wavedil.data.recording import Recording
from wavedil.data.shards.corpus import read_prepared
from wavedil.data.shards.folder import is_prepared
from wavedil.errors import UserError, require_positive
from wavedil.mel import MelConfig
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

    All codes stay in memory, one byte a sample (two above 256 levels); those of shards, which `prepare` wrote, are read
    when they are used, and so are features in them.

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
    if is_prepared(Path(config.folder).expanduser()):
        features = mel, features_hop, pitch
        with _uncollected():
            found, decided = read_prepared(config, quantizer, features, progress)
            return dataclasses.replace(corpus_of(found, config), decided=decided)
    reader = _Reader(config, quantizer)
    return corpus_of(reader.read_all(mel, features_hop, pitch, progress), config)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would look through millions of objects, all in use, again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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
        self.labels, self.names = labels_of(self.entries, config)
        self.skipped: list[Skipped] = []
        self.rates: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.num_trimmed = 0
        self.peaks: dict[str, float] = {}
        self.mixed: dict[str, int] = {}

    def read_all(
        self,
        mel: MelConfig | None,
        features_hop: int | None,
        pitch: PitchConfig | None,
        progress: Callable[[int, int], None] | None,
    ) -> Found:
        """The recordings that can be used; decides the sample rate where none is set."""
        entries = self.read_headers(progress)
        if not self.rates:
            raise self.nothing_readable()
        sample_rate = self.config.sample_rate or commonest_rate(self.rates.values())
        self.features = FeatureReader(mel, features_hop, sample_rate, pitch)
        decoder = Decoder(self.config, self.quantizer, self.features)
        recordings = {}
        done, total = 0.0, sum(self.seconds.values())
        # Decoding, resampling and spectra let other threads run.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            futures = [
                pool.submit(decoder.read, entry, self.labels[entry.path]) for entry in entries
            ]
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
        return Found(
            recordings=recordings,
            entries=self.entries,
            names=self.names,
            sample_rate=sample_rate,
            skipped=self.skipped,
            num_trimmed=self.num_trimmed,
            num_resampled=sum(self.rates[path] != sample_rate for path in recordings),
            peaks=self.peaks,
            mixed=self.mixed,
            features=self.features,
        )

    def taken(self, entry: Entry, future: Future[Decoded]) -> Recording | None:
        """The recording that was read, or None where it cannot be used."""
        try:
            read = future.result()
            self.features.require_width(entry.file, read.recording.features)
        except audio.AudioError as error:
            self._skip(entry, error)
            return None
        self.num_trimmed += read.num_trimmed
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
            header = read_header(entry, self.quantizer)
        except audio.AudioError as error:
            self._skip(entry, error)
            return False
        self.rates[entry.path] = header.sample_rate
        self.seconds[entry.path] = header.seconds
        return True

    def nothing_readable(self) -> UserError:
        return nothing_usable(self.config.folder, self.skipped)

    def _skip(self, entry: Entry, error: audio.AudioError) -> None:
        if self.config.strict:
            raise UserError(f"{error} (strict: recordings that cannot be used stop the run)")
        self.skipped.append(Skipped(entry.path, error.reason))
