"""Codes and features that are read from shards when they are used."""

import hashlib
import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wavedil.data.shards.format import (
    AGAIN,
    Index,
    PreparedConfig,
    Stored,
    array_record,
    num_pieces,
    rows_of_piece,
)
from wavedil.errors import UserError


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
            if sum(map(sum, map(num_pieces, recordings))) != last:
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
            return UserError(f"{self.path} has gone; {AGAIN}")
        return UserError(f"{self.path} is damaged ({why.split(';')[0]}); {AGAIN}")


class StoredArray:
    """The codes [time] or the features [frames, features] of a recording in a shard.

    What is sliced is read, and nothing is kept. It stands where a NumPy array does that is sliced by its first axis,
    and no more.

    Args:
      shard: Where they are.
      first: The record of the first piece.
      shape: Of the array.
      dtype: Its type.
      sha256: As `sha256_of` has it.
    """

    __slots__ = ("_first", "_shard", "dtype", "sha256", "shape", "size")

    def __init__(
        self, shard: Shard, first: int, shape: tuple[int, ...], dtype: Any, sha256: str
    ) -> None:
        self._shard, self._first, self.shape = shard, first, shape
        self.dtype, self.sha256, self.size = np.dtype(dtype), sha256, math.prod(shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: slice) -> np.ndarray:
        first, end, step = key.indices(len(self))
        if step != 1:
            raise IndexError("stored codes are read in one piece; slice the array that this gives")
        if end <= first:
            return np.empty((0, *self.shape[1:]), self.dtype)
        rows = rows_of_piece(math.prod(self.shape[1:]) if self.shape[1:] else 0)
        begin = first // rows
        records = range(self._first + begin, self._first + 1 + (end - 1) // rows)
        found = np.frombuffer(self._shard.read(records), self.dtype).reshape(-1, *self.shape[1:])
        return found[first - begin * rows : end - begin * rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self[:], dtype, copy=copy)

    def astype(self, dtype: Any) -> np.ndarray:
        """All of them as another type."""
        return self[:].astype(dtype)


def sha256_of(array: Any) -> str:
    """Of the type of an array and its content, in hexadecimal digits; of one in a shard without reading it."""
    if isinstance(array, StoredArray):
        return array.sha256
    return hashlib.sha256(array.dtype.str.encode() + array.tobytes()).hexdigest()


def stored_sha256(array: Any) -> str | None:
    """`StoredArray.sha256`; None of arrays that are in memory."""
    return array.sha256 if isinstance(array, StoredArray) else None
