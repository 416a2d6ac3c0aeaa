"""Two baselines that any model should beat, in bits per sample: a histogram and a bigram."""

from collections.abc import Sequence

import numpy as np

from wavedil.data.recording import Recording
from wavedil.errors import UserError

# A bigram has levels^2 counts; beyond this the table outgrows both memory and the data.
MOST_BIGRAM_LEVELS = 4096


def histogram_bits(
    train: Sequence[Recording], test: Sequence[Recording], levels: int = 256
) -> float:
    """Bits per sample of held-out recordings under the training data's histogram.

        p(x) = (n(x) + 1) / (n + levels)

    Args:
      train: Recordings whose codes are counted.
      test: Recordings scored, every sample of them, or of one with `scored` those.
      levels: Levels of the codes.

    Returns:
      The mean of -log2 p over all samples; log2(levels) is a uniform guess.

    Raises:
      UserError: If either has no samples.
    """
    return _bits(_counts(train, levels, 1), _counts(test, levels, 1))


def bigram_bits(train: Sequence[Recording], test: Sequence[Recording], levels: int = 256) -> float:
    """Bits per sample when each sample is predicted from the one before it.

        p(x | y) = (n(y, x) + 1) / (n(y) + levels)

    Silence, code levels // 2, comes before the first sample of a recording.

    Args:
      train: Recordings whose pairs of codes are counted.
      test: Recordings scored, every sample of them, or of one with `scored` those.
      levels: Levels of the codes, at most 4096.

    Raises:
      UserError: If either has no samples, or `levels` is too large for a table.
    """
    if levels > MOST_BIGRAM_LEVELS:
        raise UserError(
            f"levels is {levels}, but a bigram table takes at most {MOST_BIGRAM_LEVELS}; "
            f"compare with the histogram alone"
        )
    return _bits(_counts(train, levels, 2), _counts(test, levels, 2))


def baseline_bits(
    train: Sequence[Recording], test: Sequence[Recording], levels: int = 256
) -> dict[str, float]:
    """Bits per sample of every baseline that these levels allow, by its name."""
    bits = {"histogram": histogram_bits(train, test, levels)}
    if levels <= MOST_BIGRAM_LEVELS:
        bits["bigram"] = bigram_bits(train, test, levels)
    return bits


def _counts(recordings: Sequence[Recording], levels: int, order: int) -> np.ndarray:
    """How often each code follows each context: [1, levels], or [levels, levels] for pairs."""
    shape = (levels ** (order - 1), levels)
    counts = np.zeros(shape[0] * levels, np.int64)
    for recording in recordings:
        cells = recording.codes.astype(np.int64)
        if order == 2:
            cells = cells + levels * np.concatenate(([levels // 2], cells[:-1]))
        counts += np.bincount(cells[slice(*(recording.scored or (None,)))], minlength=counts.size)
    if not counts.any():
        raise UserError("there are 0 samples to count; give recordings that are not empty")
    return counts.reshape(shape)


def _bits(train: np.ndarray, test: np.ndarray) -> float:
    probability = (train + 1) / (train + 1).sum(axis=1, keepdims=True)
    return float(-(test * np.log2(probability)).sum() / test.sum())
