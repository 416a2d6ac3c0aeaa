"""Maps of an axis that is folded in two, and of two axes joined into one."""

import math
from collections.abc import Iterator

from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap, full, overlaid
from wavedil.receptive_field.tracing.domain.formula import INFINITY, Formula, Piece
from wavedil.receptive_field.tracing.domain.sets import ZERO, Set, plus

# Blocks of time up to this long are one formula with a set for every place in the block; longer ones a piece each.
_MAX_PERIOD = 16384


def split(joined: AxisMap, inner: int) -> Iterator[tuple[AxisMap, AxisMap]]:
    """The map of index `j = inner a + b` as sums of a map of a and a map of b.

    A formula of period p is F(inner a + b) = F(b) + rate inner a where p divides `inner`. Where
    it does not, the rows a fall into `lcm(p, inner) / inner` classes, each with its own map of b.
    """
    outer = joined.size // inner
    for piece in joined.pieces:
        f = piece.formula
        num_classes = math.lcm(f.period, inner) // inner
        # Rows of an axis of 12 folded by 4, where the formula has period 6: the pattern starts anew in
        # every third row, after lcm(6, 4) = 12 indices, so there are 3 classes of rows.
        #
        #     row 0    a b c d
        #     row 1    e f a b
        #     row 2    c d e f
        step = f.advance * num_classes * inner // f.period
        for rows, columns in _rectangles(piece, inner):
            for this in range(num_classes):
                sets = [ZERO if residue == this else None for residue in range(num_classes)]
                row = _one_row(f.then_read_by(Formula(1, 1, (Taps(this * inner, 1),))), inner)
                for a in overlaid(outer, [Piece(*rows, Formula(num_classes, step, tuple(sets)))]):
                    for b in overlaid(inner, [Piece(*columns, row)]):
                        yield a, b


def _one_row(f: Formula, inner: int) -> Formula:
    """A formula for one row alone: it may have any rate, and that of its first step has the shortest period."""
    if f.period < inner or f.period == 1:
        return f
    # The rows' own map says how far one row is from the next, so the rate here is free.
    first, second = f.at(0), f.at(1)
    step = 0 if first is None or second is None else second.first - first.first
    return Formula.of(step * inner, [f.at(j) for j in range(inner)])


def _rectangles(piece: Piece, inner: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """The indices of a piece as rows and columns: the complete rows, and the rests of the first and the last."""
    first = piece.low // inner if piece.low > -INFINITY else -INFINITY
    before = piece.low % inner if piece.low > -INFINITY else 0
    last = piece.high // inner if piece.high < INFINITY else INFINITY
    after = piece.high % inner if piece.high < INFINITY else 0
    # Piece 2 .. 10 on rows of 4:   . . # # | # # # # | # # . .   two rests and one row between.
    if first == last:
        yield (first, first + 1), (before, after)
        return
    if before:
        yield (first, first + 1), (before, inner)
        first += 1
    if first < last:
        yield (first, last), (0, inner)
    if after:
        yield (last, last + 1), (0, after)


def join(outer: AxisMap | None, inner: AxisMap | None, sizes: tuple[int, int]) -> list[AxisMap]:
    """The maps of `j = inner_size a + b` where a and b see sums; None sees {0} everywhere."""
    rows, columns = outer or full(sizes[0]), inner or full(sizes[1])
    size = sizes[0] * sizes[1]
    # The sums of all pairs can be written in three ways; the shortest first.
    runs_on = _runs_on(rows, columns)
    if runs_on is not None:
        return overlaid(size, runs_on)
    # One formula whose period is a row, where each row sees inputs a step after the last one's, or rows
    # are many and short; else a piece for every row.
    repeats = rows.moves and sizes[1] <= _MAX_PERIOD
    if repeats or sizes[0] > sizes[1]:
        return overlaid(size, _table(rows, columns))
    return overlaid(size, _row_by_row(rows, columns))


def _runs_on(rows: AxisMap, columns: AxisMap) -> list[Piece] | None:
    """One formula for all rows, where each row goes on as the one before ends; None elsewhere."""
    n = columns.size
    piece = columns.pieces[0]
    f = piece.formula
    if len(columns.pieces) > 1 or piece.low > 0 or piece.high < n or n % f.period:
        return None
    # How far the formula of the columns moves in a row: rows that move by as much continue it.
    step = f.advance * n // f.period
    if any(p.formula.period > 1 or p.formula.advance != step for p in rows.pieces):
        return None
    return [Piece(*_in_elements(p, n), f.plus(Formula(1, 0, p.formula.sets))) for p in rows.pieces]


def _row_by_row(rows: AxisMap, columns: AxisMap) -> list[Piece]:
    n = columns.size
    pieces = []
    for a in range(rows.size):
        seen = rows.at(a)
        for p in columns.pieces if seen is not None else ():
            # Index j of row a is column j - a n.
            moved = p.formula.then_read_by(Formula(1, 1, (Taps(-a * n, 1),)))
            low, high = max(p.low, 0), min(p.high, n)
            pieces.append(Piece(a * n + low, a * n + high, moved.plus(Formula(1, 0, (seen,)))))
    return pieces


def _table(rows: AxisMap, columns: AxisMap) -> list[Piece]:
    """One formula whose period is a row, or several rows where they differ."""
    n = columns.size
    row = [columns.at(b) for b in range(n)]
    pieces = []
    for p in rows.pieces:
        sums: dict[tuple[Set, int], Set] = {}
        sets = []
        for seen in p.formula.sets:
            for place in row:
                key = seen, id(place)  # places that share a set share the sum
                if key not in sums:
                    sums[key] = plus(seen, place)
                sets.append(sums[key])
        pieces.append(Piece(*_in_elements(p, n), Formula.of(p.formula.advance, sets)))
    return pieces


def _in_elements(rows: Piece, inner: int) -> tuple[int, int]:
    """The bounds of rows as bounds of the joined index; infinity stays as it is."""
    low = rows.low * inner if rows.low > -INFINITY else -INFINITY
    return low, rows.high * inner if rows.high < INFINITY else INFINITY
