"""FLAC: a header that gives the number of samples, and frames that are numbered.

"fLaC" | STREAMINFO ... | other metadata | frame 0 | frame 1 | ...
frame    sync, block size, rate, channels, bits, number, checksum of these | samples
"""

import re
import struct
from typing import BinaryIO

from wavedil.audio.parts import Part, bytes_at, find, truncated

MAGIC = b"fLaC"
# With the kind of the first block, which may be the last one too, and its length.
_BEGINNING = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_HEADER_BYTES = 42
_TOTAL_BITS = 36
# A frame is shorter, so that the last header lies in the last so many bytes.
_LONGEST_FRAME = 1 << 17
_BLOCK_SIZES = {1: 192} | {n: 576 << (n - 2) for n in range(2, 6)} | {n: 1 << n for n in range(8, 16)}  # fmt: skip


def flac_part(file: BinaryIO, start: int, size: int) -> Part:
    """The part that begins at `start`; it ends where another FLAC file begins, or the file ends."""
    header = bytes_at(file, start, _HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        return Part(start=start, stop=size)
    following = find(file, _BEGINNING, start + _HEADER_BYTES, size)
    stop = size if following < 0 else following
    (about,) = struct.unpack(">Q", header[18:26])
    bits = (about >> _TOTAL_BITS & 31) + 1
    promised = about & (1 << _TOTAL_BITS) - 1
    first = max(start + _HEADER_BYTES, stop - _LONGEST_FRAME)
    (block_size,) = struct.unpack(">H", header[8:10])
    found = _last_sample(bytes_at(file, first, stop - first), block_size, bits, promised)
    if 0 < found < promised:
        fault = truncated(f"{promised} samples", found)
        return Part(start=start, stop=stop, fault=fault)
    if found in (0, promised):  # none where the last frame is a very long one
        return Part(start=start, stop=stop, bits=bits, num_samples=promised)
    about = about - promised + found
    head = header[:18] + struct.pack(">Q", about) + header[26:]
    return Part(start=start + _HEADER_BYTES, stop=stop, head=head, bits=bits, num_samples=found)


def _last_sample(data: bytes, block_size: int, bits: int, promised: int) -> int:
    """The number of samples at the end of the last frame; 0 where no frame is found."""
    ends = (
        _frame_end(data[m.start() : m.start() + 16], block_size, bits) for m in _SYNC.finditer(data)
    )
    found = [end for end in ends if end is not None]
    # By chance the samples of the last frame may look like the header of another.
    return promised if promised in found else found[-1] if found else 0


def _frame_end(header: bytes, block_size: int, bits: int) -> int | None:
    """The number of samples up to the end of the frame with this header; None where it is none."""
    if len(header) < 6 or header[3] & 1 or header[3] >> 4 > 10:
        return None
    bits_code = header[3] >> 1 & 7
    if bits_code and {8: 1, 12: 2, 16: 4, 20: 5, 24: 6, 32: 7}.get(bits) != bits_code:
        return None
    # The number is written as UTF-8 writes a character, up to 36 bits.
    lead = header[4]
    ones = 8 - (lead ^ 0xFF).bit_length()
    length = max(1, ones)
    rest = header[5 : 4 + length]
    if ones in (1, 8) or len(rest) < length - 1 or any(byte >> 6 != 2 for byte in rest):
        return None
    number = lead & (0x7F >> ones) if ones else lead
    for byte in rest:
        number = number << 6 | byte & 63
    at = 4 + length
    size_code, rate_code = header[2] >> 4, header[2] & 15
    if size_code in (6, 7):
        count = int.from_bytes(header[at : at + size_code - 5]) + 1
        at += size_code - 5
    elif size_code in _BLOCK_SIZES:
        count = _BLOCK_SIZES[size_code]
    else:
        return None
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if rate_code == 15 or at >= len(header) or _checksum(header[:at]) != header[at]:
        return None
    # Of blocks of one size the frames are numbered, of others the samples.
    first = number if header[1] & 1 else number * block_size
    return int(first + count)


def _checksum(data: bytes) -> int:
    """CRC-8 with polynomial x^8 + x^2 + x + 1."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value << 1 ^ (0x107 if value & 128 else 0)
    return value
