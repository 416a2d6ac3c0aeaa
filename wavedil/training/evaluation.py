"""Bits per sample of whole recordings, in streamed blocks with the state carried over."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array

from wavedil.data.corpus import Recording
from wavedil.data.labels import label_index, vocabulary
from wavedil.errors import UserError
from wavedil.features import num_frames
from wavedil.generation.encoding import as_vocoder
from wavedil.models.kinds import Model
from wavedil.models.local import LocalConfig
from wavedil.models.wavenet import WaveNet

# Stands for the value of a label that a recording lacks.
UNLABELLED = "(none)"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How well a model predicts recordings."""

    bits_per_sample: float
    """Mean over every sample of every recording."""
    num_samples: int
    num_files: int
    bits_per_file: Mapping[str, float]
    """Bits per sample of each recording, by its path."""


@dataclasses.dataclass(frozen=True)
class Share:
    """How well the recordings that share a label are predicted."""

    bits_per_sample: float
    """Mean over every sample of them."""
    num_samples: int
    num_files: int


def bits_per_label(
    evaluation: Evaluation, recordings: Sequence[Recording]
) -> dict[str, dict[str, Share]]:
    """Bits per sample of the recordings that share a label, by its name and value.

    Weighted by their samples, the values of a label average to the bits of all recordings.

    Args:
      evaluation: Of these recordings.
      recordings: Those that have no such label are under "(none)", after the others.
    """
    named = [recording.labels for recording in recordings]
    names = sorted({name for labels in named for name in labels})
    shares: dict[str, dict[str, Share]] = {}
    for name, values in vocabulary(named, names).items():
        groups = {
            value: [item for item in recordings if item.labels.get(name, UNLABELLED) == value]
            for value in (*values, UNLABELLED)
        }
        shares[name] = {
            value: _share(evaluation, group) for value, group in groups.items() if group
        }
    return shares


def _share(evaluation: Evaluation, recordings: Sequence[Recording]) -> Share:
    num_samples = sum(item.codes.size for item in recordings)
    bits = sum(evaluation.bits_per_file[item.path] * item.codes.size for item in recordings)
    return Share(bits / num_samples, num_samples, len(recordings))


def evaluate(
    model: Model,
    recordings: Sequence[Recording],
    *,
    batch_size: int = 8,
    block_size: int = 2048,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Scores every sample of every recording, each from its first sample on.

        bits per sample = -1/N sum over all samples of log2 p(x[t] | samples before t)

    Recordings of similar length go through the model side by side, block by
    block; the state carried over makes the result that of one pass over each.

    Args:
      model: A WaveNet; or an autoencoder, which is told the codes of each recording.
      recordings: Whole recordings at the model's levels, scale and rate, with its features; at least one.
      batch_size: Recordings side by side.
      block_size: Samples of a block; of a model that takes features, rounded up to whole frames.
      progress: Called with the samples scored so far and in all.

    Raises:
      UserError: If there is no recording, or one lacks the features that the model takes.
    """
    if not recordings:
        raise UserError("there are 0 recordings to score; give at least 1")
    model, recordings = as_vocoder(model, recordings)
    local = model.config.local
    if local is not None:
        for recording in recordings:
            local.require(recording.features, f"features of {recording.path}")
            local.require_length(recording.features, recording.codes.size, recording.path)
        block_size = local.hop * num_frames(block_size, local.hop)
    graph, weights = nnx.split(model)
    ordered = sorted(recordings, key=lambda recording: -recording.codes.size)
    num_samples = sum(recording.codes.size for recording in recordings)
    nats: list[float] = []
    done = 0
    for start in range(0, len(ordered), batch_size):
        group = ordered[start : start + batch_size]
        totals = _score_group(graph, weights, model, group, batch_size, block_size)
        nats += [float(total) for total in totals[: len(group)]]
        done += sum(recording.codes.size for recording in group)
        if progress is not None:
            progress(done, num_samples)
    per_file = {
        recording.path: total / np.log(2.0) / recording.codes.size
        for recording, total in zip(ordered, nats, strict=True)
    }
    return Evaluation(
        bits_per_sample=sum(nats) / np.log(2.0) / num_samples,
        num_samples=num_samples,
        num_files=len(recordings),
        bits_per_file={recording.path: per_file[recording.path] for recording in recordings},
    )


def choose_recordings(
    recordings: Sequence[Recording], seconds: float, sample_rate: int
) -> Sequence[Recording]:
    """Recordings spread over the list that hold about `seconds` of sound together, at least one."""
    total = sum(recording.codes.size for recording in recordings) / sample_rate
    every = max(1, round(total / max(seconds, 1e-9)))
    return recordings[:: min(every, len(recordings))]


def _score_group(
    graph: Any,
    weights: Any,
    model: WaveNet,
    group: Sequence[Recording],
    batch_size: int,
    block_size: int,
) -> np.ndarray:
    """Nats of each recording of the group, in double precision over the blocks."""
    num_blocks = -(-max(recording.codes.size for recording in group) // block_size)
    silence = model.config.grid.silence
    # One row more at the front: the silence before the first sample. Rows and samples that are not there are masked.
    codes = np.full((batch_size, 1 + num_blocks * block_size), silence, np.int32)
    mask = np.zeros((batch_size, num_blocks * block_size), np.float32)
    for row, recording in enumerate(group):
        codes[row, 1 : 1 + recording.codes.size] = recording.codes
        mask[row, : recording.codes.size] = 1.0
    labels = _label_rows(model, group, batch_size)
    features = _FeatureBlocks(model.config.local, group, batch_size, num_blocks * block_size)
    state = model.init_state(batch_size)
    totals = np.zeros(batch_size)
    for start in range(0, num_blocks * block_size, block_size):
        block = codes[:, start : start + block_size + 1]
        counted = mask[:, start : start + block_size]
        frames = features.block(start, block_size)
        sums, state = _score_block(graph, weights, block, counted, labels, frames, state)
        totals -= np.asarray(sums, np.float64)
    return totals


class _FeatureBlocks:
    """The features of a group of recordings side by side, zero beyond each."""

    def __init__(
        self,
        local: LocalConfig | None,
        group: Sequence[Recording],
        batch_size: int,
        num_samples: int,
    ) -> None:
        self.local = local
        if local is None:
            return
        context = local.context_frames
        shape = (batch_size, num_samples // local.hop + 2 * context, local.num_features)
        self.frames = np.zeros(shape, np.float32)
        for row, recording in enumerate(group):
            assert recording.features is not None
            self.frames[row, context : context + len(recording.features)] = recording.features

    def block(self, start: int, num_samples: int) -> np.ndarray | None:
        """The frames of samples `start ..`, with their context; None for a model without features."""
        if self.local is None:
            return None
        first, count = start // self.local.hop, num_samples // self.local.hop
        return self.frames[:, first : first + count + 2 * self.local.context_frames]


@functools.partial(jax.jit, static_argnums=0, donate_argnums=6)
def _score_block(
    graph: Any,
    weights: Any,
    codes: Array,
    mask: Array,
    labels: Any,
    features: Array | None,
    state: Any,
) -> tuple[Array, Any]:
    model: WaveNet = nnx.merge(graph, weights)
    local = None if features is None else model.upsample(features, mask.shape[1])
    parameters, state = model.step(codes[:, :-1], state, labels, local)
    log_prob = model.distribution.log_prob(parameters, codes[:, 1:])
    return jnp.sum(log_prob * mask, axis=1), state


def _label_rows(model: WaveNet, group: Sequence[Recording], batch_size: int) -> dict[str, Array]:
    """Label indices of the group; a label that a recording or the model lacks is unlabelled."""
    rows = {name: np.zeros(batch_size, np.int32) for name in model.config.labels}
    for name, values in model.config.labels.items():
        for row, recording in enumerate(group):
            rows[name][row] = label_index(recording.labels, name, values)
    return {name: jnp.asarray(row) for name, row in rows.items()}
