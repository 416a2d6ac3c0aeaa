"""The folder of the shards of a corpus."""

import re
from collections.abc import Iterator
from pathlib import Path

from wavedil.data.shards.format import AGAIN, FORMAT, PreparedConfig
from wavedil.errors import UserError
from wavedil.files import is_scratch, read_json

_SUFFIX = ".array_record"
_SETTINGS = "prepared.json"


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
        raise UserError(f"{path} is missing; {AGAIN}")
    values = read_json(path, "wavedil prepare into a new folder")
    if values.get("format_version", FORMAT) != FORMAT:
        raise UserError(
            f"{folder} holds shards of format {values['format_version']}, but this version reads {FORMAT}; install "
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


def missing_shards(folder: Path, settings: PreparedConfig) -> list[str]:
    """The names of the shards that a folder lacks, in order."""
    paths = [
        shard_path(folder, number, settings.num_shards) for number in range(settings.num_shards)
    ]
    return [path.name for path in paths if not path.is_file()]


def _shards(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if re.fullmatch(rf"shard-\d+-of-\d+{re.escape(_SUFFIX)}", path.name):
            yield path
