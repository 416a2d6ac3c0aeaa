"""A trace at one length of the signal, and the field that its outputs have in common."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, cast

from wavedil.receptive_field.arithmetic import own_input, shortest_cycle
from wavedil.receptive_field.tracing.answer.interior import (
    Part,
    Windowed,
    interior,
    period_around,
    seen_at,
)
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap
from wavedil.receptive_field.tracing.domain.formula import Formula
from wavedil.receptive_field.tracing.domain.sets import Set, shifted, within
from wavedil.receptive_field.tracing.domain.terms import Term

Phases = tuple[Set, ...]
Sides = tuple[int, int]

# Of larger sets, which have few holes, the first and the last member stand for all.
_MOST_MEMBERS = 1024
# Of so many outputs one at least has to be complete, or what is complete says nothing about the others.
_FEWEST_VOTES = 16


@dataclass(frozen=True)
class Reading:
    """The inputs of every output of a signal of `num_inputs` samples.

    Attributes:
      num_inputs: Samples of the input.
      num_outputs: Samples of the output.
      parts: Maps from outputs to inputs, and the inputs that there are; their union is meant.
      grows: Whether a rule knows that the field grows with the signal, into the past and into the future.
      upper_bounds: The places where the answer may be more than is seen.
      certain: Those of the parts that are what is seen, no more.
      program: The function's jaxpr at this length.
    """

    num_inputs: int
    num_outputs: int
    parts: tuple[Part, ...]
    grows: tuple[bool, bool] = (False, False)
    upper_bounds: tuple[str, ...] = ()
    certain: tuple[Part, ...] = ()
    program: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls, num_inputs: int, num_outputs: int, terms: Sequence[Term], program: Any = None
    ) -> "Reading":
        """The reading of terms over no factor but output time."""
        parts = []
        for term in terms:
            maps = list(term.maps.values())
            # One output alone says nothing about the next: its rate is taken as 1.
            constant = AxisMap.of(num_outputs, int(num_outputs == 1), [term.base])
            parts.append((maps[0].plus_set(term.base) if maps else constant, term.window))
        grows = (any(t.grows[0] for t in terms), any(t.grows[1] for t in terms))
        bounds = sorted({f"{w.what}{w.line or ''}" for term in terms for w in term.widened})
        certain = (part for term, part in zip(terms, parts, strict=True) if not term.widened)
        return cls(
            num_inputs, num_outputs, tuple(parts), grows, tuple(bounds), tuple(certain), program
        )

    @property
    def without_bounds(self) -> "Reading":
        """The reading of the parts alone that are what is seen."""
        return replace(self, parts=self.certain, grows=(False, False), upper_bounds=())

    def inputs(self, t: int) -> Set:
        """The inputs that output t sees."""
        return seen_at(self.parts, t)

    @functools.cached_property
    def _interior(self) -> tuple[range, tuple[Windowed, ...]]:
        return interior(self.parts, self.num_outputs)

    @property
    def formulas(self) -> tuple[Windowed, ...]:
        """The formulas that the outputs of the run follow."""
        return self._interior[1]

    @property
    def run(self) -> range:
        """The longest run of outputs that follow the same formulas."""
        return self._interior[0]

    @functools.cached_property
    def stride(self) -> Fraction | None:
        """Inputs per output by the formulas, if they say it."""
        # A mean over all of time sees fixed inputs, at rate 0, and a reversal runs backwards: neither says a stride.
        rates = {f.rate for f, _ in self._interior[1] if f.rate > 0}
        return rates.pop() if len(rates) == 1 else None

    @functools.cached_property
    def regular(self) -> bool:
        """Whether most outputs see inputs at a constant distance from `stride t`."""
        return self._most and {f.rate for f, _ in self._interior[1]} == {self.stride}

    @functools.cached_property
    def _most(self) -> bool:
        """Of all outputs, or of those that no end of the signal may have cut off."""
        if 2 * len(self.run) > self.num_outputs:
            return True
        # A short signal has many outputs that see an end of it, and padding gives each of them a formula of
        # its own; they are no votes against the rule of the others.
        complete = [t for t in range(self.num_outputs) if self._is_complete(t)]
        some = _FEWEST_VOTES * len(complete) >= self.num_outputs
        return some and 2 * sum(t in self.run for t in complete) > len(complete)

    def _is_complete(self, t: int) -> bool:
        seen = self.inputs(t)
        return seen is not None and seen.first > 0 and seen.last < self.num_inputs - 1

    @functools.cached_property
    def reached(self) -> tuple[bool, bool]:
        """Whether the outputs in the middle have all of the past, and of the future, inside the signal."""
        past = future = True
        for (formula, window), outputs in self._middles():
            for t in outputs:
                seen = formula.at(t)
                # Within the window nothing of the formula is cut off by an end of the signal.
                past &= seen is None or seen.first >= window[0]
                future &= seen is None or seen.last < window[1]
        return past, future

    @functools.cached_property
    def phases(self) -> Phases:
        """The offsets from `floor(stride t)` of outputs 0, 1, ... up to where they repeat, in any signal."""
        return self._phases(formula for formula, _ in self._interior[1])

    @functools.cached_property
    def phases_in_the_middle(self) -> Phases:
        """The same of the inputs that outputs in the middle of this signal see."""
        found = []
        for (formula, window), outputs in self._middles():
            sets = list(formula.sets)
            for t in outputs:
                # Back to the sets of the formula, as if t were in its first period.
                moved = formula.advance * (t // formula.period)
                sets[t % formula.period] = shifted(within(formula.at(t), *window), -moved)
            found.append(Formula(formula.period, formula.advance, tuple(sets)))
        return self._phases(found)

    def _middles(self) -> list[tuple[Windowed, range]]:
        run, formulas = self._interior
        middle = self.num_outputs // 2
        return [(one, period_around(middle, one[0].period, run)) for one in formulas]

    def _phases(self, formulas: Sequence[Formula] | object) -> Phases:
        # Offsets are counted from floor(stride t), so that those of an upsampled signal repeat:
        #
        #     t                    0    1    2    3           stride 1/2
        #     sees                 0   0,1   1   1,2
        #     from floor(t / 2)    0   0,1   0   0,1          two phases
        joined = functools.reduce(Formula.union, cast(Sequence[Formula], formulas))
        stride = cast(Fraction, self.stride)
        phases = [shifted(seen, -own_input(stride, t)) for t, seen in enumerate(joined.sets)]
        return shortest_cycle(tuple(phases))

    @functools.cached_property
    def sure(self) -> bool:
        """Whether no longer signal needs to be asked: the middle sees its field well inside of this one."""
        # On either side: the rule says that it grows, or the middle sees all of it.
        known = all(g or r for g, r in zip(self.grows, self.reached, strict=True))
        if not (self.regular and known):
            return False
        return any(self.grows) or 4 * sum(ends(self.phases), 1) <= self.num_inputs

    def extents(self, stride: Fraction) -> Sides:
        """How far before and after input `floor(stride t)` any output sees, or any of most that are alike."""
        if self.regular and stride == self.stride:
            return ends(self.phases)
        if self._most:
            runs = [(f, window, self.run) for f, window in self._interior[1]]
        else:
            every = range(self.num_outputs)
            runs = [
                (p.formula, window, every[max(p.low, 0) : max(p.high, 0)])
                for seen, window in self.parts
                for p in seen.pieces
            ]
        # A member of a formula has its largest offsets at the ends of the outputs that follow it.
        offsets = [
            input - own_input(stride, t)
            for formula, window, run in runs
            for t, input in _extremes(formula, window, run)
        ]
        return -min(offsets, default=0), max(offsets, default=0)


def _extremes(formula: Formula, window: tuple[int, int], run: range) -> Iterator[tuple[int, int]]:
    """Outputs of a run and inputs they see, among which are those farthest apart.

    Each member of a set moves by a constant step from output to output, so it is farthest away at
    the first or at the last of the outputs that it does not take out of the signal.
    """
    period, advance = formula.period, formula.advance
    for place, seen in enumerate(formula.sets):
        outputs = range(run.start + (place - run.start) % period, run.stop, period)
        few = seen is not None and seen.count <= _MOST_MEMBERS
        members = () if seen is None else seen.offsets if few else (seen.first, seen.last)
        for member in members if outputs else ():
            steps = range(outputs[0] // period, outputs[-1] // period + 1)
            if advance > 0:
                # The steps with window[0] <= member + advance step < window[1]: from the first such step, a
                # division rounded up, to the one after the last. Downwards the bounds change places.
                low, high = -((member - window[0]) // advance), -((member - window[1]) // advance)
                steps = steps[max(0, low - steps[0]) : max(0, high - steps[0])]
            elif advance < 0:
                low = (window[1] - member) // advance + 1
                high = (window[0] - member) // advance + 1
                steps = steps[max(0, low - steps[0]) : max(0, high - steps[0])]
            elif not window[0] <= member < window[1]:
                continue
            for step in {*steps[:1], *steps[-1:]}:
                yield place + period * step, member + advance * step


def ends(sets: Sequence[Set]) -> Sides:
    """How far offsets reach before 0, and after it; below 0 where they all lie on the other side."""
    seen = [s for s in sets if s is not None]
    return max((-s.first for s in seen), default=0), max((s.last for s in seen), default=0)
