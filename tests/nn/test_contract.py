"""Every layer and model keeps the contract of a stream transformer."""

import math
import operator
from pathlib import Path
from typing import Any

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import BATCH_SIZE, CAUSAL, LAYERS, Case, assert_close, stream, whole
from flax import nnx
from safetensors.numpy import load_file, save_file

from wavedil.models import named_weights, with_weights
from wavedil.nn import Conv1d, DilatedStack, GatedBlock, RepeatUpsample, SubPixelUpsample
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
def test_valid_is_the_end_of_the_whole_with_its_gradients(case: Case) -> None:
    """Where a signal begins within the context, `valid` is what the signal has from its own first sample on."""
    layer = case.layer()
    past, stride = layer.receptive_field.past, layer.receptive_field.stride
    num_samples = past + 9
    x, extras = case.signal(num_samples), case.extras(num_samples)
    graph, weights = nnx.split(layer)

    def outputs_and_gradients(call: Any) -> Any:
        def loss(weights: Any, *arguments: Any) -> Any:
            outputs = jax.tree.leaves(call(nnx.merge(graph, weights), *arguments))
            return contract.loss(outputs), outputs

        return jax.jit(jax.grad(loss, has_aux=True))

    valid = outputs_and_gradients(lambda layer, mask: layer.valid(x, **extras, mask=mask))
    # A context stack's signal begins with a frame; 12 samples are complete frames of all of them.
    for first in {0, min(12, 12 * (past // 12))}:
        mask = jnp.broadcast_to(jnp.arange(num_samples) >= first, x.shape[:2])
        gradients, outputs = valid(weights, mask)
        assert all(y.shape[1] >= 9 // stride for y in outputs)

        def end(layer: Any, first: int = first, outputs: Any = outputs) -> Any:
            leaves = jax.tree.leaves(layer(x[:, first:], **contract.ending(extras, first)))
            return [y[:, y.shape[1] - z.shape[1] :] for y, z in zip(leaves, outputs, strict=True)]

        expected_gradients, expected = outputs_and_gradients(end)(weights)
        assert_close(outputs, expected)
        assert_close(gradients, expected_gradients, rtol=2e-4, atol=2e-4)


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
    field = layer.receptive_field
    num_samples = 3 * field.size + max(4, math.ceil(4 * field.stride))
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
    # A context stack's state is of frames, a few for many samples.
    if isinstance(layer, Conv1d | GatedBlock | DilatedStack | RepeatUpsample | SubPixelUpsample):
        assert floats == layer.receptive_field.past * layer.in_channels * (case.frequencies or 1)
    assert floats >= layer.receptive_field.past


@pytest.mark.parametrize("name", sorted(set(LAYERS) - set(CAUSAL)))
def test_step_of_a_layer_that_sees_the_future_says_what_delay_helps(name: str) -> None:
    case = LAYERS[name]
    layer = case.layer()
    with pytest.raises(ValueError, match=r"delay its output by \d+ samples"):
        layer.init_state(1)


@pytest.mark.parametrize(("dtype", "x64"), [("bfloat16", False), ("float32", True)])
@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_a_type_is_kept_whole_in_a_scan_over_steps_and_in_gradients(
    case: Case, dtype: str, x64: bool
) -> None:
    """Weights and signal in bfloat16; and in float32 where JAX makes arrays of 64 bits by default."""
    layer, x, extras = contract.of_type(case, NUM_SAMPLES, dtype)
    graph, weights = nnx.split(layer)

    def loss(weights: Any) -> Any:
        y = nnx.merge(graph, weights)(x, **extras)
        return contract.loss(y), y

    def stream(weights: Any) -> Any:
        return contract.scanned(nnx.merge(graph, weights), x, extras, 16)

    with jax.enable_x64(x64):
        gradients, at_once = jax.jit(jax.grad(loss, has_aux=True))(weights)
        outputs = jax.jit(stream)(weights)
    for leaf in jax.tree.leaves((gradients, at_once, outputs)):
        assert leaf.dtype == dtype
    tolerance = 0.1 if dtype == "bfloat16" else 1e-5
    assert_close(_in_float32(outputs), _in_float32(at_once), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_steps_of_many_streams_at_once_are_those_of_each(case: Case) -> None:
    """`vmap` over `step`: a batch of streams, each with a state of its own."""
    layer, x, extras = case.layer(), case.signal(12), case.extras(12)
    states = [
        contract.initial_state(layer, x),
        layer.step(x, contract.initial_state(layer, x), **extras)[1],
    ]
    both = jax.jit(jax.vmap(lambda x, s: layer.step(x, s, **extras)))(
        jnp.stack([x, x]), jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    )
    for number, state in enumerate(states):
        alone = jax.jit(lambda x, s: layer.step(x, s, **extras))(x, state)
        assert_close(jax.tree.map(operator.itemgetter(number), both), alone)


@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_weights_that_went_through_a_file_give_the_same_outputs(case: Case, tmp_path: Path) -> None:
    layer, x, extras = case.layer(), case.signal(NUM_SAMPLES), case.extras(NUM_SAMPLES)
    weights = {name: np.asarray(weight) for name, weight in named_weights(layer).items()}
    save_file(weights, tmp_path / "weights.safetensors")
    loaded = with_weights(
        case.make(nnx.Rngs(1)), load_file(tmp_path / "weights.safetensors"), "file"
    )
    assert_close(whole(loaded, x, extras), whole(layer, x, extras), rtol=0, atol=0)


def _in_float32(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree)


def _rows(tree: Any, rows: slice) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], tree)
