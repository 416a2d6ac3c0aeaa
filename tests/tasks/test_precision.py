"""Training in bfloat16, task by task: layers multiply in bfloat16, and the loss is float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import training_runs as runs

import wavedil as wd
from wavedil.data import Batch
from wavedil.data.labelled_windows import LabelledBatch
from wavedil.data.pair_windows import PairBatch
from wavedil.models.registry import abstract_model
from wavedil.models.weights import named_weights, with_weights
from wavedil.tasks import ClassifierTask, DiffusionTask, EffectTask, GeneratorTask

RNG = np.random.default_rng(0)
CODES = RNG.integers(0, runs.LEVELS, (2, 1500)).astype(np.int32)
SIGNAL = RNG.normal(size=(2, 1500, 1)).astype(np.float32)
AMP = wd.AmpModelConfig.nano(sample_rate=8000)
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
        return task.loss(with_weights(model, weights, "test"), batch, jax.random.key(0))

    lowered = jax.jit(loss).lower(weights, batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(lowered.out_info)} == {np.dtype("float32")}
    products = [
        line
        for line in lowered.as_text().splitlines()
        if "stablehlo.dot_general" in line or "stablehlo.convolution" in line
    ]
    assert products
    assert all("bf16" in line and "xf32>, " not in line for line in products), products
