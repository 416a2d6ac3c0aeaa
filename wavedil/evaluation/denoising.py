"""How well a diffusion model predicts the noise in recordings, at fixed steps and with fixed noise."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from wavedil.data.recording import Recording
from wavedil.frames import crop
from wavedil.generation.diffusion import predicted_noise
from wavedil.labels import Vocabulary
from wavedil.models.compilation import compiled_over_devices
from wavedil.models.diffwave import DiffWave
from wavedil.models.diffwave_config import DiffWaveConfig

_NUM_STEPS = 8
# The lengths that recordings are padded to are powers of two from here on, so that few are compiled.
_SHORTEST = 1024


def fixed_steps(config: DiffWaveConfig) -> Int[np.ndarray, " steps"]:
    """Eight diffusion steps, spread evenly over all of them, as those of the training are."""
    return ((np.arange(_NUM_STEPS) + 0.5) / _NUM_STEPS * config.noise_steps).astype(np.int32)


def noisy(
    config: DiffWaveConfig,
    samples: Float[Array, "batch time"],
    noise: Float[Array, "batch time"],
    steps: Int[Array, " batch"],
) -> Float[Array, "batch time"]:
    """sqrt(a) samples + sqrt(1 - a) noise, with a the share of the sound at each signal's step."""
    share = jnp.asarray(config.signal_shares, jnp.float32)[steps][:, None]
    return jnp.sqrt(share) * samples + jnp.sqrt(1.0 - share) * noise


def squared_errors(
    model: DiffWave,
    recordings: Sequence[Recording],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Float[np.ndarray, " recordings"], Float[np.ndarray, " recordings"]]:
    """Of the noise that a model predicts in recordings: sums over samples and steps, and how many these are.

    Args:
      model: A DiffWave.
      recordings: With codes of its quantizer.
      progress: Called with the recordings that are done, and their number.
    """
    config, errors = model.config, compiled_over_devices(_errors, model, _axes, _NUM_STEPS)
    steps = fixed_steps(config)
    rows = Vocabulary(config.labels).rows_of([item.labels for item in recordings])
    sums, weights = np.zeros(len(recordings)), np.zeros(len(recordings))
    for index, item in enumerate(recordings):
        length = max(_SHORTEST, 1 << (item.num_samples - 1).bit_length())
        samples = crop(config.quantizer.decode(item.codes) / np.float32(config.level), 0, length)
        there = np.arange(length) < item.num_samples
        labels = {name: np.repeat(found[index], _NUM_STEPS) for name, found in rows.items()}
        noise = jax.random.normal(jax.random.key(index), (_NUM_STEPS, length))
        found = np.asarray(errors(samples, there, noise, steps, labels))
        first, end = item.scored or (0, item.num_samples)
        sums[index] = np.sum(found[:, first:end], dtype=np.float64)
        weights[index] = _NUM_STEPS * (end - first)
        if progress is not None:
            progress(index + 1, len(recordings))
    return sums, weights


def _axes(samples: Any, there: Any, noise: Any, steps: Any, labels: Any) -> Any:
    return (None, None, 0, 0, 0), 0


def _errors(
    model: DiffWave,
    samples: Array,
    there: Array,
    noise: Array,
    steps: Array,
    labels: dict[str, Array],
) -> Array:
    """[steps, time]."""
    x = noisy(model.config, jnp.broadcast_to(samples[None], noise.shape), noise, steps)
    mask = jnp.broadcast_to(there[None], noise.shape)
    return jnp.square(predicted_noise(model, x, steps, labels, mask=mask) - noise)
