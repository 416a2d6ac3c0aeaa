"""The solution of the equation of a loop's carry, which each trip hands to the next.

    carried(0) = first        carried(s) = body(carried(s - 1), scanned(s - 1))

Each trip's carry is fixed by the one before, so this equation has one solution; whatever fulfils it is exact. It
is the join of increments, of which increment n is what comes from exactly n trips before:

    increment 0        what the body makes of the first carry and of what is scanned
    increment n + 1    what the body makes of increment n alone

In a delay line they end. In a recurrence they come again: increment n + q is increment n, q trips later and some
inputs further on. Then the join of all that follow is a running union along every q-th trip, in closed form.

    y[t] = x[t] + 0.7 y[t - 5]     x[t - 1], x[t - 6], x[t - 11] ...     q = 5

Increments that neither end nor come again are widened to all trips before, and to all inputs on the side on which
they grow; that is more than what is seen, and the terms say so.
"""

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import Axis, Factor, Terms
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap
from wavedil.receptive_field.tracing.domain.formula import INFINITY, Formula, Piece
from wavedil.receptive_field.tracing.domain.sets import ZERO, Set, plus, union
from wavedil.receptive_field.tracing.domain.terms import Term, tidied, trimmed, united
from wavedil.receptive_field.tracing.domain.value import Value, union_of
from wavedil.receptive_field.tracing.interpreter import Seen, because
from wavedil.receptive_field.tracing.rules.elementwise import either
from wavedil.receptive_field.tracing.rules.hidden_axes import hide, later
from wavedil.receptive_field.tracing.rules.reduction import each_along, running, running_term
from wavedil.receptive_field.tracing.rules.relations import affine

# Indices that are compared one by one.
_MAX_WRITTEN_OUT = 256
# Places of a line that are followed one by one.
_MAX_PLACES = 64

Carry = list[Seen]


def without_outside(value: Seen) -> Seen:
    """The same array without sums that lie outside of the signal at every element."""
    return value.each(lambda term: [trimmed(term)]) if isinstance(value, Value) else value


def joined(old: Carry, new: Carry) -> Carry:
    """The join of two carries, under the old one's names."""
    return [like(a, either([a, b], a.shape)) for a, b in zip(old, new, strict=True)]


def join(increments: Sequence[Carry]) -> Carry:
    """The join of all increments, each of the carries at once."""
    return [either(values, values[0].shape) for values in zip(*increments, strict=True)]


def places(carry: Carry, trips: Axis) -> Any:
    """What an increment says but for the trips and inputs that it is about."""
    return tuple(
        frozenset(
            (
                frozenset(term.without(trips[0].id).items()),
                term.base.bits,
                term.window,
                trips[0].id in term.maps and term.maps[trips[0].id].moves,
            )
            for term in value.terms
        )
        if isinstance(value, Value)
        else None
        for value in carry
    )


def continued(
    increments: list[Carry], before: int, trips: Axis
) -> tuple[Carry, bool] | tuple[None, bool]:
    """The join of all increments, where those since `before` come again for ever; None where they do not.

    And whether that is certain, if each trip does the same with what is carried: where all terms have moved by as
    many inputs, so will all that the body makes of them.
    """
    period = len(increments) - 1 - before
    parts: list[Carry] = increments[: before + 1]
    steps = [
        _steps(old, new, trips, period)
        for old, new in zip(increments[before], increments[-1], strict=True)
    ]
    if None in steps:
        return None, False
    # The terms of the period's last increment say how many inputs further on each of them comes again; those of
    # the increments between come from the same places in the body, and their own step is worked out alike only
    # where all steps are equal.
    alike = {step for each in steps if each is not None for step in each}
    if len(alike) > 1 and period > 1:
        return None, False
    (common,) = alike if len(alike) == 1 else (0,)
    for carry in increments[before + 1 :]:
        part: Carry = []
        for value, each in zip(carry, steps, strict=True):
            if not isinstance(value, Value):
                part.append(value)
                continue
            own = each if carry is increments[-1] and each else [common] * len(value.terms)
            terms = united(
                new
                for term, step in zip(value.terms, own, strict=True)
                for new in _every(term, value, trips, period, step)
            )
            part.append(Value(value.axes, terms))
        parts.append(part)
    return join(parts), len(alike) <= 1


def _steps(old: Seen, new: Seen, trips: Axis, period: int) -> list[int] | None:
    """How many inputs further on each term of `new` is than one of `old` that many trips later."""
    if not isinstance(old, Value) or not isinstance(new, Value):
        return None if isinstance(old, Value) != isinstance(new, Value) else []
    moved = {
        (frozenset(term.maps.items()), term.base.bits): term.base.first
        for term in later(old, trips, period).terms
    }
    keys = [(frozenset(term.maps.items()), term.base.bits) for term in new.terms]
    if len(moved) != len(keys) or any(key not in moved for key in keys):
        return None
    return [t.base.first - moved[key] for t, key in zip(new.terms, keys, strict=True)]


def _every(term: Term, value: Value, trips: Axis, period: int, step: int) -> Terms:
    """The join of a term, of the same `period` trips later and `step` inputs further on, and so forth."""
    length = trips[0].size
    rows = -(-length // period)
    whole = Value((trips, *value.axes), (term,)).read(0, affine(rows * period, 1, 0))
    folded = whole.reshaped((rows, period, *value.shape))
    # A ramp takes the steps out, so that what comes again is the same in every row, and back in afterwards.
    # With a ramp inputs are not at their places, and no end of the signal may cut them off.
    before = _place_by_place if step == 0 else functools.partial(running_term, cut=False)
    folded = each_along(_ramped(folded, -step), 0, before)
    joined = _ramped(folded, step).reshaped((rows * period, *value.shape))
    read = joined.read(0, affine(length, 1, 0))
    return Value((trips, *value.axes), read.like((trips, *value.axes))).terms


def _place_by_place(term: Term, factor: Factor) -> Iterable[Term | None]:
    """The running union along a factor, at every index of the others by itself where these are few.

    Of one alone it is mostly a formula; of a line, whose samples are other inputs at every place, it is none.
    """
    moving = {id: m for id, m in term.maps.items() if id != factor.id and m.bounds != (0, 0)}
    if not moving or math.prod(m.size for m in moving.values()) > _MAX_PLACES:
        yield from running_term(term, factor)
        return
    for places in itertools.product(*(range(m.size) for m in moving.values())):
        base: Set = term.base
        maps = dict(term.maps)
        for (id, seen), place in zip(moving.items(), places, strict=True):
            base = plus(base, seen.at(place))
            maps[id] = AxisMap(seen.size, (Piece(place, place + 1, Formula(1, 0, (ZERO,))),))
        if base is not None:
            yield from running_term(replace(term, maps=maps, base=base), factor)


def _ramped(value: Value, step: int) -> Value:
    """Index a of the first axis sees `step a` inputs further on."""
    if step == 0 or not value.axes[0]:
        return value
    value = value.single(0)
    factor = value.axes[0][0]
    ramp = AxisMap(factor.size, (Piece(-INFINITY, INFINITY, Formula(1, step, (ZERO,))),))
    return value.each(
        lambda t: t.plus_map(factor.id, ramp if factor.id in t.maps else ramp.clipped)
    )


def all_before(value: Seen, trips: Axis, coarse: bool, num_inputs: int) -> Seen:
    """The reads of a trip and of all before it: at every place, or along regular axes as they are."""
    if not isinstance(value, Value):
        return value
    if coarse:
        terms = value.terms_over(factor for axis in value.axes for factor in axis)
    else:
        terms = united(_regular(term, trips[0].id, num_inputs) for term in value.terms)
    before = running(Value((trips, *value.axes), terms), 0)
    return because(hide(before, trips), "scan whose increments do not settle")


def _regular(term: Term, trip: int, num_inputs: int) -> Term | None:
    """A term whose maps are one formula each, and whose base reaches to the end of the signal on either side.

    A base within the past, or within the future, goes on to that side alone.
    """
    maps = {}
    for id, seen in term.maps.items():
        if id == trip:
            maps[id] = seen
            continue
        rate = seen.main.formula.rate
        ends = [end for piece in seen.clipped.pieces for end in piece.ends]
        low = min(s.first - rate * j for j, s in ends)
        high = max(s.last - rate * j for j, s in ends)
        period = rate.denominator
        hull = [
            Taps.between(int((low + rate * j) // 1), int(-((-high - rate * j) // 1)))
            for j in range(period)
        ]
        maps[id] = AxisMap(
            seen.size, (Piece(-INFINITY, INFINITY, Formula.of(rate.numerator, hull)),)
        )
    first = term.base.first if term.base.first > 0 else term.base.first - num_inputs
    last = term.base.last if term.base.last <= 0 else term.base.last + num_inputs
    term = term.growing(past=first < term.base.first, future=last > term.base.last)
    return tidied(replace(term, maps=maps, base=Taps.between(first, last)))


def next_trip(value: Seen, trips: Axis) -> Seen:
    """The carry of trip s, from trip s - 1."""
    return later(value, trips, 1) if isinstance(value, Value) else value


def like(old: Seen, new: Seen) -> Seen:
    """New terms under the old axes' names, so that rounds can be compared."""
    if isinstance(old, Value) and isinstance(new, Value):
        both = union_of([Value(old.axes, ()), new])
        if both.axes == old.axes:
            return both
    return new


def equal(a: Seen, b: Seen) -> bool:
    """Whether two rounds say the same."""
    if isinstance(a, Value) and isinstance(b, Value):
        both = like(a, b)
        return isinstance(both, Value) and both.axes == a.axes and _content(both) == _content(a)
    return isinstance(a, Constant) and isinstance(b, Constant)


def _content(value: Value) -> Any:
    """What the elements see of inputs that there are, however it is written.

    Short axes are gone through index by index; along the others equal maps are mostly written alike.
    """
    sizes = {id: seen.size for term in value.terms for id, seen in term.maps.items()}
    short: list[int] = []
    for id in sorted(sizes, key=lambda id: (sizes[id], id)):
        if math.prod(sizes[i] for i in (*short, id)) <= _MAX_WRITTEN_OUT:
            short.append(id)
    content: dict[Any, Set] = {}
    for places in itertools.product(*(range(sizes[id]) for id in short)):
        for term in value.terms:
            base: Set = term.base
            for id, j in zip(short, places, strict=True):
                base = plus(base, term.maps[id].at(j)) if id in term.maps else base
            if base is None:
                continue
            kept = trimmed(tidied(replace(term, maps=term.without(*short), base=base)) or term)
            if kept is not None:
                maps = frozenset((id, seen.clipped) for id, seen in kept.maps.items())
                key = places, maps, kept.window
                content[key] = union([content.get(key), kept.base])
    return content
