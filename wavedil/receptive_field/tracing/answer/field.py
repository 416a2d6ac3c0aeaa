"""The answer of `trace`: the inputs of every output, and the field that outputs have in common."""

import functools
import math
from dataclasses import dataclass, field
from fractions import Fraction

from wavedil.errors import UserError
from wavedil.receptive_field.arguments import require_output
from wavedil.receptive_field.arithmetic import ReceptiveField, own_input
from wavedil.receptive_field.tracing.answer.reading import Phases, Reading
from wavedil.receptive_field.tracing.answer.summary import Summary
from wavedil.receptive_field.tracing.domain.formula import Piece
from wavedil.receptive_field.tracing.domain.sets import union, within
from wavedil.receptive_field.wording import samples_text


@dataclass(frozen=True)
class TracedField:
    """The receptive field of a function, output by output.

    Most outputs follow one rule: output t sees the inputs `stride t + taps`, as far as the signal
    reaches. They are the `interior`. Outputs at the borders may see fewer, where padding stands in
    for what a layer before them would have seen, or others, which a circular layer shows them: they
    are no taps, but they count for `causal`.

    The taps are what the outputs in the middle see of a signal that is long enough. Where that
    grows with the signal, `past` or `future` is infinite. Where most outputs follow no one rule (a
    permutation of blocks) there are no taps, and `past` and `future` say how far any output sees.

    Attributes:
      num_inputs: Samples of the input.
      num_outputs: Samples of the output.
      upper_bounds: The places in the function where the answer may be more than is seen, as
        "an inverse Fourier transform (model.py:12, in filtered)"; empty where the answer is exact.

    Example:
      >>> field = trace(model, jax.ShapeDtypeStruct((1, 16000, 1), jnp.float32))
      >>> print(field)
      output t sees inputs t - 3069 .. t: 3070 samples, causal, the same at all 16000 outputs
    """

    num_inputs: int
    num_outputs: int
    upper_bounds: tuple[str, ...]
    _reading: Reading = field(repr=False)
    _summary: Summary = field(repr=False)

    @classmethod
    def of(cls, reading: Reading, summary: Summary) -> "TracedField":
        """The field of a reading and its summary."""
        return cls(reading.num_inputs, reading.num_outputs, reading.upper_bounds, reading, summary)

    def inputs(self, t: int) -> tuple[int, ...]:
        """The inputs that output t sees, in ascending order, those before and after the signal left out.

        Raises:
          UserError: If there is no output t.
        """
        seen = self._reading.inputs(require_output(t, self.num_outputs))
        return () if seen is None else seen.offsets

    @property
    def exact(self) -> bool:
        """Whether the answer is what is seen, no more; else `upper_bounds` says where it may be more."""
        return not self.upper_bounds

    @property
    def depends(self) -> bool:
        """Whether any output sees any input."""
        return bool(self._reading.parts)

    @functools.cached_property
    def receptive_field(self) -> ReceptiveField:
        """The field of the interior outputs, phase by phase where upsampling makes them differ.

        Raises:
          UserError: If nothing is seen, or it has no bounds, outputs have nothing in common, or some
            phases see nothing.
        """
        if not self.depends:
            raise UserError("the output does not depend on the input, so it has no receptive field")
        phases = self._bounded("finite receptive field")
        if any(phase is None for phase in phases):
            blind = [i for i, phase in enumerate(phases) if phase is None]
            raise UserError(
                f"of every {len(phases)} outputs, those at {blind} see nothing, so they have no "
                "receptive field; inputs(t) says what output t sees"
            )
        return ReceptiveField.from_phases(self.stride, [p for p in phases if p is not None])

    @property
    def past(self) -> int | float:
        """Samples seen before input `stride t`; infinite where they grow with the input."""
        return math.inf if self._summary.unbounded[0] else self._summary.extents[0]

    @property
    def future(self) -> int | float:
        """Samples seen after input `stride t`; infinite where they grow with the input."""
        return math.inf if self._summary.unbounded[1] else self._summary.extents[1]

    @property
    def size(self) -> int | float:
        """Samples from the first to the last one seen; 0 where nothing is seen."""
        return self.past + self.future + 1 if self.depends else 0

    @property
    def stride(self) -> Fraction:
        """Inputs per output in the interior; where there is none, as many as one more output takes."""
        return self._summary.stride

    @property
    def taps(self) -> tuple[int, ...]:
        """The offsets from input `floor(stride t)` that interior outputs see, in ascending order."""
        joined = union(self._bounded("taps"))
        return () if joined is None else joined.offsets

    @property
    def phases(self) -> tuple[tuple[int, ...], ...]:
        """The taps of outputs t = 0, 1, ... up to where they repeat; one entry unless upsampled."""
        return tuple(() if phase is None else phase.offsets for phase in self._bounded("phases"))

    @property
    def interior(self) -> range:
        """The outputs that all see `stride t + taps`, as far as the signal reaches; none without a rule."""
        return self._summary.interior

    @property
    def uniform(self) -> bool:
        """Whether all outputs are interior ones."""
        return len(self.interior) == self.num_outputs

    @functools.cached_property
    def causal(self) -> bool:
        """Whether no output at all, at the borders too, sees an input after `floor(stride t)`.

        The clock is the interior's `stride`, and without an interior that of the lengths: 24 outputs
        of 24 inputs that are the even samples and then the odd ones have no stride of 2.
        """
        return not any(
            self._sees_future(piece, window, reading.num_outputs)
            for reading in self._summary.judged
            for seen, window in reading.parts
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
        elif self._summary.phases is None:
            reach = f"{_offset(at, -int(self.past))} .. {_offset(at, int(self.future))}"
            seen = f"output t sees inputs within {reach}, which have no taps in common"
        else:
            count, size = len(self.taps), int(self.size)
            seen = f"output t sees inputs {_offset(at, -int(self.past))} .. {_offset(at, int(self.future))}: "
            seen += samples_text(size) if count == size else f"{count} of {samples_text(size)}"
            if len(self.phases) > 1:
                seen += f" ({len(self.phases)} phases)"
        answer = f"{seen}, {'causal' if self.causal else 'not causal'}, {self._where()}"
        return answer + "".join(f"\n  an upper bound: {what}" for what in self.upper_bounds)

    def _where(self) -> str:
        inside = self.interior
        if self.uniform:
            return f"the same at all {self.num_outputs} outputs"
        if not inside:
            return f"by no one rule at the {self.num_outputs} outputs"
        return f"the same at outputs {inside.start} .. {inside.stop - 1} of {self.num_outputs}"

    def _bounded(self, what: str) -> Phases:
        """The taps of interior outputs, phase by phase; an error where they have no bounds."""
        if math.inf in (self.past, self.future):
            raise UserError(
                f"what an output sees grows with the input, so there is no {what}; "
                "inputs(t) says what output t sees"
            )
        if self._summary.phases is None:
            raise UserError(
                f"most outputs follow no one rule, so there is no {what}; inputs(t) says what output t sees"
            )
        return self._summary.phases

    def _sees_future(self, piece: Piece, window: tuple[int, int], num_outputs: int) -> bool:
        low, high = max(piece.low, 0), min(piece.high, num_outputs)
        f = piece.formula
        if low >= high:
            return False
        # As fast as the output's own input: all outputs of a residue see at the same distance from it, so
        # the first of them stands for all. What it sees of the future counts if some output of the residue
        # moves it into the signal: it is not after the end at the first, and not before the beginning at
        # the last.
        if f.rate == self.stride:
            ends = (low, high - 1)
            for t in range(low, min(high, low + f.period)):
                future = within(f.at(t), own_input(self.stride, t) + 1, window[1] + f.advance)
                last = t + (ends[1] - t) // f.period * f.period
                moved = f.advance * ((last - t) // f.period)
                if within(future, window[0] - moved, window[1]) is not None:
                    return True
            return False
        # A set that stays lies furthest ahead of the first outputs.
        outputs = range(low, high) if f.advance else range(low, min(high, low + f.period))
        return any(
            within(f.at(t), max(own_input(self.stride, t) + 1, window[0]), window[1]) is not None
            for t in outputs
        )


def _offset(at: str, by: int) -> str:
    return at if by == 0 else f"{at} {'-' if by < 0 else '+'} {abs(by)}"
