"""A pair: a dry signal, and what an amp or effect made of it."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float32


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """One decoded pair, whose latency is taken out: sample t of the wet signal is that of sample t of the dry one.

    Attributes:
      path: Of the wet signal, as it is listed.
      dry, wet: Samples [time], as many of each, read-only.
      knobs: Name -> setting of the amp.
      scored: First sample, and the one after the last, of those that an evaluation scores; None: all.
    """

    features: ClassVar[None] = None
    """A recording may have features; a pair has none."""

    path: str
    dry: Float32[np.ndarray, " time"]
    wet: Float32[np.ndarray, " time"]
    knobs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    scored: tuple[int, int] | None = None

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What tells its sound from others."""
        return self.dry, self.wet

    @property
    def labels(self) -> dict[str, str]:
        """The settings as values of labels, for each of which there are scores."""
        return {name: f"{value:.9g}" for name, value in self.knobs.items()}

    @property
    def num_samples(self) -> int:
        """Samples of each signal."""
        return self.dry.size

    @property
    def num_scored(self) -> int:
        """Samples that an evaluation scores."""
        first, end = self.scored or (0, self.num_samples)
        return end - first

    def part(self, first: int, end: int) -> "Pair":
        """The samples `first .. end - 1` as a pair of their own."""
        dry, wet = self.dry[first:end], self.wet[first:end]
        return dataclasses.replace(self, dry=dry, wet=wet, scored=None)
