"""The union of pieces that may overlap, as pieces that do not."""

import functools
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from fractions import Fraction

from wavedil.receptive_field.tracing.domain.formula import Formula, Piece
from wavedil.receptive_field.tracing.domain.sets import Set, shifted


def overlay(pieces: Iterable[Piece]) -> list[tuple[Piece, ...]]:
    """The union of pieces, apart for each rate; in order within a rate."""
    seeing = [p for p in pieces if p.sees]
    if len(seeing) <= 1:
        return [tuple(seeing)] if seeing else []
    by_rate: dict[Fraction, list[Piece]] = defaultdict(list)
    for piece in _single_indices_adopted([q for p in seeing for q in _single_indices(p)]):
        by_rate[piece.formula.rate].append(piece)
    return [_united(group) for group in by_rate.values()]


def _single_indices_adopted(pieces: list[Piece]) -> list[Piece]:
    """A piece of one index has any rate: that of the longest piece, or of two neighbours, so that they join."""
    longest = max(pieces, key=lambda p: p.length)
    rate = longest.formula.rate if longest.length > 1 else _rate_of_neighbours(pieces)
    # Formulas are united where their rates are equal. One index alone fits any rate: as the single set
    # of its residue, put back by the advance up to it.
    adopted = []
    for p in pieces:
        if p.length == 1 and p.formula.rate != rate:
            period, advance = rate.denominator, rate.numerator
            sets: list[Set] = [None] * period
            sets[p.low % period] = shifted(p.formula.at(p.low), -advance * (p.low // period))
            p = Piece(p.low, p.high, Formula.of(advance, sets))
        adopted.append(p)
    return adopted


def _single_indices(piece: Piece) -> list[Piece]:
    """A few indices of less than a period, each by itself: together they have no rate either."""
    if not 1 < piece.length <= min(piece.formula.period, 16):
        return [piece]
    sets = {j: piece.formula.at(j) for j in range(piece.low, piece.high)}
    return [Piece(j, j + 1, Formula(1, 0, (seen,))) for j, seen in sets.items() if seen is not None]


def _rate_of_neighbours(pieces: list[Piece]) -> Fraction:
    """How far most neighbours are apart: their sets, or the ends that move of sets that grow or shrink."""
    ordered = sorted(pieces, key=lambda p: p.low)
    rates: Counter[Fraction] = Counter()
    for a, b in itertools.pairwise(ordered):
        first, second = a.formula.at(a.low), b.formula.at(b.low)
        # Two neighbours that see the same set, moved: the step is the rate. Sets that grow, as of a running
        # sum, keep one end, and the other one's step is the rate.
        if a.high == b.low and first is not None and second is not None:
            moved = second.first - first.first, second.last - first.last
            if first.bits == second.bits or 0 in moved:
                rates[Fraction(sum(moved), 2 if first.bits == second.bits else 1)] += 1
    return max(rates, key=rates.__getitem__, default=Fraction(0))


def _united(pieces: list[Piece]) -> tuple[Piece, ...]:
    """The union of pieces of one rate, as pieces that do not overlap."""
    # A sweep from bound to bound: between two of them the same pieces are active.
    #
    #     pieces     |-------a-------|
    #                        |-------b-------|
    #     bounds     |       |       |       |
    #     united     |   a   |  a|b  |   b   |
    bounds = sorted({b for p in pieces for b in (p.low, p.high)})
    pieces = sorted(pieces, key=lambda p: p.low)
    united: list[Piece] = []
    active: list[Piece] = []
    upcoming = 0
    for low, high in itertools.pairwise(bounds):
        active = [p for p in active if p.high > low]
        while upcoming < len(pieces) and pieces[upcoming].low == low:
            active.append(pieces[upcoming])
            upcoming += 1
        if not active:
            continue
        formula = functools.reduce(Formula.union, (p.formula for p in active))
        # What continues with the same formula is no border.
        if united and united[-1].high == low and united[-1].formula == formula:
            united[-1] = Piece(united[-1].low, high, formula)
        else:
            united.append(Piece(low, high, formula))
    return tuple(united)
