"""Which indices of an input axis an output index reads, for the operations of JAX."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap, overlaid
from wavedil.receptive_field.tracing.domain.formula import Formula, Piece
from wavedil.receptive_field.tracing.domain.known import true_runs
from wavedil.receptive_field.tracing.domain.sets import Set

# Runs of a constant step in a list of indices without a pattern, beyond which each index is written out.
_MAX_RUNS = 32
# Of more of these than this it is said only between which ones they lie.
_MAX_LISTED = 1024
IRREGULAR = "more irregular indices than are listed"


@functools.cache
def affine(size: int, scale: int, offset: int, divisor: int = 1) -> AxisMap:
    """Output j reads `(scale j + offset) / divisor` where that is an integer: slice, pad, rev."""
    return window(size, (offset,), scale, divisor)


@functools.cache
def window(size: int, offsets: Sequence[int], stride: int, base_dilation: int = 1) -> AxisMap:
    """Output j reads `(stride j + offset) / base_dilation` of every offset for which that is an integer."""
    # Between the samples of a dilated base lie zeros, which stand for no input. Which taps meet samples
    # repeats when the stride has come to a multiple of the base dilation:
    #
    #     base         a . . b . . c        base_dilation 3, stride 1, two taps
    #     output 0     |-|                  a
    #     output 1       |-|                nothing
    #     output 2         |-|              b
    period = base_dilation // math.gcd(stride, base_dilation)
    sets: list[Set] = []
    for j in range(period):
        places = [stride * j + offset for offset in offsets]
        read = [place // base_dilation for place in places if place % base_dilation == 0]
        sets.append(Taps.at(read) if read else None)
    return AxisMap.of(size, stride * period // base_dilation, sets)


@functools.cache
def groups(size: int, num_groups: int, num_read: int) -> AxisMap:
    """Output j of a group reads the `num_read` inputs of its group."""
    # Output j of group g reads from g num_read on: one period for every group.
    own = size // num_groups
    return AxisMap.of(size, num_read, [Taps.between(0, num_read - 1)] * own)


@functools.cache
def constant(size: int, index: int) -> AxisMap:
    """Every output reads one index."""
    return AxisMap.of(size, 0, [Taps(index, 1)])


def listed(indices: np.ndarray, valid: np.ndarray | None = None) -> list[AxisMap]:
    """Output j reads `indices[j]`, if that is valid: gather. An upper bound if these are `coarse`.

    Regular steps become one formula: patterns that repeat with a constant advance, as of frames
    that overlap, and runs of a constant step. Frames at the borders may be none of the pattern.
    """
    indices = indices.astype(np.int64)
    size = len(indices)
    valid = np.ones(size, bool) if valid is None else valid
    if coarse(indices, valid):
        between = Taps.between(int(indices[valid].min()), int(indices[valid].max()))
        return [AxisMap.of(size, 0, [between])]
    if irregular(indices, valid):
        reads = zip(indices.tolist(), valid.tolist(), strict=True)
        return [AxisMap.of(size, 0, [Taps(index, 1) if there else None for index, there in reads])]
    found = _pattern(indices, valid)
    if found is None:
        return overlaid(size, _runs(indices, valid))
    inside, period = found
    advance = int(indices[inside[period]] - indices[inside[0]]) if len(inside) > period else 0
    sets: list[Set] = [None] * period
    for j in inside[:period]:
        sets[j % period] = Taps(int(indices[j]) - advance * (j // period), 1)
    repeated = Piece(inside.start, inside.stop, Formula.of(advance, sets))
    # Indices around the pattern are runs of their own: frames that padding has cut short.
    before, after = valid.copy(), valid.copy()
    before[inside.start :] = after[: inside.stop] = False
    around = [*_runs(indices, before), *_runs(indices, after)] if len(inside) < size else []
    rows = [row for piece in around for row in _cut_at(piece, period)]
    return overlaid(size, [*rows, repeated])


def irregular(indices: np.ndarray, valid: np.ndarray) -> bool:
    """Whether indices have so many steps and no pattern, as a permutation has, that they are better listed."""
    bends = np.diff(indices.astype(np.int64)[valid], n=2)
    many = int(np.count_nonzero(bends)) > 2 * _MAX_RUNS
    return many and _pattern(indices, valid) is None


def coarse(indices: np.ndarray, valid: np.ndarray) -> bool:
    """Whether irregular indices are too many to be listed; what is said of them is an upper bound."""
    return len(indices) > _MAX_LISTED and irregular(indices, valid)


def _cut_at(piece: Piece, period: int) -> list[Piece]:
    """A piece cut where the pattern beside it begins anew, so that frames stay in one piece."""
    bounds = [*range(-(-piece.low // period) * period, piece.high, period), piece.high]
    lows = [piece.low, *bounds]
    return [
        Piece(low, high, piece.formula)
        for low, high in zip(lows, bounds, strict=False)
        if low < high
    ]


def _pattern(indices: np.ndarray, valid: np.ndarray) -> tuple[range, int] | None:
    """The longest run of indices that repeat after a period but for a constant advance, and the period."""
    size = len(indices)
    if size < 2:
        return (range(size), 1) if size and valid.all() else None
    # All of the indices, or their middle half, or the second half: padding may break the pattern at
    # either end, and the period shows in what is left.
    for part in (slice(0, size), slice(size // 4, size - size // 4), slice(size // 2, size)):
        period = _period(indices[part])
        if period is None:
            continue
        advance = indices[part.start + period] - indices[part.start]
        both = valid[period:] & valid[:-period]
        # Where indices follow the period; a run of these and the period after it are the pattern.
        repeats = both & (indices[period:] - indices[:-period] == advance)
        runs = true_runs(repeats)
        if not len(runs):
            continue
        low, high = runs[np.argmax(runs[:, 1] - runs[:, 0])].tolist()
        high += period
        if 2 * (high - low) > size:
            return range(low, high), period
    return None


def _period(indices: np.ndarray) -> int | None:
    """A period after which indices repeat but for a constant advance, if there is one to be seen."""
    size = len(indices)
    steps = np.diff(indices)
    if size <= 1:
        return None
    # A slice: every step is the same.
    if (steps == steps[0]).all():
        return 1
    # A period begins where the first step comes again, and ends with a step that stands out.
    again = np.flatnonzero(steps == steps[0])[1:65].tolist()
    out = (np.flatnonzero(steps != steps[0])[:2] + 1).tolist()
    for period in (*again, *out, out[-1] - out[0]):
        if 0 < 2 * period <= size:
            advances = indices[period:] - indices[:-period]
            if (advances == advances[0]).all():
                return period
    return None


def _runs(indices: np.ndarray, valid: np.ndarray) -> list[Piece]:
    """Maximal runs of a constant step."""
    size = len(indices)
    pieces = []
    start = 0
    while start < size:
        if not valid[start]:
            start += 1
            continue
        end = start + 1
        step = int(indices[end] - indices[start]) if end < size and valid[end] else 0
        while end < size and valid[end] and indices[end] - indices[end - 1] == step:
            end += 1
        # The formula counts from index 0 of the axis and not from the start of the run.
        first = int(indices[start]) - step * start
        pieces.append(Piece(start, end, Formula(1, step, (Taps(first, 1),))))
        start = end
    return pieces
