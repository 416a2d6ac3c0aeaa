"""Labels left out while a model trains: all of a signal's or none, as often as the rate says, by the step's key."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import training_runs as runs
from flax import nnx

from wavedil import DiffWave, DiffWaveConfig, UserError, WaveNet, WaveNetConfig
from wavedil.tasks import DiffusionTask, GeneratorTask

LABELS = {"digit": ("3", "7"), "speaker": ("ann", "bob")}
COUNT = 200
ROWS = {"digit": np.full(COUNT, 2), "speaker": np.full(COUNT, 1)}
SIZES: dict[str, Any] = {"dilations": (1,), "cycles": 1, "labels": LABELS, "label_dropout": 0.3}


def wavenet() -> Any:
    sizes = {"levels": 4, "residual_channels": 8, "skip_channels": 8}
    model = WaveNet(WaveNetConfig.tiny(**(SIZES | sizes)), rngs=nnx.Rngs(0))
    codes = jnp.ones((COUNT, 4), jnp.int32)
    return lambda labels, **given: model(codes, labels, **given)


def wavenet_inside() -> Any:
    sizes = {"levels": 4, "residual_channels": 8, "skip_channels": 8}
    model = WaveNet(WaveNetConfig.tiny(**(SIZES | sizes)), rngs=nnx.Rngs(0))
    codes = jnp.ones((COUNT, 4), jnp.int32)
    return lambda labels, **given: model.valid(codes, labels, **given)


def diffwave() -> Any:
    model = DiffWave(DiffWaveConfig.tiny(**(SIZES | {"channels": 8})), rngs=nnx.Rngs(0))
    model.output.kernel[...] += 1.0  # its first guess is no noise
    x, steps = jnp.ones((COUNT, 4, 1)), jnp.zeros(COUNT, jnp.int32)
    return lambda labels, **given: model(x, steps, labels, **given)


@pytest.mark.parametrize("made", [wavenet, wavenet_inside, diffwave])
def test_a_signal_loses_all_its_labels_or_none_as_often_as_the_rate_says(made: Any) -> None:
    outputs = jax.jit(made())
    labelled, without = outputs(ROWS), outputs(None)
    assert not np.allclose(labelled, without, atol=1e-3)
    key = jax.random.key(3)
    found = np.asarray(outputs(ROWS, dropout_key=key))
    axes = tuple(range(1, found.ndim))
    kept, lost = (np.abs(found - each).max(axis=axes) < 1e-6 for each in (labelled, without))
    assert (kept ^ lost).all()
    # Of 200 at a rate of 0.3, with a deviation of 6.5.
    assert 40 < lost.sum() < 80
    np.testing.assert_array_equal(outputs(ROWS, dropout_key=key), found)
    other = outputs(ROWS, dropout_key=jax.random.key(4))
    assert not np.array_equal(other, found)


def test_without_a_rate_a_key_leaves_every_label() -> None:
    config = WaveNetConfig.tiny(levels=4, dilations=(1,), cycles=1, labels=LABELS)
    assert WaveNetConfig.from_dict(config.to_dict() | {"label_dropout": 0.0}) == config
    old = config.to_dict()
    del old["label_dropout"]
    assert WaveNetConfig.from_dict(old) == config
    model = WaveNet(config, rngs=nnx.Rngs(0))
    codes = jnp.ones((2, 4), jnp.int32)
    given = {"digit": "7"}
    found = model(codes, given, dropout_key=jax.random.key(0))
    np.testing.assert_array_equal(found, model(codes, given))


@pytest.mark.parametrize("config", [WaveNetConfig, DiffWaveConfig])
def test_a_rate_that_is_no_share_is_refused(config: Any) -> None:
    with pytest.raises(UserError, match=r"label_dropout is 1.0, but it must be a share from 0"):
        config(label_dropout=1.0)


@pytest.mark.parametrize(
    ("task", "model"),
    [
        (GeneratorTask(), runs.model_config(label_dropout=0.1)),
        (DiffusionTask(), DiffWaveConfig.tiny(label_dropout=0.1)),
    ],
)
def test_labels_that_no_recording_has_cannot_be_left_out(task: Any, model: Any) -> None:
    config = runs.run_config(task, model)
    with pytest.raises(UserError, match=r"label_dropout is 0.1, but the recordings have no labels"):
        runs.resolve(config, runs.corpus())
    runs.resolve(config, runs.corpus(labels=True))
