"""The door of every layer: what does not fit is refused, types meet by promotion, empty blocks have empty outputs."""

from collections.abc import Callable, Iterator
from typing import Any

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import BATCH_SIZE, CAUSAL, COMPILED, LAYERS, Case, assert_close
from flax import nnx

from wavedil import UserError

NUM_SAMPLES = 12


def ways_in(case: Case, layer: Any) -> Iterator[tuple[str, Callable[..., Any], int]]:
    """Every way into a layer, as a function of the signal and what comes with it, and its number of samples."""
    yield "call", layer, NUM_SAMPLES
    # An encoder's signal holds complete frames, with what the layers before them see.
    field = getattr(getattr(layer, "config", None), "layers_field", layer.receptive_field)
    yield "valid", layer.valid, field.past + field.future + NUM_SAMPLES
    if case in CAUSAL.values():

        def step(x: Any, **extras: Any) -> Any:
            return layer.step(x, layer.init_state(len(x)), **extras)[0]

        yield "step", step, NUM_SAMPLES


def misfits(x: Any, extras: dict[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """What a layer is wrongly called with, in NumPy, and what the error must say of it."""
    x, extras = jax.tree.map(np.asarray, (x, extras))
    if x.ndim > 2:
        yield r"has shape \[2, \d+", x[..., 0], extras
        yield r"takes \[batch, time, .*in_channels\]", x[None], extras
        yield "in_channels=", np.concatenate([x, x], axis=-1), extras
        yield "real numbers", x.astype(np.complex64), extras
    else:
        yield r"integers \[batch, time\]", x[0], extras
        yield r"integers \[batch, time\]", x.astype(np.float32), extras
    for name in contract.AT_EVERY_SAMPLE:
        if name in extras:
            given = extras[name]
            for message, wrong in (
                ("1 signals and x holds 2", given[:1]),
                (r"samples and the signal", given[:, 3:]),
                ("channels", given[..., 1:]),
                ("has shape", given[0]),
            ):
                # A dilation and a voicing have no channels.
                if message != "channels" or given.ndim > 2:
                    yield message, x, extras | {name: wrong}
    if "labels" in extras:
        one = {name: rows[:1] for name, rows in extras["labels"].items()}
        yield "one for each signal", x, extras | {"labels": one}


def refuse(message: str, call: Callable[..., Any], *given: Any, **extras: Any) -> None:
    """Asserts that a call is refused, without compiling what it computes before."""
    given, extras = jax.tree.map(
        lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, (given, extras)
    )
    with contract.unchecked(), pytest.raises(UserError, match=message):
        jax.eval_shape(lambda: call(*given, **extras))
        pytest.fail(f"not refused: {message}")


@pytest.mark.sampled
@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_what_does_not_fit_is_refused_at_every_door_by_its_name(case: Case) -> None:
    for _, call, num_samples in ways_in(case, case.layer()):
        for message, x, extras in misfits(case.signal(num_samples), case.extras(num_samples)):
            refuse(message, call, x, **extras)


@pytest.mark.sampled
@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_a_mask_a_state_and_a_window_that_do_not_fit_are_refused(case: Case) -> None:
    layer = case.layer()
    num_samples = layer.receptive_field.past + 12
    x, extras = case.signal(num_samples), case.extras(num_samples)
    masks = [np.ones(shape, bool) for shape in ((1, num_samples), (2, num_samples + 1), (2,))]
    masks += [np.ones((2, num_samples), np.float32), np.full(2, num_samples)]
    ends_early = np.ones((2, num_samples - 1), bool)
    keys = 0, jnp.int32(0), jax.random.split(jax.random.key(0))
    for call, wrong in ((layer, [*masks, ends_early]), (layer.valid, masks)):
        for mask in wrong:
            refuse(r"the mask has shape .* of lengths", call, x, **extras, mask=mask)
        for key in keys:
            refuse(r"must be one key; use jax.random.key\(0\)", call, x, **extras, dropout_key=key)
    if layer.receptive_field.past > 1 and layer.receptive_field.stride == 1:
        last, its_extras = np.asarray(x)[:, -1:], contract.ending(extras, num_samples - 1)
        refuse(r"x has 1 samples, but an output of this .* sees", layer.valid, last, **its_extras)
    if case in CAUSAL.values() and layer.receptive_field.past:
        for state in (layer.init_state(3), None):
            refuse(r"the state .* keeps .* init_state", layer.step, x, state, **extras)


@pytest.mark.sampled
@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_empty_signals_and_empty_batches_have_empty_outputs(case: Case) -> None:
    """Of as many channels as others; and gradients, which are zero."""
    layer = case.layer()
    graph, weights = nnx.split(layer)

    def shapes(call: Callable[..., Any], x: Any, extras: Any) -> list[tuple[int, ...]]:
        y = jax.eval_shape(lambda: call(x, **extras))
        return [leaf.shape for leaf in jax.tree.leaves(y)]

    x, extras = case.signal(NUM_SAMPLES), case.extras(NUM_SAMPLES)
    channels = [shape[2:] for shape in shapes(layer, x, extras)]
    for _, call, num_samples in ways_in(case, layer):
        for batch_size, length in ((BATCH_SIZE, 0), (0, num_samples)):
            x, extras = case.signal(length, 0, batch_size), case.extras(length, batch_size)
            found = shapes(call, x, extras)
            assert [shape[2:] for shape in found] == channels
            assert all(shape[0] == batch_size for shape in found)
            assert length or all(shape[1] == 0 for shape in found)
    x, extras = case.signal(0), case.extras(0)
    gradients = jax.eval_shape(
        jax.grad(lambda w: contract.loss(nnx.merge(graph, w)(x, **extras))), weights
    )
    assert jax.tree.map(jnp.shape, gradients) == jax.tree.map(jnp.shape, weights)


@pytest.mark.sampled
@pytest.mark.parametrize("name", COMPILED)
def test_an_empty_block_gives_an_empty_block_and_leaves_the_state(name: str) -> None:
    case = LAYERS[name]
    layer, x, extras = case.layer(), case.signal(5), case.extras(5)
    _, state = jax.jit(layer.step)(x, layer.init_state(BATCH_SIZE), **extras)
    y, after = jax.jit(layer.step)(case.signal(0), state, **case.extras(0))
    assert all(leaf.shape[1] == 0 for leaf in jax.tree.leaves(y))
    assert_close(after, state, rtol=0, atol=0)
    gradient = jax.jit(jax.grad(lambda layer, x: contract.loss(layer(x, **case.extras(0)))))
    for leaf in jax.tree.leaves(gradient(layer, case.signal(0))):
        assert not leaf.any()


MIXES = [(name, "bfloat16", "float32", False) for name in CAUSAL] + [
    (name, *mix)
    for name in [*COMPILED, "sub-pixel upsample", "sequential", "wavenet of one layer with context"]
    for mix in [
        ("float32", "bfloat16", False),
        ("int32", "bfloat16", False),
        ("float64", "float32", True),
    ]
]


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("case", "dtype", "weights_dtype", "x64"),
    [(LAYERS[name], *mix) for name, *mix in MIXES],
    ids=["-".join(map(str, mix)) for mix in MIXES],
)
def test_types_meet_by_promotion_and_gradients_come_back_in_their_own(
    case: Case, dtype: str, weights_dtype: str, x64: bool
) -> None:
    with jax.enable_x64(x64):
        layer, x, extras = contract.of_type(case, NUM_SAMPLES, dtype, weights_dtype)
        graph, weights = nnx.split(layer)
        with jax.numpy_dtype_promotion("standard"):
            floats = [leaf for leaf in jax.tree.leaves((x, extras)) if leaf.dtype == dtype]
            expected = jnp.result_type(*floats, *jax.tree.leaves(weights))
        differentiable = (weights, *(x,) * jnp.issubdtype(x.dtype, jnp.floating))

        def loss(weights: Any, x: Any = x) -> Any:
            y = nnx.merge(graph, weights)(x, **extras)
            return contract.loss(y), y

        def stream(weights: Any) -> Any:
            return contract.scanned(nnx.merge(graph, weights), x, extras, 4)

        numbers = tuple(range(len(differentiable)))
        gradients, y = jax.eval_shape(jax.grad(loss, numbers, has_aux=True), *differentiable)
        blocks = jax.eval_shape(stream, weights)
    assert {leaf.dtype for leaf in jax.tree.leaves((y, blocks))} == {jnp.dtype(expected)}
    types = jax.tree.map(lambda leaf: leaf.dtype, differentiable)
    assert jax.tree.map(lambda leaf: leaf.dtype, gradients) == types


@pytest.mark.sampled
@pytest.mark.parametrize("name", COMPILED)
def test_numbers_of_mixed_types_are_those_of_the_type_they_meet_in(name: str) -> None:
    case = LAYERS[name]
    layer, x, extras = contract.of_type(case, NUM_SAMPLES, "bfloat16", "float32")
    wide = jax.tree.map(
        lambda leaf: leaf.astype("float32") if leaf.dtype == jnp.bfloat16 else leaf, (x, extras)
    )
    call = jax.jit(lambda x, extras: layer(x, **extras))
    assert_close(call(x, extras), call(*wide), rtol=1e-6, atol=1e-6)

    # The state holds what the layers inside see, in the type that they work in.
    streamed = jax.jit(lambda x, extras: contract.scanned(layer, x, extras, 4))(x, extras)
    assert_close(streamed, call(x, extras))
