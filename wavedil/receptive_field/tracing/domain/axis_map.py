"""The input times that each index of an axis sees: the algebra under `trace`, in integers alone.

A *map* is a list of pieces `[low, high)` with a formula each; outside of them nothing is seen, as
in zero padding.

Operations are maps too: a convolution's output j reads the indices `stride j + dilation k - padding`
of every tap k. The inputs that its output sees are then the *composition*, the union of the inputs that
those indices see, and this one rule serves slices, padding, concatenation, windows, gathers and
reversal alike.

Pieces of different rates have no common formula, so operations answer with several maps whose
union is meant.
"""

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.domain.formula import INFINITY, Formula, Piece, reach
from wavedil.receptive_field.tracing.domain.overlay import overlay
from wavedil.receptive_field.tracing.domain.sets import ZERO, Set, union, within
from wavedil.receptive_field.tracing.domain.settling import fewest, weight

# Bounds farther out than this are infinite ones, perhaps moved by a shift.
_FAR = INFINITY >> 10


@dataclass(frozen=True)
class AxisMap:
    """For each index of an axis of `size` the inputs that it sees. The pieces are in order and have one rate.

    Beyond `0 .. size - 1` a piece may go on where what it says there lies outside of the input.
    """

    size: int
    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, size: int, advance: int, sets: Iterable[Set]) -> "AxisMap":
        """One formula for the complete axis."""
        return cls(size, (Piece(0, size, Formula.of(advance, sets)),))

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.size, self.pieces))

    def __hash__(self) -> int:
        return self._hash

    def at(self, j: int) -> Set:
        """The inputs that index j sees."""
        for piece in self.pieces:
            if piece.low <= j < piece.high:
                return piece.formula.at(j)
        return None

    @functools.cached_property
    def main(self) -> Piece:
        """The piece that holds for most indices of the axis."""
        return max(self.pieces, key=lambda p: weight(p, self.size))

    @functools.cached_property
    def all_seen(self) -> Set:
        """The inputs that all indices of the axis together see."""
        return union(p.all_seen for p in self.clipped.pieces)

    @functools.cached_property
    def clipped(self) -> "AxisMap":
        """The same map, empty beyond the axis."""
        # Mostly nothing sticks out, and the same object says so: `seen is seen.clipped`.
        if all(p.low >= 0 and p.high <= self.size for p in self.pieces):
            return self
        pieces = (p.within(self.size) for p in self.pieces)
        return AxisMap(self.size, tuple(p for p in pieces if p.length > 0 and p.sees))

    @functools.cached_property
    def anchored(self) -> tuple["AxisMap", Taps]:
        """The map split in two: without the set that all its indices add alike (or a shift at least), and that set."""
        # t + {-2, 0} is the rule t and the set {-2, 0}. Maps that differ in that set alone get the same
        # rule, and terms that hold it can be joined. Where pieces have several sets, only a shift can be
        # taken out: the start of the longest piece's set.
        sets = {p.formula.sets for p in self.pieces}
        common = next(s for s in self.main.formula.sets if s is not None)
        if len(sets) == 1 and len(self.main.formula.sets) == 1:
            if common == ZERO:
                return self, ZERO
            pieces = (
                Piece(p.low, p.high, Formula(1, p.formula.advance, (ZERO,))) for p in self.pieces
            )
            return AxisMap(self.size, tuple(pieces)), common
        return self.shifted(-common.first), Taps(common.first, 1)

    @functools.cached_property
    def bounds(self) -> tuple[int, int]:
        """The first and the last input that any index sees."""
        # Sets move by a constant step, so the extremes lie at the ends of the pieces.
        ends = [seen for p in self.clipped.pieces for _, seen in p.ends]
        return min((a.first for a in ends), default=0), max((a.last for a in ends), default=0)

    @property
    def moves(self) -> bool:
        """Whether what an index sees depends on the index by more than whether it sees it."""
        return any(p.formula.advance for p in self.pieces)

    def shifted(self, by: int) -> "AxisMap":
        """Every input `by` later."""
        return self.plus_set(Taps(by, 1)) if by else self

    def plus_set(self, a: Taps) -> "AxisMap":
        """Each index sees every sum of an input that it saw and a member of a."""
        if a == ZERO:
            return self
        pieces = (Piece(p.low, p.high, p.formula.plus_set(a)) for p in self.pieces)
        return AxisMap(self.size, tuple(pieces))

    def plus(self, other: "AxisMap") -> list["AxisMap"]:
        """Each index sees every sum of an input that it sees in one map and one that it sees in the other."""
        return overlaid(
            self.size,
            [
                # Where one of the maps is empty there are no sums: a piece for every overlap of two.
                Piece(max(p.low, q.low), min(p.high, q.high), p.formula.plus(q.formula))
                for p in self.pieces
                for q in other.pieces
                if max(p.low, q.low) < min(p.high, q.high)
            ],
        )

    def then_read_by(self, reads: "AxisMap") -> list["AxisMap"]:
        """The composition: a new axis whose index j reads the indices `reads(j)` of this one."""
        pieces = [
            piece for read in reads.pieces for seen in self.pieces for piece in _read(seen, read)
        ]
        return overlaid(reads.size, pieces)

    def trimmed(self, low: int, high: int) -> "AxisMap":
        """Formulas without what lies outside of the inputs `low` to `high - 1` at every index."""
        pieces = []
        for p in self.clipped.pieces:
            f = p.formula
            # Members that no index of the piece moves into the input.
            span = reach(f.advance, f.period, p.low, p.high, low, high)
            kept = Formula.of(f.advance, (within(s, *span) for s in f.sets))
            pieces.append(Piece(p.low, p.high, kept))
        return AxisMap(self.size, tuple(p for p in pieces if p.sees))

    def settled(self, low: int, high: int) -> "AxisMap":
        """The fewest pieces that say the same of the inputs from `low` to `high - 1`."""
        pieces = fewest(self.pieces, self.size, low, high)
        return self if pieces == self.pieces else AxisMap(self.size, pieces)


def overlaid(size: int, pieces: Iterable[Piece]) -> list[AxisMap]:
    """The union of pieces that may overlap: one map for each rate."""
    return [AxisMap(size, group) for group in overlay(pieces)]


def full(size: int) -> AxisMap:
    """{0} at every index."""
    return AxisMap.of(size, 0, [ZERO])


def _read(seen: Piece, read: Piece) -> list[Piece]:
    """The composition of one piece of the reads with one piece of the map."""
    if seen.low == -INFINITY and seen.high == INFINITY:
        return [Piece(read.low, read.high, seen.formula.then_read_by(read.formula))]
    reads = read.formula
    # A tap is inside the piece that is read for a run of indices. Between two bounds of such runs the
    # same taps are inside, so there one formula says it all:
    #
    #     index j      0  1  2  3  4  5  6
    #     tap 0        .  .  #  #  #  #  #        inside from j = 2 on
    #     tap 2        #  #  #  #  #  .  .        inside up to j = 4
    #     bounds       0     2        5     7
    bounds = {read.low, read.high}
    for cycle in _cycles_at_bounds(reads, seen):
        bounds.add(min(max(cycle * reads.period, read.low), read.high))
    pieces = []
    ordered = sorted(bounds)
    for low, high in itertools.pairwise(ordered):
        # What is inside in the first cycle of the run is inside in all of it.
        start = reads.advance * (low // reads.period)
        inside = [within(s, seen.low - start, seen.high - start) for s in reads.sets]
        if any(s is not None for s in inside):
            kept = Formula(reads.period, reads.advance, tuple(inside))
            pieces.append(Piece(low, high, seen.formula.then_read_by(kept)))
    return pieces


def _cycles_at_bounds(reads: Formula, seen: Piece) -> set[int]:
    """The cycles `j // period` at which a tap enters or leaves the piece that is read."""
    advance = reads.advance
    if advance == 0:
        return set()
    offsets = union(reads.sets)
    assert offsets is not None
    cycles = set()
    for bound in (seen.low, seen.high):
        # A piece without an end on this side is never left there.
        if abs(bound) < _FAR:
            for offset in offsets.offsets:
                # The tap of cycle c reads advance c + offset. Upwards it has crossed the bound from the first
                # cycle with advance c >= gap on, downwards from the first with advance c < gap.
                gap = bound - offset
                cycles.add(-(-gap // advance) if advance > 0 else gap // advance + 1)
    return cycles
