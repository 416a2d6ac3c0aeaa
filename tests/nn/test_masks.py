"""Signals of different lengths in one batch, and dropout: every layer takes a mask and a key."""

from typing import Any

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import CAUSAL, LAYERS, Case, assert_close
from flax import nnx

from wavedil.nn import DilatedStack
from wavedil.nn.mask import first_valid

# Of every kind of layer one, and those that see both ways.
DIFFERENTIATED = [
    *("conv same", "stack conditioned", "sequential upsampling"),
    *("context stack", "encoder", "wavenet with context and features"),
]
WITH_DROPOUT = {name: case for name, case in LAYERS.items() if case.dropout}


def ragged(case: Case) -> tuple[int, Any, Any, dict[str, Any], Any]:
    """The length of the first signal, and a batch in which there is no number after its end: signals, extras, mask."""
    field = case.abstract_layer().receptive_field
    num_samples = field.past + max(0, field.future) + 13
    length = num_samples - 5
    x, extras = case.signal(num_samples), case.extras(num_samples)
    # In NumPy, here and where outputs are looked at: JAX would compile every line.
    mask = np.arange(num_samples)[None] < np.array([length, num_samples])[:, None]
    nothing = np.nan if case.channels is not None else 10_000  # no level

    def spoilt(leaf: Any, nothing: Any = np.nan) -> Any:
        there = mask.reshape(*mask.shape, *(1,) * (leaf.ndim - 2))
        return np.where(there, leaf, nothing).astype(leaf.dtype)

    extras = {
        name: spoilt(value) if name in contract.AT_EVERY_SAMPLE else value
        for name, value in extras.items()
    }
    x, extras, mask = jax.tree.map(jnp.asarray, (spoilt(x, nothing), extras, mask))
    return length, x, extras, mask


def cut(length: int, x: Any, extras: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The first signal by itself."""
    return x[:1, :length], {
        name: value[:1, :length]
        if name in contract.AT_EVERY_SAMPLE
        else jax.tree.map(lambda rows: rows[:1], value)
        for name, value in extras.items()
    }


def valid(layer: Any, x: Any, extras: dict[str, Any], mask: Any) -> tuple[Any, int]:
    """The outputs of `valid`, and which of those of a call is the first of them."""
    config = getattr(layer, "config", None)
    if not hasattr(config, "layers_field"):
        return layer.valid(x, **extras, mask=mask), first_valid(layer.receptive_field)
    # An encoder's signal holds complete frames, with what the layers before them see.
    field, missing = config.layers_field, -x.shape[1] % layer.hop
    around = (0, 0), (field.past, field.future + missing)
    mask = jnp.pad(mask, around)
    return layer.valid(jnp.pad(x, (*around, (0, 0))), mask=mask), 0


@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_a_signal_in_a_ragged_batch_has_the_outputs_that_it_has_alone_and_zeros_beyond(
    case: Case,
) -> None:
    layer = case.layer()
    length, x, extras, mask = ragged(case)
    firsts = []

    @jax.jit
    def run(x: Any, extras: Any, mask: Any) -> Any:
        one, of_one = cut(length, x, extras)
        inner, first = valid(layer, x, extras, mask)
        firsts.append(first)
        return layer(x, **extras, mask=mask), layer(one, **of_one), inner

    outputs = jax.tree.map(np.asarray, run(x, extras, mask))
    for y, alone, inner in zip(*map(jax.tree.leaves, outputs), strict=True):
        count = alone.shape[1]
        assert_close(y[0, :count], alone[0])
        assert not y[0, count:].any() and y[0, count:].size
        assert np.isfinite(y[1]).all() and y[1, count:].any()
        (first,) = firsts
        assert inner.shape[1] and inner[0].any()
        assert_close(inner, y[:, first : first + inner.shape[1]])


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_gradients_of_a_ragged_batch_are_those_of_each_signal_alone_and_zero_beyond(
    name: str,
) -> None:
    case = LAYERS[name]
    graph, weights = nnx.split(case.layer())
    length, x, extras, mask = ragged(case)
    floats = () if case.channels is None else (x,), extras

    def summed(outputs: Any) -> Any:
        """Every output with a weight of its own, whatever comes after it."""
        return sum(
            jnp.sum(y * jnp.cos(jnp.arange(y.shape[1], dtype=y.dtype))[None, :, None])
            for y in jax.tree.leaves(outputs)
        )

    def together(weights: Any, floats: Any) -> Any:
        ((signal,), extras) = floats[0] or (x,), floats[1]
        return summed(nnx.merge(graph, weights)(signal, **extras, mask=mask))

    def apart(weights: Any, floats: Any) -> Any:
        layer, (signal,), extras = nnx.merge(graph, weights), floats[0] or (x,), floats[1]
        one, of_one = cut(length, signal, extras)
        rest = jax.tree.map(lambda leaf: leaf[1:], (signal, extras))
        return summed(layer(one, **of_one)) + summed(layer(rest[0], **rest[1]))

    actual, expected = jax.jit(
        lambda *at: (jax.grad(together, (0, 1))(*at), jax.grad(apart, (0, 1))(*at))
    )(weights, floats)
    assert_close(actual, expected, rtol=2e-4, atol=2e-4)
    for leaf in map(np.asarray, jax.tree.leaves(actual[1])):
        assert leaf.shape[1] == mask.shape[1] and not leaf[0, length:].any() and leaf[0].any()


@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_a_key_is_drawn_from_by_layers_with_dropout_alone(
    case: Case,
) -> None:
    layer = case.abstract_layer()
    graph, weights = nnx.split(layer)
    field = getattr(getattr(layer, "config", None), "layers_field", layer.receptive_field)
    num_samples = field.past + max(0, field.future) + 12
    x, extras = case.signal(num_samples), case.extras(num_samples)
    for name in ("__call__", "valid"):

        def call(weights: Any, key: Any, name: str = name) -> Any:
            return getattr(nnx.merge(graph, weights), name)(x, **extras, dropout_key=key)

        drawn = "random_bits" in str(jax.make_jaxpr(call)(weights, jax.random.key(0)))
        assert drawn == case.dropout


@pytest.mark.parametrize("name", WITH_DROPOUT)
def test_two_dropout_keys_give_two_outputs_and_one_key_one_and_no_key_that_of_step(
    name: str,
) -> None:
    case = LAYERS[name]
    layer, x, extras = case.layer(), case.signal(12), case.extras(12)
    call = jax.jit(lambda key=None: jax.tree.leaves(layer(x, **extras, dropout_key=key)))
    first, again, other = (call(jax.random.key(seed)) for seed in (0, 0, 1))
    without = call()
    assert_close(again, first, rtol=0, atol=0)
    for y, z, plain in zip(first, other, without, strict=True):
        assert not np.allclose(y, z) and not np.allclose(y, plain)
    if name in CAUSAL:
        streamed, _ = jax.jit(layer.step)(x, contract.initial_state(layer, x), **extras)
        assert_close(jax.tree.leaves(streamed), without)


def test_dropout_keeps_the_mean_of_a_linear_stack() -> None:
    """Over 4000 keys, to four times the standard deviation of their mean."""
    stack = DilatedStack(
        2, 3, dilations=(1,), activation="identity", gate="identity", dropout=0.3, rngs=nnx.Rngs(0)
    )  # fmt: skip
    for block in stack.blocks:
        # The gates are 1: what remains is linear.
        block.conv.kernel[...] = block.conv.kernel[...].at[..., 2:].set(0.0)
        block.conv.bias[...] = block.conv.bias[...].at[2:].set(1.0)
    x = jax.random.normal(jax.random.key(0), (1, 6, 2))
    keys = jax.random.split(jax.random.key(1), 4000)
    drawn = jax.jit(jax.vmap(lambda key: stack(x, dropout_key=key)))(keys)
    for y, expected in zip(drawn, stack(x), strict=True):
        error = np.std(y, axis=0) / len(keys) ** 0.5
        assert np.all(np.abs(np.mean(y, axis=0) - expected) <= 4 * error + 1e-6)
        assert np.all(error > 0)
