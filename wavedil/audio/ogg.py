"""Ogg: pages of streams, the last of each marked as its end.

page  | "OggS" 0 flags position serial number checksum n | n sizes | their bytes |
flags   2: a stream begins, 4: it ends
"""

import re
from typing import BinaryIO

from wavedil.audio.parts import Part, bytes_at, find

MAGIC = b"OggS"
_PAGE = re.compile(MAGIC)
_BEGINS, _ENDS = 2, 4


def ogg_part(file: BinaryIO, start: int, size: int) -> Part:
    """The part that begins at `start`; it ends where streams begin again, or the file ends."""
    at = start
    open_streams: set[bytes] = set()
    sound_began = False
    while (at := find(file, _PAGE, at, size)) >= 0:
        header = bytes_at(file, at, 27 + 255)
        if len(header) < 27 or len(header) < 27 + header[26]:
            break
        flags, serial = header[5], header[14:18]
        if flags & _BEGINS:
            if sound_began:
                return Part(start=start, stop=at, fault=_fault(open_streams))
            open_streams.add(serial)
        else:
            sound_began = True
        end = at + 27 + header[26] + sum(header[27 : 27 + header[26]])
        if flags & _ENDS and end <= size:
            open_streams.discard(serial)
        at = end
    return Part(start=start, stop=size, fault=_fault(open_streams))


def _fault(open_streams: set[bytes]) -> str:
    return (
        "is truncated: its last page, which says that it ends, is missing" if open_streams else ""
    )
