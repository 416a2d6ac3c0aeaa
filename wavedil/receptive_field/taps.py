"""Sets of input offsets, held as the bits of one integer so that long stacks compose fast."""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from wavedil.receptive_field.limits import require_span


@dataclass(frozen=True)
class Taps:
    """A set of input offsets that is not empty; bit i of `bits` stands for offset `first + i`.

    Attributes:
      first: The smallest offset, in samples.
      bits: The offsets from there on; the lowest bit is always set.

    Example:
      >>> Taps.at([-4, -2, 0]).offsets
      (-4, -2, 0)
    """

    first: int
    bits: int

    @classmethod
    def at(cls, offsets: Iterable[int]) -> Self:
        """The set of exactly these offsets."""
        return cls.joined((offset, Taps(0, 1)) for offset in offsets)

    @classmethod
    def between(cls, first: int, last: int) -> Self:
        """Every offset from `first` to `last`, both included."""
        require_span(last - first + 1)
        return cls(first, (1 << (last - first + 1)) - 1)

    @classmethod
    def joined(cls, parts: Iterable[tuple[int, "Taps"]]) -> Self:
        """The union of sets, each moved by its own number of samples: pairs (samples, set)."""
        shifted = [(shift + taps.first, taps.bits) for shift, taps in parts]
        # All sets as bits over one common axis, which begins at the earliest member:
        #
        #     {3, 5}    101       first 3
        #     {4}        1 << 1
        #     joined    111       {3, 4, 5}
        first = min(start for start, _ in shifted)
        require_span(max(start + bits.bit_length() for start, bits in shifted) - first)
        joined = 0
        for start, bits in shifted:
            joined |= bits << (start - first)
        return cls(first, joined)

    def repeated(self, step: int, count: int) -> "Taps":
        """The set moved by 0, step, ..., (count - 1) step, joined; in log2(count) unions."""
        if step < 0:
            # Steps backwards are steps forwards from the other end.
            return Taps(self.first + (count - 1) * step, self.bits).repeated(-step, count)
        require_span((count - 1) * step + self.bits.bit_length())
        # One copy becomes 2, 4, 8 ... by joining all there are with themselves, further on; the last
        # union adds only those that are missing.
        bits, done = self.bits, 1
        while done < count:
            more = min(done, count - done)
            bits |= bits << (more * step)
            done += more
        return Taps(self.first, bits)

    @property
    def last(self) -> int:
        """The largest offset."""
        return self.first + self.bits.bit_length() - 1

    @property
    def count(self) -> int:
        """How many offsets there are."""
        return self.bits.bit_count()

    @functools.cached_property
    def offsets(self) -> tuple[int, ...]:
        """The offsets in ascending order."""
        # Found in the binary digits as text: to shift a long integer bit by bit is quadratic in its length.
        lowest_first = f"{self.bits:b}"[::-1]
        return tuple(self.first + one.start() for one in re.finditer("1", lowest_first))
