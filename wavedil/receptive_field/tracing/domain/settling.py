"""The fewest pieces that say the same of the inputs that there are.

A formula takes over its neighbour's indices, or those where nothing is seen, where the two differ
only in what lies outside of the input. So zero padding before a causal convolution leaves no border:

    index   -2  -1 |  0   1   2
    sees  (-2) (-1)|  0   1   2        nothing before 0, and the formula j says -2, -1
"""

import functools
import math

from wavedil.receptive_field.tracing.domain.formula import INFINITY, Formula, Piece, reach
from wavedil.receptive_field.tracing.domain.sets import difference, shifted, union, within

_Region = tuple[int, int, Formula | None]


def fewest(pieces: tuple[Piece, ...], size: int, low: int, high: int) -> tuple[Piece, ...]:
    """Pieces of an axis of a size, in the fewest that say the same of the inputs `low` to `high - 1`."""
    if len(pieces) == 1 and pieces[0].formula.period == 1:
        if pieces[0].low == -INFINITY and pieces[0].high == INFINITY:
            return pieces
    shortened = tuple(_shortened(p, low, high) for p in pieces)
    longest = max(shortened, key=lambda p: weight(p, size))
    regions = _regions(shortened)
    main = regions.index((longest.low, longest.high, longest.formula))
    before = _taken_over(regions[main::-1], low, high)
    after = _taken_over([before[0], *regions[main + 1 :]], low, high)
    joined = (*before[:0:-1], *after)
    return tuple(Piece(a, b, f) for a, b, f in joined if f is not None)


def weight(piece: Piece, size: int) -> tuple[int, int]:
    """How many indices of an axis a piece holds for; of two equal ones, the one that sees more has more."""
    length = min(piece.high, size) - max(piece.low, 0)
    return length, max(s.last - s.first for s in piece.formula.sets if s is not None)


def _regions(pieces: tuple[Piece, ...]) -> list[_Region]:
    """All indices from minus to plus infinity; None where nothing is seen."""
    regions: list[_Region] = []
    end = -INFINITY
    for p in pieces:
        if end < p.low:
            regions.append((end, p.low, None))
        regions.append((p.low, p.high, p.formula))
        end = p.high
    if end < INFINITY:
        regions.append((end, INFINITY, None))
    return regions


def _taken_over(regions: list[_Region], low: int, high: int) -> list[_Region]:
    """Regions from the first one outward, each with the neighbours that it can speak for."""
    kept = [regions[0]]
    for region in regions[1:]:
        a, b, formula = kept[-1]
        if formula is not None and _same(formula, region, low, high):
            other = region[2]
            # What both say of inputs that do not exist here is kept: it counts in a longer signal.
            if other is not None and other != formula and _same(other, kept[-1], low, high):
                formula = formula.union(other)
            kept[-1] = (min(a, region[0]), max(b, region[1]), formula)
        elif formula is not None and formula == region[2]:
            kept[-1] = (min(a, region[0]), max(b, region[1]), formula)
        else:
            kept.append(region)
    return kept


def _shortened(piece: Piece, low: int, high: int) -> Piece:
    """The formula of a shorter period that says the same of the inputs from `low` to `high - 1`."""
    f = piece.formula
    for part in _primes(f.period):
        period, step = f.period // part, f.advance // part
        if f.advance % part == 0:
            sets = [
                union(shifted(f.sets[j + k * period], -k * step) for k in range(part))
                for j in range(period)
            ]
            shorter = Formula.of(step, sets)
            if _same(shorter, (piece.low, piece.high, f), low, high):
                return _shortened(Piece(piece.low, piece.high, shorter), low, high)
    return piece


@functools.cache
def _primes(number: int) -> tuple[int, ...]:
    """The prime factors of a number, each once."""
    factors = [p for p in range(2, math.isqrt(number) + 1) if number % p == 0]
    factors += [number // p for p in factors]
    return tuple(
        sorted(
            p
            for p in {*factors, number}
            if p > 1 and all(p % q for q in range(2, math.isqrt(p) + 1))
        )
    )


def _same(formula: Formula, region: _Region, low: int, high: int) -> bool:
    """Whether a formula says the same of the inputs from `low` to `high - 1` on a region."""
    first, end, other = region
    period = formula.period if other is None else math.lcm(formula.period, other.period)
    advance = formula.advance * (period // formula.period)
    ours = formula.over(period)
    theirs = (None,) * period if other is None else other.over(period)
    span = reach(advance, period, first, end, low, high)
    residues = range(period) if end - first >= period else {j % period for j in range(first, end)}
    return all(within(difference(ours[j], theirs[j]), *span) is None for j in residues)
