"""Nats of the frames of recordings under a FeatureNet, and under one Gaussian."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wavedil.data.recording import Recording
from wavedil.frames import crop
from wavedil.labels import Vocabulary
from wavedil.models.compilation import compiled
from wavedil.models.feature_net import FeatureNet
from wavedil.models.feature_net_config import FeatureNetConfig

# The lengths that sounds are padded to are powers of two from here on, so that few are compiled.
_SHORTEST = 32


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
    config, nats = model.config, compiled(_nats, model)
    rows = Vocabulary(config.labels).rows_of([item.labels for item in recordings])
    sums, weights = np.zeros(len(recordings)), np.zeros(len(recordings))
    for index, item in enumerate(recordings):
        frames = frames_of(config, item)
        length = max(_SHORTEST, 1 << (len(frames) - 1).bit_length())
        labels = {name: found[index : index + 1] for name, found in rows.items()}
        there = np.arange(length) < len(frames)
        found = np.asarray(nats(crop(frames, 0, length)[None], there[None], labels))
        scored = scored_frames(config, item)
        sums[index] = np.sum(found[0, : len(frames)][scored], dtype=np.float64)
        weights[index] = np.count_nonzero(scored)
        if progress is not None:
            progress(index + 1, len(recordings))
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


def _nats(model: FeatureNet, frames: Array, there: Array, labels: dict[str, Array]) -> Array:
    return -model.log_prob(jnp.asarray(frames), labels, there=there)
