"""Training in bfloat16, task by task: layers multiply in bfloat16, and the loss is float32."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import training_runs as runs
from flax import nnx

import wavedil as wd
from wavedil.data import Batch
from wavedil.data.frame_windows import FrameBatch
from wavedil.data.labelled_windows import LabelledBatch
from wavedil.data.pair_windows import PairBatch
from wavedil.frames import sound_frames
from wavedil.models.registry import abstract_model
from wavedil.models.weights import named_weights, with_weights
from wavedil.pitch import PitchConfig
from wavedil.tasks import (
    AutoencoderTask,
    ClassifierTask,
    DiffusionTask,
    EffectTask,
    FeaturesTask,
    GeneratorTask,
    VocoderTask,
)
from wavedil.training import initial_state, make_update

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
CODES = RNG.integers(0, runs.LEVELS, (2, 1500)).astype(np.int32)
SIGNAL = RNG.normal(size=(2, 1500, 1)).astype(np.float32)
AMP = wd.AmpModelConfig.nano(sample_rate=8000)
HOP = 8
FRAMES = RNG.normal(size=(2, 200, 3)).astype(np.float32)
AUTOENCODER = wd.AutoencoderConfig(
    decoder=runs.model_config(),
    encoder=wd.EncoderConfig(latent_size=2, hop=HOP, channels=4, dilations=(1, 2)),
).complete()


WITH_PITCH = wd.LocalConditioningConfig(channels=4).of(
    3,
    HOP,
    wd.MelConfig(num_mels=1, fft_size=128, hop=HOP).at(8000),
    PitchConfig(lowest_hz=20.0).at(8000),
)
# A number, the period, which bfloat16 does not have, and the voicing of each frame.
PERIOD = 301
VOICED = np.stack(
    [FRAMES[:, :188, 0], np.full((2, 188), PERIOD), np.ones((2, 188))], axis=-1, dtype=np.float32
)


def sound_frames_of(config):
    """The sound in frames, as an autoencoder is given it, with those around."""
    around = config.lookaround_frames
    count = -(-CODES.shape[1] // HOP) + 2 * around
    return np.stack([sound_frames(codes, -around, count, HOP) for codes in CODES])


CASES = {
    "generator": (GeneratorTask(), runs.model_config(), Batch(CODES, CODES[:, :1], {})),
    "effect": (
        EffectTask(stft_weight=1.0),
        AMP,
        PairBatch(np.pad(SIGNAL, ((0, 0), (AMP.receptive_field.past, 0), (0, 0))), SIGNAL, {}),
    ),
    "classifier": (
        ClassifierTask(target="pitch", input="samples"),
        wd.TCNConfig(
            channels=3, dilations=(1, 2), target="pitch", values=("a", "b"), sample_rate=8000
        ),
        LabelledBatch(SIGNAL, np.ones((2, 1500), bool), np.array([0, 1], np.int32)),
    ),
    "vocoder": (
        VocoderTask(),
        runs.model_config(
            local_conditioning=wd.LocalConditioningConfig(num_features=3, hop=HOP, channels=4)
        ),
        Batch(CODES, CODES[:, :1], {}, FRAMES[:, : -(-1500 // HOP)]),
    ),
    "vocoder with pitch": (
        VocoderTask(),
        runs.model_config(local_conditioning=WITH_PITCH),
        Batch(CODES, CODES[:, :1], {}, VOICED),
    ),
    "vocoder with pitch in blocks": (
        VocoderTask(),
        runs.model_config(
            cycles=2, local_conditioning=dataclasses.replace(WITH_PITCH, pitch_taps="blocks")
        ),
        Batch(CODES, CODES[:, :1], {}, VOICED),
    ),
    "autoencoder": (
        AutoencoderTask(),
        AUTOENCODER,
        Batch(CODES, CODES[:, :1], {}, sound_frames_of(AUTOENCODER)),
    ),
    "features": (
        FeaturesTask(noise=0.0),
        wd.FeatureNetConfig.tiny(num_features=3),
        FrameBatch(FRAMES, *[np.ones(FRAMES.shape[:2], bool)] * 2, np.ones(2, bool), {}),
    ),
    "diffusion": (
        DiffusionTask(),
        wd.DiffWaveConfig.tiny(sample_rate=8000),
        Batch(CODES, CODES[:, :1], {}),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_layers_multiply_in_bfloat16_and_the_loss_is_float32(name):
    task, config, batch = CASES[name]
    model = abstract_model(config)
    weights = {
        name: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16)
        for name, leaf in named_weights(model).items()
    }

    def loss(weights, batch):
        return task.loss(with_weights(model, weights, "test"), batch, KEY)

    lowered = jax.jit(loss).lower(weights, batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(lowered.out_info)} == {np.dtype("float32")}
    products = [
        line
        for line in lowered.as_text().splitlines()
        if "stablehlo.dot_general" in line or "stablehlo.convolution" in line
    ]
    assert products
    assert all("bf16" in line and "xf32>, " not in line for line in products), products


def test_a_model_in_bfloat16_follows_periods_that_bfloat16_does_not_have():
    model = wd.WaveNet(CASES["vocoder with pitch"][1], rngs=nnx.Rngs(0))
    weights = {name: leaf.astype(jnp.bfloat16) for name, leaf in named_weights(model).items()}
    model = with_weights(model, weights, "test")
    local, dilation, voicing, _ = model.conditioning.of_features(jnp.asarray(VOICED), 1500)
    np.testing.assert_array_equal(dilation, PERIOD - 1)
    assert local.dtype == voicing.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "name",
    [
        "vocoder",
        "vocoder with pitch",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("autoencoder", "features")),
    ],
)
def test_two_steps_in_bfloat16_have_the_losses_of_their_float32_weights_within_2_percent(name):
    task, config, batch = CASES[name]
    config = runs.run_config(task, config, precision="bfloat16", warmup_steps=0)
    model, state = abstract_model(config.model), initial_state(config)
    # Quickly compiled: the numbers are the same but for rounding.
    quickly = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}

    def mean_loss(weights, batch):
        total, weight, _ = task.loss(with_weights(model, weights, "test"), batch, KEY)
        return total / weight

    exact = jax.jit(mean_loss).lower(state.weights, batch).compile(compiler_options=quickly)
    update = make_update(config).lower(state, batch).compile(compiler_options=quickly)
    expected, losses = [], []
    for _ in range(2):
        expected.append(float(exact(state.weights, batch)))
        state, metrics = update(state, batch)
        losses.append(float(metrics.loss))
    np.testing.assert_allclose(losses, expected, rtol=0.02)
    assert expected[1] < expected[0] and losses != expected
    kept = jax.tree.leaves((state.weights, state.averaged, state.optimizer))
    assert {leaf.dtype for leaf in kept if leaf.ndim} == {np.dtype("float32")}
