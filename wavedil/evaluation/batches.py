"""Sequences of all lengths in batches of few shapes, so that little is compiled."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Batch(NamedTuple):
    """Sequences of like length.

    Attributes:
      rows: Which they are; fewer than a batch has signals, in the last.
      values: [batch, time, ...], zero behind the end of each.
      there: [batch, time], False behind the end of each.
    """

    rows: list[int]
    values: Float[np.ndarray, "batch time ..."]
    there: Bool[np.ndarray, "batch time"]


def by_length(
    lengths: Sequence[int],
    sequence: Callable[[int], Float[np.ndarray, "time ..."]],
    *,
    batch_size: int,
    shortest: int,
) -> Iterator[Batch]:
    """All sequences, the short ones first.

    Args:
      lengths: Of all of them, none of them 0.
      sequence: Gives one by its number; it is asked for those of a batch alone.
      batch_size: Signals of every batch.
      shortest: Time of the shortest batch; the others are a power of two as long.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        longest = sequence(rows[-1])
        time = max(shortest, 1 << (len(longest) - 1).bit_length())
        values = np.zeros((batch_size, time, *longest.shape[1:]), longest.dtype)
        there = np.zeros((batch_size, time), bool)
        for signal, row in enumerate(rows):
            values[signal, : lengths[row]] = sequence(row)
            there[signal, : lengths[row]] = True
        yield Batch(rows, values, there)
