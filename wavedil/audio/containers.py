"""Files of chunks, each with a name and a size: WAV, RF64, W64, AIFF and CAF; and AU and SPHERE, of one header each.

RIFF size WAVE | fmt  size ... | data size samples ... | LIST size ... |
"""

import re
import struct
from typing import BinaryIO, NamedTuple

from wavedil.audio.parts import Part, bytes_at, find, truncated

# What a program that writes to a pipe puts where the size would be.
_UNKNOWN_SIZES = range(0x7FFF0000, 1 << 32)
# Tags and padding behind the samples are shorter.
_MOST_REST = 4096
_W64_NAME = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # the end of every name but the first
_SPHERE = re.compile(rb"NIST_1A\n")


class Layout(NamedTuple):
    """How a format writes its chunks."""

    magic: bytes  # the name of the whole
    samples: bytes  # the name of the chunk of samples
    first: int  # bytes before the first chunk
    size: str  # format of a chunk's size
    align: int = 1  # a chunk takes a multiple of so many bytes
    counts_header: bool = False  # whether a size covers the name and the size too


LAYOUTS = (
    Layout(b"RIFF", b"data", 12, "<I", 2),
    Layout(b"RIFX", b"data", 12, ">I", 2),
    Layout(b"RF64", b"data", 12, "<I", 2),
    Layout(b"FORM", b"SSND", 12, ">I", 2),
    Layout(b"caff", b"data", 8, ">q"),
    Layout(bytes.fromhex("726966662e91cf11a5d628db04c10000"), b"data" + _W64_NAME, 40, "<q", 8, True),
)  # fmt: skip


class _Chunk(NamedTuple):
    name: bytes
    size: int  # of the content
    body: int  # where the content begins
    end: int  # where the next chunk begins
    size_at: int  # where the size stands
    size_format: str


def chunked_part(file: BinaryIO, start: int, size: int, layout: Layout) -> Part:
    """The part that begins at `start`; it ends where another file of its kind begins, or the file ends."""
    at = start + layout.first
    bits = num_samples = long_sizes = None
    while (chunk := _chunk_at(file, at, size, layout)) is not None:
        if chunk.name == layout.magic:
            return Part(start=start, stop=at, bits=bits, num_samples=num_samples)
        content = bytes_at(file, chunk.body, 20)
        if chunk.name == b"ds64" and len(content) >= 16:
            long_sizes = chunk
        elif chunk.name == b"fmt ":
            bits = _wav_bits(content, layout.size[0])
        elif chunk.name == b"COMM" and bytes_at(file, start + 8, 4) == b"AIFF":
            if len(content) >= 8:
                num_samples, bits = struct.unpack(">IH", content[2:8])
        elif chunk.name == layout.samples:
            if layout.magic == b"RF64" and chunk.size == 0xFFFFFFFF and long_sizes is not None:
                chunk = _with_long_size(file, chunk, long_sizes)
            head, fault = _samples(file, start, size, layout, chunk)
            if head or fault:
                first = chunk.body if head else start
                return Part(start=first, stop=size, head=head, fault=fault, bits=bits)
        at = chunk.end
    return Part(start=start, stop=size, bits=bits, num_samples=num_samples)


def _samples(
    file: BinaryIO, start: int, size: int, layout: Layout, chunk: _Chunk
) -> tuple[bytes, str]:
    """A header with the true size, where the file gives none; and what is missing, or left over."""
    there, rest = size - chunk.body, size - chunk.end
    if chunk.size > there:
        if chunk.size in _UNKNOWN_SIZES:
            return b"", ""
        return b"", truncated(f"{chunk.size} bytes of samples", there)
    if rest <= 0 or _are_chunks(file, chunk.end, size, layout):
        return b"", ""
    if chunk.size <= 0:  # of a recorder that never came to write it
        size_at, count = chunk.size_at - start, min(there, 0xFFFFFFFF)
        if layout.counts_header:
            count += chunk.body - chunk.size_at + len(chunk.name)
        head = bytearray(bytes_at(file, start, chunk.body - start))
        struct.pack_into(chunk.size_format, head, size_at, count)
        return bytes(head), ""
    if rest <= _MOST_REST or not any(bytes_at(file, chunk.end, _MOST_REST)):
        return b"", ""
    return b"", (
        f"goes on for {rest} bytes behind the {chunk.size} bytes of samples that its header promises"
    )


def _chunk_at(file: BinaryIO, at: int, size: int, layout: Layout) -> _Chunk | None:
    """The chunk that begins there; None where the file ends."""
    name_bytes = len(layout.samples)
    body = at + name_bytes + struct.calcsize(layout.size)
    if body > size:
        return None
    header = bytes_at(file, at, body - at)
    name = header[:name_bytes]
    (count,) = struct.unpack(layout.size, header[name_bytes:])
    if layout.counts_header:
        count -= body - at
    end = body + max(0, count)
    end += -(end - at) % layout.align
    return _Chunk(name, count, body, end, at + name_bytes, layout.size)


def _with_long_size(file: BinaryIO, chunk: _Chunk, long_sizes: _Chunk) -> _Chunk:
    """The samples of an RF64 file, whose size needs 64 bits and stands in a chunk of its own."""
    size_at = long_sizes.body + 8
    (count,) = struct.unpack("<Q", bytes_at(file, size_at, 8))
    end = chunk.body + count + count % 2
    return chunk._replace(size=count, end=end, size_at=size_at, size_format="<Q")


def _are_chunks(file: BinaryIO, at: int, size: int, layout: Layout) -> bool:
    """Whether chunks, or another file of this kind, take the rest of the file."""
    while at < size - 1:
        chunk = _chunk_at(file, at, size, layout)
        if chunk is None or not re.fullmatch(rb"[ -~]{4}", chunk.name[:4]) or chunk.size < 0:
            return False
        if chunk.name == layout.magic:
            return True
        at = chunk.end
    return at <= size + 1


def _wav_bits(content: bytes, order: str) -> int | None:
    """Bits of a sample: those that count of the extensible form, which may store 24 of them in 32."""
    if len(content) < 16:
        return None
    (form,) = struct.unpack_from(order + "H", content)
    at = 18 if form == 0xFFFE and len(content) == 20 else 14
    (bits,) = struct.unpack_from(order + "H", content, at)
    return int(bits) or None


def au_part(file: BinaryIO, start: int, size: int) -> Part:
    """The part of an AU file that begins at `start`."""
    header = bytes_at(file, start, 12)
    order = ">" if header[:1] == b"." else "<"
    if len(header) < 12:
        return Part(start=start, stop=size)
    offset, count = struct.unpack(order + "II", header[4:])
    there, end = size - start - offset, start + offset + count
    if count in _UNKNOWN_SIZES and count > there:
        return Part(start=start, stop=size)
    if count > there:
        fault = truncated(f"{count} bytes of samples", max(0, there))
        return Part(start=start, stop=size, fault=fault)
    if bytes_at(file, end, 4) == header[:4]:
        return Part(start=start, stop=end)
    if count == 0 and there:
        head = header[:8] + struct.pack(order + "I", 0xFFFFFFFF)
        return Part(start=start + 12, stop=size, head=head)
    return Part(start=start, stop=size)


def sphere_part(file: BinaryIO, start: int, size: int) -> Part:
    """The part of a NIST SPHERE file, whose header is text, that begins at `start`."""
    count = re.search(rb"sample_count -i (\d+)", bytes_at(file, start, 1024))
    following = find(file, _SPHERE, start + 1024, size)
    stop = size if following < 0 else following
    return Part(start=start, stop=stop, num_samples=None if count is None else int(count[1]))
