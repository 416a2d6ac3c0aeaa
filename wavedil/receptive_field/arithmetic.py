"""The arithmetic of receptive fields: chains, parallel branches, strides, upsampling, padding."""

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, Self, TypeVar, get_args

from wavedil.errors import UserError, require_size, require_whole, whole_number
from wavedil.receptive_field.taps import Taps

if TYPE_CHECKING:
    import numpy as np

Padding = Literal["causal", "same", "valid"]
_Phase = TypeVar("_Phase")
_Times = TypeVar("_Times", int, "np.ndarray")


@dataclass(frozen=True, init=False, repr=False)
class ReceptiveField:
    """The inputs that an output depends on.

    Output t sees inputs `stride t - past .. stride t + future`:

        past=2, future=1, stride=3        x  0 1 2 3 4 5 6 7 ...
                                             . |-----|               output 1 (at input 3)
                                             . . . . |-----|         output 2 (at input 6)

    and of that range exactly the offsets in `taps`. In a chain, offsets add up
    across strides: where the first layer's output m sees `s1 m + a` and the
    second's output t sees `s2 t + b`, the chain sees `s1 s2 t + s1 b + a`.

    Upsampling has a stride below 1, and output t then looks from input
    `floor(stride t)`. Its outputs differ from phase to phase (of a signal
    repeated twice, the mean of two neighbours sees one input at odd t and two
    at even t). Every phase is followed through the arithmetic, so that chains
    stay exact; `inputs(t)` answers for one output, while `past`, `future`,
    `size` and `taps` are the union over all phases.

    Fields are equal when every output sees the same inputs.

    Args:
      past: Samples seen before input `stride t`; negative when not even that one is seen.
      future: Samples seen after input `stride t`; 0 or less is causal. A pure delay of 9
        samples has past 9 and future -9.
      stride: Inputs per output, an integer or a Fraction above 0.
      taps: The offsets seen, from `-past` to `future`; every one of that range by default.

    Raises:
      UserError: If the range is empty, the stride is not above 0, or the taps do not reach
        from `-past` to `future`.

    Example:
      >>> block = ReceptiveField.conv(kernel_size=2, dilation=4)
      >>> block.then(ReceptiveField.conv(kernel_size=2, dilation=8)).size
      13

    Reference: Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional
    neural networks", Distill, doi:10.23915/distill.00021.
    """

    past: int
    future: int
    stride: Fraction
    _phases: tuple[Taps, ...]

    def __init__(
        self,
        past: int,
        future: int = 0,
        stride: int | Fraction = 1,
        taps: Iterable[int] | None = None,
    ) -> None:
        past, future = require_whole("past", past), require_whole("future", future)
        if past + future < 0:
            raise UserError(
                f"past {past} and future {future} leave no sample to see; "
                f"past + future must be at least 0, so use a past of at least {-future}"
            )
        whole = whole_number(stride)
        stride = stride if whole is None else whole
        if not isinstance(stride, int | Fraction) or isinstance(stride, bool) or stride <= 0:
            raise UserError(
                f"stride is {stride!r}, but it must be an integer or a Fraction above 0; "
                "upsampling by 4 is Fraction(1, 4)"
            )
        seen = Taps.between(-past, future) if taps is None else _taps_of(taps, past, future)
        self._set(Fraction(stride), (seen,))

    def _set(self, stride: Fraction, phases: Sequence[Taps]) -> None:
        # The instance is frozen; its fields are set here, once, from the phases that decide them.
        object.__setattr__(self, "past", -min(taps.first for taps in phases))
        object.__setattr__(self, "future", max(taps.last for taps in phases))
        object.__setattr__(self, "stride", stride)
        object.__setattr__(self, "_phases", shortest_cycle(tuple(phases)))

    @classmethod
    def from_phases(cls, stride: Fraction, phases: Sequence[Taps]) -> Self:
        """The field whose output t sees `floor(stride t) + phases[t % len(phases)]`."""
        field = object.__new__(cls)
        field._set(stride, phases)
        return field

    @classmethod
    def identity(cls) -> Self:
        """Output t sees input t: a pointwise layer, and the start of every chain."""
        return cls(past=0)

    @classmethod
    def delay(cls, num_samples: int) -> Self:
        """Output t sees input `t - num_samples` alone."""
        return cls(past=num_samples, future=-num_samples)

    @classmethod
    def conv(
        cls,
        kernel_size: int,
        dilation: int = 1,
        stride: int = 1,
        padding: Padding = "causal",
    ) -> Self:
        """A convolution (or pooling) of `kernel_size` taps, `dilation` samples apart.

        With span = (kernel_size - 1) dilation, output t sees, from input `stride t` on,

            causal   -span .. 0
            same     -floor(span / 2) .. span - floor(span / 2)
            valid    0 .. span

        Raises:
          UserError: If a size is below 1 or the padding is none of the three.
        """
        kernel_size = require_size("kernel size", kernel_size)
        dilation, stride = require_size("dilation", dilation), require_size("stride", stride)
        span = (kernel_size - 1) * dilation
        if padding not in get_args(Padding):
            raise UserError(f"padding is {padding!r}; use one of {', '.join(get_args(Padding))}")
        # An odd span has no middle: the longer half lies after the output.
        past = {"causal": span, "same": span // 2, "valid": 0}[padding]
        return cls.from_phases(Fraction(stride), [Taps(-past, 1).repeated(dilation, kernel_size)])

    @classmethod
    def pitch_conv(cls, longest_lag: int, taps: int = 1, spread: int = 0) -> Self:
        """A convolution whose dilation follows the pitch, where the pitch period is the longest.

        Output t sees input t, and inputs `t - k longest_lag - spread .. t - k longest_lag + spread` for
        k = 1 .. taps.
        """
        around = range(-spread, spread + 1)
        taps_seen = [j - k * longest_lag for k in range(1, taps + 1) for j in around]
        return cls(past=taps * longest_lag + spread, taps=[0, *taps_seen])

    @classmethod
    def upsample(cls, factor: int) -> Self:
        """Every sample repeated `factor` times: output t sees input `floor(t / factor)`.

        Raises:
          UserError: If the factor is below 1.
        """
        return cls(past=0, stride=Fraction(1, require_size("upsampling factor", factor)))

    def then(self, other: "ReceptiveField") -> "ReceptiveField":
        """The chain: this layer first, and `other` on its output."""
        # Output t of `other` reads some outputs of this layer, the middles, and each of these its inputs:
        #
        #     t   --other-->   middle   --self-->   floor(s1 middle) + taps of the middle's phase
        #
        # Their distances from the chain's own input, floor(s1 s2 t), are the taps of phase t.
        stride = self.stride * other.stride
        num_phases = _common_period(self, other)
        phases = []
        for t in range(num_phases):
            origin = own_input(stride, t)
            # As (shift, phase) pairs many of other's taps coincide: an upsampler repeats its input.
            parts = {
                (own_input(self.stride, middle) - origin, middle % len(self._phases))
                for middle in other.inputs(t)
            }
            phases.append(Taps.joined((shift, self._phases[phase]) for shift, phase in parts))
        return self.from_phases(stride, phases)

    def union(self, other: "ReceptiveField") -> "ReceptiveField":
        """Parallel branches on one input whose outputs are joined: what either of them sees.

        Raises:
          UserError: If the strides differ, because the outputs would not line up.
        """
        if self.stride != other.stride:
            raise UserError(
                f"parallel branches have strides {self.stride} and {other.stride}, so their "
                "outputs do not line up; give every branch the same stride"
            )
        # Branches of 2 and of 3 phases are both back at their first one after 6 outputs.
        num_phases = math.lcm(len(self._phases), len(other._phases))
        branches = (self._phases, other._phases)
        return self.from_phases(
            self.stride,
            [
                Taps.joined((0, phases[t % len(phases)]) for phases in branches)
                for t in range(num_phases)
            ],
        )

    def inputs(self, t: int) -> tuple[int, ...]:
        """The inputs that output `t` sees, in ascending order; below 0 before the signal."""
        origin = own_input(self.stride, t)
        return tuple(origin + tap for tap in self._phases[t % len(self._phases)].offsets)

    @property
    def size(self) -> int:
        """Samples from the first to the last one seen: `past + future + 1`."""
        return self.past + self.future + 1

    @property
    def taps(self) -> tuple[int, ...]:
        """The offsets seen, in ascending order; fewer than `size` where dilations leave holes."""
        return self._all_taps.offsets

    @property
    def num_taps(self) -> int:
        """How many of the `size` samples are seen."""
        return self._all_taps.count

    @property
    def holes(self) -> tuple[int, ...]:
        """The offsets between `-past` and `future` that no output sees, in ascending order."""
        taps = self._all_taps
        # The lowest bit, a tap, is not among them, so this is no proper set of taps: only its offsets are
        # asked for.
        unseen = ~taps.bits & (1 << self.size) - 1
        return Taps(taps.first, unseen).offsets

    @property
    def period(self) -> int:
        """Inputs after which outputs see alike again: the stride of a strided layer, 1 of most others."""
        return int(self.stride * math.lcm(len(self._phases), self.stride.denominator))

    @property
    def causal(self) -> bool:
        """Whether no output looks past its own time."""
        return self.future <= 0

    def milliseconds(self, sample_rate: float) -> float:
        """The size in milliseconds of an input at `sample_rate` Hz.

        Raises:
          UserError: If the sample rate is not above 0.
        """
        if not sample_rate > 0:
            raise UserError(f"sample rate is {sample_rate} Hz, but it must be above 0")
        return 1000 * self.size / sample_rate

    @functools.cached_property
    def _all_taps(self) -> Taps:
        return Taps.joined((0, taps) for taps in self._phases)

    def __repr__(self) -> str:
        holes = f", {self.num_taps} of {self.size} taps" if self.num_taps < self.size else ""
        stride = "" if self.stride == 1 else f", stride={self.stride}"
        return f"ReceptiveField(past={self.past}, future={self.future}{stride}{holes})"


def _taps_of(offsets: Iterable[int], past: int, future: int) -> Taps:
    offsets = tuple(require_whole("a tap", offset) for offset in offsets)
    if not offsets or min(offsets) != -past or max(offsets) != future:
        reach = f"from {min(offsets)} to {max(offsets)}" if offsets else "nowhere"
        raise UserError(
            f"taps reach {reach}, but past {past} and future {future} say {-past} to {future}; "
            "make past and future those of the taps"
        )
    return Taps.at(offsets)


def own_input(stride: Fraction, t: _Times) -> _Times:
    """The input at which output t stands, `floor(stride t)`; in integers, many times faster than in fractions."""
    return t * stride.numerator // stride.denominator


def _common_period(first: ReceptiveField, second: ReceptiveField) -> int:
    """Outputs after which both layers of a chain are back at their first phase, an integer number of inputs on."""
    period = math.lcm(len(second._phases), second.stride.denominator)
    # In `period` outputs of the second layer, which bring it back to its own first phase, the first one
    # moves on by `middles` outputs; so many times over as make that a multiple of the first one's cycle.
    middles = own_input(second.stride, period)
    cycle = math.lcm(len(first._phases), first.stride.denominator)
    return period * (cycle // math.gcd(cycle, middles))


def shortest_cycle(phases: tuple[_Phase, ...]) -> tuple[_Phase, ...]:
    """The shortest run of phases that repeats to `phases`, so that equal fields compare equal."""
    count = len(phases)
    # A cycle has to end where the list does, so only divisors of its length are cycles.
    for length in range(1, count):
        if count % length == 0 and phases[:length] * (count // length) == phases:
            return phases[:length]
    return phases
