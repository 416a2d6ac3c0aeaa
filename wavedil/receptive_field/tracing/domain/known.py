"""Numbers that elements have whatever the signal: zeros under a mask, scores that count as minus infinity.

Such an element sees nothing, and a product with a zero lets nothing through. So attention under a causal mask

    scores [query, key]       all pairs
    where(mask, scores, -inf) the elements outside of the mask are -inf, whatever the signal
    exp(scores - maximum)     and then 0
    weights @ values          so query q reads the values of the keys of row q of the mask alone

sees what the mask lets it see: the sum over keys is a composition with the relation query -> keys.

With -10,000 added in place of minus infinity the elements outside are only about that number, and see the signal. An
exponential makes 0 of them all the same, and a maximum passes them over; a mean, say, sees them.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from wavedil.receptive_field.tracing.diagonals import Diagonals, Numbers
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap, overlaid
from wavedil.receptive_field.tracing.domain.formula import Formula, Piece
from wavedil.receptive_field.tracing.domain.sets import ZERO, Set, of_bits, shifted, union, within
from wavedil.receptive_field.tracing.evaluation import compact

# A number of this or less that is added to a score, or stands for one, counts as minus infinity: -10,000 is the
# smallest in use, for half precision.
MINUS_INFINITY = -1e4
# So much of it must be left after scores have been scaled and shifted: exp(-1000) is 0 in double precision too.
_STILL_LOW = -1e3
# A relation of more rows than these that follow no formula is none.
_MAX_ROWS = 512
_MAX_PERIOD = 64


@dataclass(frozen=True, eq=False)
class Known:
    """The elements where `live` is False are `number`, and see nothing, whatever the terms say.

    Attributes:
      live: Of the array's rank, with size 1 along the axes that do not matter.
      number: What all other elements are.
      about: Whether they are only about that number, which counts as minus infinity, and do see what the terms say.
    """

    live: Numbers
    number: float
    about: bool = False

    @property
    def low(self) -> bool:
        """Whether the number, and something of the signal added to it, counts as minus infinity."""
        return self.number <= (_STILL_LOW if self.about else MINUS_INFINITY)


def varying_axes(array: Numbers) -> list[int]:
    """The axes along which the elements of an array differ."""
    if isinstance(array, Diagonals):
        varying = {*varying_axes(array.numbers)}
        return sorted(varying | {*array.axes} if array.axes[0] in varying else varying)
    return [
        i
        for i, size in enumerate(array.shape)
        if size > 1 and array.strides[i] and (array.take([0], i) != array).any()
    ]


def shortest(array: Numbers) -> Numbers:
    """The array with size 1 along every axis along which it is the same."""
    if isinstance(array, Diagonals):
        if array.uniform is not None:
            return shortest(array.uniform)
        return array.first_along([i for i in range(array.ndim) if i not in varying_axes(array)])
    short: np.ndarray = compact(array)
    varying = varying_axes(short)
    return short[tuple(slice(None) if i in varying else slice(0, 1) for i in range(short.ndim))]


def relation(live: Numbers) -> list[AxisMap] | None:
    """Row q of a matrix of truth values reads the columns where it is True; None where no few formulas say so."""
    num_rows, num_columns = live.shape
    if isinstance(live, Diagonals):
        # Row 0 reads columns on its right, and others do that many further on: from the last diagonal to the first.
        bits = np.packbits(live.numbers[::-1, 0], bitorder="little")
        seen = of_bits(1 - num_rows, int.from_bytes(bits.tobytes(), "little"))
        return [AxisMap.of(num_rows, 1, [seen])] if seen is not None else []
    packed = np.packbits(live, axis=1, bitorder="little")
    rows = [of_bits(0, int.from_bytes(row.tobytes(), "little")) for row in packed]
    if not any(rows):
        return []
    pieces: list[Piece] = []
    low = 0
    formula = _formula(rows, num_columns)
    follows = [
        formula is not None and within(formula.at(q), 0, num_columns) == row
        for q, row in enumerate(rows)
    ]
    while low < num_rows:
        high = low + 1
        while high < num_rows and follows[high] == follows[low] is True:
            high += 1
        own = formula if follows[low] and formula is not None else Formula(1, 0, (rows[low],))
        pieces.append(Piece(low, high, own))
        low = high
    return overlaid(num_rows, pieces) if len(pieces) <= _MAX_ROWS else None


def corners(live: Numbers) -> tuple[bool, bool]:
    """Whether the last row of a matrix is true in the first column, and the first row in the last."""
    if isinstance(live, Diagonals):
        return bool(live.numbers[-1, 0]), bool(live.numbers[0, 0])
    return bool(live[-1, 0]), bool(live[0, -1])


def _formula(rows: list[Set], num_columns: int) -> Formula | None:
    """The formula that most rows follow, as far as there are columns."""
    num_rows = len(rows)
    best: tuple[int, Formula | None] = (0, None)
    # The rate shows in the middle half, at the first column seen or at the last.
    middle = range(num_rows // 4, num_rows - num_rows // 4)
    a, b = rows[middle[0]], rows[middle[-1]]
    rates = {Fraction(0), Fraction(1), Fraction(num_columns, num_rows)}
    if a is not None and b is not None and len(middle) > 1:
        rates |= {Fraction(b.first - a.first, len(middle) - 1)}
        rates |= {Fraction(b.last - a.last, len(middle) - 1)}
    for rate in {r.limit_denominator(_MAX_PERIOD) for r in rates}:
        period, advance = rate.denominator, rate.numerator
        moved = [shifted(row, -advance * (q // period)) for q, row in enumerate(rows)]
        for part in (range(num_rows), middle):
            formula = Formula.of(
                advance, [union(moved[q] for q in part if q % period == j) for j in range(period)]
            )
            follow = sum(within(formula.at(q), 0, num_columns) == row for q, row in enumerate(rows))
            best = max(best, (follow, formula), key=lambda found: found[0])
            if follow == num_rows:
                return formula
    return best[1] if 2 * best[0] > num_rows else None


def mask(where: np.ndarray) -> AxisMap:
    """{0} at the indices where a mask is true."""
    size = len(where)
    if not where.any():
        return AxisMap(size, ())
    here = Formula(1, 0, (ZERO,))
    # A stride keeps every n-th index, but for some at the ends: one short period rather than a piece for each.
    middle = where[size // 4 : size - size // 4]
    for period in range(1, min(size // 2, 64) + 1):
        if 2 * period <= len(middle) and (middle[period:] == middle[:-period]).all():
            runs = true_runs(where[period:] == where[:-period])
            low, high = runs[(runs[:, 0] <= size // 4).sum() - 1].tolist()
            high += period
            if (low, high) == (0, size):
                return AxisMap.of(size, 0, [ZERO if true else None for true in where[:period]])
            residues = np.roll(where[low : low + period], low % period)
            sets = tuple(ZERO if true else None for true in residues)
            parts = [Piece(low, high, Formula(period, 0, sets))] if residues.any() else []
            before = [Piece(a, b, here) for a, b in true_runs(where[:low]).tolist()]
            after = [Piece(high + a, high + b, here) for a, b in true_runs(where[high:]).tolist()]
            return AxisMap(size, (*before, *parts, *after))
    runs = true_runs(where).tolist()
    return AxisMap(size, tuple(Piece(low, high, here) for low, high in runs))


def true_runs(where: np.ndarray) -> np.ndarray:
    """The runs of true entries, a row each: the first entry, and the one after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)
