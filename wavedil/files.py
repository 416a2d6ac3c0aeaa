"""Files that are complete or not there: written beside their place, then renamed into it."""

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from wavedil.errors import UserError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A scratch file that takes the place of `path` when the block ends without an error.

    A crash at any moment leaves the old file, or the new one, complete.

    Example:
      with replacing(path) as scratch:
          scratch.write_text("complete")
    """
    scratch = scratch_of(path)
    yield scratch
    os.replace(scratch, path)


def scratch_of(path: Path) -> Path:
    """Where a file is written before it takes its place; a crash may leave it behind."""
    return path.with_name(f".{path.name}.new")


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
