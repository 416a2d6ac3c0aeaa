"""Sounds told by features: many, of different lengths, drawn in a few lanes.

A lane draws one sound after the other, so that short ones do not wait for the longest:

    lane 0  |------- a -------|---- d ----|
    lane 1  |------ b ------|------ c ------|

Where a sound ends in the middle of its lane, the next begins as if nothing had been before it.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from wavedil.errors import UserError
from wavedil.generation.step import Loop, Moment, rings_of, step_function
from wavedil.models.config import WaveNetConfig
from wavedil.models.wavenet import WaveNet

# Lanes unless the caller says: more do not draw faster on a CPU.
_MOST_LANES = 16
# Samples drawn by one call of the compiled loop, in whole frames.
_CHUNK = 1000


class Frames(NamedTuple):
    """Which frame of which sound each lane draws, frame by frame; a lane that is done draws any."""

    sound: Int[np.ndarray, "lanes frames"]
    frame: Int[np.ndarray, "lanes frames"]


class _Told(NamedTuple):
    """What is drawn in every lane, frame by frame."""

    windows: Float[Array, "lanes frames width features"]
    labels: dict[str, Int[Array, " lanes*frames"]]
    keys: PRNGKeyArray
    frame: Int[Array, "lanes frames"]


def draw_sounds(
    model: WaveNet,
    keys: PRNGKeyArray,
    features: Sequence[Float[np.ndarray, "frames features"]],
    labels: dict[str, Array],
    temperature: float,
    num_lanes: int | None,
    progress: Callable[[int, int], None] | None,
) -> Int[np.ndarray, "sounds time"]:
    """The codes of each sound, `hop` of them for each of its frames; silence after its end.

    Sample t of sound i is drawn with `fold_in(keys[i], t)`, whatever lane it is in and whatever was there before.
    """
    local = model.config.local
    assert local is not None
    if num_lanes is not None and num_lanes < 1:
        raise UserError(f"batch_size is {num_lanes}, but it must be at least 1")
    lengths = [len(frames) for frames in features]
    lanes = assign_lanes(lengths, num_lanes or fitting_lanes(lengths))
    frames, starts = _timeline(lanes, lengths)
    windows = _Windows(features, local.context_frames)
    graph, weights = nnx.split(model)
    state = model.init_state(len(lanes))
    silence = jnp.full(len(lanes), model.config.grid.silence, jnp.int32)
    loop = Loop(rings_of(model, state), jnp.zeros((), jnp.int32), silence)
    num_frames = frames.sound.shape[1]
    chunk = min(num_frames, max(1, _CHUNK // local.hop))
    frames = _padded(frames, chunk)
    drawn: list[np.ndarray] = []
    for start in range(0, num_frames, chunk):
        now = Frames(*(part[:, start : start + chunk] for part in frames))
        rows = {name: indices[now.sound.ravel()] for name, indices in labels.items()}
        told = _Told(windows.of(now), rows, keys[now.sound], jnp.asarray(now.frame))
        loop, codes = _draw_frames(graph, weights, temperature, loop, told)
        drawn.append(np.asarray(codes).T)
        if progress is not None:
            progress(min(start + chunk, num_frames) * local.hop, num_frames * local.hop)
    codes = np.concatenate(drawn, axis=1)
    sounds = np.full((len(lengths), max(lengths) * local.hop), model.config.grid.silence)
    for sound, ((lane, start), length) in enumerate(zip(starts, lengths, strict=True)):
        end = (start + length) * local.hop
        sounds[sound, : length * local.hop] = codes[lane, start * local.hop : end]
    return sounds


def feature_arrays(features: Any, config: WaveNetConfig) -> list[np.ndarray]:
    """The features of each sound.

    Raises:
      UserError: If there are none, or they are not the model's.
    """
    assert config.local is not None
    one = hasattr(features, "ndim") and features.ndim < 3
    sounds = [np.asarray(frames) for frames in ([features] if one else features)]
    if not sounds:
        raise UserError("there are features of 0 sounds; give those of at least 1")
    for number, frames in enumerate(sounds):
        config.local.require(frames, "features" if one else f"features of sound {number}")
    return sounds


def fitting_lanes(lengths: Sequence[int]) -> int:
    """As many lanes as are done soonest.

    A step of n lanes takes about (2 + n) times what each lane adds to it, and there are as many steps as the
    longest lane has frames.
    """

    def cost(num_lanes: int) -> int:
        lanes = assign_lanes(lengths, num_lanes)
        return (2 + num_lanes) * max(sum(lengths[sound] for sound in lane) for lane in lanes)

    return min(range(1, min(_MOST_LANES, len(lengths)) + 1), key=cost)


def assign_lanes(lengths: Sequence[int], num_lanes: int) -> list[list[int]]:
    """The sounds of each lane in turn: the longest first, each onto the lane that is free first."""
    lanes: list[list[int]] = [[] for _ in range(min(num_lanes, len(lengths)))]
    ends = [0] * len(lanes)
    for sound in sorted(range(len(lengths)), key=lambda sound: -lengths[sound]):
        lane = ends.index(min(ends))
        lanes[lane].append(sound)
        ends[lane] += lengths[sound]
    return lanes


def _timeline(
    lanes: list[list[int]], lengths: Sequence[int]
) -> tuple[Frames, list[tuple[int, int]]]:
    """What every lane draws, and the lane and first frame of each sound."""
    num_frames = max(sum(lengths[sound] for sound in lane) for lane in lanes)
    sounds = np.zeros((len(lanes), num_frames), np.int32)
    numbers = np.zeros_like(sounds)
    starts = [(0, 0)] * len(lengths)
    for row, lane in enumerate(lanes):
        start = 0
        for sound in lane:
            end = start + lengths[sound]
            sounds[row, start:end] = sound
            numbers[row, start:end] = np.arange(lengths[sound])
            starts[sound] = (row, start)
            start = end
    return Frames(sounds, numbers), starts


def _padded(frames: Frames, chunk: int) -> Frames:
    """Whole chunks; what is beyond the end draws the first frame again."""
    missing = -frames.sound.shape[1] % chunk
    return Frames(*(np.pad(part, ((0, 0), (0, missing))) for part in frames))


class _Windows:
    """Each frame with its context, zero beyond its sound."""

    def __init__(self, features: Sequence[np.ndarray], context: int) -> None:
        padded = [np.pad(frames, ((context, context), (0, 0))) for frames in features]
        self._all = np.concatenate(padded).astype(np.float32)
        self._first = np.cumsum([0, *map(len, padded[:-1])])
        self._width = 2 * context + 1

    def of(self, frames: Frames) -> Float[Array, "lanes frames width features"]:
        first = self._first[frames.sound] + frames.frame
        return jnp.asarray(self._all[first[..., None] + np.arange(self._width)])


@functools.partial(jax.jit, static_argnums=0, donate_argnums=3)
def _draw_frames(
    graph: Any, weights: Any, temperature: Array, loop: Loop, told: _Told
) -> tuple[Loop, Int[Array, "time lanes"]]:
    """The codes of some frames in every lane."""
    model: WaveNet = nnx.merge(graph, weights)
    assert model.config.local is not None
    hop = model.config.local.hop
    num_lanes, num_frames = told.frame.shape
    # Every frame by itself: neighbours in a lane may be of two sounds.
    windows = told.windows.reshape(-1, *told.windows.shape[2:])
    condition = model.condition(num_lanes * num_frames, told.labels, model.upsample(windows, hop))
    assert condition is not None
    step = step_function(model, condition, local=True)
    sample = jax.vmap(model.distribution.sample, (0, 0, None))
    age = (told.frame[:, :, None] * hop + jnp.arange(hop)).reshape(num_lanes, -1)
    # All keys at once: inside the loop they would cost more than the draws.
    keys = jax.vmap(jax.vmap(jax.random.fold_in))(jnp.repeat(told.keys, hop, axis=1), age)
    local = condition.reshape(num_lanes, num_frames * hop, -1)

    def body(loop: Loop, now: tuple[PRNGKeyArray, Moment]) -> tuple[Loop, Array]:
        keys, moment = now
        before = jnp.where(moment.age == 0, model.config.grid.silence, loop.code)
        parameters, rings = step(before, loop.rings, loop.position, moment)
        code = sample(keys, parameters, temperature)
        return Loop(rings, loop.position + 1, code), code

    return lax.scan(body, loop, (keys.T, Moment(local.swapaxes(0, 1), age.T)))
