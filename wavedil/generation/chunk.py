"""What is drawn by one call of a loop: the sounds, and one chunk of them in every slot."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from wavedil.models.wavenet import WaveNet


@dataclasses.dataclass(frozen=True)
class Sounds:
    """The sounds to draw.

    Attributes:
      num_samples: Samples of each.
      keys: [sounds]; sample t of sound i is drawn with `fold_in(keys[i], t)`, whatever slot it is in.
      labels: Rows of each label, [sounds].
      features: Those of each sound, where the model takes them: a frame for every `hop` samples.
      before: Codes [sounds, time] that come before, at least one; silence where nothing does.
      temperature: Of the draws where a sound is not voiced, or nothing says whether it is.
      voiced_temperature: Where it is voiced; in between, of a voicing in between.
    """

    num_samples: Sequence[int]
    keys: PRNGKeyArray
    labels: dict[str, np.ndarray]
    features: Sequence[Float[np.ndarray, "frames features"]] | None
    before: Int[np.ndarray, "sounds time"]
    temperature: float
    voiced_temperature: float


class Chunk(NamedTuple):
    """The draws of one call of the loop in every slot: arrays of NumPy, of JAX where it is compiled."""

    keys: PRNGKeyArray
    """[slots, frames]"""
    times: Any
    """[slots, time]: the number of each sample in its sound; negative before it."""
    given: Any
    """[slots, time]: the code of each sample that is not drawn; BEYOND for those that are."""
    temperature: Any
    """[slots, time]: of the draw of each sample."""
    labels: dict[str, Any]
    """[slots*frames] each."""
    windows: Any
    """[slots, frames, width, features]: each frame with its context; None of a model without features."""
    age: Any
    """`times`, where slots draw one sound after the other; None where each draws one."""


def condition_of(model: WaveNet, chunk: Chunk) -> tuple[Array | None, bool]:
    """What samples are conditioned on, [slots, time or 1, channels], and whether it differs from one to the next."""
    num_slots, num_samples = chunk.times.shape
    count = chunk.keys.shape[1]
    if chunk.windows is None:
        return model.conditioning(num_slots, chunk.labels), False
    # Every frame by itself: neighbours in a slot may be of two sounds.
    windows = chunk.windows.reshape(-1, *chunk.windows.shape[2:])
    features = model.conditioning.upsample(windows, num_samples // count)
    condition = model.conditioning(num_slots * count, chunk.labels, features)
    assert condition is not None
    return condition.reshape(num_slots, num_samples, -1), True


def signals_of(model: WaveNet, chunk: Chunk) -> tuple[Array | None, Array | None, Array | None]:
    """Dilation and voicing of every sample [time, slots], of a model that follows the pitch, and the coefficients of
    the linear prediction [time, slots, order] of a model that sees one.
    """
    if chunk.windows is None:
        return None, None, None
    num_slots, num_samples = chunk.times.shape
    windows = chunk.windows.reshape(-1, *chunk.windows.shape[2:])
    hop = num_samples // chunk.keys.shape[1]
    signals = *model.conditioning.pitch(windows, hop), model.conditioning.predictor(windows, hop)
    dilation, voicing, predictor = (
        None
        if signal is None
        else signal.reshape(num_slots, num_samples, *signal.shape[2:]).swapaxes(0, 1)
        for signal in signals
    )
    return dilation, voicing, predictor


def keys_of(chunk: Chunk) -> PRNGKeyArray:
    """The key of every sample [slots, time]: all at once, since inside a loop they would cost more than the draws."""
    hop = chunk.times.shape[1] // chunk.keys.shape[1]
    fold_in = jax.vmap(jax.vmap(jax.random.fold_in))
    return fold_in(jnp.repeat(chunk.keys, hop, axis=1), chunk.times)
