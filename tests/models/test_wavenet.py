"""WaveNet as a likelihood: the one-sample shift, the receptive field, labels, parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil import ContextStackConfig, LocalConditioningConfig, WaveNet, WaveNetConfig
from wavedil.models import named_weights

CONFIG = WaveNetConfig(
    levels=8, dilations=(1, 2, 4), cycles=1, residual_channels=4, skip_channels=8
)
FAR = ContextStackConfig(factor=8, channels=4, kernel_size=3, dilations=(1, 3), cycles=2)
FAR_WEIGHTS = "conditioning.context_stack"
NUM_SAMPLES = 30


@pytest.fixture(scope="module")
def model() -> WaveNet:
    model = WaveNet(CONFIG, rngs=nnx.Rngs(0))
    model.output.kernel[...] *= (
        10.0  # so that far samples change probabilities by more than rounding
    )
    return model


def test_prediction_depends_on_earlier_samples_only_and_on_all_of_its_field(
    model: WaveNet,
) -> None:
    """By brute force: every sample is changed, and the distribution of every other one looked at."""
    size = model.receptive_field.size
    codes = jax.random.randint(jax.random.key(0), (1, NUM_SAMPLES), 0, CONFIG.levels)

    @jax.jit
    def distributions(codes: jax.Array) -> jax.Array:
        """log p(level at t | samples before t), [time, levels], through log_prob alone."""

        def of_level(level: jax.Array, t: jax.Array) -> jax.Array:
            return model.log_prob(codes.at[:, t].set(level))[0, t]

        of_levels = jax.vmap(of_level, (0, None))
        return jax.vmap(of_levels, (None, 0))(jnp.arange(CONFIG.levels), jnp.arange(NUM_SAMPLES))

    base = distributions(codes)
    np.testing.assert_allclose(jnp.exp(base).sum(1), 1.0, rtol=1e-5)
    for changed in range(NUM_SAMPLES):
        other = distributions(codes.at[0, changed].set((codes[0, changed] + 3) % CONFIG.levels))
        moved = np.flatnonzero(np.abs(other - base).max(1) > 1e-7)
        expected = np.arange(changed + 1, min(changed + size, NUM_SAMPLES - 1) + 1)
        np.testing.assert_array_equal(moved, expected)


@pytest.mark.long
def test_first_sample_is_predicted_from_silence(model: WaveNet) -> None:
    codes = jnp.array([[3, 1, 4]])
    silence = jnp.array([[CONFIG.levels // 2]])
    first = model.distribution.log_prob(model(silence), codes[:, :1])
    np.testing.assert_allclose(model.log_prob(codes)[:, :1], first, rtol=1e-5)
    np.testing.assert_allclose(
        model.log_prob(codes), model.log_prob(codes, context=silence), rtol=1e-6
    )


OUTPUTS = {
    "logistic": {"output": "logistic", "levels": 65536, "companding": "linear", "input": "scalar"},
    "three logistics on mu-law": {"output": "logistic", "num_components": 3},
    "gaussian": {"output": "gaussian", "levels": 65536, "companding": "linear", "input": "scalar"},
    "categorical on linear levels": {"companding": "linear"},
}


@pytest.mark.parametrize("settings", OUTPUTS.values(), ids=OUTPUTS)
def test_every_output_has_its_width_its_grid_and_a_broad_first_loss(settings) -> None:
    config = WaveNetConfig.tiny(**settings)
    model = WaveNet(config, rngs=nnx.Rngs(0))
    assert model.distribution.quantizer == config.quantizer
    assert model.output.kernel.shape[-1] == model.distribution.num_outputs
    codes = jax.random.randint(jax.random.key(1), (2, 200), 0, config.levels)
    bits = -jax.jit(model.log_prob)(codes).mean() / jnp.log(2.0)
    assert float(bits) < np.log2(config.levels) + 1.2
    if config.input == "scalar":
        np.testing.assert_array_equal(model.enter(codes)[..., 0], config.quantizer.decode(codes))


def test_untrained_model_gives_nearly_equal_probabilities() -> None:
    model = WaveNet(WaveNetConfig.tiny(), rngs=nnx.Rngs(0))
    codes = jax.random.randint(jax.random.key(1), (2, 200), 0, 256)
    bits = -jnp.mean(model.log_prob(codes)) / jnp.log(2.0)
    assert 7.9 < float(bits) < 8.2


def test_every_label_changes_the_prediction_and_none_is_index_0() -> None:
    labels = {"digit": ("0", "1"), "speaker": ("a", "b")}
    model = WaveNet(WaveNetConfig.tiny(labels=labels), rngs=nnx.Rngs(0))
    codes = jnp.zeros((1, 5), jnp.int32)
    unlabelled = model(codes)
    zeros = {name: jnp.zeros(1, jnp.int32) for name in labels}
    np.testing.assert_array_equal(unlabelled, model(codes, zeros))
    for name in labels:
        given = model(codes, zeros | {name: jnp.ones(1, jnp.int32)})
        assert not np.allclose(unlabelled, given)


def test_number_of_parameters_is_what_the_sizes_say() -> None:
    config = WaveNetConfig(residual_channels=5, skip_channels=7, dilations=(1, 2), cycles=2)
    embedding, first = 256 * 5, 2 * 5 * 5 + 5
    layer = (2 * 5 * 10 + 10) + (5 * 5 + 5)
    skip, head = 4 * 5 * 7 + 7, (7 * 7 + 7) + (7 * 256 + 256)
    expected = embedding + first + 4 * layer + skip + head
    assert WaveNet(config, rngs=nnx.Rngs(0)).num_parameters == expected


def test_config_and_network_agree_on_the_receptive_field() -> None:
    for config in (
        WaveNetConfig.tiny(),
        CONFIG,
        WaveNetConfig.tiny(kernel_size=3, input_kernel_size=4),
        WaveNetConfig.tiny(context_stack=FAR),
        WaveNetConfig.tiny(dilations=(2,), cycles=1, context_stack=FAR),
    ):
        assert WaveNet(config, rngs=nnx.Rngs(0)).receptive_field == config.receptive_field


def test_the_field_of_a_context_stack_is_what_the_formula_says() -> None:
    frames = 1 + 2 * 2 * (1 + 3)
    assert FAR.receptive_field.size == 8 * frames + 7
    later = 2 * (1 + 2 + 4 + 8) - 1
    assert WaveNetConfig.tiny(context_stack=FAR).receptive_field.size == 8 * frames + 7 + later


LABELS = {"digit": ("0", "1"), "speaker": ("a", "b")}
CONDITIONS = {
    "nothing else": {},
    "labels": {"labels": LABELS},
    "features": {"local_conditioning": LocalConditioningConfig(num_features=3, hop=4)},
    "labels and features": {
        "labels": LABELS,
        "local_conditioning": LocalConditioningConfig(num_features=3, hop=4),
    },
}


@pytest.mark.parametrize("conditions", CONDITIONS.values(), ids=CONDITIONS)
def test_a_context_stack_adds_its_own_weights_and_leaves_the_others_as_they_are(conditions) -> None:
    plain = named_weights(WaveNet(WaveNetConfig.tiny(**conditions), rngs=nnx.Rngs(0)))
    model = WaveNet(WaveNetConfig.tiny(**conditions, context_stack=FAR), rngs=nnx.Rngs(0))
    weights = named_weights(model)
    assert {f"{FAR_WEIGHTS}.frames.kernel", f"{FAR_WEIGHTS}.stack.blocks.3.conv.kernel"} <= set(
        weights
    )
    # Features have the condition's channels already; without them the context brings its own.
    if "local_conditioning" in conditions:
        assert set(plain) == {name for name in weights if not name.startswith(FAR_WEIGHTS)}
        for name, value in plain.items():
            np.testing.assert_array_equal(weights[name], value)


@pytest.mark.long
def test_what_was_long_ago_changes_the_prediction_through_the_context_alone() -> None:
    sizes = {"dilations": (1, 2), "cycles": 1}
    codes = jax.random.randint(jax.random.key(0), (1, 200), 0, 256)
    other = codes.at[0, 100].set((codes[0, 100] + 60) % 256)
    for context, reached in ((None, 100 + 5), (FAR, 100 + 8 * 17 + 7 + 2)):
        model = WaveNet(WaveNetConfig.tiny(**sizes, context_stack=context), rngs=nnx.Rngs(0))
        moved = np.abs(model.log_prob(codes) - model.log_prob(other))[0] > 1e-6
        assert moved[100 : min(reached, 200)].any() and not moved[:100].any()
        assert moved[150:].any() == (context is not None)
