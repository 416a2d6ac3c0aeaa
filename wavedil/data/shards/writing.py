"""Writing shards: recordings are decoded ahead on all cores, and written in their order."""

import collections
import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from wavedil import audio
from wavedil.data.config import CorpusConfig
from wavedil.data.decoding import Decoder
from wavedil.data.features import FeatureReader
from wavedil.data.listing import Entry
from wavedil.data.shards.codes import sha256_of
from wavedil.data.shards.folder import shard_path
from wavedil.data.shards.format import Index, PreparedConfig, Stored, array_record, pieces
from wavedil.errors import UserError
from wavedil.files import replacing

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class _Encoded(NamedTuple):
    stored: Stored
    codes: np.ndarray
    num_bytes: int
    features: np.ndarray | None = None


class ShardWriter:
    """Writes shards one after the other, from recordings that are decoded ahead on all cores."""

    def __init__(
        self,
        config: CorpusConfig,
        folder: Path,
        settings: PreparedConfig,
        progress: Callable[[int, int, str], None] | None,
    ) -> None:
        self.config, self.folder, self.settings = config, folder, settings
        self.progress = progress
        features = FeatureReader(
            settings.mel, settings.features_hop, settings.sample_rate, settings.pitch
        )
        self.decoder = Decoder(config, settings.quantizer, features)
        self.num_recordings = self.num_skipped = self.num_samples = 0

    def write(self, entries_of: dict[int, Sequence[tuple[Entry, int]]]) -> None:
        """Writes shards, given the recordings of each with the sizes of their files."""
        everything = [item for entries in entries_of.values() for item in entries]
        total, done, begun = sum(size for _, size in everything), 0, time.perf_counter()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            encoded = _in_order(pool, self.encode, everything)
            try:
                for shard, entries in entries_of.items():
                    stored = []
                    path = shard_path(self.folder, shard, self.settings.num_shards)
                    with replacing(path) as scratch, _Records(scratch) as records:
                        for item in (next(encoded) for _ in entries):
                            for array in (item.codes, item.features):
                                for piece in pieces(array) if array is not None else ():
                                    records.write(piece)
                            stored.append(item.stored)
                            self.count(item)
                            done += item.num_bytes
                            if self.progress is not None:
                                self.progress(done, total, self.rate(begun))
                        records.write(Index(path.name, self.settings, stored).record())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def encode(self, item: tuple[Entry, int]) -> _Encoded:
        """A recording as codes.

        Raises:
          UserError: With `strict`, if it cannot be used.
        """
        entry, size = item
        about: dict[str, Any] = {
            "path": entry.path,
            "split": entry.split,
            "labels": dict(entry.labels),
        }
        unusable: audio.AudioError | None = None
        try:
            read = self.decoder.read(entry, {})
        except audio.AudioError as error:
            unusable = error
        # Raised out here it has no error of the system behind it, which would be taken for one of writing.
        if unusable is not None and self.config.strict:
            raise UserError(
                f"{unusable} (strict: recordings that cannot be used stop the preparation)"
            )
        if unusable is not None:
            return _Encoded(Stored(reason=unusable.reason, **about), np.empty(0, np.uint8), size)
        codes, features = read.recording.codes, read.recording.features
        if features is not None:
            num_frames, num_features = features.shape
            about |= {"num_frames": num_frames, "num_features": num_features}
            about |= {"features_sha256": sha256_of(features)}
        stored = Stored(
            num_samples=codes.size,
            sha256=sha256_of(codes),
            peak=float(read.peak),
            num_mixed=read.num_mixed,
            num_trimmed=read.num_trimmed,
            resampled=read.resampled,
            **about,
        )
        return _Encoded(stored, codes, size, features)

    def count(self, item: _Encoded) -> None:
        self.num_recordings += not item.stored.reason
        self.num_skipped += bool(item.stored.reason)
        self.num_samples += item.codes.size

    def rate(self, begun: float) -> str:
        hours = self.num_samples / self.settings.sample_rate / 3600
        return f"{hours:.2f} h of sound, {hours / (time.perf_counter() - begun):.3g} h/s"


class _Records:
    """The records of a shard that is being written; errors of the system are what they are elsewhere."""

    def __init__(self, path: Path) -> None:
        # Codes hardly get smaller by compression, and are read three times as fast without.
        self._writer = array_record().ArrayRecordWriter(str(path), "group_size:1,uncompressed")

    def __enter__(self) -> "_Records":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._writer.close()
        except RuntimeError as failed:
            raise _as_system_error(failed) from failed

    def write(self, record: bytes) -> None:
        try:
            self._writer.write(record)
        except RuntimeError as failed:
            raise _as_system_error(failed) from failed


def _as_system_error(error: RuntimeError) -> Exception:
    """The system's error that a library only quotes."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO):
        if os.strerror(number) in str(error):
            return OSError(number, os.strerror(number))
    return error


def _in_order(
    pool: ThreadPoolExecutor, function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
    """The results in the order of the items, of which a few are worked on ahead."""
    waiting: collections.deque[Future[_Result]] = collections.deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > 4 * (os.cpu_count() or 1):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
