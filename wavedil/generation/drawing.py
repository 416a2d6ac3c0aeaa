"""The loop that draws: slots side by side, sample by sample, each layer with the few samples it needs."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from wavedil.errors import UserError
from wavedil.frames import BEYOND, num_frames
from wavedil.generation.slots import Timeline, assign_slots, timeline
from wavedil.generation.step import Loop, Now, rings_of, step_function
from wavedil.models.compilation import compiled
from wavedil.models.wavenet import WaveNet

# Samples drawn by one call of the compiled loop: often enough for a progress bar, rarely enough not to be felt. It is
# always as many, whatever is left to draw, because the loop is compiled anew for every other number.
_CHUNK = 1000


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while sounds were drawn.

    Attributes:
      codes: Those of each sound as far as it was drawn.
    """

    def __init__(self, codes: list[Int[np.ndarray, " time"]]) -> None:
        super().__init__()
        self.codes = codes


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
    labels: dict[str, np.ndarray]
    features: Sequence[Float[np.ndarray, "frames features"]] | None
    before: Int[np.ndarray, "sounds time"]


class _Chunk(NamedTuple):
    """The draws of one call of the loop in every slot: arrays of NumPy, of JAX where it is compiled."""

    keys: PRNGKeyArray
    """[slots, frames]"""
    times: Any
    """[slots, time]: the number of each sample in its sound; negative before it."""
    given: Any
    """[slots, time]: the code of each sample that is not drawn; BEYOND for those that are."""
    labels: dict[str, Any]
    """[slots*frames] each."""
    windows: Float[Array, "slots frames width features"] | None
    """Each frame of features with its context."""
    age: Any
    """`times`, where slots draw one sound after the other; None where each draws one."""


def draw(
    model: WaveNet,
    sounds: Sounds,
    num_slots: int,
    temperature: float,
    progress: Callable[[int, int], None] | None,
) -> list[Int[np.ndarray, " time"]]:
    """The codes of each sound; n sounds in n slots are one sound a slot.

    Raises:
      UserError: If the model gives NaN where a sample is to be drawn.
      Interrupted: On Ctrl-C, with what is drawn.
    """
    plan = _Plan(model, sounds, num_slots)
    drawn = [np.zeros((len(plan.slots), 0), np.int32)]
    try:
        loop = _absorb(model, sounds, plan.slots)
        draw_chunk = compiled(_draw, model, donate=(0,))
        for number in range(plan.num_chunks):
            chunk = plan.chunk(number)
            loop, codes = draw_chunk(loop, chunk, temperature)
            drawn.append(np.asarray(codes).T)
            plan.require_codes(number, chunk, drawn[-1])
            if progress is not None:
                progress(plan.done_after(number), plan.total)
    except KeyboardInterrupt:
        raise Interrupted(plan.cut(np.concatenate(drawn, axis=1))) from None
    return plan.cut(np.concatenate(drawn, axis=1))


class _Plan:
    """What is drawn where and when: chunk by chunk, in each slot one sound after the other.

    Chunks are all of one shape. What comes before a sound is absorbed in whole chunks; the rest of it leads its first
    chunk, at negative times, where codes are given rather than drawn:

        absorbed            | chunk 0                 | chunk 1 ...
        before 0 .. end     | before end + 1 ..  0  1 | 2  3 ...
    """

    def __init__(self, model: WaveNet, sounds: Sounds, num_slots: int) -> None:
        local = model.config.local_conditioning
        self.sounds = sounds
        self.hop = _CHUNK if local is None else local.sizes[1]
        self.lead = (sounds.before.shape[1] - 1) % _CHUNK
        self.frames_per_chunk = max(1, _CHUNK // self.hop)
        lengths = [num_frames(self.lead + count, self.hop) for count in sounds.num_samples]
        self.slots = assign_slots(lengths, num_slots)
        self.frames, self.starts = timeline(self.slots, lengths)
        self.num_chunks = num_frames(self.frames.sound.shape[1], self.frames_per_chunk)
        self.total = max(sum(sounds.num_samples[sound] for sound in slot) for slot in self.slots)
        self.several = any(len(slot) > 1 for slot in self.slots)
        self.windows = (
            None if local is None else _Windows(sounds.features or (), local.lookaround_frames)
        )

    def chunk(self, number: int) -> _Chunk:
        frames = self._frames(number)
        times = frames.frame[:, :, None] * self.hop + np.arange(self.hop) - self.lead
        before = self.sounds.before[frames.sound[..., None], np.minimum(times, -1)]
        given = np.where(times < 0, before, BEYOND)
        times, given = (rows.reshape(len(rows), -1).astype(np.int32) for rows in (times, given))
        labels = {name: rows[frames.sound.ravel()] for name, rows in self.sounds.labels.items()}
        return _Chunk(
            keys=self.sounds.keys[frames.sound],
            times=times,
            given=given,
            labels=labels,
            windows=None if self.windows is None else self.windows.of(frames),
            age=times if self.several else None,
        )

    def require_codes(
        self, number: int, chunk: _Chunk, codes: Int[np.ndarray, "slots time"]
    ) -> None:
        """Refuses samples of the sounds that the model gave NaN for."""
        sounds = np.repeat(self._frames(number).sound, self.hop, axis=1)
        wanted = chunk.times < np.asarray(self.sounds.num_samples)[sounds]
        for at in map(tuple, np.argwhere((codes < 0) & wanted)[:1]):
            raise UserError(
                f"the model gives NaN for sample {chunk.times[at]} of sound {sounds[at]}, so that none can be drawn: "
                "its weights are not finite, or far too large; use another model"
            )

    def done_after(self, number: int) -> int:
        """Samples that the fullest slot has when the chunk is drawn."""
        return max(0, min((number + 1) * self.frames_per_chunk * self.hop - self.lead, self.total))

    def cut(self, codes: Int[np.ndarray, "slots time"]) -> list[Int[np.ndarray, " time"]]:
        """The samples of each sound, as far as there are any yet."""
        firsts = [(slot, start * self.hop + self.lead) for slot, start in self.starts]
        return [
            codes[slot, first : first + count]
            for (slot, first), count in zip(firsts, self.sounds.num_samples, strict=True)
        ]

    def _frames(self, number: int) -> Timeline:
        return self.frames.part(number * self.frames_per_chunk, self.frames_per_chunk)


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
    """The loop after the whole chunks of what comes before the first sound of each slot."""
    first = np.array([slot[0] for slot in slots])
    before = sounds.before[first]
    labels = {name: rows[first] for name, rows in sounds.labels.items()}
    absorb = compiled(_state_after, model)
    state = absorb(before[:, :0], labels, None)
    end = (before.shape[1] - 1) // _CHUNK * _CHUNK
    for start in range(0, end, _CHUNK):
        state = absorb(before[:, start : start + _CHUNK], labels, state)
    rings = compiled(rings_of, model)(state)
    return Loop(rings, jnp.zeros((), jnp.int32), jnp.asarray(before[:, end]))


def _state_after(model: WaveNet, codes: Array, labels: dict[str, Array], state: Any) -> Any:
    if state is None:
        state = model.init_state(codes.shape[0])
    return model.step(codes, state, labels)[1] if codes.shape[1] else state


def _draw(
    model: WaveNet, loop: Loop, chunk: _Chunk, temperature: Array
) -> tuple[Loop, Int[Array, "time slots"]]:
    """The codes of one chunk."""
    num_slots, num_samples = chunk.times.shape
    count = chunk.keys.shape[1]
    hop = num_samples // count
    conditioning, now = model.conditioning, Now()
    if chunk.windows is None:
        condition = conditioning(num_slots, chunk.labels)
    else:
        # Every frame by itself: neighbours in a slot may be of two sounds.
        windows = chunk.windows.reshape(-1, *chunk.windows.shape[2:])
        features = conditioning.upsample(windows, hop)
        condition = conditioning(num_slots * count, chunk.labels, features)
        assert condition is not None
        pitch = conditioning.pitch(windows, hop)
        now = Now(
            condition.reshape(num_slots, num_samples, -1).swapaxes(0, 1),
            *(None if one is None else one.reshape(num_slots, num_samples).T for one in pitch),
        )
    step = step_function(model, condition, chunk.windows is not None)
    sample = jax.vmap(model.distribution.sample, (0, 0, None))
    # All keys at once: inside the loop they would cost more than the draws.
    keys = jax.vmap(jax.vmap(jax.random.fold_in))(jnp.repeat(chunk.keys, hop, axis=1), chunk.times)
    age = None if chunk.age is None else chunk.age.T

    def body(loop: Loop, given: tuple[PRNGKeyArray, Array, Now, Any]) -> tuple[Loop, Array]:
        keys, codes, now, age = given
        silence = model.config.quantizer.silence
        before = loop.code if age is None else jnp.where(age == 0, silence, loop.code)
        parameters, rings = step(before, loop.rings, loop.position, now, age)
        code = jnp.where(codes == BEYOND, sample(keys, parameters, temperature), codes)
        return Loop(rings, loop.position + 1, code), code

    return lax.scan(body, loop, (keys.T, chunk.given.T, now, age))
