"""The answer of a probe: which output saw which input, and the field that follows from it."""

import functools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Bool

from wavedil.errors import UserError
from wavedil.receptive_field.arguments import require_output
from wavedil.receptive_field.arithmetic import ReceptiveField, own_input
from wavedil.receptive_field.taps import Taps

# Lines without any position, which repeat wherever they are, and lines that do not count.
_EMPTY, _CUT = 0, -1
# Two or three outputs that look alike may all be cut off alike, by padding inside the function.
_FEWEST = 4


@dataclass(frozen=True, eq=False, repr=False)
class ProbedField:
    """The inputs that each output was seen to depend on.

    The field is read off the interior of the signal, where outputs repeat: with output t + q seeing what output t
    sees, p inputs later, the stride is p / q and outputs have q phases.

        input      0 1 2 3 4 5 6 7
        output 0   # .                  cut off at the beginning
        output 1   . # # .                                            one period: q = 1, p = 2
        output 2       . # # .                                        offsets -1 and 0 from input 2t
        output 3           . # #        cut off at the end

    A dependence from further away than the signal is long cannot show. Where every output reaches an end of the
    signal, a field that is longer and one without bound look the same, and `receptive_field` and what follows
    from it (`past`, `future`, `size`, `taps`) say so; `inputs(t)` and `causal` answer nevertheless.

    Attributes:
      seen: Whether output t (row) saw the k-th probed input (column).
      probed: The inputs that were probed: all of the signal's, or a run of them.
      num_inputs: Samples of the signal.
      blind: What the function does that may hide a dependence from the probe; empty where nothing does.
    """

    seen: Bool[np.ndarray, "outputs probed"]
    probed: range
    num_inputs: int
    blind: tuple[str, ...] = ()

    @property
    def num_outputs(self) -> int:
        """Samples of the output."""
        return self.seen.shape[0]

    @property
    def depends(self) -> bool:
        """Whether any output sees a probed input."""
        return bool(self.seen.any())

    def inputs(self, t: int) -> tuple[int, ...]:
        """The probed inputs that output `t` sees, in ascending order; near the ends of the signal too.

        Raises:
          UserError: If there is no output t.
        """
        t = require_output(t, self.num_outputs)
        return tuple((np.flatnonzero(self.seen[t]) + self.probed.start).tolist())

    @functools.cached_property
    def receptive_field(self) -> ReceptiveField:
        """The field of the outputs in the interior of the signal.

        Raises:
          UserError: If the signal is too short to say, or outputs do not repeat.
        """
        if not self.depends:
            raise UserError(
                f"none of {self.num_outputs} outputs sees any of the {len(self.probed)} probed inputs, so there "
                "is no field; check that the function uses its argument"
            )
        # With all inputs probed, rows are complete and can be compared; with some of them, columns are.
        by_rows = len(self.probed) == self.num_inputs
        repetition = _find_repetition(self.seen if by_rows else self.seen.T)
        if repetition is None:
            raise UserError(self._why_nothing_repeats(by_rows))
        lines, period, shift = repetition
        if by_rows:
            q, p = period, shift
            # Rows are outputs: q of them on, the same inputs come again p later.
            t, k = np.nonzero(self.seen[lines.start : lines.stop])
            t += lines.start
        else:
            q, p = shift, period
            # Columns are inputs: p of them on, the same outputs come again q later.
            t, k = np.nonzero(self.seen[:, lines.start : lines.stop])
            k += lines.start
        # Distances from the input at which the output stands, and its place in the cycle of q outputs.
        offsets = k + self.probed.start - t * p // q
        phases = [np.unique(offsets[t % q == phase]).tolist() for phase in range(q)]
        if not all(phases):
            raise UserError(
                f"of every {q} outputs {phases.count([])} see no input, so no field holds for all of them; "
                "ask inputs(t) of the others"
            )
        return ReceptiveField.from_phases(Fraction(p, q), [Taps.at(phase) for phase in phases])

    @property
    def past(self) -> int:
        """Samples seen before input `stride t`."""
        return self.receptive_field.past

    @property
    def future(self) -> int:
        """Samples seen after input `stride t`."""
        return self.receptive_field.future

    @property
    def size(self) -> int:
        """Samples from the first to the last one seen."""
        return self.receptive_field.size

    @property
    def taps(self) -> tuple[int, ...]:
        """The offsets seen, in ascending order."""
        return self.receptive_field.taps

    @functools.cached_property
    def stride(self) -> Fraction:
        """Inputs per output; where the interior does not show it, the ratio of the lengths if one divides the other.

        Raises:
          UserError: If neither shows it.
        """
        try:
            return self.receptive_field.stride
        except UserError:
            ratio = Fraction(self.num_inputs, max(self.num_outputs, 1))
            if 1 in (ratio.numerator, ratio.denominator):
                return ratio
            raise

    @property
    def causal(self) -> bool:
        """Whether no output, at the ends of the signal neither, sees an input after `floor(stride t)`."""
        return not self.leaks.any()

    @property
    def leaks(self) -> Bool[np.ndarray, "outputs probed"]:
        """Where an output (row) sees a probed input (column) of its future."""
        own = own_input(self.stride, np.arange(self.num_outputs))
        return self.seen & (np.asarray(self.probed)[None, :] > own[:, None])

    def __str__(self) -> str:
        try:
            answer = f"probed: {self.receptive_field!r}"
        except UserError as error:
            answer = f"probed: no field ({error})"
        return answer + "".join(f"\n  may be blind to {what}" for what in self.blind)

    def __repr__(self) -> str:
        return f"ProbedField({self.num_inputs} inputs, {self.num_outputs} outputs)"

    def _why_nothing_repeats(self, by_rows: bool) -> str:
        lines = self.seen if by_rows else self.seen.T
        cut = lines[:, 0] | lines[:, -1]
        if not by_rows and not cut.all():
            return (
                f"{len(self.probed)} probed inputs hold no two periods of the outputs; probe at least twice the "
                f"stride and at least {_FEWEST}, from the middle of the signal"
            )
        if np.count_nonzero(lines.any(axis=1) & ~cut) < 2:
            return (
                f"nearly every output reaches an end of the signal, so {self.num_inputs} samples are too few to "
                "say, or the field has no bound; probe a signal longer than the field by a few strides, or trace "
                "the function"
            )
        return (
            f"outputs of {self.num_inputs} inputs do not repeat from one to the next, so no one field describes "
            "them; ask inputs(t), or probe a longer signal"
        )


def _find_repetition(lines: Bool[np.ndarray, "line position"]) -> tuple[range, int, int] | None:
    """The lines around the middle that repeat, every how many, and how many positions further on.

    A line that touches the first or the last position may be cut off there and does not count. Two periods have
    to be there, one to compare with the other, and a few lines.
    """
    complete = ~(lines[:, 0] | lines[:, -1])
    filled = np.flatnonzero(complete & lines.any(axis=1))
    if not filled.size:
        return None
    # The middle of those that see anything: farthest from both ends of the signal.
    middle = int(filled[(filled.size - 1) // 2])
    # Shapes by number, so that to compare two lines is to compare two integers.
    ids: dict[bytes, int] = {b"": _EMPTY}
    shapes = [
        ids.setdefault(_shape(line), len(ids)) if keep else _CUT
        for line, keep in zip(lines, complete, strict=True)
    ]
    first = lines.argmax(axis=1).tolist()
    best: tuple[range, int, int] | None = None
    # A period p is a distance to a line of the middle's shape, further on in its positions. It is the
    # true one if all lines around the middle repeat so:
    #
    #     line 4    . . # # . . . .       shape ##, first 2
    #     line 5    . . . . # # . .       shape ##, first 4: period 1, shift 2
    for period in range(1, len(lines) - middle):
        shift = first[middle + period] - first[middle]
        if shift <= 0 or shapes[middle + period] != shapes[middle]:
            continue
        run = _repeating_around(middle, period, shift, shapes, first)
        # A period that is none holds for a few lines here and there; the true one holds for the most.
        if len(run) >= max(2 * period, _FEWEST) and (best is None or len(run) > len(best[0])):
            best = run, period, shift
        # Every line that counts repeats: no other period can hold for more.
        if len(run) == np.count_nonzero(complete):
            break
    return best


def _repeating_around(
    middle: int, period: int, shift: int, shapes: list[int], first: list[int]
) -> range:
    """The lines around the middle that are followed, or preceded, by the same one a period on."""

    def repeats(i: int) -> bool:
        # Lines without any position repeat wherever they are; all others have to be `shift` further on.
        same = shapes[i] == shapes[i + period] != _CUT
        return same and (shapes[i] == _EMPTY or first[i + period] - first[i] == shift)

    start = stop = middle
    while start > 0 and repeats(start - 1):
        start -= 1
    while stop + period < len(shapes) and repeats(stop):
        stop += 1
    return range(start, stop + period)


def _shape(line: Bool[np.ndarray, " position"]) -> bytes:
    """The pattern of a line from its first position to its last, wherever that is."""
    positions = np.flatnonzero(line)
    return b"" if not positions.size else line[positions[0] : positions[-1] + 1].tobytes()
