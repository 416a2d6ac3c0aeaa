"""How often each input is seen: paths and holes of a stack of dilated causal convolutions."""

import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from wavedil.errors import UserError
from wavedil.receptive_field.stack import layer_sizes, table

# All counts together; more of them would fill the memory.
_MAX_BYTES = 2**28
# Bytes of an unsigned integer -> its code in memory views.
_CODES: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}


def paths_per_lag(
    kernel_size: int, dilations: Sequence[int], *, input_kernel_size: int = 1
) -> tuple[int, ...]:
    """The number of paths from output t to input `t - lag`, for every lag of the receptive field.

    A path takes one tap of each layer, so the counts are the coefficients of a product of polynomials:

        sum over lags of paths[lag] z^lag = C(input_kernel_size, 1) * product over layers of C(kernel_size, dilation)
        C(k, d) = 1 + z^d + z^(2 d) + ... + z^((k - 1) d)

    They add up to `input_kernel_size * kernel_size^layers` and read the same from either end.

    Counted are the convolutions alone. Shortcuts past a layer (the residual and skip paths of a WaveNet) add
    paths, but only to lags that have some, because every layer has a tap at lag 0: with them or without, the
    field and its holes are the same.

    Each polynomial is held as one integer with a coefficient in every few bytes (Kronecker 1882), so that a
    layer is a few shifts and additions; 30 layers take milliseconds.

    Args:
      kernel_size: Taps of every dilated layer.
      dilations: The dilation of each layer.
      input_kernel_size: Taps of an undilated convolution before them; 1 for none.

    Returns:
      Exact counts; the index is the lag in samples, from 0 to the size of the field less one.

    Raises:
      UserError: If a size is below 1, there is no layer, or the counts would not fit into memory.

    Example:
      >>> paths_per_lag(2, (1, 2, 4))
      (1, 1, 1, 1, 1, 1, 1, 1)
      >>> paths_per_lag(2, (2, 2, 2))
      (1, 0, 3, 0, 3, 0, 1)
    """
    layers = layer_sizes(kernel_size, dilations, input_kernel_size=input_kernel_size)
    size, num_paths = 1, 1
    for taps, dilation in layers:
        size += (taps - 1) * dilation
        num_paths *= taps
    count_bytes = -(-num_paths.bit_length() // 8)
    # A size that the machine has a type for unpacks many times faster.
    count_bytes = next((known for known in _CODES if known >= count_bytes), count_bytes)
    if size * (count_bytes + 32) > _MAX_BYTES:  # 32: what Python adds to an integer in a tuple
        raise UserError(
            f"a receptive field of {size} samples and {len(layers)} layers has too many paths to "
            "count lag by lag; use smaller dilations or fewer layers"
        )
    counts = 1
    for taps, dilation in layers:
        counts = _repeated(counts, taps, 8 * count_bytes * dilation)
    # The first lag comes last where bytes run the other way; the counts are the same from either end.
    packed = counts.to_bytes(size * count_bytes, sys.byteorder)
    if count_bytes in _CODES:
        return tuple(memoryview(packed).cast(_CODES[count_bytes]))
    starts = range(0, len(packed), count_bytes)
    return tuple(int.from_bytes(packed[i : i + count_bytes], sys.byteorder) for i in starts)


def holes(
    kernel_size: int, dilations: Sequence[int], *, input_kernel_size: int = 1
) -> tuple[int, ...]:
    """The lags inside the receptive field that no path reaches, in ascending order.

    With the dilations sorted, d_1 <= d_2 <= ..., and a kernel size above 1 there are none exactly where no
    dilation is longer than the field of the layers before it (Brown 1961):

        d_i <= input_kernel_size + (kernel_size - 1) (d_1 + ... + d_(i - 1))

    Args:
      kernel_size: Taps of every dilated layer.
      dilations: The dilation of each layer.
      input_kernel_size: Taps of an undilated convolution before them; 1 for none.

    Raises:
      UserError: If a size is below 1 or there is no layer.

    Example:
      >>> holes(2, (2, 2, 2))
      (1, 3, 5)

    Reference: Brown 1961, "Note on complete sequences of integers", The American Mathematical Monthly 68(6).
    Such holes are the gridding of Wang et al. 2018, arXiv:1702.08502.
    """
    rows = table(kernel_size, dilations, input_kernel_size=input_kernel_size)
    return tuple(-offset for offset in reversed(rows[-1].receptive_field.holes))


def evenness(paths: Sequence[int]) -> Fraction:
    """How evenly paths are spread over lags: 1 where every lag has as many, less where some have more.

        evenness = (sum of paths)^2 / (number of lags * sum of paths^2)

    This is the share of the lags that would carry the same total if those had equally many paths each and the
    others none.

    Example:
      >>> evenness(paths_per_lag(2, (1, 2, 4)))
      Fraction(1, 1)
      >>> evenness((1, 0, 1, 0))
      Fraction(1, 2)

    Reference: Jain, Chiu and Hawe 1984, "A quantitative measure of fairness", DEC-TR-301 (the fairness index).
    """
    return Fraction(sum(paths) ** 2, len(paths) * sum(count * count for count in paths))


def _repeated(counts: int, times: int, shift: int) -> int:
    """The sum of `counts << i * shift` for i below `times`, in about log2(times) additions."""
    if times == 1:
        return counts
    half = times // 2
    first = _repeated(counts, half, shift)
    doubled = first + (first << half * shift)
    return doubled if times % 2 == 0 else doubled + (counts << (times - 1) * shift)
