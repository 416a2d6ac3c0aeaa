"""The running union of a map, as of a cumulative sum or of what a recurrence has seen so far.

    index            0    1    2    3
    sees             0    1    2    3
    running union    0   0-1  0-2  0-3

Mostly it is one formula again, "this and all before"; a smaller window hides what that says too much at the beginning.
"""

from collections.abc import Iterator
from typing import NamedTuple

from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap, overlaid
from wavedil.receptive_field.tracing.domain.formula import INFINITY, Formula, Piece
from wavedil.receptive_field.tracing.domain.sets import Set, contains, shifted, union, within

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
# So many inputs of a formula are followed one by one.
_MAX_SINGLE = 64


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
    # From the shortest answer to the longest. Sets that do not move come to an end. Moving ones become "this
    # and all before", which is right if the formula holds before the piece too, or if a smaller window
    # hides what it says there. Else single offsets may have such a window, or it is written out;
    # what is too long even for that is an upper bound.
    if f.advance == 0 and f.period <= _MAX_WRITTEN_OUT:
        # After a period nothing more comes.
        all_seen = low + f.period - 1
        if low < all_seen:
            yield _written_out(f, low, min(all_seen, high)), window, 0, True
        if all_seen < high:
            yield Piece(all_seen, high, Formula(1, 0, (union(f.sets),))), window, 0, True
    elif piece.low == -INFINITY:
        yield Piece(low, high, _all_before(f, size)), window, direction, True
    elif window is not None and (cut := _cut(piece, size, window)) is not None:
        yield Piece(low, high, _all_before(f, size)), cut, direction, True
    elif window is not None and 1 < len(single := list(_single(f))) <= _MAX_SINGLE:
        for alone in single:
            yield from _running_in(Piece(piece.low, piece.high, alone), size, window)
    elif high - low <= _MAX_WRITTEN_OUT:
        yield _written_out(f, low, high), window, 0, True
    else:  # more than what it sees, never less
        everything = Piece(low, high, f).all_seen
        yield Piece(low, high, Formula(1, 0, (everything,))), window, direction, False


def _single(f: Formula) -> Iterator[Formula]:
    """The formulas of one input for every index of one residue, whose union is meant."""
    if sum(0 if seen is None else seen.bits.bit_count() for seen in f.sets) > _MAX_SINGLE:
        return
    for residue, seen in enumerate(f.sets):
        for offset in () if seen is None else seen.offsets:
            sets: list[Set] = [None] * f.period
            sets[residue] = Taps(offset, 1)
            yield Formula.of(f.advance, sets)


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
