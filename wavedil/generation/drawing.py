"""The loop that draws: slots side by side, sample by sample, each layer with the few samples it needs."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from wavedil.generation.slots import Timeline, assign_slots, timeline
from wavedil.generation.step import Loop, rings_of, step_function
from wavedil.models.compilation import compiled
from wavedil.models.wavenet import WaveNet

# Samples drawn by one call of the compiled loop: often enough for a progress bar, rarely enough not to be felt.
_CHUNK = 1000


@dataclasses.dataclass(frozen=True)
class Sounds:
    """The sounds to draw.

    Attributes:
      num_samples: Samples of each.
      keys: [sounds]; sample t of sound i is drawn with `fold_in(keys[i], t)`, whatever slot it is in.
      labels: Rows of each label, [sounds].
      features: Those of each sound, where the model takes them: a frame for every `hop` samples.
      before: Codes [sounds, time] that come before, at least one; silence where nothing does.
    """

    num_samples: Sequence[int]
    keys: PRNGKeyArray
    labels: dict[str, Array]
    features: Sequence[Float[np.ndarray, "frames features"]] | None
    before: Int[Array, "sounds time"]


class _Chunk(NamedTuple):
    """The draws of one call of the loop in every slot."""

    keys: PRNGKeyArray
    """[slots, frames]"""
    times: Int[Array, "slots time"]
    """The number of each sample in its sound."""
    labels: dict[str, Int[Array, " slots*frames"]]
    windows: Float[Array, "slots frames width features"] | None
    """Each frame of features with its context."""
    age: Int[Array, "slots time"] | None
    """`times`, where slots draw one sound after the other; None where each draws one."""


def draw(
    model: WaveNet,
    sounds: Sounds,
    num_slots: int,
    temperature: float,
    progress: Callable[[int, int], None] | None,
) -> Int[np.ndarray, "sounds time"]:
    """The codes of each sound, silence after its end; n sounds in n slots are one sound a slot."""
    local = model.config.local_conditioning
    longest = max(sounds.num_samples)
    hop = min(longest, _CHUNK) if local is None else local.sizes[1]
    lengths = [-(-count // hop) for count in sounds.num_samples]
    slots = assign_slots(lengths, num_slots)
    frames, starts = timeline(slots, lengths)
    several = any(len(slot) > 1 for slot in slots)
    windows = None if local is None else _Windows(sounds.features or (), local.lookaround_frames)
    loop = _absorb(model, sounds, slots)
    draw_chunk = compiled(_draw, model, donate=(0,))
    total = max(sum(sounds.num_samples[sound] for sound in slot) for slot in slots)
    num_frames = frames.sound.shape[1]
    per_call = min(num_frames, max(1, _CHUNK // hop))
    drawn: list[np.ndarray] = []
    for start in range(0, num_frames, per_call):
        chunk = _chunk(sounds, frames.part(start, per_call), hop, windows, several)
        loop, codes = draw_chunk(loop, chunk, temperature)
        drawn.append(np.asarray(codes).T)
        if progress is not None:
            progress(min((start + per_call) * hop, total), total)
    codes = np.concatenate(drawn, axis=1)
    out = np.full((len(lengths), longest), model.config.quantizer.silence)
    for sound, ((slot, start), count) in enumerate(zip(starts, sounds.num_samples, strict=True)):
        out[sound, :count] = codes[slot, start * hop : start * hop + count]
    return out


def _chunk(
    sounds: Sounds, frames: Timeline, hop: int, windows: "_Windows | None", several: bool
) -> _Chunk:
    times = jnp.asarray(
        (frames.frame[:, :, None] * hop + np.arange(hop)).reshape(len(frames.frame), -1)
    )
    return _Chunk(
        keys=sounds.keys[frames.sound],
        times=times,
        labels={name: rows[frames.sound.ravel()] for name, rows in sounds.labels.items()},
        windows=None if windows is None else windows.of(frames),
        age=times if several else None,
    )


class _Windows:
    """Each frame with its context, zero beyond its sound."""

    def __init__(self, features: Sequence[np.ndarray], context: int) -> None:
        padded = [np.pad(frames, ((context, context), (0, 0))) for frames in features]
        self._all = np.concatenate(padded).astype(np.float32)
        self._first = np.cumsum([0, *map(len, padded[:-1])])
        self._width = 2 * context + 1

    def of(self, frames: Timeline) -> Float[Array, "slots frames width features"]:
        first = self._first[frames.sound] + frames.frame
        return jnp.asarray(self._all[first[..., None] + np.arange(self._width)])


def _absorb(model: WaveNet, sounds: Sounds, slots: list[list[int]]) -> Loop:
    """The loop after the codes before the first sound of each slot."""
    first = np.array([slot[0] for slot in slots])
    before = sounds.before[first]
    labels = {name: rows[first] for name, rows in sounds.labels.items()}
    rings = compiled(_rings_after, model)(before[:, :-1], labels)
    return Loop(rings, jnp.zeros((), jnp.int32), before[:, -1])


def _rings_after(model: WaveNet, codes: Array, labels: dict[str, Array]) -> dict[str, Any]:
    state = model.init_state(codes.shape[0])
    if codes.shape[1]:
        _, state = model.step(codes, state, labels)
    return rings_of(model, state)


def _draw(
    model: WaveNet, loop: Loop, chunk: _Chunk, temperature: Array
) -> tuple[Loop, Int[Array, "time slots"]]:
    """The codes of one chunk."""
    num_slots, num_samples = chunk.times.shape
    num_frames = chunk.keys.shape[1]
    hop = num_samples // num_frames
    conditioning, local = model.conditioning, None
    if chunk.windows is None:
        condition = conditioning(num_slots, chunk.labels)
    else:
        # Every frame by itself: neighbours in a slot may be of two sounds.
        windows = chunk.windows.reshape(-1, *chunk.windows.shape[2:])
        features = conditioning.upsample(windows, hop)
        condition = conditioning(num_slots * num_frames, chunk.labels, features)
        assert condition is not None
        local = condition.reshape(num_slots, num_samples, -1).swapaxes(0, 1)
    step = step_function(model, condition, chunk.windows is not None)
    sample = jax.vmap(model.distribution.sample, (0, 0, None))
    # All keys at once: inside the loop they would cost more than the draws.
    keys = jax.vmap(jax.vmap(jax.random.fold_in))(jnp.repeat(chunk.keys, hop, axis=1), chunk.times)
    age = None if chunk.age is None else chunk.age.T

    def body(loop: Loop, now: tuple[PRNGKeyArray, Any, Any]) -> tuple[Loop, Array]:
        keys, local, age = now
        silence = model.config.quantizer.silence
        before = loop.code if age is None else jnp.where(age == 0, silence, loop.code)
        parameters, rings = step(before, loop.rings, loop.position, local, age)
        code = sample(keys, parameters, temperature)
        return Loop(rings, loop.position + 1, code), code

    return lax.scan(body, loop, (keys.T, local, age))
