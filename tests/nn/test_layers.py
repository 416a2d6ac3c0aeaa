"""Refusals of layers, and their parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil.nn import Conv1d, DilatedStack, GatedBlock, Sequential


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_size": 0}, "kernel_size is 0"),
        ({"kernel_size": 2, "dilation": 0}, "dilation is 0"),
        ({"kernel_size": 2, "groups": 2}, "groups is 2, which does not divide 3"),
    ],
)
def test_conv_refuses_bad_sizes_by_name(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Conv1d(3, 4, **settings, rngs=nnx.Rngs(0))


def test_stack_refuses_an_empty_list_of_dilations() -> None:
    with pytest.raises(ValueError, match="dilations is empty"):
        DilatedStack(3, 4, dilations=[], rngs=nnx.Rngs(0))


def test_condition_of_another_length_is_refused_with_both_lengths() -> None:
    block = GatedBlock(3, kernel_size=2, condition_channels=2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="7 samples and the signal 9"):
        block(jnp.zeros((1, 9, 3)), jnp.zeros((1, 7, 2)))


def test_block_with_a_condition_must_be_given_one() -> None:
    block = GatedBlock(3, kernel_size=2, condition_channels=2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="made with a condition"):
        block(jnp.zeros((1, 9, 3)))


def test_condition_of_one_sample_equals_the_same_at_every_sample() -> None:
    stack = DilatedStack(
        3, 4, kernel_size=3, dilations=[1, 2], condition_channels=2, rngs=nnx.Rngs(0)
    )
    x = jax.random.normal(jax.random.key(0), (2, 20, 3))
    condition = jax.random.normal(jax.random.key(1), (2, 1, 2))
    constant = stack(x, condition)
    repeated = stack(x, jnp.repeat(condition, 20, axis=1))
    for a, b in zip(constant, repeated, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_stack_equals_its_blocks_with_skip_outputs_of_their_own() -> None:
    stack = DilatedStack(3, 4, kernel_size=2, dilations=[1, 2, 4], rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (2, 20, 3))
    residual, total = x, jnp.zeros((2, 20, 4))
    for block, kernel in zip(stack.blocks, jnp.split(stack.skip_kernel[...], 3), strict=True):
        residual, gated = block(residual)
        total = total + gated @ kernel
    np.testing.assert_allclose(stack(x)[0], residual, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(stack(x)[1], total + stack.skip_bias[...], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel_size", "cycles", "size"), [(2, 1, 1024), (2, 3, 3070), (3, 3, 6139)]
)
def test_stack_has_the_published_receptive_field(kernel_size: int, cycles: int, size: int) -> None:
    stack = DilatedStack(1, 1, kernel_size=kernel_size, cycles=cycles, rngs=nnx.Rngs(0))
    assert stack.receptive_field.size == size


def test_sequential_of_nothing_is_the_identity() -> None:
    x = jnp.ones((1, 5, 2))
    np.testing.assert_array_equal(Sequential()(x), x)
    assert Sequential().receptive_field.size == 1
