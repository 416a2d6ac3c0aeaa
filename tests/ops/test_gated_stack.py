"""The fast backward pass against automatic differentiation of the definition."""

from typing import Any

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wavedil.ops import GatedWeights, Gating, gated_stack, time_blocks
from wavedil.ops.stack import _definition


def make_weights(
    num_layers: int, kernel_size: int, channels: int, gates: int, condition: int, bias_rows: int
) -> Any:
    # By NumPy: JAX would compile a program for every shape.
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> jax.Array:
        return jnp.asarray(0.3 * rng.normal(size=shape), jnp.float32)

    layers = [
        GatedWeights(
            kernel=draw(kernel_size, channels, 2 * gates),
            bias=draw(bias_rows, 2 * gates),
            residual_kernel=draw(gates, channels),
            residual_bias=draw(channels),
            condition_kernel=draw(condition, 2 * gates) if condition else None,
        )
        for _ in range(num_layers)
    ]
    return tuple(layers), draw(num_layers * gates, 5), draw(5)


CASES = {
    # layers, kernel size, channels, gates, condition channels, rows of bias, batch, samples, block, functions
    "one block": (3, 2, 3, 3, 0, 1, 1, 40, 64, None),
    "many blocks, dilations longer than a block": (5, 2, 3, 3, 0, 1, 1, 300, 7, None),
    "blocks that do not divide the signal": (3, 3, 4, 2, 0, 1, 2, 101, 50, None),
    "a bias for each signal": (3, 2, 3, 3, 0, 2, 2, 60, 40, None),
    "a condition at every sample": (3, 3, 3, 4, 2, 1, 2, 90, 50, None),
    "one tap": (2, 1, 3, 3, 2, 1, 2, 30, 20, None),
    "one sample": (2, 2, 3, 3, 0, 1, 1, 1, 64, None),
    "other functions": (3, 2, 3, 4, 2, 2, 2, 60, 40, (jax.nn.silu, jax.nn.soft_sign)),
}


@pytest.mark.sampled
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values_and_gradients_equal_those_of_the_definition(
    case: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    *sizes, bias_rows, batch_size, num_samples, block, functions = case
    num_layers, kernel_size, channels, gates, condition_channels = sizes
    monkeypatch.setattr(time_blocks, "_SAMPLES_ON_CPU", block)
    weights = make_weights(num_layers, kernel_size, channels, gates, condition_channels, bias_rows)
    gating = Gating() if functions is None else Gating(*functions)
    dilations = tuple(3**i for i in range(num_layers))
    x = jax.random.normal(jax.random.key(1), (batch_size, num_samples, channels))
    condition = None
    if condition_channels:
        shape = (batch_size, num_samples, condition_channels)
        condition = jax.random.normal(jax.random.key(2), shape)

    def fast(x: Any, weights: Any, condition: Any) -> Any:
        return weigh(gated_stack(x, *weights, dilations, condition, gating=gating))

    def plain(x: Any, weights: Any, condition: Any) -> Any:
        return weigh(_definition(dilations, 0, gating, False, x, weights, condition, None))

    arguments = (0, 1) if condition is None else (0, 1, 2)
    actual, expected = jax.jit(
        lambda *given: [
            jax.value_and_grad(function, arguments)(*given) for function in (fast, plain)
        ]
    )(x, weights, condition)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-4 * np.abs(e).max())


@pytest.mark.long
@hypothesis.settings(max_examples=8)
@hypothesis.given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    *(st.integers(1, 3), st.integers(0, 2), st.integers(1, 40)),
    *(st.floats(0, 1), st.integers(3, 50)),
)
def test_context_gives_the_loss_and_gradients_of_the_whole_signal_to_1e_10(
    dilations: list[int],
    kernel_size: int,
    condition_channels: int,
    num_outputs: int,
    begins: float,
    block: int,
) -> None:
    """Each layer computed where it is read, from samples of which the signal's own begin anywhere in the context."""
    num_layers, num_context = len(dilations), (kernel_size - 1) * sum(dilations)
    first = int(begins * num_context)
    with jax.enable_x64(True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_blocks, "_SAMPLES_ON_CPU", block)
        weights = jax.tree.map(
            lambda leaf: jnp.asarray(np.float64(leaf)),
            make_weights(num_layers, kernel_size, 3, 2, condition_channels, 1),
        )
        num_samples, rng = num_context + num_outputs, np.random.default_rng(1)
        x = jnp.asarray(rng.normal(size=(2, num_samples, 3)))
        condition = jnp.asarray(rng.normal(size=(2, num_samples, condition_channels)))
        mask = jnp.asarray(np.tile(np.arange(num_context) >= first, (2, 1)))
        outputs_of_first = (kernel_size - 1) * dilations[0]

        def trimmed(x: Any, weights: Any, condition: Any) -> Any:
            given = condition[:, outputs_of_first:] if condition_channels else None
            settings = {"valid": True, "mask": mask}
            return weigh(gated_stack(x, *weights, dilations, given, **settings))

        def whole(x: Any, weights: Any, condition: Any) -> Any:
            given = condition[:, first:] if condition_channels else None
            outputs = gated_stack(x[:, first:], *weights, dilations, given)
            return weigh([y[:, y.shape[1] - num_outputs :] for y in outputs])

        arguments = (x, weights, condition)
        actual, expected = jax.jit(
            lambda *given: [
                jax.value_and_grad(function, (0, 1, 2))(*given) for function in (trimmed, whole)
            ]
        )(*arguments)
        for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(
                a, e, rtol=1e-10, atol=1e-10 * float(np.max(np.abs(e), initial=1.0))
            )


def test_blocks_join_to_the_signal() -> None:
    x = jax.random.normal(jax.random.key(0), (3, 5000, 2))
    blocks = time_blocks.to_blocks(x)
    assert blocks.shape[0] > 1
    np.testing.assert_array_equal(time_blocks.from_blocks(blocks, 5000), x)


def test_memory_of_the_backward_pass_grows_with_length_and_holds_one_activation_a_layer() -> None:
    def temporary_bytes(num_samples: int) -> int:
        weights = make_weights(8, 2, 16, 16, 0, 1)
        x = jnp.zeros((1, num_samples, 16))
        gradient = jax.grad(lambda w: weigh(gated_stack(x, *w, [1, 2, 4, 8] * 2)))
        return jax.jit(gradient).lower(weights).compile().memory_analysis().temp_size_in_bytes

    short, long = temporary_bytes(8192), temporary_bytes(32768)
    # Activations (32) of 8 layers in float32, and half as much again for everything else.
    assert long - short < 1.5 * (32768 - 8192) * 8 * 32 * 4


def test_with_remat_the_backward_pass_keeps_no_activations_of_layers() -> None:
    dilations, channels, gates, num_samples = [1, 2, 4], 4, 16, 64 * 2048
    weights = make_weights(len(dilations), 2, channels, gates, 0, 1)

    def temporary_numbers(remat: bool) -> float:
        def loss(weights: Any) -> Any:
            x = jnp.zeros((1, num_samples, channels))
            return weigh(gated_stack(x, *weights, dilations, remat=remat))

        plan = jax.jit(jax.grad(loss)).lower(weights).compile().memory_analysis()
        return plan.temp_size_in_bytes / 4 / num_samples

    kept, again = map(temporary_numbers, (False, True))
    # In numbers a sample: filter and gate of every layer, which with remat are there of one block of 64; the input, as
    # it enters and in blocks; both outputs and their gradients, in blocks and as signals.
    activations, others = len(dilations) * 2 * gates, 2 * channels + 2 * 2 * (channels + 5)
    assert kept - again == pytest.approx(activations, rel=2 / 64)
    assert kept / again > (activations + others) / others


@pytest.mark.parametrize("dropped", [False, True], ids=["", "dropout"])
def test_with_remat_gradients_are_those_without(
    dropped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several blocks and a context, with a condition and a mask; with dropout, by JAX's own backward pass."""
    monkeypatch.setattr(time_blocks, "_SAMPLES_ON_CPU", 20)
    weights, dilations = make_weights(3, 2, 3, 2, 2, 1), (1, 2, 4)
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.normal(size=(2, 57, 3)), jnp.float32)
    condition = jnp.asarray(rng.normal(size=(2, 56, 2)), jnp.float32)
    seen_by = [lambda x: x.at[:, ::3].set(0)] * 3 if dropped else None

    def loss(x: Any, weights: Any, condition: Any, remat: bool) -> Any:
        settings = {"valid": True, "mask": jnp.asarray(np.arange(7) > [[2], [0]])}
        outputs = gated_stack(
            x, *weights, dilations, condition, **settings, seen_by=seen_by, remat=remat
        )
        return weigh(outputs)

    kept, again = jax.jit(
        lambda *given: [jax.grad(loss, (0, 1, 2))(*given, remat) for remat in (False, True)]
    )(x, weights, condition)
    for a, e in zip(jax.tree.leaves(again), jax.tree.leaves(kept), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-6, atol=1e-6 * np.abs(e).max())


def weigh(outputs: Any) -> Any:
    """A scalar to which every output contributes its own weight."""
    return sum(
        jnp.sum(y * jnp.sin(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)) for y in outputs
    )
