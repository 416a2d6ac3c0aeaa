"""The interior of a traced output: the outputs that see inputs by the same formulas, and which formulas these are."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from wavedil.receptive_field.tracing.domain.axis_map import AxisMap
from wavedil.receptive_field.tracing.domain.formula import INFINITY, Formula
from wavedil.receptive_field.tracing.domain.sets import Set, difference, union, within

# A formula, and the first input that there is and the first that there is not any more.
Windowed = tuple[Formula, tuple[int, int]]
Part = tuple[AxisMap, tuple[int, int]]


def interior(parts: Sequence[Part], num_outputs: int) -> tuple[range, tuple[Windowed, ...]]:
    """The formulas that most outputs follow, and the longest run of outputs that do.

    Padding by reflection sees its mirrored inputs by a formula of its own, which goes on beyond the border and
    soon leaves the signal there; it is none of the interior's:

        x padded by 2      x2 x1 | x0 x1 x2 x3 ...
        mirrored, 2 - t     2  1    0 -1 -2 -3      leaves the signal after output 2
        interior, t - 2    -2 -1    0  1  2  3      from output 2 on
    """
    # Formulas that see none of the signal in the middle are reflections that have left it. All of them
    # may be such where the signal is short: then they stay.
    run, formulas = _most_common(parts, num_outputs)
    middle = (run.start + run.stop) // 2
    inside = tuple(one for one in formulas if _sees(one, middle, run)) or formulas

    def follows(t: int) -> bool:
        return seen_at(parts, t) == union(within(f.at(t), *window) for f, window in inside)

    for left in set(formulas) - set(inside):
        run = alike([left], [], run)
    return following(follows, run, num_outputs), inside


def alike(ours: Sequence[Windowed], theirs: Sequence[Windowed], run: range) -> range:
    """The outputs around the middle of a run at which two unions of formulas of one rate say the same.

    What only one of them says moves by a constant step with the output. It disturbs nothing as long as it is
    outside of the window, and it comes in at one end of the run or the other:

        t - 5 and t + 7, of 12 inputs      outputs 0 .. 4 see t + 7
        t - 5                              the same from output 5 on
    """
    formulas = [formula for formula, _ in (*ours, *theirs)]
    period = math.lcm(*(formula.period for formula in formulas))
    step = formulas[0].advance * (period // formulas[0].period)
    # Between two bounds of any windows the same formulas count.
    bounds = sorted({bound for _, window in (*ours, *theirs) for bound in window})
    first, end = run.start, run.stop
    for t in period_around((run.start + run.stop) // 2, period, run):
        for low, high in itertools.pairwise(bounds):
            one, other = (
                union(f.at(t) for f, window in side if window[0] <= low and high <= window[1])
                for side in (ours, theirs)
            )
            apart = difference(one, other)
            if within(apart, low, high) is not None:
                return range(0)
            below, above = within(apart, -INFINITY, low), within(apart, high, INFINITY)
            # So many periods further on it comes up from below, and so many before down from above.
            up = -((below.last - low) // abs(step)) if step and below is not None else None
            down = (above.first - high) // abs(step) + 1 if step and above is not None else None
            after, before = (up, down) if step > 0 else (down, up)
            end = end if after is None else min(end, t + after * period)
            first = first if before is None else max(first, t - before * period + 1)
    return range(first, end)


def following(follows: Callable[[int], bool], run: range, num_outputs: int) -> range:
    """The outputs around a run that follow a rule, given that the run's own do but for some at its ends."""
    low, high = run.start, run.stop
    # First inwards, past outputs at the ends that do not follow, then outwards, over neighbours whose
    # formulas are others but whose inputs are the same.
    while low < high and not follows(low):
        low += 1
    while high > low and not follows(high - 1):
        high -= 1
    while low < high and low > 0 and follows(low - 1):
        low -= 1
    while low < high < num_outputs and follows(high):
        high += 1
    return range(low, high) if low < high else range(0)


def seen_at(parts: Sequence[Part], t: int) -> Set:
    """The inputs that output t sees."""
    return union(within(seen.at(t), *window) for seen, window in parts)


def period_around(middle: int, period: int, run: range) -> range:
    """As many outputs around a middle as a period has, or all of a run that has fewer."""
    start = max(run.start, min(middle - period // 2, run.stop - period))
    return range(start, min(start + period, run.stop))


def _most_common(parts: Sequence[Part], num_outputs: int) -> tuple[range, tuple[Windowed, ...]]:
    """The formulas that hold for the most outputs, and the longest run of them without a break."""
    # Between two bounds of any pieces all outputs follow the same formulas.
    bounds = {0, num_outputs}
    for seen, _ in parts:
        bounds |= {min(max(b, 0), num_outputs) for p in seen.pieces for b in (p.low, p.high)}
    runs: dict[tuple[Windowed, ...], list[range]] = defaultdict(list)
    for low, high in itertools.pairwise(sorted(bounds)):
        formulas = tuple(
            (p.formula, window)
            for seen, window in parts
            for p in seen.pieces
            if p.low <= low < p.high
        )
        if formulas:
            runs[formulas].append(range(low, high))
    if not runs:
        return range(num_outputs), ()
    # Runs apart from each other count together; the longest of them stands for all.
    formulas = max(runs, key=lambda one: sum(map(len, runs[one])))
    return max(runs[formulas], key=len), formulas


def _sees(one: Windowed, middle: int, run: range) -> bool:
    """Whether any of the outputs in the middle sees an input that there is."""
    formula, window = one
    outputs: Iterable[int] = period_around(middle, formula.period, run)
    return any(within(formula.at(t), *window) is not None for t in outputs)
