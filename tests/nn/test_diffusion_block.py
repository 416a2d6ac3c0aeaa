"""The diffusion block is the one of its paper, and says what does not fit."""

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil import UserError
from wavedil.nn import DiffusionBlock


def test_a_block_is_its_formula() -> None:
    """In NumPy, tap by tap: the embedding is added before the convolution, and beyond the ends there is zero."""
    block = DiffusionBlock(3, 4, dilation=2, condition_channels=2, rngs=nnx.Rngs(0))
    for layer in (block.conv, block.step_projection, block.outputs):
        layer.bias[...] = jax.random.normal(jax.random.key(1), layer.bias.shape)
    keys = jax.random.split(jax.random.key(0), 3)
    shapes = (1, 9, 3), (1, 1, 4), (1, 9, 2)
    x, embedding, condition = map(jax.random.normal, keys, shapes)

    def linear(layer: nnx.Module, x: np.ndarray) -> np.ndarray:
        bias = 0.0 if layer.bias is None else np.asarray(layer.bias)
        return x @ np.asarray(layer.kernel[0]) + bias

    shifted = np.asarray(x[0]) + linear(block.step_projection, np.asarray(embedding[0]))
    padded, kernel = np.pad(shifted, ((2, 2), (0, 0))), np.asarray(block.conv.kernel)
    joint = sum(padded[2 * k : 2 * k + 9] @ kernel[k] for k in range(3))
    joint = joint + np.asarray(block.conv.bias) + linear(block.condition, np.asarray(condition[0]))
    gated = np.tanh(joint[:, :3]) / (1 + np.exp(-joint[:, 3:]))
    outputs = linear(block.outputs, gated)
    expected = (np.asarray(x[0]) + outputs[:, :3]) / 2**0.5, outputs[:, 3:]
    contract.assert_close([y[0] for y in block(x, embedding, condition)], expected)


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ((2, 5, 4), "the embedding has 5 samples, but DiffusionBlock takes one for each signal"),
        ((1, 1, 4), "for 1 signals and x holds 2"),
        ((2, 1, 3), "embedding has 3 channels, but this DiffusionBlock has embedding_channels=4"),
    ],
)
def test_an_embedding_that_does_not_fit_is_refused(shape: tuple[int, ...], problem: str) -> None:
    block = DiffusionBlock(3, 4, rngs=nnx.Rngs(0))
    with contract.unchecked(), pytest.raises(UserError, match=problem):
        block(jnp.ones((2, 5, 3)), jnp.ones(shape))


def test_a_block_asked_to_stream_states_the_delay() -> None:
    block = DiffusionBlock(3, 4, dilation=5, rngs=nnx.Rngs(0))
    with pytest.raises(
        UserError, match=r"DiffusionBlock sees 5 samples.*delay its output by 5 samp"
    ):
        block.init_state(1)
