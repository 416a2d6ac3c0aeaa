"""Scores: sums and weights of a metric, over all recordings and over those that share a label."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wavedil.labels import Vocabulary

Totals = tuple[Any, Any]
"""Sum and weight of a metric: two numbers, or two arrays with one number for each recording."""

UNLABELLED = "(none)"
"""Stands for the value of a label that a recording lacks."""


class Scores(dict[str, float]):
    """The mean of each metric over recordings, by its name.

    Attributes:
      num_samples, num_recordings: Of what was scored.
      by_label: Label -> value -> the scores of the recordings that have it; those that lack the label are under
        "(none)", after the others. Empty where the metrics are sums over all recordings.
    """

    def __init__(self, metrics: Mapping[str, Totals], recordings: Sequence[Any]) -> None:
        super().__init__(means(metrics))
        self.num_recordings = len(recordings)
        self.num_samples = sum(recording.num_scored for recording in recordings)
        self._metrics, self._recordings = metrics, recordings
        self._each = all(np.ndim(weight) for _, weight in metrics.values())
        self.by_label = self._by_label() if self._each else {}

    def share(self, chosen: Sequence[int]) -> "Scores | None":
        """The scores of some of the recordings; None where the metrics are sums over all of them.

        Args:
          chosen: Which.
        """
        if not self._each:
            return None
        sums = {
            metric: (np.sum(np.asarray(total)[chosen]), np.sum(np.asarray(weight)[chosen]))
            for metric, (total, weight) in self._metrics.items()
        }
        # Sums, so that they are not shared out again.
        return Scores(sums, [self._recordings[i] for i in chosen])

    def _by_label(self) -> "dict[str, dict[str, Scores]]":
        labelled = [recording.labels for recording in self._recordings]
        names = sorted({name for labels in labelled for name in labels})
        return {
            name: {
                value: scores
                for value in (*values, UNLABELLED)
                if (scores := self._of_value(name, value)).num_recordings
            }
            for name, values in Vocabulary.of(labelled, names).items()
        }

    def _of_value(self, name: str, value: str) -> "Scores":
        labels = [item.labels.get(name, UNLABELLED) for item in self._recordings]
        scores = self.share([i for i, found in enumerate(labels) if found == value])
        assert scores is not None
        return scores


def means(metrics: Mapping[str, Totals]) -> dict[str, float]:
    """Sum over weight of each metric; nan where nothing was weighed."""
    summed = {
        name: (float(np.sum(total, dtype=np.float64)), float(np.sum(weight, dtype=np.float64)))
        for name, (total, weight) in metrics.items()
    }
    return {name: total / weight if weight else np.nan for name, (total, weight) in summed.items()}
