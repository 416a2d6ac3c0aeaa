"""What a classifier says of sounds: of whole ones, of recordings, and of a stream block by block."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from wavedil.data.labelled_windows import rows_of, sequence_of
from wavedil.data.recording import Recording
from wavedil.errors import UserError, with_article
from wavedil.evaluation.batches import by_length
from wavedil.frames import num_frames
from wavedil.full_scale import within_full_scale
from wavedil.mel import mel, sizes
from wavedil.models.compilation import compiled, compiled_over_devices
from wavedil.models.tcn import TCN
from wavedil.models.tcn_config import TCNConfig

_BATCH_SIZE = 16
# The lengths that sequences are padded to are powers of two from here on, so that few are compiled.
_SHORTEST = 64


def classify(
    model: TCN,
    sounds: Float[np.ndarray, "sounds time"] | Sequence[Float[np.ndarray, " time"]],
) -> Float32[np.ndarray, "sounds values"]:
    """The probability of each value of its label that a classifier gives to sounds.

    Args:
      model: As `train` returns it or `load` reads it.
      sounds: Samples in [-1, 1] at `model.config.sample_rate`: an array with a sound in each row, as `synthesize` gives
        it, or a list of sounds of any lengths.

    Returns:
      A row for each sound, a column for each of `model.config.values`.

    Raises:
      UserError: If the model is no classifier, or a sound is empty, silent, shorter than a frame, not mono or beyond
        full scale.

    Example:
      spoken = classify(judge, synthesize(generator, labels={"digit": ["7", "3"]}))
      [judge.config.values[row] for row in spoken.argmax(axis=1)]          # ["7", "3"], if one hears them
    """
    require_classifier(model)
    return _probabilities(model, [_sequence(model.config, sound) for sound in sounds])


def probabilities(
    model: TCN,
    recordings: Sequence[Recording],
    progress: Callable[[int, int], None] | None = None,
) -> Float32[np.ndarray, "recordings values"]:
    """As `classify`, of recordings as they were read for the model.

    Args:
      model: A classifier.
      recordings: With their features, where the model takes any.
      progress: Called with the recordings that are done, and their number.
    """
    sequences = [sequence_of(item, model.config.quantizer) for item in recordings]
    return _probabilities(model, sequences, progress)


def confusion(
    model: TCN, recordings: Sequence[Recording], given: Float[np.ndarray, "recordings values"]
) -> Int[np.ndarray, "values values"]:
    """How often recordings of each value, a row, were given each value, a column."""
    config = model.config
    counts = np.zeros((len(config.values), len(config.values)), int)
    true = rows_of(recordings, config.target, config.values)
    known = true >= 0
    np.add.at(counts, (true[known], given.argmax(axis=1)[known]), 1)
    return counts


class Follower:
    """The answer of a classifier to a sound that comes block by block.

    After the last block it is that of `classify` to the whole.

    Args:
      model: A classifier.

    Raises:
      UserError: If it is none.

    Example:
      follower = Follower(model)
      for block in blocks:
          print(follower.push(block))
      print(follower.end())
    """

    def __init__(self, model: TCN) -> None:
        require_classifier(model)
        self._config = model.config
        self._step = compiled(_running, model)
        outputs = len(model.config.values)
        self._state: Any = (model.init_state(1), jnp.zeros((1, outputs)), jnp.zeros((), jnp.int32))
        self._samples, self._start, self._num_frames = np.zeros(0, np.float32), 0, 0
        self._is_limited = False
        self._probabilities: np.ndarray | None = None

    def push(self, block: Float[np.ndarray, " time"]) -> Float32[np.ndarray, " values"] | None:
        """The answer to what has come so far, this block included; None before the first frame is complete."""
        samples = within_full_scale(block, "samples of the block", warn=not self._is_limited)
        if samples.ndim != 1:
            raise UserError(
                f"the block has shape {list(samples.shape)}, but a sound is followed in mono blocks [time]"
            )
        self._is_limited |= bool((np.abs(np.asarray(block)) > 1).any())
        self._samples = np.concatenate([self._samples, samples])
        if self._config.mel is None:
            self._add(_sequence_of_samples(self._config, self._samples))
            self._samples = self._samples[:0]
            return self._probabilities
        _, fft_size, hop = sizes(self._config.mel)
        # Frame i reaches half of a transform beyond sample i hop; those that do not reach beyond the end are complete.
        end = self._start + len(self._samples)
        complete = max(0, (end - (fft_size + 1) // 2) // hop + 1)
        if complete > self._num_frames and len(self._samples) >= fft_size:
            self._add_frames(complete)
            self._keep_from(complete - num_frames(fft_size, hop) - 1)
        return self._probabilities

    def end(self) -> Float32[np.ndarray, " values"]:
        """The answer to the whole sound.

        Raises:
          UserError: If the sound is empty, or shorter than a frame.
        """
        if self._config.mel is not None:
            self._add_frames(
                num_frames(self._start + len(self._samples), sizes(self._config.mel)[2])
            )
        if self._probabilities is None:
            raise UserError("the sound has no samples; give it some")
        return self._probabilities

    def _add_frames(self, end: int) -> None:
        """Takes the frames up to one, of which all samples are there."""
        assert self._config.mel is not None
        first = self._start // sizes(self._config.mel)[2]
        frames = mel(self._samples, self._config.mel)
        self._add(frames[self._num_frames - first : end - first])
        self._num_frames = end

    def _keep_from(self, frame: int) -> None:
        """Forgets the samples before a frame."""
        hop = sizes(self._config.mel)[2]  # type: ignore[arg-type]
        dropped = max(0, frame * hop - self._start)
        self._samples, self._start = self._samples[dropped:], self._start + dropped

    def _add(self, sequence: np.ndarray) -> None:
        if len(sequence):
            self._state, found = self._step(sequence[None], self._state)
            self._probabilities = np.asarray(found[0])


def require_classifier(model: Any) -> None:
    """Refuses a model that predicts no label of a sound."""
    config = getattr(model, "config", None)
    if not isinstance(config, TCNConfig) or not config.target:
        name = getattr(config, "name", type(model).__name__)
        raise UserError(
            f"the model is {with_article(name)}, which predicts no label of a sound; give "
            "one that was trained for it: wavedil train --task classifier"
        )


def _sequence(config: TCNConfig, sound: Any) -> np.ndarray:
    """The frames, or samples, that a model is given of a sound."""
    samples = np.asarray(sound)
    if samples.ndim != 1:
        raise UserError(f"a sound has shape {list(samples.shape)}, but it must be mono [time]")
    if len(samples) == 0 or (samples == samples[0]).all():
        raise UserError(
            f"the sound is silent: its {len(samples)} samples are all the same; give one that can be heard"
        )
    return _sequence_of_samples(config, samples) if config.mel is None else mel(samples, config.mel)


def _sequence_of_samples(config: TCNConfig, samples: np.ndarray) -> np.ndarray:
    """Samples as a recording that is held as codes has them."""
    return config.quantizer.decode(config.quantizer.encode(samples))[:, None].astype(np.float32)


def _probabilities(
    model: TCN,
    sequences: Sequence[np.ndarray],
    progress: Callable[[int, int], None] | None = None,
) -> Float32[np.ndarray, "sequences values"]:
    answer = compiled_over_devices(_answer, model, _axes, _BATCH_SIZE)
    found = np.zeros((len(sequences), len(model.config.values)), np.float32)
    done = 0
    lengths, sequence = list(map(len, sequences)), sequences.__getitem__
    for rows, values, there in by_length(
        lengths, sequence, batch_size=_BATCH_SIZE, shortest=_SHORTEST
    ):
        found[rows] = answer(values, there)[: len(rows)]
        done += len(rows)
        if progress is not None:
            progress(done, len(sequences))
    return found


def _axes(x: Any, mask: Any) -> Any:
    return (0, 0), 0


def _answer(model: TCN, x: Array, mask: Array) -> Array:
    return jax.nn.softmax(model.logits(x, mask=mask))


def _running(model: TCN, x: Array, state: Any) -> tuple[Any, Array]:
    """The state after the next steps of a sequence, and the answer to all that have come."""
    layers, total, count = state
    y, layers = model.step(x, layers)
    total, count = total + jnp.sum(y, axis=1), count + y.shape[1]
    logits = y[:, -1] if model.config.pooling == "last" else total / count.astype(total.dtype)
    return (layers, total, count), jax.nn.softmax(logits)
