"""The interior of a traced output: the longest run of outputs that see inputs by the same formulas."""

import itertools
from collections.abc import Iterable, Sequence

from wavedil.receptive_field.tracing.axis_map import AxisMap
from wavedil.receptive_field.tracing.formula import Formula
from wavedil.receptive_field.tracing.sets import Set, union, within

# A formula, and the first input that there is and the first that there is not any more.
Windowed = tuple[Formula, tuple[int, int]]
Part = tuple[AxisMap, tuple[int, int]]


def interior(parts: Sequence[Part], num_outputs: int) -> tuple[range, tuple[Windowed, ...]]:
    """The longest run of outputs that follow the same formulas, and these.

    Padding by reflection sees its mirrored inputs by a formula of its own, which goes on beyond the border and
    soon leaves the signal there; it is none of the interior's:

        x padded by 2      x2 x1 | x0 x1 x2 x3 ...
        mirrored, 2 - t     2  1    0 -1 -2 -3      leaves the signal after output 2
        interior, t - 2    -2 -1    0  1  2  3      from output 2 on
    """
    run, formulas = _longest(parts, num_outputs)
    inside = tuple(one for one in formulas if _sees(one, _middle(run, one[0].period)))
    run = _without(run, [one for one in formulas if one not in inside])
    return _extended(run, inside, parts, num_outputs), inside


def within_reach(run: range, formulas: Iterable[Windowed]) -> tuple[Windowed, ...]:
    """The formulas without what is beyond the signal for every output of the run."""
    return tuple((_reached(run, *one), one[1]) for one in formulas)


def _reached(run: range, formula: Formula, window: tuple[int, int]) -> Formula:
    sets = list(formula.sets)
    for j, seen in enumerate(sets):
        outputs = range(run.start + (j - run.start) % formula.period, run.stop, formula.period)
        if outputs:
            ends = [formula.advance * (t // formula.period) for t in (outputs[0], outputs[-1])]
            sets[j] = within(seen, window[0] - max(ends), window[1] - min(ends))
    return Formula(formula.period, formula.advance, tuple(sets))


def seen_at(parts: Sequence[Part], t: int) -> Set:
    """What output t sees."""
    return union(within(seen.at(t), *window) for seen, window in parts)


def _longest(parts: Sequence[Part], num_outputs: int) -> tuple[range, tuple[Windowed, ...]]:
    n = num_outputs
    bounds = {0, n}
    for seen, _ in parts:
        bounds |= {min(max(b, 0), n) for p in seen.pieces for b in (p.low, p.high)}
    longest: tuple[range, tuple[Windowed, ...]] = (range(n), ())
    for low, high in itertools.pairwise(sorted(bounds)):
        formulas = tuple(
            (p.formula, window)
            for seen, window in parts
            for p in seen.pieces
            if p.low <= low < p.high
        )
        if formulas and (not longest[1] or high - low > len(longest[0])):
            longest = range(low, high), formulas
    return longest


def _middle(run: range, period: int) -> range:
    """One period from the middle of a run, or all of a run that is shorter."""
    start = max(run.start, min((run.start + run.stop) // 2, run.stop - period))
    return range(start, min(start + period, run.stop))


def _without(run: range, border: Iterable[Windowed]) -> range:
    """The part around the middle of a run at which formulas that see nothing there see nothing."""
    middle = (run.start + run.stop) // 2
    low, high = run.start, run.stop
    for one in border:
        period = one[0].period
        while low < middle and _sees(one, range(low, low + period)):
            low += 1
        while high > middle and _sees(one, range(high - period, high)):
            high -= 1
    return range(low, high)


def _sees(one: Windowed, outputs: range) -> bool:
    """Whether any of the outputs sees an input that there is."""
    formula, window = one
    return any(within(formula.at(t), *window) is not None for t in outputs)


def _extended(
    run: range, formulas: Sequence[Windowed], parts: Sequence[Part], num_outputs: int
) -> range:
    """A run of outputs and those next to it that see the same, as far as the signal reaches."""

    def follows(t: int) -> bool:
        return seen_at(parts, t) == union(within(f.at(t), *window) for f, window in formulas)

    low, high = run.start, run.stop
    while low > 0 and follows(low - 1):
        low -= 1
    while high < num_outputs and follows(high):
        high += 1
    return range(low, high)
