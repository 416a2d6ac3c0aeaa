"""From a receptive field to the stacks that have it, the cheapest first."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from wavedil.errors import UserError, require_size
from wavedil.receptive_field.designed_stack import Design
from wavedil.receptive_field.limits import MAX_LAYERS
from wavedil.receptive_field.wording import samples_text

_KERNEL_SIZES = range(2, 9)


def design(
    *,
    samples: int | None = None,
    milliseconds: float | None = None,
    sample_rate: float | None = None,
    kernel_size: int | None = None,
    rates: Sequence[int] | None = None,
    cycles: int | None = None,
    input_kernel_size: int = 1,
    max_layers: int = 60,
    max_parameters: int | None = None,
    residual_channels: int = 64,
    skip_channels: int = 256,
) -> list[Design]:
    """Stacks whose receptive field is at least as long as asked, the best first.

    A candidate takes the first n dilations of a family, for every n that helps, and repeats them until they reach:

        powers of 2             1, 2, 4, 8 ...
        powers of kernel size   1, k, k^2, k^3 ...      one path to each lag in one cycle
        Fibonacci               1, 2, 3, 5, 8 ...
        `rates`                 your own list, in place of those

    The rank is by these, one after the other: no holes; fewest multiply-adds a sample; least generation state,
    that is the shortest field that reaches; fewest layers; smallest kernel; smallest dilations. So one question
    always has one answer.

    Args:
      samples: The field wanted, in samples.
      milliseconds: The same in milliseconds, rounded up to whole samples.
      sample_rate: Samples per second (Hz); needed for milliseconds.
      kernel_size: Taps of every dilated layer; 2 to 8 are tried by default.
      rates: Dilations to take the first n of, rather than the three families.
      cycles: How often they are repeated; as often as needed by default.
      input_kernel_size: Taps of an undilated convolution before the stack; 1 for none.
      max_layers: Most layers of the stack, 10,000 at most.
      max_parameters: Most trained numbers (`Design.parameters`); any number by default.
      residual_channels: Channels of the signal and of the gates.
      skip_channels: Channels of the skip sum.

    Raises:
      UserError: If nothing within the limits reaches the target (the longest field that is within is named), or
        if a value is out of range, or both targets are given or none.

    Example:
      >>> best = design(milliseconds=300, sample_rate=16000)[0]
      >>> best.kernel_size, best.dilations, best.size
      (6, (1, 6, 36, 216, 1296), 7776)
    """
    wanted = target_samples(samples=samples, milliseconds=milliseconds, sample_rate=sample_rate)
    if kernel_size is not None:
        kernel_size = require_size("kernel size", kernel_size)
    max_layers = min(require_size("max_layers", max_layers), MAX_LAYERS)
    if max_parameters is not None:
        max_parameters = require_size("max_parameters", max_parameters)
    start = Design(
        kernel_size=2 if kernel_size is None else kernel_size,
        dilations=(1,) if rates is None else tuple(rates),
        cycles=1 if cycles is None else cycles,
        input_kernel_size=input_kernel_size,
        residual_channels=residual_channels,
        skip_channels=skip_channels,
    )
    # Stacks with a given number of cycles stand as they are; the others are repeated until they reach.
    most = math.inf if max_parameters is None else max_parameters
    cycles_to_try = _cycles_to_try(start, wanted, kernel_size, rates, max_layers)
    tried = [
        repeated
        for cycle in cycles_to_try
        for repeated in ([cycle] if cycles else _repeated(cycle, wanted, max_layers, most))
        if repeated.num_layers <= max_layers and repeated.parameters <= most
    ]
    # Families begin alike: of equal stacks the first stays.
    reaching = {
        (found.kernel_size, found.layer_dilations): found
        for found in reversed(tried)
        if found.size >= wanted
    }
    if not reaching:
        smallest = replace(start, dilations=start.dilations[:1])
        limits = f"at most {max_layers} layers"
        if max_parameters is not None:
            limits += f" and {max_parameters} parameters"
        raise UserError(_out_of_reach(tried, smallest, wanted, sample_rate, limits))
    return sorted(reaching.values(), key=_rank)


def _cycles_to_try(
    start: Design,
    wanted: int,
    kernel_size: int | None,
    rates: Sequence[int] | None,
    max_layers: int,
) -> Iterator[Design]:
    """For each kernel size and family the first dilations: one, two ..., until they reach."""
    for size in _KERNEL_SIZES if kernel_size is None else (kernel_size,):
        for family in _families(size, max_layers, wanted) if rates is None else (tuple(rates),):
            for length in range(1, min(len(family), max_layers) + 1):
                cycle = replace(start, kernel_size=size, dilations=family[:length])
                yield cycle
                # Of a family that grows, more dilations than reach only cost more. Of one's own they may have
                # no holes where fewer have some.
                if rates is None and cycle.size >= wanted:
                    break


def _families(kernel_size: int, max_layers: int, wanted: int) -> Iterable[tuple[int, ...]]:
    # The slowest of them, Fibonacci's, doubles in less than two steps.
    length = min(max_layers, 2 * wanted.bit_length() + 2)
    yield tuple(2**i for i in range(length))
    yield tuple(kernel_size**i for i in range(length))
    fibonacci = [1, 2]
    while len(fibonacci) < length:
        fibonacci.append(fibonacci[-2] + fibonacci[-1])
    yield tuple(fibonacci[:length])


def _repeated(cycle: Design, wanted: int, max_layers: int, max_parameters: float) -> list[Design]:
    """As many cycles as reach the target, and as leave no holes, or as the limits let through."""
    # Every cycle adds as much as the second one did, to the field as to the parameters, so that the
    # number of cycles is a division. Kernels of one tap gain nothing.
    longer = replace(cycle, cycles=2)
    gain = longer.size - cycle.size
    missing = max(0, wanted - cycle.size)
    limits = [max_layers // cycle.num_layers - 1]
    if max_parameters < math.inf:
        room = max_parameters - cycle.parameters
        limits.append(int(room // (longer.parameters - cycle.parameters)))
    reaching = -(-missing // gain) if gain else 0
    numbers = {1 + max(0, min(more, *limits)) for more in (reaching, _without_holes(cycle) - 1)}
    return [replace(cycle, cycles=number) for number in numbers]


def _without_holes(cycle: Design) -> int:
    """The fewest cycles that leave no holes, by the rule of `Design.has_holes`; 1 where none do."""
    reach, steps, needed = cycle.input_kernel_size, 0, 1
    for dilation in sorted(cycle.dilations):
        # The shorter dilations reach `input kernel size + cycles * steps`.
        if dilation > reach + steps * needed:
            if not steps:
                return 1
            needed = -(-(dilation - reach) // steps)
        steps += (cycle.kernel_size - 1) * dilation
    return needed


def _rank(found: Design) -> tuple[Any, ...]:
    # Dilations come last: they make the order total, so that one question always has one answer.
    cost = (found.multiply_adds, found.state_bytes, found.num_layers)
    return (found.has_holes, *cost, found.kernel_size, found.layer_dilations)


def target_samples(
    *,
    samples: int | None = None,
    milliseconds: float | None = None,
    sample_rate: float | None = None,
) -> int:
    """A target given in samples, or in milliseconds at a sample rate, in samples; a fraction is rounded up.

    Raises:
      UserError: If both are given or none, or a number is not above 0.

    Example:
      >>> target_samples(milliseconds=300, sample_rate=16000)
      4800
    """
    for name, value in (("milliseconds", milliseconds), ("sample_rate", sample_rate)):
        if value is not None and not isinstance(value, int | float | Fraction):
            raise UserError(f"{name} is {value!r}, which is no number; give one, such as 300")
    if sample_rate is not None and not 0 < sample_rate < math.inf:
        raise UserError(f"sample rate is {sample_rate} Hz, but it must be above 0; 16000, say")
    if samples is not None and milliseconds is None:
        return require_size("target in samples", samples)
    if samples is not None or milliseconds is None:
        raise UserError("give the target either in samples or in milliseconds")
    if sample_rate is None:
        raise UserError(f"a target of {milliseconds} ms needs a sample rate; 16000, say")
    if not 0 < milliseconds < math.inf:
        raise UserError(f"target is {milliseconds} ms, but it must be above 0; 300, say")
    # In decimal, as it was written: 0.1 ms at 30 kHz are 3 samples, which binary rounding would make 4.
    return math.ceil(Fraction(str(milliseconds)) * Fraction(str(sample_rate)) / 1000)


def _out_of_reach(
    tried: Sequence[Design],
    smallest: Design,
    wanted: int,
    sample_rate: float | None,
    limits: str,
) -> str:
    def length(size: int) -> str:
        return samples_text(size) + (f" ({1000 * size / sample_rate:g} ms)" if sample_rate else "")

    if not tried:
        return (
            f"no stack has {limits}: the smallest, {smallest}, has {smallest.parameters} parameters "
            f"in {smallest.num_layers} layers; allow more, or use fewer channels or cycles"
        )
    longest = max(tried, key=lambda found: (found.size, -found.num_layers))
    return (
        f"no stack of {limits} reaches {length(wanted)}; the nearest reaches "
        f"{length(longest.size)}, with {longest}; allow more, or a larger kernel"
    )
