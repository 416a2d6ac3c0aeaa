"""Bits of whole recordings, in streamed blocks with the state carried over."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from wavedil.data.corpus import Recording
from wavedil.errors import UserError
from wavedil.evaluation.scores import Totals
from wavedil.frames import crop, num_frames
from wavedil.generation.latents import as_vocoder
from wavedil.labels import Vocabulary
from wavedil.models.compilation import compiled
from wavedil.models.registry import Model
from wavedil.models.wavenet import WaveNet


def bits(
    model: Model,
    recordings: Sequence[Recording],
    *,
    batch_size: int = 8,
    block_size: int = 2048,
    progress: Callable[[int, int], None] | None = None,
) -> Totals:
    """Bits of every sample of every recording, each from its first sample on.

        bits = -sum over all samples of log2 p(x[t] | samples before t)

    Recordings of similar length go through the model side by side, block by
    block; the state carried over makes the result that of one pass over each.

    Args:
      model: A WaveNet; or an autoencoder, whose decoder is conditioned on the latents of each recording.
      recordings: Whole recordings of the model's quantizer and rate, with its features; at least one.
      batch_size: Recordings side by side.
      block_size: Samples of a block; of a model that takes features, rounded up to complete frames.
      progress: Called with the samples scored so far and in all.

    Returns:
      Bits and samples of each recording, [recordings] each.

    Raises:
      UserError: If there is no recording, or one lacks the features that the model takes.
    """
    if not recordings:
        raise UserError("there are 0 recordings to score; give at least 1")
    model, recordings = as_vocoder(model, recordings)
    local = model.config.local_conditioning
    if local is not None:
        for recording in recordings:
            local.require(recording.features, f"features of {recording.path}")
            local.require_length(recording.features, recording.num_samples, recording.path)
        block_size = local.sizes[1] * num_frames(block_size, local.sizes[1])
    score = compiled(_score_block, model, donate=(4,))
    order = sorted(range(len(recordings)), key=lambda i: -recordings[i].num_samples)
    num_samples = np.array([recording.num_samples for recording in recordings], np.float64)
    nats, done = np.zeros(len(recordings)), 0
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        group = [recordings[row] for row in rows]
        nats[rows] = _score_group(score, model, group, batch_size, block_size)[: len(rows)]
        done += int(num_samples[rows].sum())
        if progress is not None:
            progress(done, int(num_samples.sum()))
    return nats / np.log(2.0), num_samples


def _score_group(
    score: Callable[..., Any],
    model: WaveNet,
    group: Sequence[Recording],
    batch_size: int,
    block_size: int,
) -> np.ndarray:
    """Nats of each recording of the group, in double precision over the blocks."""
    num_blocks = num_frames(max(recording.num_samples for recording in group), block_size)
    silence = model.config.quantizer.silence
    # One row more at the front: the silence before the first sample. Rows and samples that are not there are masked.
    codes = np.full((batch_size, 1 + num_blocks * block_size), silence, np.int32)
    mask = np.zeros((batch_size, num_blocks * block_size), np.float32)
    for row, recording in enumerate(group):
        codes[row, 1 : 1 + recording.num_samples] = recording.codes
        mask[row, : recording.num_samples] = 1.0
    absent: list[Mapping[str, str]] = [{}] * (batch_size - len(group))
    labels = Vocabulary(model.config.labels).rows_of([item.labels for item in group] + absent)
    state = model.init_state(batch_size)
    totals = np.zeros(batch_size)
    for start in range(0, num_blocks * block_size, block_size):
        block = codes[:, start : start + block_size + 1]
        counted = mask[:, start : start + block_size]
        features = _features(model, group, batch_size, start, block_size)
        sums, state = score(block, counted, labels, features, state)
        totals -= np.asarray(sums, np.float64)
    return totals


def _features(
    model: WaveNet, group: Sequence[Recording], batch_size: int, start: int, num_samples: int
) -> np.ndarray | None:
    """The frames of samples `start ..` of each recording, with their context; None for a model without features."""
    local = model.config.local_conditioning
    if local is None:
        return None
    num_features, hop = local.sizes
    first, count = (
        start // hop - local.lookaround_frames,
        num_samples // hop + 2 * local.lookaround_frames,
    )
    frames = np.zeros((batch_size, count, num_features), np.float32)
    for row, recording in enumerate(group):
        assert recording.features is not None
        frames[row] = crop(recording.features, first, count)
    return frames


def _score_block(
    model: WaveNet, codes: Array, mask: Array, labels: Any, features: Array | None, state: Any
) -> tuple[Array, Any]:
    local = None if features is None else model.conditioning.upsample(features, mask.shape[1])
    parameters, state = model.step(codes[:, :-1], state, labels, local)
    log_prob = model.distribution.log_prob(parameters, codes[:, 1:])
    return jnp.sum(log_prob * mask, axis=1), state
