"""What is in a shard: pieces of recordings, and an index."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from wavedil.config import Config
from wavedil.errors import UserError
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig
from wavedil.quantizer import Companding, Quantizer

PIECE = 1 << 15
"""Codes of a record, or bytes of features. A window reads one or two of them."""
FORMAT = 1
"""Version of the shards."""
AGAIN = "wavedil prepare, called as before, writes it again"
"""The remedy for a shard that cannot be read."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedConfig(Config):
    """How recordings were read into shards; all shards of a folder have the same.

    Attributes:
      sample_rate, channel, trim_db, min_max_normalisation: As those of `CorpusConfig`; the rate is decided.
      levels, companding: Of the quantizer of the codes.
      num_shards: In how many shards they are.
      listing: Hexadecimal digits that are others for other paths, or sizes of files.
      mel, features_hop, pitch: Of the features, as `read_corpus` takes them, complete; None of shards without.
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
    mel: MelConfig | None = None
    features_hop: int | None = None
    pitch: PitchConfig | None = None
    format_version: int = FORMAT

    @property
    def quantizer(self) -> Quantizer:
        """Of the codes."""
        return Quantizer(self.levels, self.companding)


class Stored(NamedTuple):
    """What the index says of a recording.

    Attributes:
      path, split, labels: As `Entry` has them.
      num_samples: How many codes it has; 0 where it cannot be used.
      sha256: Of the codes and their type, in hexadecimal digits.
      reason: Why it cannot be used; "" where it can.
      peak, num_mixed: As `audio.Decoded` has them.
      num_trimmed: Samples that trimming removed.
      resampled: Whether its file has another rate.
      num_frames, num_features: Of its features; 0 where it has none.
      features_sha256: As `sha256`, of them.
    """

    path: str = ""
    split: str | None = None
    labels: Mapping[str, str] = {}
    num_samples: int = 0
    sha256: str = ""
    reason: str = ""
    peak: float = 1.0
    num_mixed: int = 1
    num_trimmed: int = 0
    resampled: bool = False
    num_frames: int = 0
    num_features: int = 0
    features_sha256: str = ""


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
            {
                name: value
                for name, value in item._asdict().items()
                if value != getattr(default, name)
            }
            for item in self.recordings
        ]
        index = {"name": self.name, "settings": self.settings.to_dict(), "recordings": rows}
        return json.dumps(index).encode()


def num_pieces(recording: Stored) -> tuple[int, int]:
    """Records that the codes of a recording have, and its features after them."""
    return (
        -(-recording.num_samples // PIECE),
        -(-recording.num_frames // rows_of_piece(recording.num_features)),
    )


def rows_of_piece(num_features: int) -> int:
    """Codes of a record, for which that is 0; or frames of features."""
    return max(1, PIECE // (4 * num_features)) if num_features else PIECE


def pieces(array: np.ndarray) -> Iterator[bytes]:
    """The records of the codes [time] of a recording, or of its features [frames, features]."""
    rows = rows_of_piece(array.shape[1] if array.ndim > 1 else 0)
    for first in range(0, len(array), rows):
        yield array[first : first + rows].tobytes()


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
