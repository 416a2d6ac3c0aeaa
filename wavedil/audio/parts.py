"""The sound files that lie in one file, behind one another, and what each of them promises."""

import dataclasses
import io
import re
from typing import BinaryIO

_LONGEST_MATCH = 8  # bytes of a pattern that is looked for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One sound file; most files hold one, and two that were joined with `cat` hold two.

    Attributes:
      start, stop: Its bytes are `start .. stop - 1` of the file.
      following: Where the next one begins, or the file ends; None: at `stop`.
      head: What stands in place of the bytes before `start`: a header that says how much follows, where its own
        leaves that open or says too little.
      fault: Why it cannot be used, such as a promise that it does not hold; empty where it can.
      num_samples: Of each channel, where it says so; None elsewhere.
      bits: Of a stored sample, where it says so; None elsewhere.
    """

    start: int
    stop: int
    following: int | None = None
    head: bytes = b""
    fault: str = ""
    num_samples: int | None = None
    bits: int | None = None

    @property
    def end(self) -> int:
        """Where the next one begins, or the file ends."""
        return self.stop if self.following is None else self.following


class View(io.RawIOBase):
    """A part as a file of its own: its head, then its bytes.

    Args:
      file: The file that it lies in; several views may share it, one read after the other.
      part: Which bytes.
    """

    def __init__(self, file: BinaryIO, part: Part) -> None:
        self._file, self._part = file, part
        self._size = len(part.head) + part.stop - part.start
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        stop = min(self._position + len(buffer), self._size)
        head, head_size = self._part.head, len(self._part.head)
        data = head[self._position : stop] if self._position < head_size else b""
        first = max(self._position, head_size)
        if stop > first:
            data += bytes_at(self._file, self._part.start + first - head_size, stop - first)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def truncated(promised: str, found: int) -> str:
    """The fault of a part that ends too early."""
    return f"is truncated: its header promises {promised}, only {found} are there"


def bytes_at(file: BinaryIO, position: int, count: int) -> bytes:
    """So many bytes of a file from a position on; fewer where it ends."""
    file.seek(position)
    return file.read(count)


def find(file: BinaryIO, pattern: re.Pattern[bytes], start: int, stop: int) -> int:
    """Where bytes that match stand first in `start .. stop - 1` of a file; -1 where they do not."""
    block = 1 << 12
    while start < stop:
        found = pattern.search(bytes_at(file, start, min(block + _LONGEST_MATCH, stop - start)))
        if found:
            return start + found.start()
        start += block
        # What lies near costs little, and what lies far is found fast.
        block = min(2 * block, 1 << 20)
    return -1
