"""Shards: the codes of recordings in ArrayRecord files, of which any stretch is read without the rest.

SHARDS/
    prepared.json                          how the recordings were read, and in how many shards they are
    shard-00003-of-00016.array_record      recordings that follow each other in the listing
        records 0 .. n - 1                 their codes in pieces, one recording after the other
        record n                           the index: JSON, see `Index`

A shard is complete or not there. Every record has a checksum, which is tested when it is read.
"""

import dataclasses
import json
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wavedil.config import Config
from wavedil.errors import UserError
from wavedil.files import is_scratch, read_json
from wavedil.quantizer import Companding, Quantizer

PIECE = 1 << 15
"""Codes of a record. A window reads one or two of them."""
_FORMAT = 1
_SUFFIX = ".array_record"
_SETTINGS = "prepared.json"
_AGAIN = "wavedil prepare, called as before, writes it again"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedConfig(Config):
    """How recordings were read into shards; all shards of a folder have the same.

    Attributes:
      sample_rate, channel, trim_db, min_max_normalisation: As those of `CorpusConfig`; the rate is decided.
      levels, companding: Of the quantizer of the codes.
      num_shards: In how many shards they are.
      listing: Hexadecimal digits that are others for other paths, or sizes of files.
      format_version: Of the shards.
    """

    sample_rate: int
    channel: str
    trim_db: float | None
    min_max_normalisation: bool
    levels: int
    companding: Companding
    num_shards: int
    listing: str
    format_version: int = _FORMAT

    @property
    def quantizer(self) -> Quantizer:
        """Of the codes."""
        return Quantizer(self.levels, self.companding)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stored:
    """What the index says of a recording.

    Attributes:
      path, split, labels: As `Entry` has them.
      num_samples: How many codes it has; 0 where it cannot be used.
      sha256: Of the codes and their type, in hexadecimal digits.
      reason: Why it cannot be used; "" where it can.
      peak, num_mixed: As `audio.Decoded` has them.
      num_trimmed: Samples that trimming removed.
      resampled: Whether its file has another rate.
    """

    path: str = ""
    split: str | None = None
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    num_samples: int = 0
    sha256: str = ""
    reason: str = ""
    peak: float = 1.0
    num_mixed: int = 1
    num_trimmed: int = 0
    resampled: bool = False


class Index(NamedTuple):
    """The last record of a shard.

    Attributes:
      name: Of the shard's file.
      settings: Of this shard and all others.
      recordings: In the order of the listing.
    """

    name: str
    settings: PreparedConfig
    recordings: list[Stored]

    def record(self) -> bytes:
        """As it is written: of each recording what is out of the ordinary."""
        default = Stored()
        rows = [
            {name: value for name, value in vars(item).items() if value != getattr(default, name)}
            for item in self.recordings
        ]
        index = {"name": self.name, "settings": self.settings.to_dict(), "recordings": rows}
        return json.dumps(index).encode()


class Shard:
    """A shard, open for reading by any number of threads.

    Args:
      path: Of the file, which is opened when it is first read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader: Any = None
        self._lock = threading.Lock()

    def index(self) -> Index:
        """What it holds.

        Raises:
          UserError: If it is damaged.
        """
        try:
            last = self._opened().num_records() - 1
            values = json.loads(self.read(range(last, last + 1)) if last >= 0 else b"{}")
            recordings = [Stored(**item) for item in values["recordings"]]
            if sum(map(num_pieces, recordings)) != last:
                raise ValueError("records are missing")
            settings = PreparedConfig.from_dict(values["settings"])
            return Index(values["name"], settings, recordings)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise self._damaged("its index cannot be read") from None

    def read(self, records: Sequence[int]) -> bytes:
        """The content of records, joined.

        Raises:
          UserError: If it is damaged.
        """
        try:
            return b"".join(self._opened().read(list(records)))
        except (RuntimeError, IndexError) as error:
            raise self._damaged(str(error)) from None

    def require_sound(self) -> Index:
        """Reads all of it, and gives the index.

        Raises:
          UserError: If it is damaged.
        """
        index = self.index()
        for record in range(self._opened().num_records()):
            self.read(range(record, record + 1))
        return index

    def _opened(self) -> Any:
        with self._lock:
            if self._reader is None:
                self._reader = array_record().ArrayRecordReader(
                    str(self.path),
                    options="readahead_buffer_size:0",
                    file_reader_buffer_size=1 << 15,
                )
            return self._reader

    def _damaged(self, why: str) -> UserError:
        if not self.path.exists():
            return UserError(f"{self.path} has gone; {_AGAIN}")
        return UserError(f"{self.path} is damaged ({why.split(';')[0]}); {_AGAIN}")


class StoredCodes:
    """The codes [time] of a recording in a shard: what is sliced is read, and nothing is kept.

    It stands where a NumPy array does that is sliced, and no more.

    Args:
      shard: Where they are.
      first: The record of the first piece.
      size: How many there are.
      dtype: Their type.
      sha256: Of them and their type, in hexadecimal digits.
    """

    __slots__ = ("_first", "_shard", "dtype", "sha256", "size")

    def __init__(self, shard: Shard, first: int, size: int, dtype: np.dtype, sha256: str) -> None:
        self._shard, self._first = shard, first
        self.size, self.dtype, self.sha256 = size, dtype, sha256

    @property
    def shape(self) -> tuple[int]:
        """Samples alone."""
        return (self.size,)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: slice) -> np.ndarray:
        first, end, step = key.indices(self.size)
        if step != 1:
            raise IndexError("stored codes are read in one piece; slice the array that this gives")
        if end <= first:
            return np.empty(0, self.dtype)
        begin = first // PIECE
        records = range(self._first + begin, self._first + 1 + (end - 1) // PIECE)
        codes = np.frombuffer(self._shard.read(records), self.dtype)
        return codes[first - begin * PIECE : end - begin * PIECE]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def astype(self, dtype: Any) -> np.ndarray:
        """All of them as another type."""
        return self[:].astype(dtype)


def stored_sha256(codes: Any) -> str | None:
    """`StoredCodes.sha256`; None of codes that are in memory."""
    return codes.sha256 if isinstance(codes, StoredCodes) else None


def num_pieces(recording: Stored) -> int:
    """Records that a recording has."""
    return -(-recording.num_samples // PIECE)


def pieces(codes: np.ndarray) -> Iterator[bytes]:
    """The records of a recording."""
    for first in range(0, codes.size, PIECE):
        yield codes[first : first + PIECE].tobytes()


def shard_path(folder: Path, number: int, num_shards: int) -> Path:
    """Where a shard is, numbered from 0."""
    return folder / f"shard-{number:05}-of-{num_shards:05}{_SUFFIX}"


def settings_path(folder: Path) -> Path:
    """Where the settings of all shards are."""
    return folder / _SETTINGS


def is_prepared(place: Path) -> bool:
    """Whether a folder holds shards, or will: a process may be about to write the first."""
    return settings_path(place).is_file() or any(_shards(place))


def read_settings(folder: Path) -> PreparedConfig:
    """The settings of all shards of a folder.

    Raises:
      UserError: If they are not there, or of another version.
    """
    path = settings_path(folder)
    if not path.is_file():
        raise UserError(f"{path} is missing; {_AGAIN}")
    values = read_json(path, "wavedil prepare into a new folder")
    if values.get("format_version", _FORMAT) != _FORMAT:
        raise UserError(
            f"{folder} holds shards of format {values['format_version']}, but this version reads {_FORMAT}; install "
            "the version of wavedil that wrote them, or prepare the recordings again"
        )
    return PreparedConfig.from_dict(values)


def complete(folder: Path, settings: PreparedConfig) -> list[Path]:
    """The shards of a folder, in order.

    Raises:
      UserError: If one is missing, or one too many.
    """
    paths = [
        shard_path(folder, number, settings.num_shards) for number in range(settings.num_shards)
    ]
    there = set(_shards(folder))
    others = sorted(there.difference(paths))
    if others:
        raise UserError(
            f"{others[0]} is none of the {settings.num_shards} shards of {folder}; it was prepared with other "
            "settings: remove it, or prepare into a new folder"
        )
    missing = [number for number, path in enumerate(paths, start=1) if path not in there]
    if missing:
        listed = ", ".join(map(str, missing[:10])) + (" ..." if len(missing) > 10 else "")
        begun = any(map(is_scratch, folder.iterdir()))
        raise UserError(
            f"{folder} lacks {len(missing)} of {len(paths)} shards (number {listed})"
            + ("; a shard is being written, or its writing was cut off" if begun else "")
            + "; wait for wavedil prepare, or call it again as before: it writes what is missing"
        )
    return paths


def array_record() -> Any:
    """The module that reads and writes ArrayRecord files.

    Raises:
      UserError: If it is not installed.
    """
    try:
        from array_record.python import array_record_module
    except ImportError:
        raise UserError(
            "shards need the package array_record, which is not installed; pip install 'wavedil[scale]'"
        ) from None
    return array_record_module


def _shards(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if re.fullmatch(rf"shard-\d+-of-\d+{re.escape(_SUFFIX)}", path.name):
            yield path
