"""Settings of published results: the sizes that were published, and a way to train them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import TINY
from flax import nnx
from recordings import tone, write

from wavedil import WaveNet, WaveNetConfig
from wavedil.cli.main import main
from wavedil.runs import PUBLISHED, from_values, to_values

by_name = pytest.mark.parametrize("name", PUBLISHED)


@by_name
def test_the_network_has_the_parameters_and_the_field_that_were_published(name) -> None:
    config = PUBLISHED[name].model
    model = nnx.eval_shape(lambda: WaveNet(config, rngs=nnx.Rngs(0)))
    embedding, output = 256 * 256, 256 * 256 + 256
    assert model.num_parameters == 4_113_152 + embedding + output == 4_244_480
    assert model.receptive_field.size == 4093
    outputs = nnx.eval_shape(lambda model: model(jnp.zeros((1, 3), jnp.int32)), model)
    assert outputs.shape == (1, 3, 256)


@by_name
def test_clips_are_scaled_one_by_one_and_codes_are_those_of_the_row(name) -> None:
    config = PUBLISHED[name]
    assert config.corpus.min_max_normalisation and config.corpus.sample_rate == 16000
    assert config.model.companding == ("linear" if name == "beethoven" else "mu_law")
    assert config.model.levels == 256
    assert from_values(json.loads(json.dumps(to_values(config)))) == config


@pytest.mark.long
def test_a_model_without_biases_streams_as_it_runs() -> None:
    sizes = {"embedding_channels": 7, "hidden_channels": 5, "bottleneck_channels": 3}
    config = WaveNetConfig.tiny(**sizes, biases=False)
    model = WaveNet(config, rngs=nnx.Rngs(0))
    names = [str(path) for path, _ in jax.tree_util.tree_leaves_with_path(nnx.state(model))]
    assert not any("bias" in name for name in names if "stack" in name or "['input']" in name)
    codes = jax.random.randint(jax.random.key(0), (2, 40), 0, 256)
    y, _ = model.step(codes, model.init_state(2))
    np.testing.assert_allclose(y, model(codes), atol=1e-5)


@pytest.mark.long
def test_the_command_line_takes_a_published_result_by_name(tmp_path, capsys) -> None:
    for name, length in (("a", 2000), ("b", 2100)):
        write(tmp_path / "in" / f"{name}.wav", tone(length, sample_rate=16000), 16000)
    arguments = ["train", str(tmp_path / "in"), str(tmp_path / "run"), "--config", "beethoven"]
    assert main([*arguments, *TINY]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["model"]["companding"], config["model"]["biases"]) == ("linear", False)
    assert (config["corpus"]["min_max_normalisation"], config["training"]["learning_rate"]) == (
        True,
        1e-3,
    )
    assert main(["generate", str(tmp_path / "run"), str(tmp_path / "a.wav"), "--seconds=0.01"]) == 0
