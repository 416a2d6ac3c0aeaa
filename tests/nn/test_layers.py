"""Refusals of layers, and their parts."""

from typing import Any

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil import UserError, WaveNet, WaveNetConfig
from wavedil.nn import (
    AtrousPyramid,
    ContextModule,
    ContextStack,
    Conv1d,
    Conv2d,
    DepthwiseSeparableBlock,
    DiffusionBlock,
    DilatedStack,
    Downsample,
    FiLM,
    GatedBlock,
    PitchConv1d,
    PitchStack,
    RepeatUpsample,
    SubPixelUpsample,
    TemporalBlock,
    TemporalConvNet,
)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_size": 0}, "kernel_size is 0"),
        ({"kernel_size": 2, "dilation": 0}, "dilation is 0"),
        ({"kernel_size": 2, "groups": 2}, "groups is 2, which does not divide 3"),
    ],
)
def test_conv_refuses_bad_sizes_by_name(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Conv1d(3, 4, **settings, rngs=nnx.Rngs(0))


def test_stack_refuses_an_empty_list_of_dilations() -> None:
    with pytest.raises(ValueError, match="dilations is empty"):
        DilatedStack(3, 4, dilations=[], rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "tanhh"}, "activation 'tanhh' is unknown; did you mean 'tanh'"),
        ({"gate": jax.nn.sigmoid}, "is unknown; .*known: tanh, sigmoid"),
        ({"dropout": 1.0}, "dropout is 1.0, but it must be a share from 0 to below 1"),
        ({"dropout": True}, "dropout is True"),
    ],
)
@pytest.mark.parametrize("make", [GatedBlock, DilatedStack])
def test_blocks_refuse_functions_and_dropout_that_are_none(
    make: Any, settings: dict[str, Any], message: str
) -> None:
    with contract.unchecked(), pytest.raises(UserError, match=message):
        make(3, 4, kernel_size=2, **settings, rngs=nnx.Rngs(0))


def test_condition_of_another_length_is_refused_with_both_lengths() -> None:
    block = GatedBlock(3, kernel_size=2, condition_channels=2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="7 samples and the signal 9"):
        block(jnp.zeros((1, 9, 3)), jnp.zeros((1, 7, 2)))


def test_block_with_a_condition_must_be_given_one() -> None:
    block = GatedBlock(3, kernel_size=2, condition_channels=2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="made with a condition"):
        block(jnp.zeros((1, 9, 3)))


def test_condition_of_one_sample_equals_the_same_at_every_sample() -> None:
    stack = DilatedStack(
        3, 4, kernel_size=3, dilations=[1, 2], condition_channels=2, rngs=nnx.Rngs(0)
    )
    x = jax.random.normal(jax.random.key(0), (2, 20, 3))
    condition = jax.random.normal(jax.random.key(1), (2, 1, 2))
    constant = stack(x, condition)
    repeated = stack(x, jnp.repeat(condition, 20, axis=1))
    for a, b in zip(constant, repeated, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_stack_equals_its_blocks_with_skip_outputs_of_their_own() -> None:
    stack = DilatedStack(3, 4, kernel_size=2, dilations=[1, 2, 4], rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (2, 20, 3))
    residual, total = x, jnp.zeros((2, 20, 4))
    for block, kernel in zip(stack.blocks, jnp.split(stack.skip_kernel[...], 3), strict=True):
        residual, gated = block(residual)
        total = total + gated @ kernel
    np.testing.assert_allclose(stack(x)[0], residual, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        stack(x)[1], total + stack.skip_bias[None, None], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("kernel_size", "cycles", "size"), [(2, 1, 1024), (2, 3, 3070), (3, 3, 6139)]
)
def test_stack_has_the_published_receptive_field(kernel_size: int, cycles: int, size: int) -> None:
    stack = DilatedStack(1, 1, kernel_size=kernel_size, cycles=cycles, rngs=nnx.Rngs(0))
    assert stack.receptive_field.size == size


ENDS = {"in_channels": 2, "out_channels": 4}
STACK = {"kernel_size": 2, "dilations": (1, 2), "cycles": 2}
MAKERS = {
    "conv": (Conv1d, {**ENDS, "kernel_size": 3, "dilation": 2, "groups": 2}),
    "block": (
        GatedBlock,
        {"channels": 3, "skip_channels": 2, "kernel_size": 2, "dilation": 3, "condition_channels": 1,
         "gate_channels": 2},
    ),
    "stack": (DilatedStack, {**STACK, "channels": 2, "skip_channels": 2, "condition_channels": 1, "gate_channels": 3}),
    "repeat": (RepeatUpsample, {**ENDS, "factor": 2, "kernel_size": 3}),
    "sub-pixel": (SubPixelUpsample, {**ENDS, "factor": 2, "kernel_size": 3}),
    "context": (ContextStack, {**ENDS, **STACK, "channels": 2, "factor": 2}),
    "module": (ContextModule, {"channels": 2, "num_frequencies": 3, "dilations": (1, 2)}),
    "pyramid": (AtrousPyramid, {**ENDS, "channels": 3, "num_frequencies": 2, "dilations": (1, 2)}),
    "film": (FiLM, {"channels": 2, "condition_channels": 3}),
    "separable": (
        DepthwiseSeparableBlock,
        {"channels": 2, "hidden_channels": 4, "skip_channels": 3, "kernel_size": 2, "dilation": 2},
    ),
    "downsample": (Downsample, {**ENDS, "factor": 2, "kernel_size": 3}),
    "temporal": (TemporalBlock, {**ENDS, "kernel_size": 2, "dilation": 2}),
    "diffusion": (
        DiffusionBlock,
        {"channels": 2, "embedding_channels": 4, "kernel_size": 3, "dilation": 2, "condition_channels": 1},
    ),
    "pitch conv": (PitchConv1d, {**ENDS, "longest_lag": 5, "taps": 2}),
    "pitch stack": (
        PitchStack,
        {"channels": 2, "skip_channels": 3, "num_blocks": 2, "longest_lag": 9, "condition_channels": 1,
         "gate_channels": 2},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "sizes"), MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("integer", [np.int64, np.array, jnp.array])
def test_sizes_of_numpy_make_the_layer_of_pythons(make: Any, sizes: Any, integer: Any) -> None:
    def layer(**sizes: Any) -> Any:
        return nnx.eval_shape(lambda: make(**sizes, rngs=nnx.Rngs(0)))

    given = {
        name: np.array(size) if isinstance(size, tuple) else integer(size)
        for name, size in sizes.items()
    }
    graph, weights = nnx.split(layer(**sizes))
    again, others = nnx.split(layer(**given))
    assert again == graph and hash(again) == hash(graph)
    assert jax.tree.map(jnp.shape, others) == jax.tree.map(jnp.shape, weights)


@pytest.mark.parametrize("wrong", ["2", 2.0, 1])
def test_a_pitch_stack_has_a_tap_in_the_past(wrong: Any) -> None:
    sizes = MAKERS["pitch stack"][1]
    with pytest.raises(
        UserError, match=r"kernel_size is .* it must be a whole number of at least 2"
    ):
        PitchStack(**sizes, kernel_size=wrong, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(("make", "sizes"), MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("wrong", [True, "2", 2.0, np.float64(2), 0, -1, np.array([2])], ids=repr)
def test_every_size_that_is_no_whole_number_is_refused_by_name(
    make: Any, sizes: Any, wrong: Any
) -> None:
    for name in sizes:
        value = (1, wrong) if name == "dilations" else wrong
        with pytest.raises(
            UserError, match=r"\w+ is .*, but it must be a whole number of at least 1"
        ) as error:
            make(**sizes | {name: value}, rngs=nnx.Rngs(0))
        assert str(error.value).startswith(name.rstrip("s") if name == "dilations" else name)
    if "dilations" in sizes:
        with pytest.raises(UserError, match=r"dilation is .*, but it must be a list of sizes"):
            make(**sizes | {"dilations": 2}, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(("make", "sizes"), MAKERS.values(), ids=MAKERS)
def test_a_key_or_a_seed_for_rngs_is_refused_with_what_to_write(make: Any, sizes: Any) -> None:
    for rngs in (jax.random.key(0), 0):
        with contract.unchecked(), pytest.raises(UserError, match=r"use nnx.Rngs\(0\)"):
            make(**sizes, rngs=rngs)
    with contract.unchecked(), pytest.raises(UserError, match=r"use nnx.Rngs\(0\)"):
        WaveNet(WaveNetConfig.tiny(), rngs=jax.random.key(0))


SWITCHES = [
    (Conv1d, {**ENDS, "kernel_size": 3}, "use_bias"),
    (Conv1d, {**ENDS, "kernel_size": 3}, "weight_norm"),
    (Conv2d, {**ENDS, "kernel_size": 3, "num_frequencies": 3}, "use_bias"),
    (GatedBlock, MAKERS["block"][1], "use_bias"),
    (DilatedStack, MAKERS["stack"][1], "use_bias"),
    (PitchConv1d, {**ENDS, "longest_lag": 5}, "use_bias"),
    (PitchStack, {"channels": 2, "skip_channels": 3, "num_blocks": 1, "longest_lag": 5}, "use_bias"),
    (TemporalConvNet, {"in_channels": 2, "channels": (2,), "kernel_size": 2}, "skip_connections"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "sizes", "name"), SWITCHES)
def test_a_switch_is_true_or_false_and_nothing_else(make: Any, sizes: Any, name: str) -> None:
    def layer(switch: Any) -> Any:
        return nnx.eval_shape(lambda: make(**sizes, **{name: switch}, rngs=nnx.Rngs(0)))

    with contract.unchecked():
        for wrong in ("no", 1, None, np.array([True])):
            with pytest.raises(UserError, match=f"{name} is .*, but it must be true or false"):
                layer(wrong)
        assert nnx.split(layer(np.bool_(False)))[0] == nnx.split(layer(False))[0]


@pytest.mark.parametrize("padding", ["SAME", "valid", [(1, 0)], 2])
def test_a_padding_that_layers_have_not_is_refused(padding: Any) -> None:
    with (
        contract.unchecked(),
        pytest.raises(UserError, match=r"padding .* is unknown;.*causal, same"),
    ):
        Conv1d(1, 1, kernel_size=2, padding=padding, rngs=nnx.Rngs(0))


def test_a_stereo_signal_is_no_pair_of_groups_of_a_mono_layer() -> None:
    for make in (Conv1d, RepeatUpsample, SubPixelUpsample):
        more = {} if make is Conv1d else {"factor": 2}
        layer = make(1, 8, kernel_size=2, **more, rngs=nnx.Rngs(0))
        with pytest.raises(UserError, match=r"x has 2 channels, but this .* has in_channels=1"):
            layer(jnp.ones((1, 10, 2)))


@pytest.mark.parametrize("name", ["stack conditioned", "context stack", "temporal net"])
def test_a_call_outside_jit_compiles_nothing_the_second_time(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    case = contract.LAYERS[name]
    layer, x, extras = case.layer(), case.signal(12), case.extras(12)
    layer(x, **extras)
    with jax.log_compiles():
        layer(x, **extras)
    assert "ompil" not in caplog.text
