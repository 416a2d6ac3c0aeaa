"""Compiled functions, kept on disk where there is a place for them.

They are kept in a folder named after the sources of the engine, so that no other version's are taken for them. Numba
writes a file elsewhere and moves it, so several processes may compile and read at once; without a place to write, every
process compiles for itself.
"""

import functools
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import njit

_seconds = [0.0]


def compile_seconds() -> float:
    """Seconds that this process has compiled for, or read what was compiled before."""
    return _seconds[0]


class Cached:
    """A function that is compiled for the types of its arguments, and runs without Python's lock."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._compiled = self._kept() or self._uncached()

    def compiled(self, *args: Any) -> Any:
        """The function, compiled for arguments like these."""
        types, start = tuple(map(numba.typeof, args)), time.perf_counter()
        if types in self._compiled.overloads:
            return self._compiled
        try:
            self._compiled.compile(types)
        except Exception:  # the place is full or was taken away, or what lies there is damaged
            self._compiled = self._uncached()
            self._compiled.compile(types)
        _seconds[0] += time.perf_counter() - start
        return self._compiled

    def _kept(self) -> Any:
        """The function, to be kept in the folder; None where that cannot be written."""
        given = numba.config.CACHE_DIR
        folder = _folder(given)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            numba.config.CACHE_DIR = str(folder)
            return njit(nogil=True, error_model="numpy", cache=True)(self._function)
        except (OSError, RuntimeError):
            return None
        finally:
            numba.config.CACHE_DIR = given

    def _uncached(self) -> Any:
        return njit(nogil=True, error_model="numpy")(self._function)


@functools.cache
def _folder(given: str) -> Path:
    """A folder of the user's for what these sources compile to."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    version = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    base = given or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "wavedil" / f"engine-{version}"
