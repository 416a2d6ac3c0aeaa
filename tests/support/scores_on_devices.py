"""Likelihood and draws on the devices of a process, as a program: it must be begun with four, JAX_NUM_CPU_DEVICES=4.

Prints, as JSON, {check: what went wrong, or ""}.
"""

import json
import sys

import jax
import numpy as np
from flax import nnx
from on_devices import wrong
from training_runs import corpus, model_config

import wavedil
from wavedil import ContextStackConfig, LocalConditioningConfig, WaveNet
from wavedil.evaluation import likelihood
from wavedil.models import compilation
from wavedil.ops.devices import own_mesh

LABELS = {"note": ("200", "300", "400", "500")}


def model(**changes):
    made = WaveNet(model_config(**changes), rngs=nnx.Rngs(0))
    made.output.kernel[...] *= 10
    return made


def both(function):
    """On all devices, with how many these were, and on one."""
    used = []

    def mesh(batch_size):
        used.append(own_mesh(batch_size))
        return used[-1]

    compilation.own_mesh = mesh
    many = function()
    compilation.own_mesh = lambda batch_size: None
    return many, function(), [1 if mesh is None else mesh.size for mesh in used]


def likelihoods():
    recordings = corpus(labels=True).train
    far = model(labels=LABELS, context_stack=ContextStackConfig(factor=4, channels=4, cycles=1))
    given = {"block_size": 64}
    many, one, used = both(lambda: likelihood.bits(far, recordings, **given)[0])
    assert used == [4]
    # 16 streams on four devices against four on one: other cuts of the recordings, and the same sums.
    np.testing.assert_allclose(many, one, rtol=1e-6)


def draws():
    """Guided, so that pairs of slots stay together, after a prompt: six sounds on two of four devices."""
    labels = {"note": ["200", "300", "400", "500", "200", "300"]}
    far = model(
        labels=LABELS,
        label_dropout=0.5,
        context_stack=ContextStackConfig(factor=4, channels=4, cycles=1),
    )
    given = {"num_samples": 40, "batch_size": 6, "labels": labels, "engine": "scan"}
    many, one, used = both(
        lambda: wavedil.generate(far, 0, **given, guidance=2.0, prompt=np.arange(7) % 32)
    )
    assert used == [2]
    np.testing.assert_array_equal(many, one)
    assert len(np.unique(many)) > 10


def draws_of_features():
    """Slots that draw one sound after the other, and as many of them as the devices can share."""
    vocoder = model(local_conditioning=LocalConditioningConfig().of(3, 8))
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(count, 3)).astype(np.float32) for count in (3, 5, 4, 2, 6, 3, 3)]
    many, one, used = both(lambda: wavedil.generate(vocoder, 0, features=features, engine="scan"))
    assert used == [4]
    np.testing.assert_array_equal(many, one)


CHECKS = {"likelihoods": likelihoods, "draws": draws, "draws of features": draws_of_features}

if __name__ == "__main__":
    assert len(jax.devices()) == 4
    json.dump({name: wrong(check) for name, check in CHECKS.items()}, sys.stdout)
