"""The field that outputs have in common, judged by two lengths of the signal.

One question decides: what do the outputs in the middle see, of this signal and of a longer one?

    the same                  that is the field
    more, the longer it is    the field has no bound on that side
    neither                   outputs have no field in common

A signal in whose middle outputs see all that they ever would, well inside of it, needs no second look.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from wavedil.receptive_field.arithmetic import own_input
from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.answer.interior import alike, following
from wavedil.receptive_field.tracing.answer.likeness import reach
from wavedil.receptive_field.tracing.answer.reading import Phases, Reading, Sides, ends
from wavedil.receptive_field.tracing.domain.formula import Formula
from wavedil.receptive_field.tracing.domain.sets import Set, shifted, within

# A multiple of it has the same remainder for most strides, on which "same" padding depends.
_COMMON_MULTIPLE = 180
_SMALL_MULTIPLE = 30
# Samples may be moved over so much of a shorter signal that stands for a longer one.
_MOST_MOVED = 0.5


@dataclass(frozen=True)
class Summary:
    """The field that outputs have in common.

    Attributes:
      stride: Inputs per output.
      unbounded: Whether the past, and the future, grow with the signal.
      extents: How far before and after input `stride t` outputs see, where that is bounded.
      phases: The offsets of outputs 0, 1, ... up to where they repeat; None if there are none in common.
      interior: The outputs that follow the rule.
      judged: The readings that say what outputs see: where this signal's is an upper bound, a shorter one's, and
        of this one what is no bound.
    """

    stride: Fraction
    unbounded: tuple[bool, bool]
    extents: Sides
    phases: Phases | None
    interior: range
    judged: tuple[Reading, ...]


def summary(reading: Reading, at_length: Callable[[int], Reading | None]) -> Summary:
    """Judges a signal, and a longer one if need be, which `at_length` reads if the function takes its length."""
    if not reading.parts:
        stride = Fraction(reading.num_inputs, reading.num_outputs)
        return Summary(
            stride, (False, False), (0, 0), (None,), range(reading.num_outputs), (reading,)
        )
    # An upper bound may be a matter of length: loops and masks are read exactly up to a size. A shorter
    # signal that is read with fewer bounds answers for this one, where its ends hide nothing.
    for length in _shorter_than(reading) if reading.upper_bounds else ():
        shorter = at_length(length)
        fewer = shorter and len(shorter.upper_bounds) < len(reading.upper_bounds)
        if shorter is not None and shorter.parts and fewer and _stands_for(shorter, reading):
            found = summary(shorter, at_length)
            if _holds(found, reading):
                return _stretched(found, shorter, reading)
    if reading.sure:
        return _ruled(reading, reading, reading.phases, reading.grows)
    # The middle of this signal does not show enough. A longer one does, unless the function does not
    # take it, or it is read less exactly.
    longer = at_length(_longer_than(reading))
    if longer is None or not longer.parts:
        return _alone(reading)
    if set(longer.upper_bounds) - set(reading.upper_bounds):
        return _alone(reading, may_grow=True)
    return _beside(reading, longer)


def _longer_than(reading: Reading) -> int:
    """At least twice as long, and four times the field if it is one."""
    size = sum(ends(reading.phases), 1) if reading.regular else 1
    more = _COMMON_MULTIPLE
    while more < max(reading.num_inputs, 4 * size):
        more *= 2
    return reading.num_inputs + more


def _shorter_than(reading: Reading) -> Iterator[int]:
    """An eighth as long at most; then as short as loops that write to arrays are followed trip by trip."""
    less = _COMMON_MULTIPLE
    while 32 * less <= reading.num_inputs:
        less *= 2
    for multiple in (less, _SMALL_MULTIPLE):
        length = reading.num_inputs % multiple + multiple
        if length < reading.num_inputs:
            yield length


def _stands_for(shorter: Reading, reading: Reading) -> bool:
    """Whether the function does the same to a shorter signal, and moves no sample over much of it."""
    lengths = reading.num_inputs, shorter.num_inputs
    return reach(reading.program, shorter.program, lengths) <= _MOST_MOVED


def _holds(found: Summary, reading: Reading) -> bool:
    """Whether what a shorter signal says holds all that is no bound in this one."""
    certain = reading.without_bounds
    if not certain.parts:
        return True
    extents = zip(certain.extents(found.stride), found.extents, found.unbounded, strict=True)
    return all(unbounded or far <= most for far, most, unbounded in extents)


def _stretched(shorter: Summary, source: Reading, reading: Reading) -> Summary:
    """The summary of a shorter signal that is read exactly, for a longer one that is not: borders stay as wide."""
    after = source.num_outputs - shorter.interior.stop
    inside = range(shorter.interior.start, reading.num_outputs - after)
    return replace(
        shorter,
        interior=inside if shorter.interior else range(0),
        judged=(*shorter.judged, reading.without_bounds),
    )


def _beside(reading: Reading, longer: Reading) -> Summary:
    if longer.sure:
        # Of the same size they may differ by what is left over of a stride at the end.
        own = reading.regular and all(reading.reached)
        if own and sum(ends(reading.phases)) == sum(ends(longer.phases)):
            return _ruled(reading, reading, reading.phases, longer.grows)
        return _ruled(reading, longer, longer.phases, longer.grows)
    both = reading.regular and longer.regular
    if both and not any((*reading.grows, *longer.grows)):
        # Neither is sure, though both have a rule. The middle of the longer signal sees no further than the
        # rule of this one: more signal, and no more seen, so that is all of it.
        middle = longer.phases_in_the_middle
        claimed = ends(reading.phases)
        if all(a <= b for a, b in zip(ends(middle), claimed, strict=True)):
            return _ruled(reading, longer, middle, (False, False))
    stride = _clock(reading, longer)
    # No rule that both share: on each side the field is unbounded if it has grown with the signal. Outputs of a
    # fixed number, as the five largest samples, are farther apart in the longer signal.
    fixed = longer.num_outputs <= reading.num_outputs
    before = reading.extents(stride)
    after = longer.extents(Fraction(longer.num_inputs, longer.num_outputs) if fixed else stride)
    grown = tuple(b > a for a, b in zip(before, after, strict=True))
    return _unruled(reading, stride, (grown[0], grown[1]))


def _clock(reading: Reading, longer: Reading) -> Fraction:
    """How many more inputs make one more output."""
    # Without padding the output is shorter by a constant, which a difference of two lengths leaves out.
    more = longer.num_outputs - reading.num_outputs
    if more <= 0:
        return Fraction(reading.num_inputs, reading.num_outputs)
    return Fraction(longer.num_inputs - reading.num_inputs, more)


def _alone(reading: Reading, may_grow: bool = False) -> Summary:
    """No other length says more, for the function takes none: what most outputs follow stands.

    Where they follow nothing, or may see more of a signal that is longer, a side that spans more than half of the
    signal is taken to grow with it.
    """
    stride = Fraction(reading.num_inputs, reading.num_outputs)
    if reading.regular and (reading.stride == stride or all(reading.reached)):
        sides = zip(reading.grows, reading.reached, ends(reading.phases), strict=True)
        past, future = (
            grows or (may_grow and not reached and 2 * far > reading.num_inputs)
            for grows, reached, far in sides
        )
        return _ruled(reading, reading, reading.phases, (past, future))
    past, future = (2 * far > reading.num_inputs for far in reading.extents(stride))
    return _unruled(reading, stride, (past, future))


def _ruled(
    reading: Reading, source: Reading, phases: Phases, unbounded: tuple[bool, bool]
) -> Summary:
    """Outputs follow phases, found in this signal or in a longer one."""
    stride = source.stride
    assert stride is not None
    if source is reading:
        inside = reading.run
    else:

        def expected(t: int) -> Set:
            return shifted(phases[t % len(phases)], own_input(stride, t))

        run = reading.run
        if reading.regular and reading.stride == stride:
            # One formula for the phases, whose period makes an integer of what own inputs move by.
            period = math.lcm(len(phases), stride.denominator)
            rule = Formula(period, int(stride * period), tuple(map(expected, range(period))))
            run = alike(reading.formulas, [(rule, (0, reading.num_inputs))], run)
        inside = _following(reading, expected, run)
    return Summary(stride, unbounded, ends(phases), phases, inside, (reading,))


def _unruled(reading: Reading, stride: Fraction, grown: tuple[bool, bool]) -> Summary:
    """Outputs do not see inputs at the same distances; they may see all that there is to one side."""
    unbounded = grown[0] or reading.grows[0], grown[1] or reading.grows[1]
    past, future = reading.extents(stride)

    def expected(t: int) -> Set:
        own = own_input(stride, t)
        # Everything on a side without bound, and as far as the extent on the other.
        first = 0 if unbounded[0] else max(0, own - past)
        last = reading.num_inputs - 1 if unbounded[1] else min(reading.num_inputs - 1, own + future)
        return Taps.between(first, last) if first <= last else None

    # What stays and is listed output by output is no rule.
    rule = all(f.advance or f.period == 1 for f, _ in reading.formulas)
    most = rule and 2 * len(reading.run) > reading.num_outputs
    inside = reading.run if most and any(unbounded) else range(0)
    if not inside and any(unbounded):
        inside = _following(reading, expected, reading.run)
    return Summary(stride, unbounded, (past, future), None, inside, (reading,))


def _following(reading: Reading, expected: Callable[[int], Set], run: range) -> range:
    """The outputs around the middle that see what is expected of them."""

    def follows(t: int) -> bool:
        return reading.inputs(t) == within(expected(t), 0, reading.num_inputs)

    if reading.regular:
        return following(follows, run, reading.num_outputs)
    middle = reading.num_outputs // 2
    return following(follows, range(middle, middle + 1), reading.num_outputs)
