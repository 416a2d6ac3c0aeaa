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
from wavedil.data.shards.codes import Shard, StoredCodes
from wavedil.data.shards.folder import complete, read_settings
from wavedil.data.shards.format import AGAIN, Index, PreparedConfig, Stored, num_pieces
from wavedil.errors import UserError
from wavedil.mu_law import code_dtype
from wavedil.quantizer import Quantizer

_DECIDED = ("sample_rate", "channel", "trim_db", "min_max_normalisation")


def read_prepared(
    config: CorpusConfig,
    quantizer: Quantizer,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Found, dict[str, Any]]:
    """The recordings of shards, whose codes are read when they are used, and how they were read.

    Args:
      config: Of the corpus; its folder holds the shards.
      quantizer: That they must have been made with.
      progress: As that of `read_corpus`.

    Raises:
      UserError: If the shards are not complete, or of different settings, or made otherwise than the corpus wants;
        with `strict`, if one of them is damaged, or a recording could not be used as it is.
    """
    folder = Path(config.folder).expanduser()
    settings = read_settings(folder)
    decided = _decided(config, quantizer, settings)
    there = [Shard(path) for path in complete(folder, settings)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reader = _Reader(config, settings)
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


def _index(shard: Shard) -> Index | UserError:
    try:
        return shard.index()
    except UserError as error:
        return error


class _Reader:
    """Keeps account of what the shards say."""

    def __init__(self, config: CorpusConfig, settings: PreparedConfig) -> None:
        self.config, self.settings = config, settings
        self.dtype = np.dtype(code_dtype(settings.levels))
        self.entries: list[Entry] = []
        self.codes: dict[str, StoredCodes] = {}
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
                codes = StoredCodes(shard, record, item.num_samples, self.dtype, item.sha256)
                self.keep(item, codes)
            record += num_pieces(item)

    def keep(self, item: Stored, codes: StoredCodes) -> None:
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
                path: Recording(path, cast(np.ndarray, codes), labels[path])
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
            features=FeatureReader(None, None, self.settings.sample_rate),
        )
