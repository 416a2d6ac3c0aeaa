"""Centred layers, streamed with the delay that they declare."""

import functools
from typing import Any

import contract
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import assert_close
from flax import nnx
from hypothesis import example, given, settings

from wavedil import UserError
from wavedil.nn import AtrousPyramid, Conv1d, Delayed, RepeatUpsample, Sequential


@functools.cache
def centred() -> Sequential:
    """Two centred layers, whose biases would be seen where there is no signal."""
    rngs = nnx.Rngs(0)
    net = Sequential(
        Conv1d(1, 4, kernel_size=4, dilation=2, padding="same", rngs=rngs),
        jax.nn.tanh,
        Conv1d(4, 2, kernel_size=5, padding="same", rngs=rngs),
    )
    for layer in (net.layers[0], net.layers[2]):
        layer.bias[...] += 0.5
    return net


@pytest.mark.long
@settings(max_examples=5, deadline=None)
@example(lengths=[])
@example(lengths=[1, 0, 1])  # shorter than the delay
@given(lengths=st.lists(st.sampled_from([0, 1, 3, 20]), max_size=5))
def test_steps_and_a_flush_give_the_outputs_of_the_centred_layer_later_from_end_to_end(
    lengths: list[int],
) -> None:
    net, layer = centred(), Delayed(centred())
    num_samples = sum(lengths)
    x = jax.random.normal(jax.random.key(0), (2, num_samples, 1))
    expected = np.pad(contract.whole(net, x, {}), ((0, 0), (layer.delay, 0), (0, 0)))
    state, outputs, first = layer.init_state(2), [], 0
    step = jax.jit(layer.step)
    for length in lengths:
        y, state = step(x[:, first : first + length], state)
        outputs.append(y)
        first += length
    outputs.append(jax.jit(layer.flush)(state))
    assert_close(jnp.concatenate(outputs, axis=1), jnp.asarray(expected))
    assert_close(contract.whole(layer, x, {}), jnp.asarray(expected[:, :num_samples]))


def test_the_delay_is_what_the_layer_sees_of_the_future_and_what_its_error_asks_for() -> None:
    net = centred()
    assert net.receptive_field.future == Delayed(net).delay == 5
    for call in (
        lambda: net.init_state(1),
        lambda: net.step(jnp.ones((1, 4, 1)), [jnp.ones((1, 6, 1)), (), jnp.ones((1, 4, 4))]),
    ):
        with pytest.raises(UserError, match=r"delay its output by 5 samples, as nn\.Delayed"):
            call()


def test_a_layer_that_is_causal_is_not_delayed() -> None:
    conv = Conv1d(1, 1, kernel_size=3, rngs=nnx.Rngs(0))
    x = jnp.ones((1, 5, 1))
    assert Delayed(conv).delay == 0
    assert_close(Delayed(conv)(x), conv(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda r: RepeatUpsample(1, 1, factor=2, padding="same", rngs=r), "has stride 1/2"),
        (lambda r: Sequential(jnp.tanh), "does not say how many channels"),
    ],
)
def test_what_cannot_be_delayed_is_refused_with_what_can(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Delayed(make(nnx.Rngs(0)))


@pytest.mark.long
def test_a_centred_layer_of_spectrograms_streams_with_its_delay() -> None:
    layer = AtrousPyramid(1, 2, 1, num_frequencies=3, dilations=(1, 2), rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (2, 11, 3, 1))
    delayed = Delayed(layer)
    state, outputs, first = delayed.init_state(2), [], 0
    for length in (3, 0, 8):
        y, state = delayed.step(x[:, first : first + length], state)
        outputs.append(y)
        first += length
    outputs.append(delayed.flush(state))
    assert_close(jnp.concatenate(outputs, axis=1)[:, delayed.delay :], layer(x))
    assert_close(delayed(x), jnp.concatenate(outputs, axis=1)[:, :11])
