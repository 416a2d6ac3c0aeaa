"""Recordings to shards, on all cores: decoded once, and read by many runs and machines."""

import dataclasses
import hashlib
import operator
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wavedil import audio
from wavedil.data.config import CorpusConfig
from wavedil.data.decoding import commonest_rate, read_header
from wavedil.data.features import SUFFIX, FeatureReader
from wavedil.data.listing import Entry, list_entries
from wavedil.data.shards.codes import Shard
from wavedil.data.shards.folder import is_prepared, read_settings, settings_path, shard_path
from wavedil.data.shards.format import PreparedConfig, array_record
from wavedil.data.shards.writing import ShardWriter
from wavedil.errors import UserError, require_positive
from wavedil.files import is_scratch, write_json
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig
from wavedil.quantizer import Quantizer

# Of the recordings' files in a shard: enough that a disk reads it in one go, few enough that little is lost with one.
_BYTES_OF_SHARD = 256 << 20
# Each is a file that training keeps open.
_MOST_SHARDS = 512


class Prepared(NamedTuple):
    """What was done.

    Attributes:
      num_written, num_there: Shards of this part that were written, and that were there before.
      num_recordings, num_skipped: Recordings in those that were written, and how many cannot be used.
      seconds_of_sound, seconds: How much sound they hold, and how long it took.
      missing: Shards of other parts that are not there yet.
      settings: Of all shards.
    """

    num_written: int
    num_there: int
    num_recordings: int
    num_skipped: int
    seconds_of_sound: float
    seconds: float
    missing: int
    settings: PreparedConfig


def prepare(
    config: CorpusConfig,
    folder: str | os.PathLike[str],
    *,
    quantizer: Quantizer,
    mel: MelConfig | None = None,
    features_hop: int | None = None,
    pitch: PitchConfig | None = None,
    num_shards: int | None = None,
    part: tuple[int, int] = (1, 1),
    progress: Callable[[int, int, str], None] | None = None,
    warn: Callable[[str], None] = lambda line: None,
) -> Prepared:
    """Writes the recordings of a corpus as codes into shards, or those of its shards that are not there yet.

    Each shard is complete or not there, so that it goes on where it was killed. Processes on any number of machines
    write a part each into one folder, or into folders that are merged afterwards.

    Args:
      config: Which recordings, and how they are read; labels, and what is held out, are for the training to choose.
      folder: Made if it is not there.
      quantizer: Of the codes.
      mel: Compute features too, for a vocoder or another model that takes them; as of `read_corpus`.
      features_hop: As there.
      pitch: As there.
      num_shards: By default one for 256 MiB of files, and no more than 512.
      part: Which part of how many, from (1, n) to (n, n).
      progress: Called with the bytes of files that are read and those that there are, and hours of sound a second.
      warn: Called with a line about each shard that is damaged and written again.

    Raises:
      UserError: If the recordings cannot be used, or the folder holds shards of other settings or something else.
      WriteError: If the disk is full.
    """
    begun = time.perf_counter()
    array_record()  # refuses before any work where it is missing
    require_positive(num_shards=num_shards)
    place = Path(folder)
    entries = list_entries(config.folder)
    sizes = [_size(entry.file) for entry in entries]
    if num_shards is None:
        num_shards = min(max(1, -(-sum(sizes) // _BYTES_OF_SHARD)), _MOST_SHARDS)
    number, of = part
    if not 1 <= number <= of <= num_shards:
        raise UserError(
            f"part is {number}/{of}, but there are {num_shards} shards; parts are 1/{of} to {of}/{of}, of at most as "
            "many as there are shards (num_shards)"
        )
    beside = [
        0 if features_hop is None else _size(entry.file.with_suffix(SUFFIX)) for entry in entries
    ]
    sizes_of_all = list(map(operator.add, sizes, beside))
    settings = _settings(config, quantizer, num_shards, entries, sizes_of_all)
    features = FeatureReader(mel, features_hop, settings.sample_rate, pitch)
    settings = dataclasses.replace(
        settings, mel=features.mel, features_hop=features_hop, pitch=features.pitch
    )
    _claim(place, settings)
    mine = range(number - 1, num_shards, of)
    open_ = [shard for shard in mine if not _is_there(place, shard, settings, warn)]
    writer = ShardWriter(config, place, settings, progress)
    writer.write({shard: _entries_of(shard, num_shards, entries, sizes) for shard in open_})
    paths = [shard_path(place, shard, num_shards) for shard in range(num_shards)]
    missing = sum(not path.exists() for path in paths)
    if not missing:
        # Nobody is writing any more: what is left are those of processes that were killed.
        for left in filter(is_scratch, place.iterdir()):
            left.unlink(missing_ok=True)
    return Prepared(
        num_written=len(open_),
        num_there=len(mine) - len(open_),
        num_recordings=writer.num_recordings,
        num_skipped=writer.num_skipped,
        seconds_of_sound=writer.num_samples / settings.sample_rate,
        seconds=time.perf_counter() - begun,
        missing=missing,
        settings=settings,
    )


def _settings(
    config: CorpusConfig,
    quantizer: Quantizer,
    num_shards: int,
    entries: Sequence[Entry],
    sizes: Sequence[int],
) -> PreparedConfig:
    listing = hashlib.sha256()
    for entry, size in zip(entries, sizes, strict=True):
        row = entry.path, size, entry.split, sorted(entry.labels.items())
        listing.update(repr(row).encode(errors="surrogatepass"))
    return PreparedConfig(
        sample_rate=config.sample_rate or _commonest_rate(config, quantizer, entries),
        channel=config.channel,
        trim_db=config.trim_db,
        min_max_normalisation=config.min_max_normalisation,
        levels=quantizer.levels,
        companding=quantizer.companding,
        num_shards=num_shards,
        listing=listing.hexdigest()[:16],
    )


def _commonest_rate(config: CorpusConfig, quantizer: Quantizer, entries: Sequence[Entry]) -> int:
    """The rate that most recordings have which can be used: that of all, whichever part this is."""

    def rate(entry: Entry) -> int | str:
        try:
            return read_header(entry, quantizer).sample_rate
        except audio.AudioError as error:
            return str(error)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(rate, entries))
    rates = [rate for rate in found if isinstance(rate, int)]
    if not rates:
        raise UserError(
            f"none of the {len(found)} recordings of {config.folder} can be used; the first: {found[0]}"
        )
    return commonest_rate(rates)


def _claim(folder: Path, settings: PreparedConfig) -> None:
    """Takes the folder for shards of these settings.

    Raises:
      UserError: If it holds others, or something else.
    """
    if settings_path(folder).exists():
        _require_same(folder, read_settings(folder), settings)
        return
    if folder.exists():
        others = (
            [path for path in folder.iterdir() if not is_scratch(path)]
            if folder.is_dir()
            else [folder]
        )
        if others and not is_prepared(folder):
            raise UserError(
                f"{folder} holds something else ({others[0].name}); choose a new folder"
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(settings_path(folder), settings.to_dict())


def _require_same(where: Path, there: PreparedConfig, here: PreparedConfig) -> None:
    differences = there.differences(here)
    if not differences:
        return
    if there.listing != here.listing:
        differences = ["other recordings: files were added, removed, changed or renamed"]
    raise UserError(
        f"{where} was prepared with other settings (there -> here): {'; '.join(differences)}; give the same, or "
        "choose a new folder"
    )


def _is_there(
    folder: Path, number: int, settings: PreparedConfig, warn: Callable[[str], None]
) -> bool:
    """Whether a shard is there and sound."""
    path = shard_path(folder, number, settings.num_shards)
    if not path.exists():
        return False
    try:
        name, there, _ = Shard(path).require_sound()
        if name != path.name:
            raise UserError(f"{path} is {name} under another name")
    except UserError as error:
        warn(f"{str(error).split(';')[0]}; it is written again now")
        path.unlink(missing_ok=True)  # until then it is missing, also for other processes
        return False
    _require_same(path, there, settings)
    return True


def _entries_of(
    number: int, num_shards: int, entries: Sequence[Entry], sizes: Sequence[int]
) -> list[tuple[Entry, int]]:
    """Consecutive recordings, whose files are about as large as those of any other shard."""
    middles = np.cumsum(sizes) - np.asarray(sizes) / 2
    shard = np.minimum(middles * num_shards // max(1, sum(sizes)), num_shards - 1)
    first, end = np.searchsorted(shard, [number, number + 1])
    return list(zip(entries[first:end], sizes[first:end], strict=True))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except (OSError, ValueError):  # which its reading will say
        return 0
