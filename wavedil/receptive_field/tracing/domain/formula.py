"""Formulas: the input times that an index sees, by a rule with one period.

Time inside a network moves in steps that repeat: index j of a strided, dilated or upsampled
signal sees the inputs of a formula of one period,

    F(j) = advance (j // period) + sets[j % period]

and follows it from end to end but for a few indices at the borders. With an upsampling by 2 and
then a mean of two neighbours,

    j           0   1   2   3   4   5 ...
    sees        0  0,1  1  1,2  2  2,3                   period 2, advance 1, sets ({0}, {0, 1})

A union of formulas has the least common multiple of their periods where they agree on the rate
`advance / period`. Where they do not (a signal and its reverse), there is no common formula.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.domain.sets import Set, plus, shifted, times, union

# Bounds that no index reaches. Integers, so that arithmetic on bounds stays exact.
INFINITY = 1 << 60


@dataclass(frozen=True, slots=True)
class Formula:
    """`advance (j // period) + sets[j % period]`, with the shortest period that says the same."""

    period: int
    advance: int
    sets: tuple[Set, ...]

    @classmethod
    def of(cls, advance: int, sets: Iterable[Set]) -> "Formula":
        """The formula whose period is the number of sets, shortened."""
        sets = tuple(sets)
        count = len(sets)
        # A shorter period has to divide, to move by an integer, and to repeat every set moved by that:
        # {0}, {1}, {2}, {3} with advance 4 is {0} with advance 1.
        for period in range(1, count):
            step, rest = divmod(advance * period, count)
            if (
                count % period == 0
                and rest == 0
                and all(shifted(sets[j], step) == sets[j + period] for j in range(count - period))
            ):
                return cls(period, step, sets[:period])
        return cls(count, advance, sets)

    @property
    def rate(self) -> Fraction:
        """Inputs per index."""
        return Fraction(self.advance, self.period)

    def at(self, j: int) -> Set:
        """The inputs that index j sees."""
        return shifted(self.sets[j % self.period], self.advance * (j // self.period))

    def over(self, period: int) -> tuple[Set, ...]:
        """The sets of a period that is a multiple of the formula's own."""
        return self.sets if period == self.period else tuple(self.at(j) for j in range(period))

    def plus_set(self, a: Taps) -> "Formula":
        """Index j sees every sum of an input that it saw and a member of a."""
        return Formula(self.period, self.advance, tuple(plus(s, a) for s in self.sets))

    def plus(self, other: "Formula") -> "Formula":
        """Index j sees every sum of an input of one formula and an input of the other."""
        if self.period == other.period == 1:
            return Formula(1, self.advance + other.advance, (plus(self.sets[0], other.sets[0]),))
        period = math.lcm(self.period, other.period)
        # Rates add up, and a common period makes the advance an integer.
        advance = (self.rate + other.rate) * period
        return Formula.of(int(advance), map(plus, self.over(period), other.over(period)))

    def union(self, other: "Formula") -> "Formula":
        """Index j sees the inputs of either formula; the rates are equal."""
        if self == other:
            return self
        period = math.lcm(self.period, other.period)
        pairs = zip(self.over(period), other.over(period), strict=True)
        return Formula.of(int(self.rate * period), map(union, pairs))

    def then_read_by(self, reads: "Formula") -> "Formula":
        """The composition: index j reads the indices `reads(j)` of this formula."""
        if reads.period == 1 and self.period == 1:
            # Without phases it is a product of advances and a sum of sets: a (b j + y) + x = a b j + (a y + x).
            seen = plus(times(reads.sets[0], self.advance), self.sets[0])
            return Formula(1, self.advance * reads.advance, (seen,))
        # After one period of the reads they are `reads.advance` indices further on, in another phase of this
        # formula; after so many periods they are back in the first one.
        cycles = self.period // math.gcd(self.period, reads.advance)
        period = reads.period * cycles
        advance = self.advance * (reads.advance * cycles // self.period)
        return Formula.of(advance, [self._union_over(reads.at(j)) for j in range(period)])

    def _union_over(self, indices: Set) -> Set:
        if indices is None:
            return None
        if self.period == 1:
            return plus(times(indices, self.advance), self.sets[0])
        return union(self.at(i) for i in indices.offsets)


@dataclass(frozen=True, slots=True)
class Piece:
    """A formula for the indices from `low` to `high - 1`."""

    low: int
    high: int
    formula: Formula

    @property
    def length(self) -> int:
        """How many indices it covers."""
        return self.high - self.low

    @property
    def sees(self) -> bool:
        """Whether any of its indices sees anything."""
        f = self.formula
        if self.length >= f.period:
            return any(seen is not None for seen in f.sets)
        return any(f.sets[j % f.period] is not None for j in range(self.low, self.high))

    @property
    def all_seen(self) -> Set:
        """The inputs that its indices see together."""
        f = self.formula
        parts = []
        for residue, seen in enumerate(f.sets):
            # Indices of one residue, a period apart, see the same set, moved by `advance` each time.
            first = self.low + (residue - self.low) % f.period
            if seen is not None and first < self.high:
                count = (self.high - 1 - first) // f.period + 1
                start = Taps(seen.first + f.advance * (first // f.period), seen.bits)
                parts.append(start if f.advance == 0 else start.repeated(f.advance, count))
        return union(parts)

    @property
    def ends(self) -> list[tuple[int, Taps]]:
        """The first and the last index of every residue, and their inputs: the bounds of all lie among them."""
        period = self.formula.period
        first = range(self.low, min(self.low + period, self.high))
        last = range(max(self.high - period, self.low), self.high)
        both = ((j, self.formula.at(j)) for j in {*first, *last})
        return [(j, seen) for j, seen in both if seen is not None]

    def within(self, size: int) -> "Piece":
        """The part of it that lies on an axis of a size; its length may be below 1."""
        return Piece(max(self.low, 0), min(self.high, size), self.formula)


def reach(advance: int, period: int, first: int, end: int, low: int, high: int) -> tuple[int, int]:
    """The members of a formula's sets that indices `first .. end - 1` may put into `low .. high - 1`."""
    # An index moves its set by one of the values between these two.
    moved = advance * (first // period), advance * ((end - 1) // period)
    return low - max(moved), high - min(moved)
