"""Batches of recordings as sequences, each with the value of a label that is to be predicted."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32

from wavedil.data.batching import ABSENT, ALL, BatchOrder, Part
from wavedil.data.recording import Recording
from wavedil.errors import UserError, require_positive
from wavedil.frames import crop
from wavedil.quantizer import Quantizer

# Enough that two batches differ little, few enough for many steps a minute.
_BATCH_SIZE = 16


class LabelledBatch(NamedTuple):
    """Sequences of different lengths, and what they are.

    Attributes:
      inputs: [batch, time, channels]; zero where there is none.
      mask: True where there is a sequence.
      rows: The value of each, a row of `values`; ABSENT where a row of the batch is missing.
    """

    inputs: Float32[np.ndarray, "batch time channels"]
    mask: Bool[np.ndarray, "batch time"]
    rows: Int32[np.ndarray, " batch"]


class LabelledWindows:
    """Batches of windows, each with the value of one label.

    In a pass, a recording that fits into a window comes once, and a longer one as often as windows fit into it, each
    time from another place. Windows of about the same length meet in a batch. A batch is a pure function of the seed
    and the step.

    Args:
      recordings: What to train on; those without the label, or with another value, are left out.
      target: The label.
      values: Its values.
      quantizer: Of the recordings' codes.
      window_size: Most steps of a sequence in a window.
      batch_size: Windows in a batch; 16 by default.
      seed: Of the order, and of the places.

    Raises:
      UserError: If no recording has the label, or a size is below 1.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        *,
        target: str,
        values: Sequence[str],
        quantizer: Quantizer,
        window_size: int,
        batch_size: int | None,
        seed: int,
    ) -> None:
        require_positive(window_size=window_size, batch_size=batch_size)
        found = rows_of(recordings, target, values)
        used = [index for index, row in enumerate(found) if row != ABSENT]
        if not used:
            raise UserError(f"no recording to train on has the label {target}; give some that have")
        self._recordings, self._quantizer = [recordings[index] for index in used], quantizer
        self._rows = found[used]
        lengths = np.array([_length(recording) for recording in self._recordings])
        self._sequence = np.repeat(np.arange(len(used)), -(-lengths // window_size))
        self._count = np.minimum(lengths, window_size)[self._sequence]
        inside = np.zeros(len(self._count), bool)
        self._order = BatchOrder(self._count, inside, batch_size or _BATCH_SIZE, seed)
        self._seed = seed

    @property
    def batch_sizes(self) -> set[int]:
        """Windows that batches have."""
        return self._order.batch_sizes

    def describe(self, steps: int) -> list[str]:
        """What a training of so many steps predicts, in a line for people."""
        passes = steps * self._order.passes / self._order.steps_per_round
        return [
            f"{passes * len(self._sequence) / steps:,.0f} recordings or parts of them a step; {steps:,} steps are "
            f"{passes:,.3g} passes over {len(self._recordings):,} recordings"
        ]

    def batch(self, step: int, part: Part = ALL) -> LabelledBatch:
        """The batch of a step, 0 or more, or a part of it; the same for the same seed and step, always."""
        group, windows = self._order.batch(step)
        rng = np.random.default_rng([self._seed % 2**32, step])
        places, windows = part.of(rng.random(len(windows))), part.of(windows)
        rows = [
            self._cut(int(window), group.length, place)
            for window, place in zip(windows, places, strict=True)
        ]
        inputs, counts, found = zip(*rows, strict=True)
        mask = np.arange(group.length) < np.array(counts)[:, None]
        return LabelledBatch(np.stack(inputs), mask, np.array(found, np.int32))

    def _cut(self, window: int, length: int, place: float) -> tuple[np.ndarray, int, int]:
        """A window in a row of so many steps, how many it has, and its value."""
        if window == ABSENT:
            empty = sequence_of(self._recordings[0], self._quantizer, 0, 0)
            return crop(empty, 0, length), 0, ABSENT
        number, count = self._sequence[window], int(self._count[window])
        recording = self._recordings[number]
        begin = int(place * (_length(recording) - count + 1))
        sequence = sequence_of(recording, self._quantizer, begin, begin + count)
        return crop(sequence, 0, length), count, int(self._rows[number])


def _length(recording: Recording) -> int:
    """Steps of a recording's sequence."""
    return recording.num_samples if recording.features is None else len(recording.features)


def sequence_of(
    recording: Recording, quantizer: Quantizer, first: int = 0, end: int | None = None
) -> Float32[np.ndarray, "time channels"]:
    """The features of a recording, or where it has none its samples: all, or steps `first .. end - 1`."""
    if recording.features is not None:
        return recording.features[first:end]
    return quantizer.decode(recording.codes[first:end])[:, None].astype(np.float32)


def moments(recordings: Sequence[Recording], quantizer: Quantizer) -> tuple[float, float]:
    """Mean and standard deviation of all numbers of the sequences."""
    sums = np.zeros(3)
    for recording in recordings:
        sequence = sequence_of(recording, quantizer).astype(np.float64)
        sums += sequence.size, sequence.sum(), (sequence**2).sum()
    mean = sums[1] / sums[0]
    # Recordings are not silent, so that the numbers differ.
    return float(mean), float(np.sqrt(sums[2] / sums[0] - mean**2))


def rows_of(
    recordings: Sequence[Recording], target: str, values: Sequence[str]
) -> Int32[np.ndarray, " recordings"]:
    """The row of each recording's value of a label; ABSENT where it lacks it, or has a value that is not among them."""
    known = {value: row for row, value in enumerate(values)}
    return np.array(
        [known.get(item.labels.get(target, ""), ABSENT) for item in recordings], np.int32
    )
