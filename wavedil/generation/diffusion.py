"""Drawing sound from a DiffWave: from noise, step by step with less of it."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Float32, Int, PRNGKeyArray

from wavedil.errors import UserError, require_positive, with_article
from wavedil.generation.guidance import guidance_of
from wavedil.generation.keys import as_key
from wavedil.generation.remarks import remark
from wavedil.models.compilation import compiled
from wavedil.models.conditioning import Labels
from wavedil.models.diffwave import DiffWave
from wavedil.models.registry import Model

FAST_STEPS = 6
"""Steps of the fast sampling of DiffWave's section 5, and the default."""
# Long sounds are worked on in parts, each with what its outputs see around it, so that memory does not grow with them.
_BLOCK = 16384
_MOST_SAMPLES = 2**28


def diffuse(
    model: DiffWave,
    seed: Any,
    *,
    num_samples: int,
    batch_size: int = 1,
    labels: Mapping[str, Any] | None = None,
    steps: int = FAST_STEPS,
    guidance: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Float32[np.ndarray, "sounds time"]:
    """Sounds drawn by diffusion backwards.

        x at the last step is noise;  at each,
        x <- (x - (1 - r) / sqrt(1 - a) noise(x)) / sqrt(r) + sqrt((1 - r) (1 - b) / (1 - a)) z

    where a is the share of the sound in the variance at this step, b that at the next one to come, r = a / b, and z is
    noise anew. With fewer steps than those of the training it is the paper's fast sampling; the fewer, the less sounds
    differ from what is likeliest, and the quieter they are.

    Args:
      model: A DiffWave.
      seed: The same seed gives the same sounds; or a key of JAX.
      num_samples: Length of each.
      batch_size: Sounds.
      labels: As `synthesize` takes them.
      steps: How many, 2 to `config.noise_steps`.
      guidance: As of `generate`: noise is u + guidance (c - u) of what is predicted with labels, c, and without, u.
      progress: Called with the steps that are done, and their number.

    Raises:
      UserError: If a size is out of range, or a label is not known.

    Reference: Kong et al. 2020, arXiv:2009.09761, algorithm 1 and appendix B.
    """
    if not isinstance(model, DiffWave):
        raise UserError(
            f"the model is {with_article(type(model).__name__)}, which does not draw by diffusion; "
            "use wd.generate or wd.synthesize"
        )
    config = model.config
    num_samples, batch_size = require_positive(num_samples=num_samples, batch_size=batch_size)
    if num_samples * batch_size > _MOST_SAMPLES:
        raise UserError(
            f"{batch_size} sounds of {num_samples / config.sample_rate:g} s are {num_samples * batch_size:,} samples, "
            f"but a diffusion model draws up to {_MOST_SAMPLES:,} at once; ask for "
            f"{_MOST_SAMPLES // batch_size // config.sample_rate:,} s or less"
        )
    chosen = config.sampling_steps(steps)
    shares = config.signal_shares[chosen]
    after = np.append(shares[1:], 1.0)
    scale = guidance_of(model, guidance, labels)
    rows, key = config.label_indices(labels, batch_size), _one_key(seed)
    x = jax.random.normal(jax.random.fold_in(key, 0), (batch_size, num_samples))
    step = compiled(_less_noise, model, donate=(0,))
    for index, (noise_step, share, next_share) in enumerate(
        zip(chosen.tolist(), shares, after, strict=True)
    ):
        if progress is not None:
            progress(index, steps)
        given = (jnp.int32(noise_step), jnp.float32(share), jnp.float32(next_share))
        x = step(x, *given, rows, jax.random.fold_in(key, index + 1), scale)
    return _limited(config.level * np.asarray(x, np.float32))


def _one_key(seed: Any) -> PRNGKeyArray:
    key = as_key(seed)
    if key.ndim:
        raise UserError(
            f"there are {key.shape[0]} keys, but a diffusion model draws all sounds with one; give a seed or one key"
        )
    return key


def _limited(sounds: Float32[np.ndarray, "sounds time"]) -> Float32[np.ndarray, "sounds time"]:
    """Within full scale; refuses what is no sound, and says what has been limited, is constant or nearly silent."""
    if not np.isfinite(sounds).all():
        raise UserError(
            "the model draws numbers that are not finite, so its weights or its level are not; give a model that was "
            "trained to the end, or an earlier checkpoint"
        )
    beyond = np.abs(sounds) > 1
    if beyond.any():
        warnings.warn(
            f"{beyond.sum():,} of {sounds.size:,} samples are beyond full scale, the loudest at "
            f"{np.abs(sounds).max():.3g}, and are limited to it; where that is many, train longer",
            stacklevel=3,
        )
    remark(list(sounds), "try another seed, more steps or another model")
    return np.clip(sounds, -1.0, 1.0)


def predicted_noise(
    model: DiffWave,
    x: Float[Array, "batch time"],
    noise_step: Int[Array, " batch"],
    labels: Labels | None = None,
    *,
    mask: Bool[Array, "batch time"] | None = None,
) -> Float[Array, "batch time"]:
    """The noise that a model predicts in sounds of any length, long ones in parts: the same numbers as of the whole.

    Args:
      model: A DiffWave.
      x: Sounds with noise.
      noise_step: Of each.
      labels: As the model takes them.
      mask: True where there is sound.
    """
    batch_size, num_samples = x.shape
    if num_samples <= _BLOCK:
        return model(x[..., None], noise_step, labels, mask=mask)[..., 0]
    # x        |----- part 0 -----|----- part 1 -----|-- part 2 --|
    # part 1            [past]    |==================|  [future]
    field, num_parts = model.receptive_field, math.ceil(num_samples / _BLOCK)
    missing = num_parts * _BLOCK - num_samples
    around = (0, 0), (field.past, field.future + missing)
    # Beyond the ends there is no sound, which is what the layers are padded with.
    there = jnp.pad(jnp.ones(x.shape, bool) if mask is None else mask, around)
    padded, size = jnp.pad(x, around), field.past + _BLOCK + field.future

    def part(start: Array) -> Array:
        cut, of_cut = (
            lax.dynamic_slice_in_dim(whole, start, size, axis=1) for whole in (padded, there)
        )
        return model.valid(cut[..., None], noise_step, labels, mask=of_cut)[..., 0]

    parts = lax.map(part, jnp.arange(num_parts) * _BLOCK)
    return jnp.moveaxis(parts, 0, 1).reshape(batch_size, -1)[:, :num_samples]


def require_diffusion(model: Model, steps: int | None, temperature: float) -> bool:
    """Whether a model draws by diffusion; refuses what does not suit it.

    Raises:
      UserError: If steps are given for another model, or a temperature for a diffusion model.
    """
    diffusion = isinstance(model, DiffWave)
    if steps is not None and not diffusion:
        raise UserError(
            f"steps is {steps}, but the model is {with_article(model.config.name)}, which draws sample by sample; "
            "leave steps out, or give a diffusion model (wavedil train --task diffusion)"
        )
    if diffusion and temperature != 1.0:
        raise UserError(
            f"temperature is {temperature:g}, but a diffusion model has no probabilities to sharpen; leave temperature "
            "out"
        )
    if steps is not None:
        model.config.sampling_steps(steps)  # refuses what is out of range
    return diffusion


def _less_noise(
    model: DiffWave,
    x: Array,
    noise_step: Array,
    share: Array,
    next_share: Array,
    rows: dict[str, Array],
    key: Array,
    guidance: Array | None,
) -> Array:
    """x with as much noise as is left after one step."""
    if guidance is None:
        noise = predicted_noise(model, x, jnp.full(x.shape[0], noise_step), rows)
    else:
        both = {name: jnp.concatenate([row, 0 * row]) for name, row in rows.items()}
        steps = jnp.full(2 * x.shape[0], noise_step)
        with_labels, without = jnp.split(
            predicted_noise(model, jnp.tile(x, (2, 1)), steps, both), 2
        )
        noise = without + guidance * (with_labels - without)
    kept = share / next_share
    mean = (x - (1 - kept) * lax.rsqrt(1 - share) * noise) * lax.rsqrt(kept)
    spread = jnp.sqrt((1 - kept) * (1 - next_share) / (1 - share))
    return mean + spread * jax.random.normal(key, x.shape)
