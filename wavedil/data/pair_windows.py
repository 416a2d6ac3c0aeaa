"""Training windows of pairs: stretches of the wet signal to predict, with the dry signal that they depend on."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from wavedil.data.batching import ALL, Part
from wavedil.data.pair import Pair
from wavedil.errors import UserError, require_positive
from wavedil.frames import crop


class PairBatch(NamedTuple):
    """One training batch.

    Attributes:
      dry: [batch, context + time, 1]: the input of the samples to predict, and of those before them that they see;
        zeros before a recording.
      wet: [batch, time, 1]: what to predict.
      knobs: Name -> setting of each row.
    """

    dry: Float32[np.ndarray, "batch context_and_time 1"]
    wet: Float32[np.ndarray, "batch time 1"]
    knobs: dict[str, Float32[np.ndarray, " batch"]]


class PairWindows:
    """Batches of windows of pairs, all of one length.

    In a pass every pair comes as often as windows fit into it, each time from another place; passes follow one
    another without a gap. A batch is a pure function of the seed and the step.

    Args:
      pairs: What to train on.
      window_size: Samples that a window predicts; no pair is shorter.
      context_samples: Of the dry signal before them.
      batch_size: Windows in a batch.
      seed: Of the order, and of the places.

    Raises:
      UserError: If a pair is too short, or a size below 1.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        window_size: int,
        context_samples: int,
        batch_size: int,
        seed: int,
    ) -> None:
        require_positive(window_size=window_size, batch_size=batch_size)
        lengths = np.array([pair.num_samples for pair in pairs])
        if lengths.min() < window_size:
            pair = pairs[int(lengths.argmin())]
            raise UserError(
                f"{pair.path} has {pair.num_samples} samples to train on, fewer than window_size {window_size}; leave "
                "it out, or use a smaller window"
            )
        self._pairs, self._window_size = tuple(pairs), window_size
        self._context_samples, self._batch_size, self._seed = context_samples, batch_size, seed
        counts = -(-lengths // window_size)
        self._pair = np.repeat(np.arange(len(pairs)), counts)
        # Each window begins somewhere in its own stretch of the places where one may begin.
        first = np.arange(len(self._pair)) - np.repeat(np.cumsum(counts) - counts, counts)
        self._stretch = ((lengths - window_size + 1) / counts)[self._pair]
        self._begin = first * self._stretch

    @property
    def batch_sizes(self) -> set[int]:
        """Windows that batches have."""
        return {self._batch_size}

    def describe(self, steps: int) -> list[str]:
        """What a training of so many steps predicts, in a line for people."""
        passes = steps * self._batch_size / len(self._pair)
        return [
            f"{self._batch_size * self._window_size:,} samples predicted a step, each from the "
            f"{self._context_samples:,} before it; {steps:,} steps are {passes:,.3g} passes over the pairs"
        ]

    def batch(self, step: int, part: Part = ALL) -> PairBatch:
        """The batch of a step, 0 or more, or a part of it; the same for the same seed and step, always."""
        numbers = part.of(step * self._batch_size + np.arange(self._batch_size))
        windows = [self._window(*divmod(int(number), len(self._pair))) for number in numbers]
        rng = np.random.default_rng([self._seed % 2**32, 0, step])
        places = part.of(rng.random(self._batch_size))
        rows = [self._cut(window, place) for window, place in zip(windows, places, strict=True)]
        dry, wet = (np.stack(part)[..., None] for part in zip(*rows, strict=True))
        settings = [self._pairs[self._pair[window]].knobs for window in windows]
        knobs = {
            name: np.array([item[name] for item in settings], np.float32) for name in settings[0]
        }
        return PairBatch(dry, wet, knobs)

    def _window(self, number_of_pass: int, place: int) -> int:
        rng = np.random.default_rng([self._seed % 2**32, 1, number_of_pass])
        return int(rng.permutation(len(self._pair))[place])

    def _cut(self, window: int, place: float) -> tuple[np.ndarray, np.ndarray]:
        pair = self._pairs[self._pair[window]]
        begin = int(self._begin[window] + place * self._stretch[window])
        context, size = self._context_samples, self._window_size
        return crop(pair.dry, begin - context, context + size), pair.wet[begin : begin + size]
