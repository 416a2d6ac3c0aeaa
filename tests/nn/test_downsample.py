"""Downsampling: a convolution with a stride, in blocks of any length."""

from typing import Any

import contract
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings

from wavedil import ReceptiveField, UserError
from wavedil.nn import Downsample, RepeatUpsample, Sequential

sizes = st.integers(1, 5).flatmap(lambda factor: st.tuples(st.just(factor), st.integers(factor, 9)))


@settings(max_examples=5, deadline=None)
@given(sizes, st.lists(st.integers(0, 7), min_size=1, max_size=4))
def test_is_every_factor_th_output_of_the_convolution_in_blocks_of_any_lengths(
    sizes: tuple[int, int], blocks: list[int]
) -> None:
    factor, kernel_size = sizes
    layer = Downsample(2, 3, factor=factor, kernel_size=kernel_size, rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(size=(2, sum(blocks), 2)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (kernel_size - 1, 0), (0, 0)))
    kernel = np.asarray(layer.conv.kernel[...])
    expected = np.zeros((2, -(-sum(blocks) // factor), 3))
    for m in range(expected.shape[1]):
        seen = padded[:, m * factor : m * factor + kernel_size]
        expected[:, m] = np.einsum("bki,kio->bo", seen, kernel)
    np.testing.assert_allclose(jax.jit(layer)(x), expected, rtol=1e-4, atol=1e-5)
    step, state, start, count = jax.jit(layer.step), layer.init_state(2), 0, 0
    for length in blocks:
        y, state = step(x[:, start : start + length], state)
        start += length
        # The outputs that stand at samples of the block.
        assert count + y.shape[1] == -(-start // factor)
        np.testing.assert_allclose(y, expected[:, count : count + y.shape[1]], rtol=1e-4, atol=1e-5)
        count += y.shape[1]
        # What is there of the samples that the next output sees.
        np.testing.assert_array_equal(state, padded[:, count * factor : start + kernel_size - 1])


def test_down_and_up_again_sees_nothing_ahead() -> None:
    down = Downsample(1, 1, factor=4, rngs=nnx.Rngs(0))
    both = Sequential(down, RepeatUpsample(1, 1, factor=4, rngs=nnx.Rngs(0)))
    assert down.receptive_field == ReceptiveField(past=3, stride=4)
    assert both.receptive_field.stride == 1 and both.receptive_field.future == 0


def test_a_batch_of_lengths_has_the_outputs_of_each_signal() -> None:
    layer, lengths = Downsample(2, 3, factor=4, kernel_size=6, rngs=nnx.Rngs(0)), (9, 5, 8, 0)
    mask = jnp.arange(9)[None] < jnp.array(lengths)[:, None]
    x = jax.random.normal(jax.random.key(0), (4, 9, 2))
    y = layer(jnp.where(mask[..., None], x, jnp.nan), mask=mask)
    for row, length in enumerate(lengths):
        alone = layer(x[row : row + 1, :length])
        assert alone.shape[1] == -(-length // 4)
        expected = jnp.pad(alone, ((0, 0), (0, 3 - alone.shape[1]), (0, 0)))
        contract.assert_close(y[row : row + 1], expected)


def test_no_number_but_those_seen_reaches_an_output() -> None:
    layer = Downsample(1, 1, factor=4, kernel_size=6, rngs=nnx.Rngs(0))
    for sample in range(14):
        y = layer(jnp.zeros((1, 14, 1)).at[0, sample].set(jnp.nan))
        reached = np.flatnonzero(np.isnan(y[0, :, 0]))
        assert reached.tolist() == [m for m in range(4) if 0 <= 4 * m - sample <= 5]


def test_a_kernel_shorter_than_the_factor_is_refused_with_what_it_leaves_out() -> None:
    with pytest.raises(UserError, match=r"no output would see 1 of every 4 samples.*at least 4"):
        Downsample(1, 1, factor=4, kernel_size=3, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("state", [jnp.zeros((1, 1, 2)), jnp.zeros((1, 6, 2)), None, ()])
def test_a_state_of_a_length_that_never_comes_up_is_refused(state: Any) -> None:
    layer = Downsample(2, 1, factor=4, kernel_size=6, rngs=nnx.Rngs(0))
    with contract.unchecked(), pytest.raises(UserError, match=r"the state .* Downsample keeps"):
        layer.step(jnp.zeros((1, 5, 2)), state)
