"""What a model scores in training windows is what it scores in whole recordings, with the same gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil.data import Recording, TrainingWindows
from wavedil.frames import BEYOND
from wavedil.labels import Vocabulary
from wavedil.models import (
    Autoencoder,
    AutoencoderConfig,
    ContextStackConfig,
    EncoderConfig,
    LocalConditioningConfig,
    WaveNet,
    WaveNetConfig,
)

LEVELS, HOP = 32, 8
SMALL = {
    "levels": LEVELS, "dilations": (1, 2, 4), "cycles": 1, "residual_channels": 4, "skip_channels": 8,
}  # fmt: skip
FEATURES = LocalConditioningConfig(num_features=3, hop=HOP, channels=4)
FAR = ContextStackConfig(factor=12, channels=3, dilations=(1, 2))
MODELS = {
    "generator": WaveNetConfig(**SMALL, labels={"note": ("a", "b")}),
    "vocoder": WaveNetConfig(**SMALL, local_conditioning=FEATURES),
    "context stack": WaveNetConfig(**SMALL, context_stack=FAR),
    "context stack and features": WaveNetConfig(
        **SMALL, context_stack=FAR, local_conditioning=FEATURES
    ),
    "autoencoder": AutoencoderConfig(
        decoder=WaveNetConfig(**SMALL),
        encoder=EncoderConfig(latent_size=2, hop=HOP, channels=3, dilations=(1, 2)),
    ),
}
LENGTHS = (1, 40, 333)


def recordings(with_features):
    rng = np.random.default_rng(0)
    return [
        Recording(
            f"{number}.wav",
            rng.integers(0, LEVELS, length).astype(np.uint8),
            {"note": "ab"[number % 2]},
            rng.normal(size=(-(-length // HOP), 3)).astype(np.float32) if with_features else None,
        )
        for number, length in enumerate(LENGTHS)
    ]


@functools.cache
def whole_recordings(config):
    """A model; recordings for it; their likelihood and its gradients, each of all of a recording, added."""
    make = Autoencoder if isinstance(config, AutoencoderConfig) else WaveNet
    sounds = recordings(make is WaveNet and config.local_conditioning is not None)
    graph, weights = nnx.split(make(config, rngs=nnx.Rngs(0)))
    labels = Vocabulary(config.labels).rows_of([sound.labels for sound in sounds])

    def log_prob(weights):
        model, total = nnx.merge(graph, weights), 0.0
        for number, sound in enumerate(sounds):
            codes = jnp.asarray(sound.codes[None], jnp.int32)
            rows = {name: rows[number : number + 1] for name, rows in labels.items()}
            features = None if sound.features is None else jnp.asarray(sound.features[None])
            total += jnp.sum(model.log_prob(codes, rows, features=features))
        return total

    return graph, weights, sounds, jax.jit(jax.value_and_grad(log_prob))(weights)


@pytest.mark.sampled
@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("window_size", [48, 200])
def test_windows_have_the_likelihood_and_gradients_of_whole_recordings(config, window_size):
    is_autoencoder = isinstance(config, AutoencoderConfig)
    config = config.complete() if is_autoencoder else config
    local = config.local_conditioning
    graph, weights, sounds, whole = whole_recordings(config)
    windows = TrainingWindows(
        sounds,
        window_size=window_size,
        context_samples=config.context_samples,
        batch_size=3,
        label_values=config.labels,
        seed=0,
        levels=LEVELS,
        frame_size=config.frame_size,
        hop=1 if local is None else HOP,
        lookaround_frames=0 if local is None else lookaround(config),
        sound_as_features=is_autoencoder,
    )

    @jax.jit
    @jax.value_and_grad
    def of_batch(weights, batch):
        features = None if batch.features is None else jnp.asarray(batch.features)
        model = nnx.merge(graph, weights)
        log_prob = model.log_prob(batch.codes, batch.labels, batch.context, features)
        return jnp.sum(jnp.where(batch.codes != BEYOND, log_prob, 0.0))

    batches = [windows.batch(step) for step in range(windows.steps_per_round)]
    found = [of_batch(weights, jax.tree.map(jnp.asarray, batch)) for batch in batches]
    passes = sum(np.sum(batch.codes != BEYOND) for batch in batches) / sum(LENGTHS)
    for e, *parts in zip(*map(jax.tree.leaves, (whole, *found)), strict=True):
        scale = np.abs(e).max()
        actual = np.sum(np.stack(parts), axis=0) / passes
        np.testing.assert_allclose(actual, e, rtol=2e-4, atol=2e-4 * scale)


def lookaround(config):
    if isinstance(config, AutoencoderConfig):
        return config.lookaround_frames
    return config.local_conditioning.lookaround_frames
