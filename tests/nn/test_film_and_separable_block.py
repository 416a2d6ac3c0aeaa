"""Feature-wise modulation, and the depthwise separable block."""

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil import UserError
from wavedil.nn import DepthwiseSeparableBlock, FiLM, Sequential


def normal(*shape: int, seed: int = 0) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def test_film_starts_as_the_identity_and_is_scale_and_offset_of_the_condition() -> None:
    film, x, condition = FiLM(3, 2, rngs=nnx.Rngs(0)), normal(2, 5, 3), normal(2, 5, 2, seed=1)
    np.testing.assert_array_equal(film(x, condition), x)
    kernel, bias = normal(1, 2, 6, seed=2), normal(6, seed=3)
    film.modulation.kernel[...], film.modulation.bias[...] = kernel, bias
    scale, offset = np.split(
        np.asarray(condition) @ np.asarray(kernel[0]) + np.asarray(bias), 2, axis=-1
    )
    expected = (1 + scale) * np.asarray(x) + offset
    np.testing.assert_allclose(film(x, condition), expected, rtol=1e-5, atol=1e-5)
    one = film(x, condition[:, :1])
    np.testing.assert_allclose(one[:, 0], expected[:, 0], rtol=1e-5, atol=1e-5)


def test_film_learns_from_where_it_starts() -> None:
    film, x, condition = FiLM(3, 2, rngs=nnx.Rngs(0)), normal(2, 5, 3), normal(2, 1, 2, seed=1)
    gradient = nnx.grad(lambda film: jnp.sum(film(x, condition) ** 2))(film)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradient))


def norm(x: np.ndarray) -> np.ndarray:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5)


def prelu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + 0.25 * np.minimum(x, 0)


def test_a_separable_block_is_its_formula() -> None:
    block = DepthwiseSeparableBlock(3, 6, 4, kernel_size=3, dilation=2, rngs=nnx.Rngs(0))
    x = np.asarray(normal(2, 9, 3))
    hidden = norm(prelu(x @ np.asarray(block.enter.kernel[0])))
    padded = np.pad(hidden, ((0, 0), (4, 0), (0, 0)))
    kernel = np.asarray(block.depthwise.kernel[...])
    y = norm(prelu(sum(padded[:, 2 * k : 2 * k + 9] * kernel[k] for k in range(3))))
    residual, skip = block(jnp.asarray(x))
    np.testing.assert_allclose(
        residual, x + y @ np.asarray(block.residual.kernel[0]), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(skip, y @ np.asarray(block.skip.kernel[0]), rtol=1e-4, atol=1e-4)


def test_a_centred_separable_block_keeps_signals_of_a_batch_as_they_are_alone() -> None:
    """The norm of the zeros beyond a signal would be its offset, and no zero."""
    block = DepthwiseSeparableBlock(3, 6, 4, dilation=2, padding="same", rngs=nnx.Rngs(0))
    block.enter.bias[...] = normal(6)
    block.enter_norm.offset[...] = normal(6, seed=1)
    x, mask = normal(1, 9, 3), jnp.arange(9)[None] < 6
    masked = block(jnp.where(mask[..., None], x, jnp.nan), mask=mask)
    for y, alone in zip(masked, block(x[:, :6]), strict=True):
        np.testing.assert_allclose(y[:, :6], alone, rtol=1e-5, atol=1e-5)
        assert not y[:, 6:].any()


def test_a_centred_separable_block_asked_to_stream_says_the_delay() -> None:
    block = DepthwiseSeparableBlock(3, 6, 4, dilation=5, padding="same", rngs=nnx.Rngs(0))
    message = "DepthwiseSeparableBlock sees 5 samples of the future.*delay its output by 5 samples"
    with pytest.raises(UserError, match=message):
        block.init_state(1)
    with contract.unchecked(), pytest.raises(UserError, match=message):
        block.step(jnp.zeros((1, 5, 3)), None)


def test_a_batch_size_and_a_state_that_are_none_are_refused_by_layers_without_state() -> None:
    film, net = FiLM(3, 2, rngs=nnx.Rngs(0)), Sequential(jnp.tanh)
    for batch_size in (-1, "x", 1.0):
        for layer in (film, net):
            with pytest.raises(ValueError, match=r"batch_size is .* whole number"):
                layer.init_state(batch_size)
    x, condition = jnp.ones((1, 5, 3)), jnp.ones((1, 1, 2))
    for state in ({}, [], [()], None, 0):
        with (
            contract.unchecked(),
            pytest.raises(UserError, match=r"keeps \(\); begin with init_st"),
        ):
            film.step(x, state, condition)
        with (
            contract.unchecked(),
            pytest.raises(UserError, match=r"keeps \(\); begin with init_st"),
        ):
            net.layers[0].step(x, state)


def test_a_state_of_several_parts_is_no_dict_of_their_numbers() -> None:
    net = Sequential(jnp.tanh, jnp.tanh)
    x = jnp.ones((1, 5, 3))
    with contract.unchecked(), pytest.raises(UserError, match=r"dict of \[0, 1\], but Sequential"):
        net.step(x, {0: (), 1: ()})
    with contract.unchecked():
        assert net.step(x, ((), ()))[1] == [(), ()]
