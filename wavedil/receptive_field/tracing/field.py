"""What `trace` answers: the inputs of every output, and the field that they have in common."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import cast

from wavedil.errors import UserError
from wavedil.receptive_field.arithmetic import ReceptiveField, _shortest_cycle
from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.axis_map import AxisMap
from wavedil.receptive_field.tracing.formula import Formula, Piece
from wavedil.receptive_field.tracing.interior import Windowed, interior, seen_at, within_reach
from wavedil.receptive_field.tracing.sets import Set, shifted, union, within
from wavedil.receptive_field.tracing.terms import Term


@dataclass(frozen=True)
class TracedField:
    """The receptive field of a function, output by output.

    Most outputs follow one rule: output t sees the inputs `stride t + taps`, as far as the signal
    reaches. They are the `interior`. Outputs at the borders may see fewer, where padding stands in
    for what a layer before them would have seen.

    Attributes:
      num_inputs: Samples of the input.
      num_outputs: Samples of the output.

    Example:
      >>> field = trace(model, jax.ShapeDtypeStruct((1, 16000, 1), jnp.float32))
      >>> print(field)
      output t sees inputs t - 3069 .. t: 3070 samples, causal, the same at all 16000 outputs
    """

    num_inputs: int
    num_outputs: int
    _parts: tuple[tuple[AxisMap, tuple[int, int]], ...] = field(repr=False)
    _grows: tuple[bool, bool] = field(repr=False)
    _longer: "TracedField | None" = field(default=None, repr=False)
    _only_reached: bool = field(default=False, repr=False)

    @classmethod
    def of(cls, num_inputs: int, num_outputs: int, terms: Sequence[Term]) -> "TracedField":
        """The field of terms over no factor but output time."""
        parts = []
        for term in terms:
            maps = list(term.maps.values())
            # One output alone says nothing about the next: its rate is taken as 1.
            constant = AxisMap.of(num_outputs, int(num_outputs == 1), [term.base])
            parts.append((maps[0].plus_set(term.base) if maps else constant, term.window))
        grows = (any(t.grows[0] for t in terms), any(t.grows[1] for t in terms))
        return cls(num_inputs, num_outputs, tuple(parts), grows)

    def as_in(self, longer: "TracedField") -> "TracedField":
        """The field of this input, of which a longer one shows where it ends, or that it does not."""
        longer = replace(longer, _only_reached=True)
        if longer.size < longer.num_inputs:
            return replace(self, _longer=longer)
        grows = longer.past > self.past, longer.future > self.future
        return replace(self, _grows=(self._grows[0] or grows[0], self._grows[1] or grows[1]))

    def inputs(self, t: int) -> tuple[int, ...]:
        """The inputs that output t sees, in ascending order, those before and after the signal left out.

        Raises:
          UserError: If there is no output t.
        """
        if not 0 <= t < self.num_outputs:
            raise UserError(
                f"output {t} does not exist; there are {self.num_outputs}, so use 0 to {self.num_outputs - 1}"
            )
        seen = seen_at(self._parts, t)
        return () if seen is None else seen.offsets

    @property
    def in_reach(self) -> bool:
        """Whether the signal is long enough for some interior output to see each of the taps."""
        return within_reach(*self._common) == self._common[1]

    @property
    def depends(self) -> bool:
        """Whether any output sees any input."""
        return bool(self._parts)

    @functools.cached_property
    def receptive_field(self) -> ReceptiveField:
        """The exact field of the interior outputs, phase by phase where upsampling makes them differ.

        Raises:
          UserError: If nothing is seen, or it has no bounds, or some phases see nothing.
        """
        if not self.depends:
            raise UserError("the output does not depend on the input, so it has no receptive field")
        if math.inf in (self.past, self.future):
            raise UserError(
                "what an output sees grows with the input, so it has no finite receptive field; "
                "inputs(t) says what output t sees"
            )
        phases = self._phases
        if any(phase is None for phase in phases):
            blind = [i for i, phase in enumerate(phases) if phase is None]
            raise UserError(
                f"of every {len(phases)} outputs, those at {blind} see nothing, so they have no "
                "receptive field; inputs(t) says what output t sees"
            )
        return ReceptiveField._from_phases(self.stride, [p for p in phases if p is not None])

    @property
    def past(self) -> int | float:
        """Samples seen before input `stride t`; infinite where they grow with the input."""
        if self._unbounded[0]:
            return math.inf
        return max((-p.first for p in self._phases if p is not None), default=0)

    @property
    def future(self) -> int | float:
        """Samples seen after input `stride t`; infinite where they grow with the input."""
        if self._unbounded[1]:
            return math.inf
        return max((p.last for p in self._phases if p is not None), default=0)

    @property
    def size(self) -> int | float:
        """Samples from the first to the last one seen; 0 where nothing is seen."""
        return self.past + self.future + 1 if self.depends else 0

    @functools.cached_property
    def stride(self) -> Fraction:
        """Inputs per output."""
        rates = {f.rate for f in self._formulas if f.rate > 0}
        return rates.pop() if len(rates) == 1 else Fraction(self.num_inputs, self.num_outputs)

    @property
    def taps(self) -> tuple[int, ...]:
        """The offsets from input `floor(stride t)` that interior outputs see, in ascending order."""
        self._require_bounds("taps")
        joined = union(self._phases)
        return () if joined is None else joined.offsets

    @property
    def phases(self) -> tuple[tuple[int, ...], ...]:
        """The taps of outputs t = 0, 1, ... up to where they repeat; one entry unless upsampled."""
        self._require_bounds("phases")
        return tuple(() if phase is None else phase.offsets for phase in self._phases)

    @property
    def interior(self) -> range:
        """The outputs that all see `stride t + taps`, as far as the signal reaches."""
        return self._common[0]

    @property
    def uniform(self) -> bool:
        """Whether all outputs are interior ones."""
        return len(self.interior) == self.num_outputs

    @functools.cached_property
    def causal(self) -> bool:
        """Whether no output at all, at the borders too, sees an input after `floor(stride t)`."""
        return not any(
            self._sees_future(piece, window)
            for seen, window in self._parts
            for piece in seen.pieces
        )

    def __str__(self) -> str:
        if not self.depends:
            return f"none of the {self.num_outputs} outputs depends on any of the {self.num_inputs} inputs"
        at = "t" if self.stride == 1 else f"{self.stride} t"
        at = at if self.stride.denominator == 1 else f"floor({at})"
        if math.inf in (self.past, self.future):
            past = "the first" if self.past == math.inf else _offset(at, -int(self.past))
            future = "the last" if self.future == math.inf else _offset(at, int(self.future))
            seen = f"output t sees inputs from {past} to {future}: as many as there are"
        else:
            count, size = len(self.taps), int(self.size)
            seen = f"output t sees inputs {_offset(at, -int(self.past))} .. {_offset(at, int(self.future))}: "
            seen += f"{size} samples" if count == size else f"{count} of {size} samples"
            if len(self._phases) > 1:
                seen += f" ({len(self._phases)} phases)"
        inside = self.interior
        where = (
            f"the same at all {self.num_outputs} outputs"
            if self.uniform
            else f"the same at outputs {inside.start} .. {inside.stop - 1} of {self.num_outputs}"
        )
        return f"{seen}, {'causal' if self.causal else 'not causal'}, {where}"

    @functools.cached_property
    def _common(self) -> tuple[range, tuple[Windowed, ...]]:
        """The interior, and the formulas that hold there."""
        return interior(self._parts, self.num_outputs)

    @property
    def _formulas(self) -> list[Formula]:
        if self._longer:
            return self._longer._formulas
        common = within_reach(*self._common) if self._only_reached else self._common[1]
        return [formula for formula, _ in common]

    @functools.cached_property
    def _unbounded(self) -> tuple[bool, bool]:
        """A formula of another rate than the stride's drifts away from it, to both sides."""
        drifts = any(f.rate != self.stride for f in self._formulas)
        return self._grows[0] or drifts, self._grows[1] or drifts

    @functools.cached_property
    def _phases(self) -> tuple[Set, ...]:
        """The offsets from `floor(stride t)` of outputs 0, 1, ... up to where they repeat."""
        formulas = [f for f in self._formulas if f.rate == self.stride]
        if not formulas:
            return (None,)
        joined = functools.reduce(Formula.union, formulas)
        phases = [shifted(seen, -math.floor(self.stride * t)) for t, seen in enumerate(joined.sets)]
        return cast(tuple[Set, ...], _shortest_cycle(cast(tuple[Taps, ...], tuple(phases))))

    def _require_bounds(self, what: str) -> None:
        if math.inf in (self.past, self.future):
            raise UserError(
                f"what an output sees grows with the input, so there are no {what}; inputs(t) says what output t sees"
            )

    def _sees_future(self, piece: Piece, window: tuple[int, int]) -> bool:
        low, high = max(piece.low, 0), min(piece.high, self.num_outputs)
        f = piece.formula
        if low >= high:
            return False
        if f.rate == self.stride:
            ends = (low, high - 1)
            for t in range(low, min(high, low + f.period)):
                future = within(f.at(t), math.floor(self.stride * t) + 1, window[1] + f.advance)
                last = t + (ends[1] - t) // f.period * f.period
                moved = f.advance * ((last - t) // f.period)
                if within(future, window[0] - moved, window[1]) is not None:
                    return True
            return False
        outputs = range(low, high) if f.advance else range(low, min(high, low + f.period))
        return any(
            within(f.at(t), max(math.floor(self.stride * t) + 1, window[0]), window[1]) is not None
            for t in outputs
        )


def _offset(at: str, by: int) -> str:
    return at if by == 0 else f"{at} {'-' if by < 0 else '+'} {abs(by)}"
