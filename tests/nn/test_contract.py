"""Every layer and model keeps the contract of a stream transformer."""

import functools
import math
import operator
from pathlib import Path
from typing import Any

import contract
import jax
import numpy as np
import pytest
from contract import BATCH_SIZE, CAUSAL, COMPILED, LAYERS, Case, assert_close
from flax import nnx
from safetensors.numpy import load_file, save_file

from wavedil.models import named_weights, with_weights
from wavedil.nn import Conv1d, DilatedStack, GatedBlock, RepeatUpsample, SubPixelUpsample
from wavedil.receptive_field import probe, trace

NUM_SAMPLES = 64
# Every length is compiled. Single samples end at every place in a frame; the first ragged block is as long as any past.
BLOCKS = {"single samples": [1] * 64, "ragged": [47, 1, 16]}


def whole(case: Case, x: Any, extras: Any) -> Any:
    return case.call(case.weights, x, extras)


@pytest.mark.sampled
@pytest.mark.parametrize("blocks", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_streaming_does_not_depend_on_block_boundaries(case: Case, blocks: list[int]) -> None:
    x, extras = case.signal(NUM_SAMPLES), case.extras(NUM_SAMPLES)
    step = functools.partial(case.step, case.weights)
    streamed = contract.in_blocks(step, case.layer(), x, extras, blocks)
    assert_close(streamed, whole(case, x, extras))


@pytest.mark.sampled
@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_gradients_through_step_equal_gradients_through_call(case: Case) -> None:
    x, extras = case.signal(NUM_SAMPLES), case.extras(NUM_SAMPLES)
    graph, _ = nnx.split(case.layer())

    def at_once(weights: Any) -> Any:
        return contract.loss(case.call(weights, x, extras))

    def in_blocks(weights: Any) -> Any:
        # An amp's first state is a function of its weights.
        layer, step = nnx.merge(graph, weights), functools.partial(case.step, weights)
        return contract.loss(contract.scanned(layer, x, extras, 16, step))

    actual, expected = jax.jit(lambda w: (jax.grad(in_blocks)(w), jax.grad(at_once)(w)))(
        case.weights
    )
    assert_close(actual, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.sampled
@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_no_output_depends_on_a_later_input(case: Case) -> None:
    extras = case.extras(NUM_SAMPLES)
    before, after = (np.asarray(case.signal(NUM_SAMPLES, seed)) for seed in (0, 1))
    changed = np.concatenate([before[:, :30], after[:, 30:]], axis=1)
    first = math.ceil(30 / case.layer().receptive_field.stride)  # the first output that may change
    outputs = [jax.tree.leaves(whole(case, x, extras)) for x in (before, changed)]
    for y, z in zip(*outputs, strict=True):
        np.testing.assert_array_equal(np.asarray(y)[:, :first], np.asarray(z)[:, :first])
        assert not np.array_equal(y, z)


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


@pytest.mark.sampled
@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_second_block_of_a_length_compiles_nothing(case: Case) -> None:
    extras, first = case.extras(16), case.layer().init_state(BATCH_SIZE)
    _, state = case.step(case.weights, case.signal(16), first, extras)
    # Both may have been compiled for other tests.
    assert jax.tree.map(jax.typeof, state) == jax.tree.map(jax.typeof, first)
    compiled = case.step._cache_size()
    for seed in (1, 2):
        _, state = case.step(case.weights, case.signal(16, seed), state, extras)
    assert case.step._cache_size() == compiled


@pytest.mark.sampled
@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_signals_of_a_batch_do_not_see_each_other(case: Case) -> None:
    x, extras = case.signal(NUM_SAMPLES), case.extras(NUM_SAMPLES)
    both = whole(case, x, extras)
    for row in range(BATCH_SIZE):
        this = slice(row, row + 1)
        alone = whole(case, *_rows((x, extras), this))
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


@pytest.mark.sampled
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

    def run(weights: Any) -> Any:
        gradients, at_once = jax.grad(loss, has_aux=True)(weights)
        outputs = contract.scanned(nnx.merge(graph, weights), x, extras, 16)
        for leaf in jax.tree.leaves((gradients, at_once, outputs)):
            assert leaf.dtype == dtype
        return at_once, outputs

    with jax.enable_x64(x64):
        if x64 and case not in [LAYERS[name] for name in COMPILED]:
            jax.eval_shape(run, weights)
            return
        at_once, outputs = jax.tree.map(_in_float32, jax.jit(run)(weights))
    tolerance = 0.1 if dtype == "bfloat16" else 1e-5
    assert_close(outputs, at_once, rtol=tolerance, atol=tolerance)


@pytest.mark.sampled
@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_steps_of_many_streams_at_once_are_those_of_each(case: Case) -> None:
    """`vmap` over `step`: a batch of streams, each with a state of its own."""
    x, extras = case.signal(16), case.extras(16)
    states = [case.layer().init_state(BATCH_SIZE)]
    alone = [case.step(case.weights, x, states[0], extras)]
    states.append(alone[0][1])
    alone.append(case.step(case.weights, x, states[1], extras))
    steps = jax.jit(jax.vmap(case.step, in_axes=(None, 0, 0, None)))
    signals_and_states = jax.tree.map(lambda *leaves: np.stack(leaves), *((x, s) for s in states))
    both = steps(case.weights, *signals_and_states, extras)
    for number, expected in enumerate(alone):
        assert_close(jax.tree.map(operator.itemgetter(number), both), expected)


@pytest.mark.sampled
@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_weights_that_went_through_a_file_give_the_same_outputs(case: Case, tmp_path: Path) -> None:
    weights = {name: np.asarray(weight) for name, weight in named_weights(case.layer()).items()}
    save_file(weights, tmp_path / "weights.safetensors")
    loaded = with_weights(
        case.make(nnx.Rngs(1)), load_file(tmp_path / "weights.safetensors"), "file"
    )
    _, loaded_weights = nnx.split(loaded)
    x, extras = case.signal(NUM_SAMPLES), case.extras(NUM_SAMPLES)
    outputs = case.call(loaded_weights, x, extras)
    assert_close(outputs, whole(case, x, extras), rtol=0, atol=0)


def _in_float32(leaf: Any) -> Any:
    return np.asarray(leaf).astype(np.float32)


def _rows(tree: Any, rows: slice) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], tree)
