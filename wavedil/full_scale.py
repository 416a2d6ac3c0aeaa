"""Where sound enters as an array: floats within full scale, which is 1."""

import math
import warnings
from typing import Any

import numpy as np
from jaxtyping import Float

from wavedil.errors import UserError

# Overshoot of resampling and of lossy formats stays below this; what is beyond is in other units.
_LARGEST_PEAK = 2.0
# Full scale of 16, 24 and 32-bit integers.
_INTEGER_SCALES = (1 << 15, 1 << 23, 1 << 31)


def within_full_scale(
    samples: Any, what: str = "samples", *, warn: bool = True
) -> Float[np.ndarray, "..."]:
    """The samples of a sound, limited to [-1, 1]; one warning gives a peak that was beyond.

    Args:
      samples: Floats of any shape, an array of NumPy or JAX or a number.
      what: What they are, for people, more than one.
      warn: Whether a limited peak is said; not again in a stream that it was said of.

    Returns:
      The same floats, copied only where they are limited.

    Raises:
      UserError: If they are integers, their peak is above 2, or one is not finite; with the number to divide by.

    Example:
      >>> within_full_scale(np.array([0.5, -1.0]))
      array([ 0.5, -1. ])
    """
    values = np.asarray(samples)
    _require_floats(values, what)
    peak = float(max(values.max(initial=0), -values.min(initial=0)))
    if not math.isfinite(peak):
        bad = ~np.isfinite(values.ravel())
        raise UserError(
            f"{np.count_nonzero(bad)} of {values.size} {what} are NaN or infinite, the first at {np.argmax(bad)}; "
            "compute or export them again from their source"
        )
    if peak > _LARGEST_PEAK:
        raise UserError(
            f"{what} have a peak of {peak:.9g}, but full scale is 1; divide them by {_divisor(values, peak)}"
        )
    if peak <= 1.0:
        return values
    if warn:
        warnings.warn(
            f"{what} have a peak of {peak_above_1(peak)}, beyond full scale 1, and are limited to it; divide them by "
            "the peak to keep their shape",
            stacklevel=3,
        )
    return np.clip(values, -1, 1)


def _require_floats(values: np.ndarray, what: str) -> None:
    """Refuses integers, with what makes floats of them, and all else that holds no sound."""
    kind, name = values.dtype.kind, values.dtype.name
    if kind == "i":
        peak = max(int(values.max(initial=0)), -int(values.min(initial=0)))
        # No format stores 64 bits: they are how Python and NumPy count, and hold fewer.
        scale = _integer_scale(peak) if values.itemsize == 8 else 1 << (8 * values.itemsize - 1)
        remedy = f"divide them by {scale}"
    elif kind == "u":
        # Unsigned samples lie around the middle of their range, as in 8-bit WAV files.
        middle = 1 << (8 * min(values.itemsize, 4) - 1)
        remedy = f"subtract {middle} and divide them by {middle}"
    elif kind == "f" or (kind != "b" and np.can_cast(values.dtype, np.float32)):  # bfloat16
        return
    else:
        name = {"U": "text", "S": "bytes", "O": "objects"}.get(kind, name)
        remedy = "give an array of floats"
    raise UserError(f"{what} are {name}, but sound is floats from -1 to 1; {remedy}")


def _divisor(values: np.ndarray, peak: float) -> int:
    """What brings a peak beyond full scale within it: of integers stored as floats, their own full scale."""
    return _integer_scale(peak) if np.array_equal(values, np.rint(values)) else math.ceil(peak)


def _integer_scale(peak: float) -> int:
    return next((scale for scale in _INTEGER_SCALES if peak <= scale), math.ceil(peak))


def peak_above_1(peak: float) -> str:
    """The peak with so many digits that one sees it is above 1."""
    shown = (f"{peak:.{digits}g}" for digits in range(max(3, len(str(int(peak)))), 18))
    return next(text for text in shown if float(text) > 1.0)
