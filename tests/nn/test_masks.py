"""Signals of different lengths in one batch, and dropout: every layer takes a mask and a key."""

import functools
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
    *("conv same", "diffusion block conditioned", "stack conditioned", "sequential upsampling"),
    *("separable block", "downsample"),
    *("context stack", "encoder", "wavenet of one layer with context and features"),
]
WITH_DROPOUT = {name: case for name, case in LAYERS.items() if case.dropout}


# How much later the second signal begins, and the first one ends: complete frames of all layers that have frames.
APART = 12


def with_biases(case: Case) -> Any:
    """The layer with biases that are not zero, as after training: it makes something of silence too."""
    rng = np.random.default_rng(0)
    # Tables of a guess are 46 times as steep at 0, and so is rounding: smooth ones, as after training.
    scale = 1 if case.predictor is None else 0.05

    def drawn(leaf: Any) -> Any:
        return leaf if np.any(leaf) else jnp.asarray(rng.normal(0, scale, leaf.shape), leaf.dtype)

    graph, weights = nnx.split(case.layer())
    return nnx.merge(graph, jax.tree.map(drawn, weights))


def ragged(case: Case) -> tuple[Any, dict[str, Any], Any]:
    """Two signals in one batch and no number beside them; what comes with them; the mask.

    first     0 1 2 3 4 5 6 . .
    second    . . 0 1 2 3 4 5 6
    """
    field = case.abstract_layer().receptive_field
    num_samples = field.past + max(0, field.future) + 13 + APART
    t = np.arange(num_samples)
    mask = np.stack([t < num_samples - APART, t >= APART])
    # In NumPy, here and where outputs are looked at: JAX would compile every line.

    def spoilt(leaf: Any) -> Any:
        there = mask.reshape(*mask.shape, *(1,) * (leaf.ndim - 2))
        # 10,000 is no level, and no dilation.
        nothing = 10_000 if leaf.dtype.kind == "i" else np.nan
        return np.where(there, leaf, nothing).astype(leaf.dtype)

    extras = {
        name: spoilt(value) if name in contract.AT_EVERY_SAMPLE else value
        for name, value in case.extras(num_samples).items()
    }
    return jax.tree.map(jnp.asarray, (spoilt(case.signal(num_samples)), extras, mask))


def alone(layer: Any, x: Any, extras: dict[str, Any]) -> Any:
    """The outputs for the signals by themselves, each where it has them in the batch, and zeros beside them."""

    def by_themselves(leaf: Any) -> Any:
        return jnp.stack([leaf[0, :-APART], leaf[1, APART:]])

    def placed(y: Any) -> Any:
        beside = jnp.zeros_like(y[0, : int(APART / layer.receptive_field.stride)])
        return jnp.stack([jnp.concatenate([y[0], beside]), jnp.concatenate([beside, y[1]])])

    extras = {
        name: by_themselves(value) if name in contract.AT_EVERY_SAMPLE else value
        for name, value in extras.items()
    }
    return jax.tree.map(placed, layer(by_themselves(x), **extras))


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


@functools.cache
def outputs(case: Case) -> Any:
    """Of a ragged batch, in one program: a call, the signals alone, and `valid`, with gradients of the latter two."""
    graph, weights = nnx.split(with_biases(case))
    first = 0

    def inner(weights: Any, x: Any, extras: Any, mask: Any) -> Any:
        nonlocal first
        y, first = valid(nnx.merge(graph, weights), x, extras, mask)
        return contract.loss(y), y

    def ends_alone(weights: Any, x: Any, extras: Any, ends: Any) -> Any:
        y = alone(nnx.merge(graph, weights), x, extras)
        ends = jax.tree.map(lambda leaf, z: leaf[:, first : first + z.shape[1]], y, ends)
        return contract.loss(ends), y

    @jax.jit
    def run(weights: Any, x: Any, extras: Any, mask: Any) -> Any:
        of_valid = jax.grad(inner, has_aux=True)(weights, x, extras, mask)
        of_each_alone = jax.grad(ends_alone, has_aux=True)(weights, x, extras, of_valid[1])
        return nnx.merge(graph, weights)(x, **extras, mask=mask), of_each_alone, of_valid

    return jax.tree.map(np.asarray, run(weights, *ragged(case))), first


@pytest.mark.sampled
@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_signals_in_a_ragged_batch_have_the_outputs_that_they_have_alone_and_zeros_beyond(
    case: Case,
) -> None:
    (y, (_, expected), _), _ = outputs(case)
    assert_close(y, expected)


@pytest.mark.sampled
@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_valid_has_the_outputs_of_a_call_behind_the_context_with_their_gradients(
    case: Case,
) -> None:
    """Where a signal begins within the context, from its own first sample on; where it ends early, up to its last."""
    (_, (gradients, y), (gradients_of_valid, ends)), first = outputs(case)
    for whole, end in zip(jax.tree.leaves(y), jax.tree.leaves(ends), strict=True):
        assert end.shape[1] >= 9 // case.abstract_layer().receptive_field.stride
        assert end.any((1, 2)).all()
        assert_close(end, whole[:, first : first + end.shape[1]])
    assert_close(gradients_of_valid, gradients, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_gradients_of_a_ragged_batch_are_those_of_each_signal_alone_and_zero_beyond(
    name: str,
) -> None:
    case = LAYERS[name]
    graph, weights = nnx.split(with_biases(case))
    x, extras, mask = ragged(case)
    floats = () if case.channels is None else (x,), extras

    def together(weights: Any, floats: Any) -> Any:
        (signal,), extras = floats[0] or (x,), floats[1]
        return contract.loss(nnx.merge(graph, weights)(signal, **extras, mask=mask))

    def apart(weights: Any, floats: Any) -> Any:
        (signal,), extras = floats[0] or (x,), floats[1]
        return contract.loss(alone(nnx.merge(graph, weights), signal, extras))

    actual, expected = jax.jit(
        lambda *at: (jax.grad(together, (0, 1))(*at), jax.grad(apart, (0, 1))(*at))
    )(weights, floats)
    assert_close(actual, expected, rtol=2e-4, atol=2e-4)
    for leaf in map(np.asarray, jax.tree.leaves(actual[1])):
        # What is the same at every sample has no sample beyond the end.
        beyond = [] if leaf.shape[1] == 1 else leaf[~np.asarray(mask)]
        assert not np.any(beyond) and leaf.any((1, 2)).all()


@pytest.mark.sampled
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
