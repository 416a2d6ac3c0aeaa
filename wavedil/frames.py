"""Frames of a signal, and stretches of it with what lies beyond its ends.

Frame i covers samples `i hop .. (i + 1) hop - 1`, so a signal has `ceil(samples / hop)` frames.
"""

import numpy as np
from jaxtyping import Int32, Shaped, UInt

BEYOND = -1
"""Stands for a sample before a recording's first or after its last."""


def num_frames(num_samples: int, hop: int) -> int:
    """Frames of a signal: `ceil(num_samples / hop)`."""
    return -(-num_samples // hop)


def crop(
    values: Shaped[np.ndarray, "time ..."], start: int, count: int, beyond: float = 0
) -> Shaped[np.ndarray, "count ..."]:
    """Values `start .. start + count - 1`, and `beyond` where there are none.

        values             a b c d e
        start=-2, count=4  . . a b
        start=3,  count=4  d e . .

    Example:
      >>> crop(np.array([7, 8, 9]), -1, 3)
      array([0, 7, 8])
    """
    present = values[max(0, start) : max(0, start + count)]
    before = min(count, max(0, -start))
    out = np.full((count, *values.shape[1:]), beyond, values.dtype)
    out[before : before + len(present)] = present
    return out


def stretch(
    codes: UInt[np.ndarray, " time"], start: int, count: int
) -> Int32[np.ndarray, " count"]:
    """Samples `start .. start + count - 1` of a recording; BEYOND where it has none."""
    samples = codes[max(0, start) : max(0, start + count)].astype(np.int32)
    return crop(samples, min(start, 0), count, BEYOND)


def sound_frames(
    codes: UInt[np.ndarray, " time"], first: int, count: int, hop: int
) -> Int32[np.ndarray, "count hop"]:
    """Frames `first .. first + count - 1` of a recording itself, `hop` samples each; BEYOND where it has none.

        hop=4, first=-1, count=4     . . . . | 0 1 2 3 | 4 5 6 7 | 8 9 . .

    Example:
      >>> sound_frames(np.array([7, 8, 9], np.uint8), 0, 2, 2)
      array([[ 7,  8],
             [ 9, -1]], dtype=int32)
    """
    return stretch(codes, first * hop, count * hop).reshape(count, hop)
