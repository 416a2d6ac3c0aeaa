"""Nats of the frames of recordings under a FeatureNet, and under one Gaussian."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wavedil.data.recording import Recording
from wavedil.evaluation.batches import by_length
from wavedil.labels import Vocabulary
from wavedil.models.compilation import compiled_over_devices
from wavedil.models.feature_net import FeatureNet
from wavedil.models.feature_net_config import FeatureNetConfig

# The lengths that sounds are padded to are powers of two from here on, so that few are compiled.
_SHORTEST = 32
_BATCH_SIZE = 8


def frame_nats(
    model: FeatureNet,
    recordings: Sequence[Recording],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Float[np.ndarray, " recordings"], Float[np.ndarray, " recordings"]]:
    """Minus log-density of each recording's frames, those of its length included, and how many frames there are.

    Densities are those of the frames as `config.encode` makes them, so that nats compare between models of the same
    features and recordings.

    Args:
      model: A FeatureNet.
      recordings: With their features.
      progress: Called with the recordings that are done, and their number.
    """
    config, nats = model.config, compiled_over_devices(_nats, model, _axes, _BATCH_SIZE)
    values = Vocabulary(config.labels).rows_of([item.labels for item in recordings])
    sums, weights = np.zeros(len(recordings)), np.zeros(len(recordings))
    done = 0
    batches = by_length(
        [0 if item.features is None else len(item.features) for item in recordings],
        lambda row: frames_of(config, recordings[row]),
        batch_size=_BATCH_SIZE,
        shortest=_SHORTEST,
    )
    for rows, frames, there in batches:
        labels = {name: np.resize(of_all[rows], _BATCH_SIZE) for name, of_all in values.items()}
        found = np.asarray(nats(frames, there, labels))
        for row, of_frames in zip(rows, found, strict=False):
            scored = scored_frames(config, recordings[row])
            sums[row] = np.sum(of_frames[: len(scored)][scored], dtype=np.float64)
            weights[row] = np.count_nonzero(scored)
        done += len(rows)
        if progress is not None:
            progress(done, len(recordings))
    return sums, weights


def gaussian_nats(config: FeatureNetConfig, recordings: Sequence[Recording]) -> float:
    """Mean nats of a frame under one Gaussian of the training frames, each number by itself; of the frames alone."""
    each = []
    for item in recordings:
        frames = frames_of(config, item)[scored_frames(config, item)].astype(np.float64)
        each.append(np.sum(0.5 * (frames**2 + np.log(2 * np.pi)), axis=1))
    return float(np.mean(np.concatenate(each)))


def frames_of(config: FeatureNetConfig, item: Recording) -> np.ndarray:
    """The frames of a recording, as they enter."""
    assert item.features is not None
    return config.encode(item.features)


def scored_frames(config: FeatureNetConfig, item: Recording) -> np.ndarray:
    """Which of a recording's frames begin among the samples that are scored."""
    first, end = item.scored or (0, item.num_samples)
    assert item.features is not None
    starts = config.hop * np.arange(len(item.features))
    return (starts >= first) & (starts < end)


def _axes(frames: Any, there: Any, labels: Any) -> Any:
    return (0, 0, 0), 0


def _nats(model: FeatureNet, frames: Array, there: Array, labels: dict[str, Array]) -> Array:
    return -model.log_prob(jnp.asarray(frames), labels, there=there)
