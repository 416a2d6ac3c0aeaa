"""Bits of recordings, in streamed blocks with the state carried over."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from wavedil.data.recording import Recording
from wavedil.errors import UserError
from wavedil.evaluation.scores import Totals
from wavedil.frames import crop, num_frames
from wavedil.generation.latents import as_vocoder
from wavedil.labels import Vocabulary
from wavedil.models.compilation import compiled_over_devices
from wavedil.models.registry import Model
from wavedil.models.wavenet import WaveNet

# Streams side by side on a device, and samples of a block. On a CPU a layer's signals then stay in the cache; an
# accelerator wants much at once.
_ON_CPU = 4, 512
_ON_ACCELERATOR = 32, 2048


class _Piece(NamedTuple):
    """Samples `first .. end - 1` of a recording, streamed from `start` on for their context."""

    recording: int
    start: int
    first: int
    end: int


def bits(
    model: Model,
    recordings: Sequence[Recording],
    *,
    batch_size: int | None = None,
    block_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Totals:
    """Bits of every sample of every recording, each from its first sample on.

        bits = -sum over all samples of log2 p(x[t] | samples before t)

    The field is finite, so a recording may be cut: each piece is streamed from as many samples before it as it
    depends on, and the result is that of one pass. So `batch_size` streams are busy whatever the lengths are, each
    with one piece after the other, block by block with the state carried over:

        stream 0    |-- context --|=========== piece of a long one ===========|
        stream 1    |====== short ======|====== short ======|-- context --|===

    Args:
      model: A WaveNet; or an autoencoder, whose decoder is conditioned on the latents of each recording.
      recordings: Recordings of the model's quantizer and rate, with its features; at least one. Of one with `scored`
        those samples alone.
      batch_size: Streams side by side; by default as many as suit the devices of this process, which share them.
      block_size: Samples of a block; of a model that takes features, rounded up to complete frames.
      progress: Called with the samples scored so far and in all. It may raise, to stop.

    Returns:
      Bits and samples of each recording, [recordings] each.

    Raises:
      UserError: If there is no recording, or one lacks the features that the model takes.
    """
    if not recordings:
        raise UserError("there are 0 recordings to score; give at least 1")
    if not isinstance(model, WaveNet):
        # Latents are worked out of all that is there.
        recordings = [_vicinity(recording, model) for recording in recordings]
    model, recordings = as_vocoder(model, recordings)
    local = model.config.local_conditioning
    if local is not None:
        for recording in recordings:
            local.require(recording.features, f"features of {recording.path}")
            local.require_length(recording.features, recording.num_samples, recording.path)
    defaults = _ON_CPU if jax.default_backend() == "cpu" else _ON_ACCELERATOR
    batch_size = batch_size or defaults[0] * jax.local_device_count()
    block_size = block_size or defaults[1]
    frame_size = model.config.frame_size
    block_size = frame_size * num_frames(block_size, frame_size)
    pieces = _pieces(recordings, batch_size, block_size, model)
    num_scored = np.array([recording.num_scored for recording in recordings], np.float64)
    nats, done = np.zeros(len(recordings)), 0
    for numbers, counts, sums in _stream(model, recordings, pieces, batch_size, block_size):
        np.subtract.at(nats, numbers, sums)
        if progress is not None and sum(counts):
            done += sum(counts)
            progress(done, int(num_scored.sum()))
    return nats / np.log(2.0), num_scored


def _vicinity(recording: Recording, model: Model) -> Recording:
    """The part of a recording that the scored samples depend on, and at most a frame more."""
    if recording.scored is None:
        return recording
    first, end = recording.scored
    frame_size, hop = model.config.frame_size, model.config.local_conditioning.hop
    margin = model.config.context_samples + model.config.lookaround_frames * hop
    start = max(0, first - margin) // frame_size * frame_size
    codes = recording.codes[start : end + margin + frame_size]
    return dataclasses.replace(recording, codes=codes, scored=(first - start, end - start))


def _pieces(
    recordings: Sequence[Recording], batch_size: int, block_size: int, model: WaveNet
) -> list[_Piece]:
    """All that is scored, cut where there are too few recordings to keep every stream busy; the longest first."""
    frame_size, context = model.config.frame_size, model.config.context_samples - 1
    total = sum(recording.num_scored for recording in recordings)
    size = block_size * num_frames(num_frames(total, batch_size), block_size)
    pieces = []
    for number, recording in enumerate(recordings):
        begin, end = recording.scored or (0, recording.num_samples)
        for first in range(begin, end, size):
            start = max(0, first - context) // frame_size * frame_size
            pieces.append(_Piece(number, start, first, min(first + size, end)))
    return sorted(pieces, key=lambda piece: piece.start - piece.end)


def _stream(
    model: WaveNet,
    recordings: Sequence[Recording],
    pieces: Sequence[_Piece],
    batch_size: int,
    block_size: int,
) -> Any:
    """Of every block of all streams: the recordings, how many samples count of each, and their log-likelihoods."""
    score = compiled_over_devices(_score_block, model, _axes, batch_size, donate=(5,))
    vocabulary = Vocabulary(model.config.labels)
    waiting = iter(pieces)
    streams: list[_Piece | None] = [None] * batch_size
    positions = [0] * batch_size
    state = model.init_state(batch_size)
    while True:
        fresh = np.zeros(batch_size, bool)
        for row, piece in enumerate(streams):
            if piece is None or positions[row] >= piece.end:
                streams[row] = piece = next(waiting, None)
                positions[row], fresh[row] = 0 if piece is None else piece.start, True
        busy = [(row, piece) for row, piece in enumerate(streams) if piece is not None]
        if not busy:
            return
        codes = np.full((batch_size, 1 + block_size), model.config.quantizer.silence, np.int32)
        mask = np.zeros((batch_size, block_size), np.float32)
        for row, piece in busy:
            at, recording = positions[row], recordings[piece.recording]
            codes[row] = crop(
                recording.codes, at - 1, 1 + block_size, model.config.quantizer.silence
            )
            mask[row, max(0, piece.first - at) : max(0, piece.end - at)] = 1.0
            positions[row] += block_size
        labels = vocabulary.rows_of(
            [{} if piece is None else recordings[piece.recording].labels for piece in streams]
        )
        features = _features(model, recordings, streams, positions, block_size)
        sums, state = score(codes, mask, fresh, labels, features, state)
        rows = [row for row, _ in busy]
        counts = mask.sum(axis=1).astype(int)
        numbers = [piece.recording for _, piece in busy]
        yield numbers, counts[rows].tolist(), np.asarray(sums, np.float64)[rows]


def _features(
    model: WaveNet,
    recordings: Sequence[Recording],
    streams: Sequence[_Piece | None],
    ends: Sequence[int],
    block_size: int,
) -> np.ndarray | None:
    """The frames of the block of each stream that ends there, with those around; None for a model without features."""
    local = model.config.local_conditioning
    if local is None:
        return None
    num_features, hop = local.sizes
    count = block_size // hop + 2 * local.lookaround_frames
    frames = np.zeros((len(streams), count, num_features), np.float32)
    for row, piece in enumerate(streams):
        if piece is not None:
            features = recordings[piece.recording].features
            assert features is not None
            first = (ends[row] - block_size) // hop - local.lookaround_frames
            frames[row] = crop(features, first, count)
    return frames


def _axes(codes: Any, mask: Any, fresh: Any, labels: Any, features: Any, state: Any) -> Any:
    # The phase of a context stack is that of all streams.
    of_state = jax.tree.map(lambda leaf: 0 if leaf.ndim else None, state)
    return (0, 0, 0, 0, 0, of_state), (0, of_state)


def _score_block(
    model: WaveNet,
    codes: Array,
    mask: Array,
    fresh: Array,
    labels: Any,
    features: Array | None,
    state: Any,
) -> tuple[Array, Any]:
    def begun_anew(leaf: Array, initial: Array) -> Array:
        # The phase of a context stack is that of all streams: zero wherever a block begins.
        return leaf if leaf.ndim == 0 else jnp.where(fresh[:, None, None], initial, leaf)

    state = jax.tree.map(begun_anew, state, model.init_state(codes.shape[0]))
    given = model.conditioning.of_features(features, mask.shape[1])
    parameters, state = model.step(codes[:, :-1], state, labels, *given)
    log_prob = model.distribution.log_prob(parameters, codes[:, 1:])
    return jnp.sum(log_prob * mask, axis=1), state
