"""A disk of a few megabytes that a test can fill: a file system in memory, where one may be mounted."""

import contextlib
import errno
import os
import shutil
import subprocess

import pytest

_BALLAST = "ballast"


class SmallDisk:
    """A folder on a disk of its own."""

    def __init__(self, folder):
        self.folder = folder
        self._ballast = folder.parent / _BALLAST

    def fill(self, left):
        """Leaves so many bytes free, in whole pages."""
        self.empty()
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self.folder).free - left)

    def empty(self):
        """Frees what `fill` took."""
        self._ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(place, num_bytes=8_000_000):
    """Mounts one at a place; the test is skipped where that is not allowed."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        (place / "own").mkdir()
        yield SmallDisk(place / "own")
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def full_disk(*_):
    """Stands for a call of the system on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
