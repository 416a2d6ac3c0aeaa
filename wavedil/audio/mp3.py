"""MPEG audio: frames without a common header; the first may be an index that gives their number.

ID3 tag | frame with "Xing", "Info" or "VBRI" instead of sound | frame | frame | ... | tags
"""

import dataclasses
import re
import struct
from typing import BinaryIO, NamedTuple

from wavedil.audio.parts import Part, bytes_at, find, truncated

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
# kbit/s by whether the version is 1, and layer.
_BITRATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
# Bytes of a frame that are looked at: its header, and the index that it may hold.
_LOOKED_AT = 64
# Eleven bits of synchronisation, a layer, and a bit rate that is said.
_HEADER = re.compile(rb"\xff[\xe2-\xff][\x10-\xef]", re.DOTALL)


class _Frame(NamedTuple):
    size: int
    layer: int
    kind: tuple[int, int, int]  # version, layer and rate, which all frames share
    index_at: int  # where the name of an index would stand


class _Index(NamedTuple):
    count_at: int  # in the frame
    frames: int  # 0 where it does not say
    size: int  # bytes of all frames; 0 where it does not say


def mp3_part(file: BinaryIO, start: int, size: int) -> Part:
    """The part that begins at `start`; it ends where a frame with an index follows others, or the file ends."""
    begin = _next_frame(file, _after_tags(file, start, size), size, None)
    first = None if begin is None else _frame(bytes_at(file, begin, 4))
    if begin is None or first is None:
        return Part(start=start, stop=size)
    at: int | None = begin
    frames, stop, following, cut = 0, begin, size, False
    sizes = set()
    while at is not None and at < size:
        data = bytes_at(file, at, _LOOKED_AT)
        frame = _frame(data)
        if frame is None or frame.kind != first.kind:
            behind = _after_tags(file, at, size)
            at = behind if behind > at else _next_frame(file, at + 1, size, first)
            continue
        if _index(data, frame) is None:
            cut = at + frame.size > size
            frames += not cut
            sizes.add(frame.size)
        elif at > begin:
            following = at
            break
        at = stop = at + frame.size
    part = Part(start=begin, stop=min(stop, size), following=following)
    # Without an index libsndfile counts what is there by the size of the first frames.
    if first.layer == 3 and (len(sizes) > 1 or _index(bytes_at(file, begin, _LOOKED_AT), first)):
        part = _with_index(file, part, first, frames)
    if cut and not part.fault:
        return dataclasses.replace(part, fault="is truncated: its last frame ends in the middle")
    return part


def _with_index(file: BinaryIO, part: Part, first: _Frame, frames: int) -> Part:
    """The part with an index of the true number of frames, where it has none or one that says another."""
    data = bytes_at(file, part.start, _LOOKED_AT)
    index = _index(data, first)
    if index is not None and index.frames == frames:
        return part
    if index is None:
        return dataclasses.replace(part, head=_made_index(data, frames))
    # Some count the index as a frame.
    if index.frames > frames + (index.size <= part.stop - part.start):
        return dataclasses.replace(part, fault=truncated(f"{index.frames} frames of sound", frames))
    if not index.frames:
        head, start = _made_index(data, frames), part.start + first.size
    else:
        head = data[: index.count_at] + struct.pack(">I", frames)
        start = part.start + len(head)
    return dataclasses.replace(part, head=head, start=start)


def _frame(header: bytes) -> _Frame | None:
    """The frame with this header; None where it is none, or of a bit rate that the header leaves open."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate_code, rate_code, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate_code in (0, 15) or rate_code == 3:
        return None
    bitrate = 1000 * _BITRATES[version == 3, layer][bitrate_code - 1]
    rate = _RATES[version][rate_code]
    if layer == 1:
        size = 4 * (12 * bitrate // rate + padding)
    else:
        size = (72 if layer == 3 and version != 3 else 144) * bitrate // rate + padding
    mono = header[3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    return _Frame(size, layer, (version, layer, rate), 4 + side)


def _index(data: bytes, frame: _Frame) -> _Index | None:
    """The index in a frame; None where it holds sound."""
    if frame.layer != 3:
        return None
    if data[36:40] == b"VBRI" and len(data) >= 54:
        return _Index(50, int.from_bytes(data[50:54]), 0)
    at = frame.index_at
    if data[at : at + 4] not in (b"Xing", b"Info") or any(data[6:at]) or len(data) < at + 16:
        return None
    flags, frames, size = struct.unpack_from(">III", data, at + 4)
    if not flags & 1:
        return _Index(at + 8, 0, 0)
    return _Index(at + 8, frames, size if flags & 2 else 0)


def _made_index(header: bytes, frames: int) -> bytes:
    """A frame with an index, for sound with frames like the one with this header."""
    # Without a checksum, and of 64 kbit/s or more, which makes room.
    data = bytes([header[0], header[1] | 1, header[2] & 0x0D | 0x80, header[3]])
    frame = _frame(data)
    assert frame is not None
    index = b"Xing" + struct.pack(">III", 1, frames, 0)
    return (data.ljust(frame.index_at, b"\0") + index).ljust(frame.size, b"\0")


def _next_frame(file: BinaryIO, at: int, size: int, like: _Frame | None) -> int | None:
    """Where the next frame begins that is followed by another of its kind, or by the end; None where none is."""
    while (at := find(file, _HEADER, at, size)) >= 0:
        frame = _frame(bytes_at(file, at, 4))
        if frame is not None and (like is None or frame.kind == like.kind):
            following = _frame(bytes_at(file, at + frame.size, 4))
            if (following is not None and following.kind == frame.kind) or at + frame.size >= size:
                return at
        at += 1
    return None


def _after_tags(file: BinaryIO, at: int, size: int) -> int:
    """Where the tags end that begin there; the same place where none does."""
    while at < size:
        data = bytes_at(file, at, 32)
        if data[:3] == b"ID3" and len(data) > 10:
            # Seven bits a byte; a tag may repeat its header at its end.
            length = sum(
                (byte & 127) << shift
                for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)
            )
            at += 10 + length + (10 if data[5] & 16 else 0)
        elif data[:3] == b"TAG":
            at += 128
        elif data[:8] == b"APETAGEX" and len(data) == 32:
            at += 32 + (int.from_bytes(data[12:16], "little") if data[23] & 32 else 0)
        else:
            break
    return at
