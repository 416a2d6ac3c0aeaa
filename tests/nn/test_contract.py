"""Every layer and model keeps the contract of a stream transformer."""

import math
from typing import Any

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import BATCH_SIZE, CAUSAL, LAYERS, Case, assert_close, stream, whole
from flax import nnx

from wavedil.receptive_field import probe, trace

NUM_SAMPLES = 64
BLOCKS = {
    "whole": [64],
    "single samples": [1] * 12 + [52],
    "ragged": [5, 1, 17, 41],
}


@pytest.mark.parametrize("blocks", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_streaming_does_not_depend_on_block_boundaries(case: Case, blocks: list[int]) -> None:
    layer, x, extras = case.layer(), case.signal(NUM_SAMPLES), case.extras(NUM_SAMPLES)
    assert_close(stream(layer, x, extras, blocks), whole(layer, x, extras))


@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_gradients_through_step_equal_gradients_through_call(case: Case) -> None:
    x, extras = case.signal(NUM_SAMPLES), case.extras(NUM_SAMPLES)
    graph, weights = nnx.split(case.layer())
    at_once = jax.jit(jax.grad(lambda w: contract.loss(nnx.merge(graph, w)(x, **extras))))
    in_blocks = jax.jit(
        jax.grad(lambda w: contract.loss(stream(nnx.merge(graph, w), x, extras, [23, 41])))
    )
    assert_close(in_blocks(weights), at_once(weights), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_no_output_depends_on_a_later_input(case: Case) -> None:
    layer, extras = case.layer(), case.extras(NUM_SAMPLES)
    before, after = case.signal(NUM_SAMPLES), case.signal(NUM_SAMPLES, seed=1)
    changed = jnp.concatenate([before[:, :30], after[:, 30:]], axis=1)
    call = jax.jit(lambda x: jax.tree.leaves(layer(x, **extras)))
    first = math.ceil(30 / layer.receptive_field.stride)  # the first output that may change
    for y, z in zip(call(before), call(changed), strict=True):
        np.testing.assert_array_equal(y[:, :first], z[:, :first])


@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_declared_field_is_traced_and_probed(case: Case) -> None:
    layer = case.layer()
    num_samples = 3 * layer.receptive_field.size + 4
    x, extras = case.signal(num_samples, batch_size=1), case.extras(num_samples, batch_size=1)
    traced = trace(lambda x: layer(x, **extras), x)
    probed = probe(*contract.after_embedding(case, x, extras))
    assert traced.receptive_field == probed.receptive_field == layer.receptive_field
    for t in range(min(num_samples, probed.num_outputs)):
        assert traced.inputs(t) == probed.inputs(t), f"output {t}"
    assert traced.causal == probed.causal == layer.receptive_field.causal


@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_second_block_of_a_length_compiles_nothing(case: Case) -> None:
    layer, extras = case.layer(), case.extras(8)
    graph, weights = nnx.split(layer)
    step = jax.jit(lambda w, x, s: nnx.merge(graph, w).step(x, s, **extras))
    state = layer.init_state(BATCH_SIZE)
    for seed in range(3):
        _, state = step(weights, case.signal(8, seed), state)
    assert step._cache_size() == 1


@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_signals_of_a_batch_do_not_see_each_other(case: Case) -> None:
    layer, x, extras = case.layer(), case.signal(NUM_SAMPLES), case.extras(NUM_SAMPLES)
    both = whole(layer, x, extras)
    for row in range(BATCH_SIZE):
        this = slice(row, row + 1)
        alone = whole(layer, x[this], _rows(extras, this))
        assert_close(alone, _rows(both, this))


@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_state_holds_past_samples_and_no_more(case: Case) -> None:
    layer = case.layer()
    floats = sum(leaf.size for leaf in jax.tree.leaves(layer.init_state(1)))
    if isinstance(layer, nnx.Module) and hasattr(layer, "in_channels"):
        assert floats == layer.receptive_field.past * layer.in_channels
    assert floats >= layer.receptive_field.past


@pytest.mark.parametrize("name", sorted(set(LAYERS) - set(CAUSAL)))
def test_step_of_a_layer_that_sees_the_future_says_what_delay_helps(name: str) -> None:
    case = LAYERS[name]
    layer = case.layer()
    with pytest.raises(ValueError, match=r"delay its output by \d+ samples"):
        layer.init_state(1)


def _rows(tree: Any, rows: slice) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], tree)
