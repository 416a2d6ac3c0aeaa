"""The compiled engine gives the numbers of the JAX model, sample by sample."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil import ContextStackConfig, UserError, WaveNet, WaveNetConfig, generate
from wavedil.engine import Samples, UnservedError
from wavedil.generation import choose_engine
from wavedil.models.compilation import compiled
from wavedil.nn import DilatedStack

LABELS = {"digit": ("0", "1", "2")}
CONFIGS = {
    "three taps": WaveNetConfig.tiny(kernel_size=3, input_kernel_size=3, dilations=(1, 3, 2)),
    "one tap": WaveNetConfig.tiny(kernel_size=1, input_kernel_size=1, biases=False),
    "odd sizes": WaveNetConfig.tiny(
        residual_channels=5, gate_channels=7, skip_channels=70, hidden_channels=9, bottleneck_channels=3,
        embedding_channels=2, levels=10,
    ),
    "labels": WaveNetConfig.tiny(labels=LABELS),
    "logistic": WaveNetConfig.tiny(
        output="logistic", num_components=3, levels=65536, companding="linear", input="scalar"
    ),
    "gaussian": WaveNetConfig.tiny(output="gaussian"),
    "context and labels": WaveNetConfig.tiny(
        dilations=(1, 2),
        labels=LABELS,
        gate_channels=5,
        context_stack=ContextStackConfig(factor=7, channels=8, kernel_size=3, dilations=(2, 1)),
    ),
}  # fmt: skip


@functools.cache
def make_model(name: str) -> WaveNet:
    model = WaveNet(CONFIGS[name], rngs=nnx.Rngs(0))
    model.output.kernel[...] *= 10.0  # far from uniform, as after training
    return model


def inputs(model: WaveNet, batch_size: int, num_samples: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    codes = jnp.asarray(rng.integers(0, model.config.levels, (batch_size, num_samples)), jnp.int32)
    labels = {name: jnp.arange(batch_size) % 4 for name in model.config.labels}
    return codes, labels, model.conditioning(batch_size, labels)


def drawn_after(model: WaveNet, codes: Any, labels: Any, keys: Any, temperature: float) -> Any:
    """What the whole forward pass draws after every beginning of the codes, and its cumulative distribution there."""
    silence = np.full((len(codes), 1), model.config.quantizer.silence)
    seen = np.concatenate([silence, codes[:, :-1]], axis=1).astype(np.int32)
    parameters = compiled(WaveNet.__call__, model)(jnp.asarray(seen), labels)
    sample = functools.partial(model.distribution.sample, temperature=temperature)
    return np.asarray(jax.jit(jax.vmap(jax.vmap(sample)))(keys, parameters)), parameters


@pytest.mark.sampled
@pytest.mark.parametrize("name", CONFIGS)
def test_outputs_along_a_sound_are_those_of_the_model(name: str) -> None:
    model = make_model(name)
    # Five signals, of which four share what is read of the weights.
    codes, labels, condition = inputs(model, 5, 60)
    samples = Samples(model, 5)
    blocks = [samples.outputs(condition, codes[:, a:b]) for a, b in ((0, 0), (0, 1), (1, 60))]
    want = compiled(WaveNet.__call__, model)(codes, labels)
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), want, rtol=1e-5, atol=1e-5)
    log_prob = functools.partial(model.distribution.log_prob, codes=codes)
    got = log_prob(jnp.asarray(np.concatenate(blocks, axis=1)))
    np.testing.assert_allclose(got, log_prob(want), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["three taps", "logistic", "gaussian", "context and labels"])
def test_codes_are_drawn_as_the_model_draws_them_from_the_same_noise(name: str) -> None:
    model = make_model(name)
    _, labels, _ = inputs(model, 2, 0)
    settings: dict[str, Any] = {"num_samples": 120, "batch_size": 2, "labels": labels}
    codes = generate(model, 3, temperature=0.9, engine="compiled", **settings)
    keys = jax.random.split(jax.random.key(3), 2)
    keys = jax.vmap(lambda key: jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(120)))(keys)
    want, _ = drawn_after(model, codes, labels, keys, 0.9)
    # The 65,536 levels of mixtures lie so close that rounding moves a draw to the next one.
    assert np.max(np.abs(want - codes)) <= (1 if model.config.levels > 256 else 0)


def test_a_prompt_is_absorbed_whatever_its_length() -> None:
    model = make_model("context and labels")
    prompt = np.random.default_rng(0).integers(0, 256, (1, 2345))
    for length in (0, 45, 2345):
        settings: dict[str, Any] = {"num_samples": 40, "prompt": prompt[:, :length]}
        scan = generate(model, 0, engine="scan", **settings)
        np.testing.assert_array_equal(generate(model, 0, engine="compiled", **settings), scan)


def test_a_signal_does_not_depend_on_those_beside_it() -> None:
    model = make_model("context and labels")
    codes, _, condition = inputs(model, 6, 40)
    together = Samples(model, 6).outputs(condition, codes)
    for number in (0, 5):
        alone = Samples(model, 1).outputs(condition[number][None], codes[number][None])
        np.testing.assert_array_equal(alone[0], together[number])


@pytest.mark.sampled
@pytest.mark.parametrize(
    "activation", ["relu", "silu", "softsign", "gelu", "leaky_relu", "identity"]
)
def test_activations_are_those_of_the_model(activation: str) -> None:
    model = WaveNet(CONFIGS["three taps"], rngs=nnx.Rngs(0))
    model.stack = DilatedStack(
        16, 32, kernel_size=3, dilations=(1, 3, 2), activation=activation, gate="tanh", rngs=nnx.Rngs(1)
    )  # fmt: skip
    codes, _, _ = inputs(model, 1, 30)
    got = Samples(model, 1).outputs(None, codes)
    np.testing.assert_allclose(got, model(codes), rtol=1e-5, atol=1e-5)


@pytest.mark.long
def test_bfloat16_weights_give_the_outputs_of_the_rounded_model() -> None:
    model = make_model("labels")
    codes, labels, condition = inputs(model, 2, 40)
    graph, weights = nnx.split(model)

    def rounded(path: Any, leaf: Any) -> Any:
        kept = "bias" in str(path) or "embedding" in str(path)
        return leaf if kept else leaf.astype(jnp.bfloat16).astype(jnp.float32)

    reference = nnx.merge(graph, jax.tree_util.tree_map_with_path(rounded, weights))
    got = Samples(model, 2, "bfloat16").outputs(condition, codes)
    np.testing.assert_allclose(got, reference(codes, labels), rtol=1e-5, atol=1e-5)


@pytest.mark.long
def test_int8_weights_give_nearly_the_outputs_of_the_model() -> None:
    model = make_model("labels")
    codes, labels, condition = inputs(model, 2, 40)
    got, want = (
        Samples(model, 2, "int8").outputs(condition, codes),
        model(codes, labels),
    )
    assert np.std(got - want) < 0.05 * np.std(want)


def test_nan_is_said_and_not_drawn() -> None:
    model = WaveNet(CONFIGS["three taps"], rngs=nnx.Rngs(0))
    model.input.kernel[...] *= np.nan
    with pytest.raises(UserError, match="the model gives NaN for sample 0"):
        generate(model, 0, num_samples=5, engine="compiled")


def test_what_the_engine_does_not_serve_falls_back_to_the_scan_with_the_reason() -> None:
    model = WaveNet(CONFIGS["three taps"], rngs=nnx.Rngs(0))
    assert choose_engine(model).name == "compiled"
    object.__setattr__(model, "distribution", Mine())
    assert "scan (the compiled engine draws from no Mine" in str(choose_engine(model))
    with pytest.raises(UnservedError, match="draws from no Mine; use engine='scan'"):
        generate(model, 0, num_samples=5, engine="compiled")
    with pytest.raises(UserError, match="weights is 'int8', but the scan keeps"):
        generate(model, 0, num_samples=5, weights="int8")


class Mine:
    num_outputs = 256


@pytest.mark.long
def test_along_ten_thousand_samples_probabilities_and_codes_are_those_of_the_model() -> None:
    model = WaveNet(WaveNetConfig.paper(), rngs=nnx.Rngs(0))
    model.output.kernel[...] *= 10.0
    codes = generate(model, 0, num_samples=10_000, engine="compiled")
    keys = jax.random.split(jax.random.key(0), 1)
    keys = jax.vmap(lambda key: jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(10_000)))(
        keys
    )
    want, parameters = drawn_after(model, codes, None, keys, 1.0)
    seen = np.concatenate([[[128]], codes[:, :-1]], axis=1)
    got = Samples(model, 1).outputs(None, seen)
    log_prob = functools.partial(model.distribution.log_prob, codes=jnp.asarray(codes))
    np.testing.assert_allclose(log_prob(jnp.asarray(got)), log_prob(parameters), rtol=0, atol=1e-4)
    differ = np.argwhere(want[0] != codes[0])[:, 0]
    assert len(differ) <= 10
    for t in differ:
        cumulative = np.cumsum(jax.nn.softmax(parameters[0, t].astype(jnp.float32)))
        uniform = float(model.distribution.noise(keys[0, t])[0])
        assert np.abs(cumulative - uniform).min() < 1e-3
