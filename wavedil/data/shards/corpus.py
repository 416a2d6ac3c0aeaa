"""A corpus out of shards: what was decoded before, in the order of its listing."""

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np

from wavedil import audio
from wavedil.data.config import CorpusConfig
from wavedil.data.corpus import Skipped
from wavedil.data.features import FeatureReader
from wavedil.data.found import Found, labels_of, nothing_usable
from wavedil.data.listing import Entry
from wavedil.data.recording import Recording
from wavedil.data.shards.codes import Shard, StoredArray
from wavedil.data.shards.folder import complete, read_settings
from wavedil.data.shards.format import AGAIN, Index, PreparedConfig, Stored, num_pieces
from wavedil.errors import UserError
from wavedil.mel import MelConfig
from wavedil.mu_law import code_dtype
from wavedil.pitch import PitchConfig
from wavedil.quantizer import Quantizer

_DECIDED = ("sample_rate", "channel", "trim_db", "min_max_normalisation")


def read_prepared(
    config: CorpusConfig,
    quantizer: Quantizer,
    features: tuple[MelConfig | None, int | None, PitchConfig | None],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Found, dict[str, Any]]:
    """The recordings of shards, whose codes are read when they are used, and how they were read.

    Args:
      config: Of the corpus; its folder holds the shards.
      quantizer: That they must have been made with.
      features: The mel, features_hop and pitch that are asked for; those of the shards must be the same.
      progress: As that of `read_corpus`.

    Raises:
      UserError: If the shards are not complete, or of different settings, or made otherwise than the corpus wants;
        with `strict`, if one of them is damaged, or a recording could not be used as it is.
    """
    folder = Path(config.folder).expanduser()
    settings = read_settings(folder)
    decided = _decided(config, quantizer, settings)
    frames = FeatureReader(*features[:2], settings.sample_rate, features[2])
    _require_features(folder, frames, settings)
    there = [Shard(path) for path in complete(folder, settings)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reader = _Reader(config, settings, frames)
        for shard, index in zip(there, pool.map(_index, there), strict=True):
            reader.take(shard, index)
    found = reader.found()
    if progress is not None:
        seconds = sum(item.num_samples for item in found.recordings.values()) / found.sample_rate
        progress(math.ceil(seconds), math.ceil(seconds))
    return found, decided


def _decided(
    config: CorpusConfig, quantizer: Quantizer, settings: PreparedConfig
) -> dict[str, Any]:
    """Settings of a corpus that its shards decided.

    Raises:
      UserError: If something else is asked for.
    """
    if quantizer != settings.quantizer:
        raise UserError(
            f"{config.folder} holds codes of {settings.levels} levels ({settings.companding}), but the model has "
            f"{quantizer.levels} ({quantizer.companding}); train one of the same, or prepare the recordings with "
            f"--levels {quantizer.levels} --companding {quantizer.companding}"
        )
    default = CorpusConfig(folder=".")
    decided = {name: getattr(settings, name) for name in _DECIDED}
    for name, value in decided.items():
        given = getattr(config, name)
        if given not in (getattr(default, name), value):
            raise UserError(
                f"{name} is {given!r}, but the recordings of {config.folder} were prepared with {value!r}; leave it "
                "out, or prepare them again"
            )
    return decided


def _require_features(folder: Path, wanted: FeatureReader, there: PreparedConfig) -> None:
    """Refuses shards without the features that are asked for.

    Raises:
      UserError: With what they have, and how to prepare what is wanted.
    """
    if wanted.hop is None:
        return
    if there.mel is None and there.features_hop is None:
        how = "--features mel" if wanted.mel else f"--features beside --features-hop {wanted.hop}"
        raise UserError(
            f"{folder} holds shards without features, which what is trained is conditioned on; prepare the recordings "
            f"with {how}, into a new folder, or give the recordings themselves"
        )
    differences = []
    if wanted.mel is not None and there.mel is not None:
        differences = [f"mel.{line}" for line in there.mel.differences(wanted.mel)]
    elif wanted.mel != there.mel or wanted.hop != there.features_hop:
        kinds = [
            "mel spectra" if mel is not None else f"features of your own every {hop} samples"
            for mel, hop in ((there.mel, there.features_hop), (wanted.mel, wanted.hop))
        ]
        differences = [" -> ".join(kinds)]
    if wanted.pitch != there.pitch:
        pitches = [item.to_dict() if item else "none" for item in (there.pitch, wanted.pitch)]
        differences.append(f"pitch: {pitches[0]} -> {pitches[1]}")
    if differences:
        raise UserError(
            f"{folder} holds other features than are asked for (there -> here): {'; '.join(differences)}; ask for the "
            "same, or prepare the recordings again into a new folder"
        )


def _index(shard: Shard) -> Index | UserError:
    try:
        return shard.index()
    except UserError as error:
        return error


class _Reader:
    """Keeps account of what the shards say."""

    def __init__(
        self, config: CorpusConfig, settings: PreparedConfig, features: FeatureReader
    ) -> None:
        self.config, self.settings, self.features = config, settings, features
        self.dtype = np.dtype(code_dtype(settings.levels))
        self.entries: list[Entry] = []
        self.codes: dict[str, StoredArray] = {}
        self.frames: dict[str, StoredArray] = {}
        self.skipped: list[Skipped] = []
        self.peaks: dict[str, float] = {}
        self.mixed: dict[str, int] = {}
        self.num_trimmed = self.num_resampled = 0

    def take(self, shard: Shard, index: Index | UserError) -> None:
        """Takes in the recordings of a shard."""
        if isinstance(index, UserError):
            self.skip(shard.path.name, str(index))
            return
        name, settings, stored = index
        if name != shard.path.name:
            raise UserError(f"{shard.path} is {name} under another name; {AGAIN}")
        if settings != self.settings:
            raise UserError(
                f"{shard.path} was prepared with other settings than the shards beside it (there -> here): "
                f"{'; '.join(self.settings.differences(settings))}; remove it, and prepare its part again"
            )
        record = 0
        for item in stored:
            self.entries.append(Entry(item.path, shard.path, item.split, item.labels))
            if item.reason:
                self.skip(item.path, item.reason)
            elif self.config.strict and item.peak > 1:
                self.skip(item.path, f"the peak is {audio.over_full_scale(item.peak)}")
            else:
                self.keep(item, shard, record)
            record += sum(num_pieces(item))

    def keep(self, item: Stored, shard: Shard, record: int) -> None:
        if self.features.hop is not None:
            shape, first = (item.num_frames, item.num_features), record + num_pieces(item)[0]
            frames = StoredArray(shard, first, shape, np.float32, item.features_sha256)
            try:
                self.features.require_width(Path(item.path), cast(np.ndarray, frames))
            except audio.AudioError as error:
                self.skip(item.path, error.reason)
                return
            self.frames[item.path] = frames
        codes = StoredArray(shard, record, (item.num_samples,), self.dtype, item.sha256)
        self.codes[item.path] = codes
        if item.peak > 1:
            self.peaks[item.path] = item.peak
        if item.num_mixed > 2:
            self.mixed[item.path] = item.num_mixed
        self.num_trimmed += item.num_trimmed
        self.num_resampled += item.resampled

    def skip(self, path: str, reason: str) -> None:
        if self.config.strict:
            raise UserError(
                f"{path}: {reason} (strict: recordings that cannot be used stop the run)"
            )
        self.skipped.append(Skipped(path, reason))

    def found(self) -> Found:
        """What there is, with its labels.

        Raises:
          UserError: If nothing can be used, or the pattern of labels matches nothing.
        """
        if not self.codes:
            raise nothing_usable(self.config.folder, self.skipped)
        labels, names = labels_of(self.entries, self.config)
        return Found(
            # They are sliced as arrays are, and nothing else is done with codes until all of them are wanted.
            recordings={
                path: Recording(
                    path,
                    cast(np.ndarray, codes),
                    labels[path],
                    cast(np.ndarray | None, self.frames.get(path)),
                )
                for path, codes in self.codes.items()
            },
            entries=self.entries,
            names=names,
            sample_rate=self.settings.sample_rate,
            skipped=self.skipped,
            num_trimmed=self.num_trimmed,
            num_resampled=self.num_resampled,
            peaks=self.peaks,
            mixed=self.mixed,
            features=self.features,
        )
