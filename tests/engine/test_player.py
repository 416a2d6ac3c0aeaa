"""Blocks of any length through the compiled engine are the outputs of the model's step."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from wavedil import UserError, WaveNet, WaveNetConfig
from wavedil.engine import UnservedError, player
from wavedil.models import AmpModel, AmpModelConfig
from wavedil.models.amp_array_config import AmpActivationConfig, AmpArrayConfig, AmpFiLMConfig
from wavedil.models.amp_config import AmpHeadConfig, KnobConfig
from wavedil.models.compilation import compiled

FILM = AmpFiLMConfig()
SCALE = AmpFiLMConfig(shift=False)
EVERYTHING = AmpModelConfig(
    arrays=(
        AmpArrayConfig(
            channels=6, dilations=(1, 5, 2), kernel_sizes=(3, 1, 2), bottleneck=4, conv_groups=2,
            activations=(
                AmpActivationConfig(function="leaky_hardtanh"),
                AmpActivationConfig(function="prelu", slopes=(0.1, 0.2, 0.3, 0.4)),
                AmpActivationConfig(function="fast_tanh"),
            ),
            gating=("gated", "none", "blended"), head1x1_channels=5, head_channels=3, head_kernel_size=4,
            head_bias=True, conv_pre_film=FILM, conv_post_film=FILM, input_mixin_pre_film=SCALE,
            input_mixin_post_film=FILM, activation_pre_film=SCALE, activation_post_film=FILM,
            layer1x1_post_film=FILM, head1x1_post_film=FILM,
        ),
        AmpArrayConfig(
            channels=3, dilations=(2, 130), layer1x1_groups=None, head_bias=True,
            activations=(
                AmpActivationConfig(function="hardswish"), AmpActivationConfig(function="hardtanh"),
            ),
            secondary_activations=(AmpActivationConfig(function="softsign"),), gating=("none", "gated"),
        ),
    ),
    head=AmpHeadConfig(channels=2, out_channels=2, kernel_sizes=(3, 2)),
    condition=AmpModelConfig(arrays=(AmpArrayConfig(channels=2, dilations=(1, 3)),), head_scale=0.5),
)  # fmt: skip
KNOBS = AmpModelConfig(
    arrays=(AmpArrayConfig(channels=4, dilations=(1, 7), head_bias=True),), knobs=(KnobConfig(),)
)


def make_amp(config: AmpModelConfig) -> AmpModel:
    """A model with biases, as after training: endless silence leaves another state than zeros."""
    graph, weights = nnx.split(AmpModel(config, rngs=nnx.Rngs(0)))
    leaves, tree = jax.tree.flatten(weights)
    rng = np.random.default_rng(1)
    moved = [leaf + 0.1 * rng.standard_normal(leaf.shape).astype(np.float32) for leaf in leaves]
    return nnx.merge(graph, jax.tree.unflatten(tree, moved))


def signal(batch_size: int, num_samples: int, channels: int = 1) -> Any:
    x = np.random.default_rng(0).standard_normal((batch_size, num_samples, channels))
    return x.astype(np.float32)


def pushed(made: Any, x: Any, ends: list[int]) -> Any:
    bounds = [0, *sorted(ends), x.shape[1]]
    blocks = [made.push(x[:, a:b]) for a, b in itertools.pairwise(bounds)]
    return np.concatenate(blocks, axis=1)


@pytest.mark.parametrize(
    "config",
    [pytest.param(EVERYTHING, marks=pytest.mark.long), AmpModelConfig.nano()],
    ids=["everything", "nano"],
)
def test_blocks_of_any_length_give_the_outputs_of_the_model(config: AmpModelConfig) -> None:
    model, x = make_amp(config), signal(2, 900)
    want = np.asarray(compiled(AmpModel.__call__, model)(x))
    made = player(model, 2)

    @settings(max_examples=10, deadline=None)
    @given(st.lists(st.integers(0, 900), max_size=12))
    def check(ends: list[int]) -> None:
        made.reset()
        np.testing.assert_allclose(pushed(made, x, ends), want, rtol=1e-4, atol=2e-6)

    check()


def test_blocks_that_divide_the_past_of_the_model_give_its_outputs() -> None:
    model = make_amp(AmpModelConfig.a2(3))
    past = model.receptive_field.past
    x = signal(1, 2 * past + 1)
    want = np.asarray(compiled(AmpModel.__call__, model)(x))
    for block in (1, 167, 334, 3173, past):
        if past % block:
            continue
        stop = past + 2 if block == 1 else x.shape[1]
        got = pushed(player(model), x[:, :stop], list(range(0, stop, block)))
        np.testing.assert_allclose(got, want[:, :stop], rtol=1e-4, atol=5e-6)


def test_knobs_are_set_when_the_player_is_made() -> None:
    model, x = make_amp(KNOBS), signal(1, 50)
    got = player(model, knobs={"gain": 0.3}).push(x)
    np.testing.assert_allclose(
        got, model(jnp.asarray(x), knobs={"gain": 0.3}), rtol=1e-5, atol=1e-6
    )
    with pytest.raises(UserError, match="knobs set are none"):
        player(model)
    with pytest.raises(UnservedError, match="one setting of the knobs"):
        player(model, 2, knobs={"gain": [0.3, 0.4]})


@pytest.mark.long
def test_a_wavenet_gives_the_parameters_of_the_sample_after_each() -> None:
    model = WaveNet(WaveNetConfig.tiny(labels={"digit": ("0", "1")}), rngs=nnx.Rngs(0))
    codes = np.random.default_rng(0).integers(0, 256, (2, 80))
    made = player(model, 2, labels={"digit": ["0", "1"]})
    want = model(jnp.asarray(codes, jnp.int32), {"digit": ["0", "1"]})
    for _ in range(2):
        got = pushed(made, codes, [0, 1, 30, 30])
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        made.reset()


def test_a_block_of_another_shape_is_refused() -> None:
    with pytest.raises(UserError, match=r"shape \[2, 5, 1\], but the stream takes \[1, time, 1\]"):
        player(make_amp(AmpModelConfig.nano())).push(signal(2, 5))
