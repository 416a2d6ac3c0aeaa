"""Files that are complete or not there: written beside their place, then renamed into it."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {remedy}") from None
    except ValueError as error:  # not JSON, or not even text
        raise UserError(f"{path} is truncated or not JSON ({error}); {remedy}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no JSON object; {remedy}")
    return values
