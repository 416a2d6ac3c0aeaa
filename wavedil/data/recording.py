"""A recording: its codes, labels and features."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, UInt


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Recording:
    """One decoded recording.

    Attributes:
      path: Relative to the corpus folder, or as the manifest gives it.
      codes: Codes [time] of the corpus's quantizer, read-only; those in shards are read when they are sliced.
      labels: Name -> value; a label that the file lacks is absent.
      features: [frames, features], frame i of samples `i hop .. (i + 1) hop - 1`, read-only; None
        where the corpus has none.
      scored: First sample, and the one after the last, of those that an evaluation scores; None: all.
    """

    path: str
    codes: UInt[np.ndarray, " time"]
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    features: Float32[np.ndarray, "frames features"] | None = None
    scored: tuple[int, int] | None = None

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What tells its sound from others."""
        return (self.codes,)

    @property
    def num_samples(self) -> int:
        """Samples of the recording."""
        return self.codes.size

    @property
    def num_scored(self) -> int:
        """Samples that an evaluation scores."""
        first, end = self.scored or (0, self.num_samples)
        return end - first

    def part(self, first: int, end: int, hop: int | None) -> "Recording":
        """The samples `first .. end - 1` as a recording of their own.

        Args:
          first: Sample; with features, that of a frame.
          end: The sample after the last.
          hop: Samples of a frame of the features; None without features.
        """
        features = self.features
        if features is not None and hop is not None:
            features = features[first // hop : -(-end // hop)]
        return dataclasses.replace(
            self, codes=self.codes[first:end], features=features, scored=None
        )
