"""The amp model: published sizes, its start after endless silence, and knobs."""

import math
from typing import Any

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil import AmpModel, AmpModelConfig, UserError
from wavedil.models import (
    AmpActivationConfig,
    AmpArrayConfig,
    KnobConfig,
    abstract_model,
    named_weights,
    num_weights,
    weights_in_order,
)
from wavedil.models.amp_layers import activate

PUBLISHED = {
    "standard": (AmpModelConfig.standard(), 13802, 4093),
    "lite": (AmpModelConfig.lite(), 6554, 4093),
    "feather": (AmpModelConfig.feather(), 3026, 4093),
    "nano": (AmpModelConfig.nano(), 842, 4093),
    "A2 of 8 channels": (AmpModelConfig.a2(), 12146, 6347),
    "A2 of 3 channels": (AmpModelConfig.a2(3), 1871, 6347),
}
ALL = contract.LAYERS["amp of every feature"]
KNOBS = (KnobConfig(knob="gain", least=2, most=6), KnobConfig(knob="tone", least=-1, most=1))
SETTING = {"gain": 3.0, "tone": 0.25}


@pytest.fixture(scope="module")
def knobbed() -> AmpModel:
    """The model of every feature, with two knobs."""
    config = ALL.layer().config.to_dict() | {"knobs": [knob.to_dict() for knob in KNOBS]}
    return AmpModel(AmpModelConfig.from_dict(config), rngs=nnx.Rngs(0))


@pytest.mark.parametrize(("config", "parameters", "field"), PUBLISHED.values(), ids=PUBLISHED)
def test_named_sizes_have_their_published_parameters_and_fields(
    config: AmpModelConfig, parameters: int, field: int
) -> None:
    assert num_weights(config) == parameters
    assert config.receptive_field.size == field


@pytest.mark.parametrize("config", [AmpModelConfig.nano(), ALL.layer().config], ids=["nano", "all"])
def test_the_weights_in_order_are_those_of_the_model(config: AmpModelConfig) -> None:
    model = {name: leaf.shape for name, leaf in named_weights(abstract_model(config)).items()}
    listed = dict(weights_in_order(config))
    if config.condition is not None:
        inner = weights_in_order(config.condition)
        listed |= {f"condition.{name}": shape for name, shape in inner}
    assert listed == model


def test_memory_lists_what_every_convolution_sees_in_the_order_of_the_state() -> None:
    model = ALL.layer()
    states = [leaf.shape[1:] for leaf in jax.eval_shape(lambda: model.init_state(1))]
    assert states == list(model.config.memory)


@pytest.mark.parametrize("name", ["amp", "amp of every feature"])
def test_a_signal_begins_after_endless_silence(name: str) -> None:
    """Silence in front of it changes nothing, nor does it where a mask says that there is no signal."""
    model = contract.LAYERS[name].layer()
    x = jax.random.normal(jax.random.key(0), (1, 20, 1))
    silence = jnp.zeros((1, 2 * model.receptive_field.size, 1))
    later = jnp.concatenate([silence, x], axis=1)
    there = (jnp.arange(later.shape[1]) >= silence.shape[1])[None]
    y, after_silence, masked, quiet = jax.jit(
        lambda: (
            model(x),
            model(later)[:, silence.shape[1] :],
            model(jnp.where(there[..., None], later, jnp.nan), mask=there)[:, silence.shape[1] :],
            model(silence),
        )
    )()
    np.testing.assert_allclose(after_silence, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(masked, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(quiet, jnp.broadcast_to(quiet[:, :1], quiet.shape), atol=1e-6)
    assert np.ptp(np.asarray(y)) > 1e-3


def test_a_setting_of_knobs_is_folded_into_the_biases(knobbed: AmpModel) -> None:
    x = jax.random.normal(jax.random.key(0), (1, 30, 1))
    folded = knobbed.at(SETTING)
    assert folded.config.knobs == ()
    run = jax.jit(lambda x, knobs: knobbed(x, knobs=knobs))
    y = run(x, SETTING)
    np.testing.assert_allclose(jax.jit(folded)(x), y, rtol=1e-6, atol=1e-6)
    other = run(x, SETTING | {"gain": 6.0})
    assert float(jnp.abs(other - y).max()) > 1e-3


def test_knobs_may_differ_between_the_signals_of_a_batch_and_stream_so(knobbed: AmpModel) -> None:
    x = jax.random.normal(jax.random.key(0), (2, 30, 1))
    knobs = {"gain": jnp.array([3.0, 5.0]), "tone": 0.25}

    @jax.jit
    def run(x: Any, knobs: Any) -> Any:
        state = knobbed.init_state(2, knobs=knobs)
        first, state = knobbed.step(x[:, :11], state, knobs=knobs)
        second, state = knobbed.step(x[:, 11:], state, knobs=knobs)
        whole, alone = knobbed(x, knobs=knobs), knobbed(x[:1], knobs=SETTING)
        return jnp.concatenate([first, second], axis=1), whole, alone

    streamed, whole, alone = run(x, knobs)
    np.testing.assert_allclose(streamed, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(whole[:1], alone, rtol=1e-5, atol=1e-6)
    assert float(jnp.abs(whole[0] - whole[1]).max()) > 1e-3


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"gain": 6.5, "tone": 0.0}, "knob gain is 6.5, but it was trained from 2 to 6"),
        ({"gain": float("nan"), "tone": 0.0}, "was trained from 2 to 6"),
        ({"gain": "high", "tone": 0.0}, "knob gain is 'high', but it must be a number"),
        ({"gain": [3.0] * 3, "tone": 0.0}, "one for each of 2 signals"),
        ({"gain": 3.0}, r"has gain \(2 to 6\), tone \(-1 to 1\); set each of them"),
        (None, "knobs set are none"),
    ],
)
def test_knobs_out_of_range_missing_or_of_other_shapes_are_refused(
    knobbed: AmpModel, knobs: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        knobbed(jnp.zeros((2, 3, 1)), knobs=knobs)


def test_a_knob_of_a_model_without_any_is_refused() -> None:
    with pytest.raises(UserError, match="this model has none"):
        contract.LAYERS["amp"].layer()(jnp.zeros((1, 3, 1)), knobs={"gain": 1.0})


ACTIVATIONS = {
    "hardtanh": ((), (), lambda x: np.clip(x, -1, 1)),
    "leaky_relu": ((0.25,), (), lambda x: np.where(x > 0, x, 0.25 * x)),
    "prelu": ((0.5, 2.0), (), lambda x: np.where(x > 0, x, x * [0.5, 2.0])),
    "hardswish": ((), (), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "leaky_hardtanh": (
        (0.5, 0.25),
        (-1.0, 2.0),
        lambda x: np.interp(x, [-11, -1, 2, 12], [-6, -1, 2, 4.5]),
    ),
    "softsign": ((), (), lambda x: x / (1 + np.abs(x))),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_with_numbers_are_what_they_say(name: Any) -> None:
    slopes, limits, expected = ACTIVATIONS[name]
    x = np.linspace(-5, 5, 42, dtype=np.float32).reshape(1, 21, 2)
    config = AmpActivationConfig(function=name, slopes=slopes, limits=limits)
    np.testing.assert_allclose(activate(config, x), expected(x), rtol=1e-6, atol=1e-6)


def test_fast_tanh_is_near_tanh() -> None:
    x = jnp.linspace(-5, 5, 101)
    y = activate(AmpActivationConfig(function="fast_tanh"), x)
    np.testing.assert_allclose(y, np.tanh(x), atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dilations": ()}, "dilations of an array are empty"),
        ({"kernel_sizes": (3, 3)}, "has 2 entries, but there are 10 dilations"),
        ({"channels": 0}, "array channels is 0"),
        ({"layer1x1_groups": None, "bottleneck": 2}, "equal without layer1x1"),
        ({"head1x1_post_film": {}}, "head1x1_post_film modulates what is not there"),
        ({"activations": ({"function": "relu", "slopes": (1.0,)},)}, "slopes of relu"),
        ({"conv_groups": 3}, "conv_groups of array 0 is 3"),
        ({"dilations": (2**30,)}, "more than the 16777216"),
        ({"head_channels": 3}, "the channels of array 1 has 16 channels, but array 0 hands on 3"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        first = AmpArrayConfig.from_dict({"head_channels": 16, **settings})
        AmpModelConfig(arrays=(first, AmpArrayConfig()))


def test_a_knob_has_a_finite_range() -> None:
    for least, most in ((0.0, math.inf), (-1e308, 1e308), (1.0, 1.0)):
        with pytest.raises(UserError, match="give its lowest setting and a higher one"):
            KnobConfig(least=least, most=most)
