"""The loop that draws: slots side by side, sample by sample, each layer with the few samples it needs."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from wavedil.errors import UserError
from wavedil.frames import BEYOND, num_frames
from wavedil.generation.chunk import Chunk, Sounds, condition_of, keys_of, signals_of
from wavedil.generation.engines import Engine
from wavedil.generation.live import Compiled
from wavedil.generation.slots import Timeline, assign_slots, timeline
from wavedil.generation.step import Loop, Now, rings_of, step_function
from wavedil.models.compilation import compiled, compiled_over_devices
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


def draw(
    model: WaveNet,
    sounds: Sounds,
    num_slots: int,
    progress: Callable[[int, int], None] | None,
    engine: Engine,
    guidance: np.float32 | None = None,
) -> list[Int[np.ndarray, " time"]]:
    """The codes of each sound; n sounds in n slots are one sound a slot.

    With guidance every slot is there twice, side by side: as it is, and without labels.

    Raises:
      UserError: If the model gives NaN where a sample is to be drawn.
      Interrupted: On Ctrl-C, with what is drawn.
    """
    plan = _Plan(model, sounds, num_slots, twice=guidance is not None)
    drawn = [np.zeros((len(plan.slots), 0), np.int32)]
    try:
        absorbed = (sounds.before.shape[1] - 1) // _CHUNK * _CHUNK
        first = [slot[0] for slot in plan.slots]
        loop = (
            _Scan(model, sounds.before[first], absorbed, plan.labels_of(np.array(first)), guidance)
            if engine.name == "scan"
            else Compiled(model, sounds.before[first], absorbed, engine.weights, guidance)
        )
        for number in range(plan.num_chunks):
            chunk = plan.chunk(number)
            drawn.append(loop.draw(chunk))
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

    def __init__(self, model: WaveNet, sounds: Sounds, num_slots: int, twice: bool = False) -> None:
        local = model.config.local_conditioning
        self.sounds, self.twice = sounds, twice
        self.hop = _CHUNK if local is None else local.sizes[1]
        self.lead = (sounds.before.shape[1] - 1) % _CHUNK
        self.frames_per_chunk = max(1, _CHUNK // self.hop)
        lengths = [num_frames(self.lead + count, self.hop) for count in sounds.num_samples]
        slots = assign_slots(lengths, num_slots)
        self.slots = [slot for slot in slots for _ in range(1 + twice)]
        self.frames, self.starts = timeline(self.slots, lengths)
        self.num_chunks = num_frames(self.frames.sound.shape[1], self.frames_per_chunk)
        self.total = max(sum(sounds.num_samples[sound] for sound in slot) for slot in self.slots)
        self.several = any(len(slot) > 1 for slot in self.slots)
        self.windows = (
            None if local is None else _Windows(sounds.features or (), local.lookaround_frames)
        )

    def chunk(self, number: int) -> Chunk:
        frames = self._frames(number)
        times = frames.frame[:, :, None] * self.hop + np.arange(self.hop) - self.lead
        before = self.sounds.before[frames.sound[..., None], np.minimum(times, -1)]
        given = np.where(times < 0, before, BEYOND)
        times, given = (rows.reshape(len(rows), -1).astype(np.int32) for rows in (times, given))
        windows = None if self.windows is None else self.windows.of(frames)
        labels = {name: rows.ravel() for name, rows in self.labels_of(frames.sound).items()}
        return Chunk(
            keys=self.sounds.keys[frames.sound],
            times=times,
            given=given,
            temperature=self._temperature(windows, times.shape),
            labels=labels,
            windows=windows,
            age=times if self.several else None,
        )

    def _temperature(self, windows: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
        """That of the draw of every sample [slots, time], by the voicing of its frame."""
        plain, voiced = self.sounds.temperature, self.sounds.voiced_temperature
        if windows is None or plain == voiced:
            return np.full(shape, plain, np.float32)
        voicing = windows[:, :, windows.shape[2] // 2, -1]
        rows = plain + voicing * (voiced - plain)
        return np.repeat(rows, self.hop, axis=1).astype(np.float32)

    def labels_of(self, sounds: Int[np.ndarray, "slots ..."]) -> dict[str, np.ndarray]:
        """The rows of each label of the sounds in every slot; 0, no label, in every second one of those there twice."""
        labels = {name: rows[sounds] for name, rows in self.sounds.labels.items()}
        if self.twice:
            for rows in labels.values():
                rows[1::2] = 0
        return labels

    def require_codes(
        self, number: int, chunk: Chunk, codes: Int[np.ndarray, "slots time"]
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

    def of(self, frames: Timeline) -> Float[np.ndarray, "slots frames width features"]:
        first = self._first[frames.sound] + frames.frame
        return self._all[first[..., None] + np.arange(self._width)]


class _Scan:
    """The loop as `lax.scan`, after the whole chunks of what comes before the first sound of each slot.

    The devices of this process share the slots, as many of them as divide their number.
    """

    def __init__(
        self,
        model: WaveNet,
        before: np.ndarray,
        absorbed: int,
        labels: dict[str, np.ndarray],
        guidance: np.float32 | None,
    ) -> None:
        self._guidance = guidance
        absorb = compiled(_state_after, model)
        state = absorb(before[:, :0], labels, None)
        for start in range(0, absorbed, _CHUNK):
            state = absorb(before[:, start : start + _CHUNK], labels, state)
        rings = compiled(rings_of, model)(state)
        self._loop = Loop(rings, jnp.zeros((), jnp.int32), jnp.asarray(before[:, absorbed]))
        # The two slots that are guided by each other stay together.
        num_apart = len(before) if guidance is None else len(before) // 2
        self._draw = compiled_over_devices(_draw, model, _axes, num_apart, donate=(0,))

    def draw(self, chunk: Chunk) -> Int[np.ndarray, "slots time"]:
        """The codes of the next chunk."""
        self._loop, codes = self._draw(self._loop, chunk, self._guidance)
        return np.asarray(codes).T


def _state_after(model: WaveNet, codes: Array, labels: dict[str, Array], state: Any) -> Any:
    if state is None:
        state = model.init_state(codes.shape[0])
    return model.step(codes, state, labels)[1] if codes.shape[1] else state


def _axes(loop: Loop, chunk: Chunk, guidance: Any) -> Any:
    rings: dict[str, Any] = jax.tree.map(lambda _: 1, loop.rings)
    if "context" in rings:
        context = loop.rings["context"]
        rings["context"] = context._replace(
            samples=1, phase=0, held=1, stack=[0 for _ in context.stack]
        )
    of_loop = Loop(rings, None, 0)  # type: ignore[arg-type]
    return (of_loop, 0, None), (of_loop, 1)


def _draw(
    model: WaveNet, loop: Loop, chunk: Chunk, guidance: Array | None
) -> tuple[Loop, Int[Array, "time slots"]]:
    """The codes of one chunk; with guidance those of two slots side by side are the same."""
    condition, local = condition_of(model, chunk)
    step = step_function(model, condition, local)
    distribution: Any = model.distribution
    of_signal = jax.vmap(distribution.sample)

    def sample(keys: PRNGKeyArray, parameters: Array, temperature: Array) -> Array:
        if guidance is None:
            return of_signal(keys, parameters, temperature)
        guided = distribution.guided(parameters[::2], parameters[1::2], guidance)
        return jnp.repeat(of_signal(keys[::2], guided, temperature[::2]), 2)

    age = None if chunk.age is None else chunk.age.T
    varying = condition.swapaxes(0, 1) if condition is not None and local else None
    now = Now(varying, *signals_of(model, chunk))

    def body(loop: Loop, given: tuple[PRNGKeyArray, Array, Array, Now, Any]) -> tuple[Loop, Array]:
        keys, codes, temperature, now, age = given
        silence = model.config.quantizer.silence
        before = loop.code if age is None else jnp.where(age == 0, silence, loop.code)
        parameters, rings = step(before, loop.rings, loop.position, now, age)
        code = jnp.where(codes == BEYOND, sample(keys, parameters, temperature), codes)
        return Loop(rings, loop.position + 1, code), code

    return lax.scan(body, loop, (keys_of(chunk).T, chunk.given.T, chunk.temperature.T, now, age))
