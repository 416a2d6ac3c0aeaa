"""Files that are complete or not there: written beside their place, kept by the disk, then renamed into it."""

import contextlib
import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from wavedil.errors import UserError

_SCRATCH = ".new-"


class WriteError(OSError):
    """A file cannot be written: the disk is full, say."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A scratch file that takes the place of `path` when the block ends without an error.

    A crash or a power cut at any moment leaves the old file, or the new one, complete; an error leaves the old one.
    Every call has a scratch name of its own, which ends as the path does.

    Raises:
      WriteError: If the disk is full, or refuses.

    Example:
      with replacing(path) as scratch:
          scratch.write_text("complete")
    """
    scratch = scratch_of(path)
    try:
        with writing(path):
            yield scratch
            _flush(scratch)
            os.replace(scratch, path)
            _flush_folder(path.parent)
    finally:
        scratch.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors of the system inside become a WriteError that names `path`, in whatever words a library says them."""
    try:
        yield
    except Exception as error:
        number = _system_error(error)
        if number is None:
            raise
        raise WriteError(number, os.strerror(number), os.fspath(path)) from error


def require_room(folder: Path, num_bytes: int) -> None:
    """Finds out that a disk is full, or a quota used up, before anything is written.

    Raises:
      WriteError: If there is no room for so many bytes in the folder.
    """
    scratch = scratch_of(folder / "room")
    try:
        with writing(folder), scratch.open("wb") as file:
            _reserve(file.fileno(), num_bytes)
    finally:
        scratch.unlink(missing_ok=True)


def require_writable(path: Path, num_bytes: int = 1) -> None:
    """Refuses a place that no file of that size can be written to, before the work for it is done.

    Raises:
      UserError: With the system's reason and the remedy.
    """
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(path)  # finds out whether the name is too long
        if path.is_dir():
            raise UserError(f"{path} is a folder; give the name of a file")
        if not path.parent.is_dir():
            raise UserError(f"{path.parent} is no folder, so {path.name} cannot be written there")
        require_room(path.parent, num_bytes)
    except OSError as error:
        raise UserError(f"{path} {unwritable(error)}") from None


def unwritable(error: OSError) -> str:
    """Why a file cannot be written, and the remedy."""
    remedies = {
        errno.ENOSPC: "free space on its disk, or write to another",
        errno.EDQUOT: "free space on its disk, or write to another",
        errno.ENAMETOOLONG: "choose a shorter name",
        errno.EFBIG: "make what is written shorter",
    }
    remedy = remedies.get(error.errno or 0, "choose a folder that exists and that you may write to")
    return f"cannot be written ({error.strerror}); {remedy}"


def scratch_of(path: Path) -> Path:
    """A new name beside a path, where a file is written before it takes its place; a crash may leave it behind."""
    # Short, whatever the path is: with anything added to its name, a long one would be too long.
    return path.with_name(f"{_SCRATCH}{secrets.token_hex(6)}{path.suffix[-16:]}")


def is_scratch(path: Path) -> bool:
    """Whether it is what a crash left of a file that was being written."""
    return path.name.startswith(_SCRATCH)


def sync_tree(folder: Path) -> None:
    """Returns when the disk keeps all that is in a folder, and the folder itself."""
    for place, _, names in os.walk(folder):
        for name in names:
            _flush(Path(place, name))
        _flush_folder(Path(place))
    _flush_folder(folder.parent)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for people and programs, complete or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(json.dumps(value, indent=2) + "\n")


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


def _reserve(descriptor: int, num_bytes: int) -> None:
    if not hasattr(os, "posix_fallocate"):  # on macOS
        return
    try:
        os.posix_fallocate(descriptor, 0, num_bytes)
    except OverflowError:  # more than the system can count
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG)) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise  # anything else says that this file system cannot tell


def _flush_folder(path: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        _flush(path)


def _flush(path: Path) -> None:
    """Waits until the disk holds what was written: a power cut may leave a name with an empty file behind it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _system_error(error: BaseException | None) -> int | None:
    """The number of the system's error behind an exception, also where a library only quotes it in its message."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        # "(os error 28)" says safetensors, "[os_error_code='28']" tensorstore.
        quoted = re.search(r"os[ _]error[ _=code']+(\d+)", str(error))
        if quoted is not None:
            return int(quoted[1])
        error = error.__cause__ or error.__context__
    return None
