"""Maps of an axis that is folded in two, of two axes joined into one, and of running sums."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap, full, overlaid
from wavedil.receptive_field.tracing.domain.formula import INFINITY, Formula, Piece
from wavedil.receptive_field.tracing.domain.sets import (
    ZERO,
    Set,
    contains,
    plus,
    shifted,
    union,
    within,
)

Window = tuple[int, int]


class Running(NamedTuple):
    """A part of a running union: its map and window.

    With growing index its inputs reach ever further into the past (-1), the future (1) or neither (0). It may be
    more than is seen where it is not exact.
    """

    seen: AxisMap
    window: Window | None
    grows: int
    exact: bool


# A running sum that no formula describes is written out index by index up to this many.
_MAX_WRITTEN_OUT = 4096
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


def running_union(seen: AxisMap, window: Window | None) -> Iterator[Running]:
    """The running union: index j sees the inputs that any index up to j sees, as in a cumulative sum.

    Args:
      seen: What an index sees.
      window: The inputs that there are, where nothing else is added to what the map says; a running
        union may then be written as a formula and a smaller window. None elsewhere.

    Yields:
      The parts whose union is meant.
    """
    for piece in seen.pieces:
        low, high = max(piece.low, 0), min(piece.high, seen.size)
        if low >= high:
            continue
        found = list(_running_in(piece, seen.size, window))
        if high < seen.size:
            # Indices after the piece have seen all of it.
            everything = piece.within(seen.size).all_seen
            found.append((Piece(high, seen.size, Formula(1, 0, (everything,))), window, 0, True))
        for part, part_window, grows, exact in found:
            for each in overlaid(seen.size, [part]):
                yield Running(each, part_window, grows, exact)


def _running_in(
    piece: Piece, size: int, window: Window | None
) -> Iterator[tuple[Piece, Window | None, int, bool]]:
    f = piece.formula
    low, high = max(piece.low, 0), min(piece.high, size)
    direction = (f.advance < 0) - (f.advance > 0)
    # From the shortest answer to the longest. A constant set stays as it is. A moving one becomes "this
    # and all before", which is right if the formula holds before the piece too, or if a smaller window
    # hides what it says there. Else single offsets may have such a window, or it is written out;
    # what is too long even for that is an upper bound.
    if f.advance == 0 and f.period == 1:
        yield Piece(low, high, f), window, 0, True
    elif piece.low == -INFINITY:
        yield Piece(low, high, _all_before(f, size)), window, direction, True
    elif window is not None and (cut := _cut(piece, size, window)) is not None:
        yield Piece(low, high, _all_before(f, size)), cut, direction, True
    elif window is not None and f.period == 1 and len(f.sets[0].offsets) <= 64:  # type: ignore[union-attr]
        for offset in f.sets[0].offsets:  # type: ignore[union-attr]
            alone = Piece(piece.low, piece.high, Formula(1, f.advance, (Taps(offset, 1),)))
            yield from _running_in(alone, size, window)
    elif high - low <= _MAX_WRITTEN_OUT:
        yield _written_out(f, low, high), window, 0, True
    else:  # more than what it sees, never less
        everything = Piece(low, high, f).all_seen
        yield Piece(low, high, Formula(1, 0, (everything,))), window, direction, False


def _all_before(f: Formula, size: int) -> Formula:
    return f.then_read_by(Formula(1, 1, (Taps.between(1 - size, 0),)))


def _cut(piece: Piece, size: int, window: Window) -> Window | None:
    """A window that hides what the formula goes on to say before the piece, if there is one."""
    f, low = piece.formula, piece.low
    # A piece that begins at index 3, with formula j, of which "all before" also claims 0, 1 and 2:
    #
    #     index     3  4  5  6
    #     sees      3  3-4  3-5  3-6            the running union
    #     claimed   0-3  0-4  0-5  0-6          inputs from 3 on: the window that makes the two equal
    real = AxisMap(size, (piece,)).bounds
    cut = (
        (max(window[0], real[0]), window[1])
        if f.advance > 0
        else (window[0], min(window[1], real[1] + 1))
    )
    reach = _overlap(f)
    if reach > _MAX_WRITTEN_OUT:
        return None
    # Indices farther before see nothing that the window leaves.
    before = union(f.at(j) for j in range(low - reach, low))
    return cut if contains(f.at(low), within(before, *cut)) else None


def _overlap(f: Formula) -> int:
    """Indices apart from which on what two of them see cannot overlap."""
    spans = [s.last - s.first + 1 for s in f.sets if s is not None]
    return max(spans) * f.period // max(1, abs(f.advance)) + 4 * f.period


def _written_out(f: Formula, low: int, high: int) -> Piece:
    sets: list[Set] = []
    so_far: Set = None
    for j in range(low, high):
        so_far = union([so_far, f.at(j)])
        sets.append(so_far)
    # Index low is residue low % length of a formula whose period is the length.
    length = high - low
    ordered: list[Set] = [None] * length
    for j, seen in zip(range(low, high), sets, strict=True):
        step = f.advance * length // f.period if (f.advance * length) % f.period == 0 else 0
        ordered[j % length] = shifted(seen, -step * (j // length))
    return Piece(low, high, Formula(length, step, tuple(ordered)))
