"""Files that are complete or not there: written beside their place, then renamed into it."""

import contextlib
import errno
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from wavedil.errors import UserError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A scratch file that takes the place of `path` when the block ends without an error.

    A crash at any moment, of the machine too, leaves the old file, or the new one, complete. An error takes the
    scratch file away.

    Example:
      with replacing(path) as scratch:
          scratch.write_text("complete")
    """
    scratch = scratch_of(path)
    try:
        yield scratch
        _flush(scratch)
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise
    with contextlib.suppress(OSError):  # not every file system can flush a folder
        _flush(path.parent)


def _flush(path: Path) -> None:
    """Waits until the disk holds what was written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def scratch_of(path: Path) -> Path:
    """Where a file is written before it takes its place; a crash may leave it behind."""
    return path.with_name(f".{path.name}.new")


def require_writable(path: Path, num_bytes: int = 1) -> None:
    """Refuses a place that no file of that size can be written to, before the work for it is done.

    Raises:
      UserError: With the system's reason and the remedy.
    """
    scratch = scratch_of(path)
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder; give the name of a file")
        if not path.parent.is_dir():
            raise UserError(f"{path.parent} is no folder, so {path.name} cannot be written there")
        scratch.write_bytes(b"?")
        scratch.unlink()
        if shutil.disk_usage(path.parent).free < num_bytes:
            raise OSError(errno.ENOSPC, f"it takes {num_bytes / 1e6:.3g} MB, and its disk is full")
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise UserError(f"{path} {unwritable(error)}") from None


def unwritable(error: OSError) -> str:
    """Why a file cannot be written, and the remedy."""
    remedies = {
        errno.ENOSPC: "free space on its disk, or write to another",
        errno.EDQUOT: "free space on its disk, or write to another",
        errno.ENAMETOOLONG: "choose a shorter name",
    }
    remedy = remedies.get(error.errno or 0, "choose a folder that exists and that you may write to")
    return f"cannot be written ({error.strerror}); {remedy}"


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """A file, open for reading; a pipe or a device, which may never end, is refused as a folder is.

    Raises:
      OSError: If it cannot be opened, is something else than a file, or no file can have such a name.
    """
    try:
        kind = os.stat(path).st_mode
        if not stat.S_ISDIR(kind) and not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file")
        return open(path, "rb")
    except ValueError as error:  # a NUL, or a character that the file system cannot write
        raise OSError(errno.EINVAL, f"no file has such a name: {error}") from None


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for people and programs, complete or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(json.dumps(value, indent=2) + "\n")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
      path: The file.
      remedy: What to do where it holds something else.

    Raises:
      UserError: If it is no text, no JSON or no object.
    """
    try:
        with open_regular(path) as file:
            values = json.loads(file.read().decode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {remedy}") from None
    except (ValueError, RecursionError) as error:  # not JSON, or not even text
        raise UserError(f"{path} is truncated or not JSON ({error}); {remedy}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no JSON object; {remedy}")
    return values
