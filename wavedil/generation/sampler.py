"""Generation: each layer keeps the few samples it needs, and one compiled loop draws the rest."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from wavedil.errors import UserError
from wavedil.generation.step import Loop, rings_of, step_function
from wavedil.generation.vocoder import draw_sounds, feature_arrays
from wavedil.levels import Levels
from wavedil.models.config import WaveNetConfig
from wavedil.models.kinds import Model, wavenet_of
from wavedil.models.wavenet import WaveNet

# Samples drawn by one call of the compiled loop: often enough for a progress bar, rarely enough not to be felt.
_CHUNK = 1000


def generate(
    model: Model,
    key: PRNGKeyArray,
    *,
    num_samples: int | None = None,
    batch_size: int | None = None,
    prompt: Int[np.ndarray, "batch time"] | Int[np.ndarray, " time"] | None = None,
    temperature: float = 1.0,
    labels: Mapping[str, Int[Array, " batch"]] | None = None,
    features: Float[np.ndarray, "frames features"]
    | Sequence[Float[np.ndarray, "frames features"]]
    | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Int[np.ndarray, "batch num_samples"]:
    """Codes drawn one after the other, each from the model's distribution given all before it.

    The work and the time for a sample do not depend on how many came before.
    Sample t of signal b is drawn with `fold_in(split(key, batch_size)[b], t)`,
    so a signal does not depend on the others in its batch.

    A model that takes features draws a sound for each array of them, `hop` samples for each frame. They may be
    of different lengths, and are drawn a few at once: where one ends, the next begins.

    Args:
      model: A WaveNet, or an autoencoder, whose features are codes (`Autoencoder.encode`).
      key: Random key; the same key gives the same codes. An array of keys: one for each signal.
      num_samples: Samples to draw, at least 1; left out where features say it.
      batch_size: Signals drawn at once, 1 by default; with features as many as suit their lengths.
      prompt: Codes that come before, absorbed in one parallel pass; one for all signals, or one each. They
        are not part of the result.
      temperature: Above 0; below 1 likely samples become likelier.
      labels: One row index for each signal and label (`WaveNetConfig.label_indices`); unlabelled by default.
      features: What each sound is from moment to moment; of one sound, or a list.
      progress: Called with the samples drawn so far and in all.

    Returns:
      Codes; `model.config.grid.decode` makes them sound. With features, as many as the longest sound has; a
      shorter one is silent after its end.

    Raises:
      UserError: If a number is out of range, a prompt holds codes the model does not know, or features are missing,
        of another kind than the model's, or given to a model that takes none.

    Example:
      >>> decode = model.config.grid.decode
      >>> sound = decode(generate(model, jax.random.key(0), num_samples=16000))
      >>> copy = decode(generate(vocoder, jax.random.key(0), features=mel(sound, vocoder.config.local.mel)))

    Reference: Le Paine et al. 2016, "Fast WaveNet generation algorithm", arXiv:1611.09482.
    """
    if not 0 < temperature < np.inf:
        raise UserError(
            f"temperature is {temperature}, but it must be above 0 and finite; use 1, or 0.01 for the likeliest"
        )
    model = wavenet_of(model)
    model.require_features(features is not None)
    if features is not None:
        if num_samples is not None or prompt is not None:
            raise UserError(
                "features say how long a sound is and how it begins; leave num_samples and prompt out"
            )
        sounds = feature_arrays(features, model.config)
        rows = _label_rows(labels or {}, model.config, len(sounds))
        keys = _signal_keys(key, len(sounds))
        return draw_sounds(model, keys, sounds, rows, temperature, batch_size, progress)
    batch_size = 1 if batch_size is None else batch_size
    if num_samples is None or num_samples < 1 or batch_size < 1:
        raise UserError(
            f"num_samples is {num_samples} and batch_size {batch_size}, but both must be at least 1"
        )
    codes = _inputs_before(prompt, batch_size, model.config.grid)
    rows = _label_rows(labels or {}, model.config, batch_size)
    graph, weights = nnx.split(model)
    rings = _absorb(graph, weights, codes[:, :-1], rows)
    loop = Loop(rings, jnp.zeros((), jnp.int32), codes[:, -1])
    signal_keys = _signal_keys(key, batch_size)
    chunk = min(num_samples, _CHUNK)
    drawn: list[np.ndarray] = []
    for start in range(0, num_samples, chunk):
        times = start + jnp.arange(chunk)
        loop, codes = _draw(graph, weights, rows, temperature, loop, signal_keys, times)
        drawn.append(np.asarray(codes).T)
        if progress is not None:
            progress(min(start + chunk, num_samples), num_samples)
    return np.concatenate(drawn, axis=1)[:, :num_samples]


def _signal_keys(key: PRNGKeyArray, num_signals: int) -> PRNGKeyArray:
    """A key for each signal: split from one, or as they are given."""
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)  # as jax.random.PRNGKey makes them
    if key.ndim == 0:
        return jax.random.split(key, num_signals)
    if key.shape != (num_signals,):
        raise UserError(
            f"there are {key.shape[0]} keys for {num_signals} signals; give one key, or one for each signal"
        )
    return key


def state_bytes(config: WaveNetConfig, batch_size: int = 1) -> int:
    """Bytes that the past takes between samples: `4 sum of past * channels` for each signal.

    Of a context stack: the samples of the frame under way, what is held of the last one, and the frames before it.
    """
    in_channels = config.input_channels
    stack = (config.kernel_size - 1) * sum(config.layer_dilations) * config.residual_channels
    numbers = (config.input_kernel_size - 1) * in_channels + stack
    if config.context is not None:
        far = config.context
        frames = (far.kernel_size - 1) * sum(far.layer_dilations) * far.channels
        held = (config.local or far).channels
        numbers += (far.factor - 1) * in_channels + held + frames
    return 4 * batch_size * numbers


def _inputs_before(prompt: Any, batch_size: int, grid: Levels) -> Array:
    """Silence, then the prompt: [batch, 1 + prompt samples]."""
    silence, encode = np.full((batch_size, 1), grid.silence), "model.config.grid.encode"
    if prompt is None:
        return jnp.asarray(silence, jnp.int32)
    prompt = np.atleast_2d(np.asarray(prompt))
    if not np.issubdtype(prompt.dtype, np.integer):
        raise UserError(
            f"the prompt holds {prompt.dtype} numbers, but it must be codes; encode a sound with {encode}"
        )
    if prompt.size and not 0 <= prompt.min() <= prompt.max() < grid.count:
        raise UserError(
            f"the prompt holds codes {prompt.min()} to {prompt.max()}, but the model knows 0 to {grid.count - 1}; "
            f"encode it with {encode}"
        )
    if prompt.shape[0] not in (1, batch_size):
        raise UserError(
            f"the prompt holds {prompt.shape[0]} signals, but batch_size is {batch_size}; give one, or one each"
        )
    prompt = np.broadcast_to(prompt, (batch_size, prompt.shape[1]))
    return jnp.asarray(np.concatenate([silence, prompt], axis=1), jnp.int32)


def _label_rows(
    labels: Mapping[str, Any], config: WaveNetConfig, batch_size: int
) -> dict[str, Array]:
    """The indices as arrays, refused where the model has no such row."""
    for name, rows in labels.items():
        known = config.labels.get(name)
        if known is None:
            listing = ", ".join(config.labels) or "none"
            raise UserError(f"label {name!r} is unknown to this model; its labels are: {listing}")
        rows = np.asarray(rows)
        if rows.shape != (batch_size,) or not np.issubdtype(rows.dtype, np.integer):
            raise UserError(
                f"label {name!r} is {rows!r}, but it must be {batch_size} row indices, one for each signal; "
                "config.label_indices gives them"
            )
        if rows.min() < 0 or rows.max() > len(known):
            raise UserError(
                f"label {name!r} has row {rows.max()}, but the model has 0 to {len(known)}"
            )
    return {name: jnp.asarray(rows) for name, rows in labels.items()}


@functools.partial(jax.jit, static_argnums=0)
def _absorb(graph: Any, weights: Any, codes: Array, labels: Any) -> dict[str, Any]:
    """The rings after the codes."""
    model: WaveNet = nnx.merge(graph, weights)
    state = model.init_state(codes.shape[0])
    if codes.shape[1]:
        _, state = model.step(codes, state, labels)
    return rings_of(model, state)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=4)
def _draw(
    graph: Any,
    weights: Any,
    labels: Any,
    temperature: Array,
    loop: Loop,
    signal_keys: PRNGKeyArray,
    times: Int[Array, " time"],
) -> tuple[Loop, Int[Array, "time batch"]]:
    """A code for each of the times."""
    model: WaveNet = nnx.merge(graph, weights)
    step = step_function(model, model.condition(signal_keys.shape[0], labels))
    # All keys at once: inside the loop they would cost more than the draws.
    keys = jax.vmap(lambda t: jax.vmap(jax.random.fold_in, (0, None))(signal_keys, t))(times)
    sample = jax.vmap(model.distribution.sample, (0, 0, None))

    def body(loop: Loop, sample_keys: PRNGKeyArray) -> tuple[Loop, Array]:
        parameters, rings = step(loop.code, loop.rings, loop.position)
        code = sample(sample_keys, parameters, temperature)
        return Loop(rings, loop.position + 1, code), code

    return lax.scan(body, loop, keys)
