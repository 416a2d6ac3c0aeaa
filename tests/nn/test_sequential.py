"""Layers one after the other: whatever acts on every sample by itself may stand between those that stream."""

import functools
from typing import Any

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import assert_close
from flax import nnx

from wavedil import UserError
from wavedil.nn import ContextStack, Conv1d, Downsample, Sequential
from wavedil.nn import pointwise as pointwise_module


def make_rngs() -> nnx.Rngs:
    return nnx.Rngs(0)


def test_sequential_of_nothing_is_the_identity() -> None:
    x = jnp.ones((1, 5, 2))
    np.testing.assert_array_equal(Sequential()(x), x)
    assert Sequential().receptive_field.size == 1


@pytest.mark.long
def test_modules_and_functions_without_time_stream_between_layers() -> None:
    rngs = make_rngs()
    net = Sequential(
        nnx.Embed(10, 3, rngs=rngs),
        Conv1d(3, 4, kernel_size=3, rngs=rngs),
        nnx.LayerNorm(4, rngs=rngs),
        nnx.Linear(4, 5, rngs=rngs),
        functools.partial(jax.nn.softmax, axis=-1),
        Conv1d(5, 2, kernel_size=2, rngs=rngs),
    )
    x = jax.random.randint(jax.random.key(0), (2, 20), 0, 10)
    graph, weights = nnx.split(net)
    whole = jax.jit(lambda w, x: nnx.merge(graph, w)(x))(weights, x)
    assert net.receptive_field.size == 4
    assert_close(contract.stream(net, x, {}, [7, 0, 1, 12]), whole)
    assert_close(net.valid(x), whole[:, 3:])


def test_types_meet_in_modules_too_under_strict_promotion() -> None:
    net = Sequential(nnx.Linear(3, 4, param_dtype=jnp.bfloat16, rngs=make_rngs()))
    assert net(jnp.ones((1, 5, 3))).dtype == jnp.float32


def cumsum(x: Any) -> Any:
    return jnp.cumsum(x, axis=1)


def centred(x: Any) -> Any:
    return x - x.mean(axis=0, keepdims=True)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (centred, "centred mixes the signals of a batch"),
        (cumsum, "cumsum sees from the first sample to t; wrap it in a layer with init_state and step"),
        (functools.partial(jnp.cumsum, axis=1), "cumsum sees from the first sample to t"),
        (lambda x: x - x.mean(1, keepdims=True), "sees from the first sample to the last"),
        (lambda x: jnp.pad(x, ((0, 0), (3, 0), (0, 0)))[:, :-3], "sees t - 3"),
        (lambda x: x + jnp.roll(x, -1, axis=1), r"sees from t to t \+ 1"),
        (lambda x: x.at[:, 0].set(x[:, 1]), "at the ends of the signal"),
        (lambda x: x[:, ::2], "makes 32 samples of 64"),
        (nnx.BatchNorm(3, rngs=nnx.Rngs(0)), "BatchNorm sees from the first sample to the last"),
        (nnx.Conv(3, 3, (3,), rngs=nnx.Rngs(0)), r"Conv sees from t - 1 to t \+ 1"),
        (nnx.Linear(5, 3, rngs=nnx.Rngs(0)), r"Linear does not act on x \[2, 64, 3\]"),
        (lambda x: x.sum(), r"does not act on x \[2, 64, 3\]"),
    ],
)  # fmt: skip
def test_what_sees_other_samples_is_refused_when_it_is_called(function: Any, message: str) -> None:
    net = Sequential(function)
    for call in (net, net.valid, jax.jit(net), lambda x: net.step(x, net.init_state(2))):
        with pytest.raises(UserError, match=message):
            call(jnp.ones((2, 1, 3)))


def test_a_reach_that_only_a_longer_signal_shows_is_refused_there() -> None:
    net = Sequential(lambda x: x.at[:, 600:].add(x[:, :-600]) if x.shape[1] > 600 else x)
    net(jnp.ones((1, 400, 1)))
    with pytest.raises(UserError, match="sees from t - 600 to t"):
        net(jnp.ones((1, 700, 1)))


def test_a_function_is_traced_once_for_all_blocks_of_a_stream(monkeypatch: Any) -> None:
    traced = []
    trace = pointwise_module.trace

    def counted(function: Any, x: Any, time_axis: int = 1) -> Any:
        traced.append((x.shape, time_axis))
        return trace(function, x, time_axis=time_axis)

    monkeypatch.setattr(pointwise_module, "trace", counted)
    net = Sequential(jnp.tanh)
    for length in (1, 5, 64, 0):
        net(jnp.ones((2, length, 3)))
    graph, state = nnx.split(net)
    nnx.merge(graph, state)(jnp.ones((2, 9, 3)))
    assert traced == [((2, 64, 3), 1), ((64, 64, 3), 0)]
    assert graph == nnx.split(Sequential(jnp.tanh))[0]  # to have been called changes nothing


def test_what_cannot_be_called_is_no_layer() -> None:
    with pytest.raises(UserError, match="3 is no layer of a Sequential"):
        Sequential(3)


@pytest.mark.parametrize("kernel_size", [2, 4])
@pytest.mark.parametrize("frames", ["context stack", "downsample"])
def test_a_layer_of_frames_behind_others_cuts_the_frames_in_valid_that_it_cuts_in_a_call(
    frames: str, kernel_size: int
) -> None:
    """Whatever the samples before it take of the beginning."""
    rngs = make_rngs()
    last = (
        ContextStack(2, 3, 2, factor=3, dilations=(1,), rngs=rngs)
        if frames == "context stack"
        else Downsample(2, 2, factor=3, kernel_size=5, rngs=rngs)
    )
    net = Sequential(Conv1d(2, 2, kernel_size=kernel_size, rngs=rngs), last)
    x = jax.random.normal(jax.random.key(0), (1, net.receptive_field.past + 10, 2))
    whole, valid = jax.jit(lambda x: (net(x), net.valid(x)))(x)
    assert valid.shape[1] >= 10 // net.receptive_field.stride
    assert_close(valid, whole[:, whole.shape[1] - valid.shape[1] :])


@pytest.mark.parametrize("paddings", [("same", "same"), ("causal", "same")])
def test_a_centred_sequential_asked_to_stream_says_the_delay_of_all_its_layers(
    paddings: Any,
) -> None:
    net = Sequential(
        *(Conv1d(1, 1, kernel_size=5, padding=kind, rngs=make_rngs()) for kind in paddings)
    )
    delay = 2 * paddings.count("same")
    with pytest.raises(UserError, match=rf"Sequential sees {delay} .* by {delay} samples"):
        net.init_state(1)
