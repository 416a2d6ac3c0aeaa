"""The sound itself in frames, which is what an autoencoder takes for features."""

import numpy as np
from jaxtyping import Int32, UInt

BEYOND = -1
"""Stands for a sample before a recording's first or after its last."""


def sound_frames(
    codes: UInt[np.ndarray, " time"], first: int, count: int, hop: int
) -> Int32[np.ndarray, "count hop"]:
    """Frames `first .. first + count - 1` of a recording, `hop` samples each; BEYOND where it has none.

        hop=4, first=-1, count=4     . . . . | 0 1 2 3 | 4 5 6 7 | 8 9 . .

    Example:
      >>> sound_frames(np.array([7, 8, 9], np.uint8), 0, 2, 2)
      array([[ 7,  8],
             [ 9, -1]], dtype=int32)
    """
    start = first * hop
    frames = np.full(count * hop, BEYOND, np.int32)
    present = codes[max(0, start) : max(0, start + count * hop)]
    begin = max(0, -start)
    frames[begin : begin + len(present)] = present
    return frames.reshape(count, hop)
