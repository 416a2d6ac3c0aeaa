"""Stacks of dilated causal convolutions: dilations as text, and the field layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from wavedil.errors import UserError, require_size, require_sizes
from wavedil.receptive_field.arithmetic import ReceptiveField
from wavedil.receptive_field.limits import require_layers, require_span
from wavedil.receptive_field.taps import Taps

# The fields of all layers together; half a gigabyte of bits.
_MOST_SAMPLES = 2**32
# A run of doublings is written as a range from this length on; "1:2" says no more than "1,2".
_MIN_RUN = 3


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer of a stack and the field of the stack up to it.

    Attributes:
      name: "input" for the input convolution, else the layer's number from 1.
      kernel_size: Taps.
      dilation: Samples between taps.
      receptive_field: What an output of this layer sees of the stack's input.
    """

    name: str
    kernel_size: int
    dilation: int
    receptive_field: ReceptiveField


def parse_dilations(text: str) -> tuple[int, ...]:
    """The dilations that `text` lists.

    `1:512` doubles from 1 to 512; a comma joins numbers and ranges.

    Raises:
      UserError: If a part is not a whole number of at least 1, or a range does not end on a
        doubling of its start.

    Example:
      >>> parse_dilations("1:8,3")
      (1, 2, 4, 8, 3)
    """
    dilations: list[int] = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        dilations += _doublings(part, first, last) if colon else [_dilation(part, text)]
    return tuple(dilations)


def format_dilations(dilations: Sequence[int]) -> str:
    """The short form of `dilations`, which `parse_dilations` reads back.

    Example:
      >>> format_dilations((1, 2, 4, 8, 3))
      '1:8,3'
    """
    runs: list[list[int]] = []
    for dilation in dilations:
        if runs and dilation == 2 * runs[-1][-1]:
            runs[-1].append(dilation)
        else:
            runs.append([dilation])
    return ",".join(
        f"{run[0]}:{run[-1]}" if len(run) >= _MIN_RUN else ",".join(map(str, run)) for run in runs
    )


def stack_dilations(text: str, cycles: int) -> tuple[int, ...]:
    """The dilation of every layer: those that `text` lists, `cycles` times over.

    Raises:
      UserError: If the text lists no dilations or `cycles` is below 1.

    Example:
      >>> stack_dilations("1:4", cycles=2)
      (1, 2, 4, 1, 2, 4)
    """
    return parse_dilations(text) * require_size("number of cycles", cycles)


def table(
    kernel_size: int, dilations: Sequence[int], *, input_kernel_size: int = 1
) -> tuple[LayerRow, ...]:
    """A stack of causal convolutions layer by layer; the last row holds the field of the complete stack.

        size = 1 + (input_kernel_size - 1) + (kernel_size - 1) * sum(dilations)

    Args:
      kernel_size: Taps of every dilated layer.
      dilations: The dilation of each layer, from the input on.
      input_kernel_size: Taps of an undilated convolution before them. At 1 it sees nothing
        more, and has no row.

    Raises:
      UserError: If a size is below 1 or there is no layer.

    Example:
      >>> table(2, (1, 2, 4))[-1].receptive_field.size
      8
    """
    sizes = layer_sizes(kernel_size, dilations, input_kernel_size=input_kernel_size)
    # `layer_sizes` leaves out an input convolution of one tap; the last so many names are then those
    # of the layers alone.
    names = [str(i) for i in range(1, len(dilations) + 1)]
    _require_room(sizes)
    rows = []
    seen = Taps(0, 1)
    for name, (size, dilation) in zip(["input", *names][-len(sizes) :], sizes, strict=True):
        # A causal layer reads its input at lags 0, dilation, 2 dilation ..., so it sees the taps of the
        # stack below, moved by each of these and joined.
        seen = seen.repeated(-dilation, size)
        field = ReceptiveField.from_phases(Fraction(1), [seen])
        rows.append(LayerRow(name=name, kernel_size=size, dilation=dilation, receptive_field=field))
    return tuple(rows)


def layer_sizes(
    kernel_size: int, dilations: Sequence[int], *, input_kernel_size: int = 1
) -> tuple[tuple[int, int], ...]:
    """Kernel size and dilation of every layer of a stack, from the input on.

    An input convolution of one tap sees nothing more, and is left out.

    Raises:
      UserError: If a size is below 1 or there is no layer.

    Example:
      >>> layer_sizes(3, (1, 2), input_kernel_size=2)
      ((2, 1), (3, 1), (3, 2))
    """
    # NumPy's integers, which overflow in sums, become Python's.
    dilations = require_sizes("dilation", dilations)
    if not dilations:
        raise UserError("the stack has no dilations, but it needs at least one layer; use 1:512")
    kernel_size = require_size("kernel size", kernel_size)
    input_kernel_size = require_size("input kernel size", input_kernel_size)
    require_layers(len(dilations))
    layers = tuple((kernel_size, dilation) for dilation in dilations)
    return layers if input_kernel_size == 1 else ((input_kernel_size, 1), *layers)


def _require_room(layers: Sequence[tuple[int, int]]) -> None:
    """Raises for fields that would fill the memory, before any is made."""
    size = samples = 1
    for taps, dilation in layers:
        # The table keeps the taps of every layer, a bit for each sample of its field.
        size += (taps - 1) * dilation
        samples += size
    require_span(size)
    if samples > _MOST_SAMPLES:
        raise UserError(
            f"a receptive field of {size} samples in {len(layers)} layers is too long to be listed layer by layer; "
            "use a smaller kernel, smaller dilations or fewer layers"
        )


def _doublings(part: str, first: str, last: str) -> list[int]:
    dilations = [_dilation(first, part)]
    end = _dilation(last, part)
    # Doubling may step over the end of the range; that is an error and not a shorter range.
    while dilations[-1] < end:
        dilations.append(2 * dilations[-1])
    if dilations[-1] != end:
        nearest = dilations[-2] if len(dilations) > 1 else dilations[0]
        raise UserError(
            f"dilations {part.strip()!r} double from {dilations[0]} and never meet {end}; "
            f"use {dilations[0]}:{nearest}, or list the dilations: 1,3,9"
        )
    return dilations


def _dilation(number: str, text: str) -> int:
    try:
        dilation = int(number.encode("ascii"))  # no digits of other scripts
    except ValueError:
        raise UserError(
            f"dilations {text!r} hold {number.strip()!r}, which is no whole number; "
            "write 1:512 for 1, 2, 4 ... 512, or a list such as 1,2,4"
        ) from None
    require_size("dilation", dilation)
    return dilation


def pitch_lags(longest_lag: int, num_layers: int) -> tuple[int, ...]:
    """The longest dilations of layers that follow the pitch, where the last of them looks a whole period back.

    Example:
      >>> pitch_lags(120, 4)
      (15, 30, 60, 120)
    """
    parts = [2**number for number in reversed(range(num_layers))]
    return tuple(max(1, (longest_lag + part // 2) // part) for part in parts)
