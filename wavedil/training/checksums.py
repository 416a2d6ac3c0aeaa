"""Checksums of the files of a checkpoint: a bit that changed on the disk is noticed, and its file named."""

import hashlib
from pathlib import Path

from wavedil.errors import UserError
from wavedil.files import read_json, write_json

_NAME = "checksums.json"


def write_checksums(folder: Path) -> None:
    """Writes the SHA-256 of every file in a folder into one more file of it.

    Raises:
      WriteError: If the disk is full, or refuses.
    """
    write_json(folder / _NAME, {name: _checksum(folder / name) for name in _names(folder)})


def require_unchanged(folder: Path) -> None:
    """Refuses a folder whose files are not those that were there when its checksums were written.

    Without checksums, as a crash between the two leaves it, nothing is refused.

    Raises:
      UserError: Names the first file that was deleted or has other content.
    """
    if not (folder / _NAME).exists():
        return
    remedy = "restore it from a copy"
    there = set(_names(folder))
    for name, checksum in read_json(folder / _NAME, remedy).items():
        if name not in there:
            raise UserError(f"{name} is missing; {remedy}")
        if _checksum(folder / name) != checksum:
            raise UserError(f"{name} is not what was written, by its checksum; {remedy}")


def _names(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != _NAME)
    return sorted(path.relative_to(folder).as_posix() for path in files)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
