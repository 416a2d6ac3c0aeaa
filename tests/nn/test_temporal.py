"""Temporal convolutional networks: the published block, what it sees, its options, and one frame for a whole signal."""

from typing import Any

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import assert_close
from flax import nnx

from wavedil import UserError
from wavedil.nn import ACTIVATIONS, Conv1d, TemporalBlock, TemporalConvNet, last_step, mean_step

X = jax.random.normal(jax.random.key(0), (3, 24, 3))
LENGTHS = (24, 9, 15)
MASK = jnp.arange(24)[None] < jnp.array(LENGTHS)[:, None]


def net(**settings: Any) -> TemporalConvNet:
    sizes = {"channels": (4, 2), "kernel_size": 2}
    return TemporalConvNet(3, **{**sizes, **settings}, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("kernel_size", "dilations", "size"),
    [
        (3, (1, 3, 5), 37),
        (4, (1, 2, 4, 8, 16, 32), 379),
        (3, (1, 2, 4, 8, 16, 32), 253),
        (3, (1, 2, 4, 8, 16), 125),
        (3, (1, 2, 4, 8) * 2, 121),
        (4, (1, 2, 4, 8), 91),
        (5, (1, 2), 25),
        (6, (1, 2), 31),
    ],
)
def test_net_has_the_published_receptive_field(
    kernel_size: int, dilations: tuple[int, ...], size: int
) -> None:
    def make(padding: str) -> Any:
        channels = [2] * len(dilations)
        settings = {"kernel_size": kernel_size, "dilations": dilations, "padding": padding}
        return nnx.eval_shape(lambda: net(channels=channels, **settings)).receptive_field

    causal, centred = make("causal"), make("same")
    assert causal.size == centred.size == size
    assert causal.future == 0 < centred.future


def test_block_is_the_published_one_written_out() -> None:
    block = TemporalBlock(3, 4, kernel_size=2, dilation=5, rngs=nnx.Rngs(0))
    for unit in block.units:
        unit.conv.gain[...] *= 1.7
    y = np.asarray(X, np.float64)
    for unit in block.units:
        v, g, b = (
            np.asarray(weight[...], np.float64)
            for weight in (unit.conv.kernel, unit.conv.gain, unit.conv.bias)
        )
        kernel = g * v / np.sqrt((v**2).sum((0, 1)))
        padded = np.pad(y, ((0, 0), (5, 0), (0, 0)))
        y = np.maximum(0, padded[:, :-5] @ kernel[0] + padded[:, 5:] @ kernel[1] + b)
    kernel, bias = np.asarray(block.residual.kernel[0]), np.asarray(block.residual.bias[...])
    expected = np.maximum(0, y + np.asarray(X) @ kernel + bias)
    assert_close(block(X), expected)


def test_weight_norm_begins_as_the_convolution_without_and_keeps_the_gain_of_any_kernel() -> None:
    plain, normed = (
        Conv1d(3, 4, kernel_size=2, weight_norm=weight_norm, rngs=nnx.Rngs(0))
        for weight_norm in (False, True)
    )
    assert_close(normed(X), plain(X))
    normed.kernel[...] *= 3.0
    assert_close(normed(X), plain(X))
    normed.gain[...] *= 2.0
    assert_close(normed(X), 2 * plain(X))


def test_activations_are_the_functions_that_they_are_called_after() -> None:
    x = np.array([-2.0, 0.0, 0.5], np.float32)
    sigmoid = 1 / (1 + np.exp(-x))
    expected = {
        "tanh": np.tanh(x),
        "sigmoid": sigmoid,
        "relu": [0, 0, 0.5],
        "gelu": x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
        "silu": x * sigmoid,
        "softsign": x / (1 + abs(x)),
        "leaky_relu": [-0.02, 0, 0.5],
        "identity": x,
    }
    assert set(expected) == set(ACTIVATIONS)
    for name, y in expected.items():
        np.testing.assert_allclose(ACTIVATIONS[name](jnp.asarray(x)), y, rtol=1e-5, atol=1e-6)


OPTIONS = [
    {"activation": "gated", "norm": "group", "channels": (12,), "skip_connections": True},
    {"norm": "layer", "padding": "same", "kernel_size": 3, "skip_connections": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=["causal", "same"])
def test_signals_of_different_lengths_have_what_each_has_alone_and_zero_beyond(
    options: dict[str, Any],
) -> None:
    layer = net(**options)
    batch = layer(jnp.where(MASK[..., None], X, jnp.nan), mask=MASK)
    for row, length in enumerate(LENGTHS[:2]):
        assert_close(batch[row : row + 1, :length], layer(X[row : row + 1, :length]))
        np.testing.assert_array_equal(batch[row, length:], 0)


def test_valid_of_a_centred_net_is_the_middle_of_the_whole() -> None:
    layer = net(padding="same", kernel_size=3, skip_connections=True)
    past, future = layer.receptive_field.past, layer.receptive_field.future
    valid = layer.valid(X[:2])
    assert valid.shape[1] == 24 - past - future
    assert_close(valid, layer(X[:2])[:, past : 24 - future])


def test_output_with_skip_connections_is_the_sum_of_the_blocks_outputs() -> None:
    layer = net(channels=(4, 2, 2), skip_connections=True)
    first = layer.blocks[0](X)
    second = layer.blocks[1](first)
    expected = layer.skips[0](first) + second + layer.blocks[2](second)
    assert_close(layer(X), expected)


def test_two_keys_drop_differently_one_key_alike_and_none_nothing() -> None:
    layer, whole = net(dropout=0.5), net()
    one, again, other = (layer(X, dropout_key=jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert jnp.any(one != other)
    assert_close(layer(X), whole(X))


def test_last_and_mean_step_are_those_of_each_signal_alone_with_no_gradient_beyond() -> None:
    for pool in (last_step, mean_step):
        pooled = pool(X, MASK)
        for row, length in enumerate(LENGTHS):
            assert_close(pooled[row], pool(X[row : row + 1, :length])[0])
        gradient = jax.grad(lambda x, pool=pool: contract.loss(pool(x, MASK)))(X)
        np.testing.assert_array_equal(jnp.where(MASK[..., None], 0, gradient), 0)
    gaps = MASK & (jnp.arange(24) != 3)[None]
    assert_close(last_step(X, gaps), X[jnp.arange(3), jnp.array(LENGTHS) - 1])
    np.testing.assert_array_equal(last_step(X, jnp.zeros_like(MASK)), 0)
    with pytest.raises(UserError, match="no sample"):
        last_step(X[:, :0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": ()}, "channels is empty"),
        ({"channels": (4, 0)}, "channels is 0"),
        ({"dilations": (1, 2, 4)}, r"3 dilations for 2 blocks; give one for each, as \[1, 2\]"),
        ({"norm": "batch"}, "norm 'batch' is unknown.*weight, layer, group, None"),
        ({"activation": "rleu"}, "activation 'rleu' is unknown; did you mean 'relu'.*gated"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"padding": "valid"}, "padding 'valid' is unknown"),
        ({"skip_connections": "no"}, "skip_connections is 'no', but it must be true or false"),
    ],
)
def test_what_a_net_cannot_be_made_of_is_refused(settings: dict[str, Any], message: str) -> None:
    with contract.unchecked(), pytest.raises(UserError, match=message):
        net(**settings)


@pytest.mark.parametrize(
    ("layer", "delay"),
    [
        (TemporalBlock(2, 3, kernel_size=3, dilation=4, padding="same", rngs=nnx.Rngs(0)), 8),
        (net(kernel_size=3, padding="same"), 6),
    ],
    ids=["block", "net"],
)
def test_a_centred_block_asked_to_stream_says_the_delay_of_all_its_convolutions(
    layer: Any, delay: int
) -> None:
    message = f"{type(layer).__name__} sees {delay} samples.*delay its output by {delay} samples"
    with pytest.raises(UserError, match=message):
        layer.init_state(1)
    with contract.unchecked(), pytest.raises(UserError, match=message):
        layer.step(X[..., : layer.in_channels], None)


@pytest.mark.parametrize("channels", [2, 4, 8])
def test_groups_of_few_channels_leave_a_signal_to_pass(channels: int) -> None:
    block = TemporalBlock(3, channels, kernel_size=2, norm="group", rngs=nnx.Rngs(0))
    y = block.units[0](X, mask=None, dropout_key=None)
    assert jnp.std(y, axis=1).max() > 0.1


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_a_norm_over_one_channel_which_is_always_zero_is_refused(norm: Any) -> None:
    with pytest.raises(UserError, match=r"1 channel.*always 0; use at least 2"):
        TemporalBlock(3, 1, kernel_size=2, norm=norm, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(("num_samples", "value"), [(1000, 100), (70_000, 1)])
def test_a_masked_mean_in_half_precision_is_that_of_a_signal_without_a_mask(
    num_samples: int, value: int
) -> None:
    y = jnp.full((1, num_samples, 1), value, jnp.float16)
    mean = mean_step(y, jnp.ones((1, num_samples), bool))
    assert mean.dtype == jnp.float16
    np.testing.assert_array_equal(mean, mean_step(y))


@pytest.mark.parametrize("mask", [[[True] * 24] * 3, "no"], ids=["list", "text"])
def test_a_mask_that_is_no_array_is_refused(mask: Any) -> None:
    for call in (lambda: net()(X, mask=mask), lambda: last_step(X, mask)):
        with (
            contract.unchecked(),
            pytest.raises(UserError, match=f"the mask is {type(mask).__name__}"),
        ):
            call()


@pytest.mark.parametrize("shape", [(3,), (2, 2)])
def test_raw_numbers_that_are_no_key_are_refused(shape: tuple[int, ...]) -> None:
    with contract.unchecked(), pytest.raises(UserError, match="must be one key"):
        net(dropout=0.5)(X, dropout_key=jnp.zeros(shape, jnp.uint32))
