"""Every layer under JAX's transformations: forward and reverse mode in any order, `vmap`, `export`."""

from collections.abc import Callable
from typing import Any

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import BATCH_SIZE, CAUSAL, COMPILED, LAYERS, Case, assert_close
from flax import nnx
from jax import export

NUM_SAMPLES = 12


def scalar(case: Case) -> tuple[Callable[[Any], Any], Any, Any]:
    """A layer as a function of everything that it is differentiable by, in float64; a place there, and a direction."""
    graph, weights = nnx.split(case.abstract_layer())
    _, x, extras = contract.of_type(case, NUM_SAMPLES, "float64")
    # Labels, diffusion steps and dilations are whole numbers.
    whole = {
        name: extras.pop(name) for name in ("labels", "noise_step", "dilation") if name in extras
    }
    rng = np.random.default_rng(0)

    def normal(leaf: Any) -> Any:
        return jnp.asarray(0.5 * rng.normal(size=leaf.shape))

    def function(arguments: Any) -> Any:
        weights, x_or_nothing, extras = arguments
        (signal,) = x_or_nothing or (x,)
        return contract.loss(nnx.merge(graph, weights)(signal, **extras, **whole))

    at = jax.tree.map(normal, weights), () if case.channels is None else (x,), extras
    return function, at, jax.tree.map(normal, at)


def dot(a: Any, b: Any) -> Any:
    return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, a, b)))


@pytest.mark.sampled
@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_forward_mode_is_the_adjoint_of_reverse_mode(case: Case) -> None:
    """u J v by `jvp` and by `grad`, of the weights, the signal and its condition."""
    with jax.enable_x64(True):
        function, at, along = scalar(case)
        forward, reverse = jax.jit(
            lambda at, along: (
                jax.jvp(function, (at,), (along,))[1],
                dot(jax.grad(function)(at), along),
            )
        )(at, along)
    np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("name", ["gated block conditioned", "stack conditioned", "context stack"])
def test_second_derivatives_are_the_same_in_every_order_of_modes_and_as_differences(
    name: str,
) -> None:
    with jax.enable_x64(True):
        function, at, along = scalar(LAYERS[name])

        def slope(at: Any) -> Any:
            return jax.jvp(function, (at,), (along,))[1]

        @jax.jit
        def derivatives(at: Any) -> Any:
            """Slope by `linearize`, and the Hessian's product with the direction."""
            linear = jax.linearize(function, at)[1](along)
            forward_over_reverse = jax.jvp(jax.grad(function), (at,), (along,))[1]
            reverse_over_reverse = jax.grad(lambda at: dot(jax.grad(function)(at), along))(at)
            return linear, forward_over_reverse, reverse_over_reverse, jax.grad(slope)(at)

        linear, product, *others = derivatives(at)
        step = 1e-5
        values, slopes = jax.jit(
            jax.vmap(
                lambda step: (lambda at: (function(at), slope(at)))(
                    jax.tree.map(lambda a, d: a + step * d, at, along)
                )
            )
        )(jnp.array([-step, step]))
        for other in others:
            assert_close(other, product, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(linear, jnp.diff(values)[0] / (2 * step), rtol=1e-6, atol=1e-6)
        curvature = dot(product, along)
        np.testing.assert_allclose(
            curvature, jnp.diff(slopes)[0] / (2 * step), rtol=1e-6, atol=1e-6
        )


@pytest.mark.sampled
@pytest.mark.parametrize("name", COMPILED)
def test_a_vmap_over_batches_is_the_batch_of_them_all_with_its_gradients(name: str) -> None:
    """A gradient through `vmap`, whose weights are shared by what is mapped over."""
    case = LAYERS[name]
    graph, weights = nnx.split(case.layer())
    signals = case.signal(NUM_SAMPLES, 0, 2 * BATCH_SIZE), case.extras(NUM_SAMPLES, 2 * BATCH_SIZE)

    def apart(leaf: Any) -> Any:
        return leaf.reshape(2, BATCH_SIZE, *leaf.shape[1:])

    def joined(leaf: Any) -> Any:
        return leaf.reshape(2 * BATCH_SIZE, *leaf.shape[2:])

    def gradients_and_outputs(weights: Any, mapped: bool) -> Any:
        def loss(weights: Any) -> Any:
            def call(x: Any, extras: Any) -> Any:
                return nnx.merge(graph, weights)(x, **extras)

            if mapped:
                y = jax.tree.map(joined, jax.vmap(call)(*jax.tree.map(apart, signals)))
            else:
                y = call(*signals)
            return contract.loss(y), y

        return jax.grad(loss, has_aux=True)(weights)

    run = jax.jit(gradients_and_outputs, static_argnums=1)
    assert_close(run(weights, True), run(weights, False), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", COMPILED)
def test_a_checkpointed_layer_has_the_same_outputs_and_gradients(name: str) -> None:
    case = LAYERS[name]
    graph, weights = nnx.split(case.layer())
    x, extras = case.signal(NUM_SAMPLES), case.extras(NUM_SAMPLES)

    def loss(weights: Any, wrap: Callable[[Any], Any]) -> Any:
        y = wrap(nnx.merge(graph, weights))(x, **extras)
        return contract.loss(y), y

    @jax.jit
    def both(weights: Any) -> Any:
        return [
            jax.grad(loss, has_aux=True)(weights, wrap) for wrap in (jax.checkpoint, lambda f: f)
        ]

    actual, expected = both(weights)
    assert_close(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.sampled
@pytest.mark.parametrize("case", CAUSAL.values(), ids=CAUSAL)
def test_a_layer_is_exported_for_every_number_of_samples(case: Case) -> None:
    """With the time as a symbol; the numbers at three lengths are those of the layer itself."""
    compiled = case in [LAYERS[name] for name in COMPILED]
    layer = case.layer() if compiled else case.abstract_layer()
    graph, weights = nnx.split(layer)
    (time,) = export.symbolic_shape("time")
    x, extras = jax.eval_shape(lambda: (case.signal(9), case.extras(9)))

    def of_any_length(leaf: Any) -> Any:
        shape = tuple(time if size == 9 else size for size in leaf.shape)
        return jax.ShapeDtypeStruct(shape, leaf.dtype)

    x, extras = jax.tree.map(of_any_length, (x, extras))
    call = jax.jit(lambda weights, x, extras: nnx.merge(graph, weights)(x, **extras))
    with contract.unchecked():  # symbols are no integers
        exported = export.export(call)(weights, x, extras)
    if compiled:
        for length in (1, 13, 64):
            given = case.signal(length), case.extras(length)
            assert_close(exported.call(weights, *given), call(weights, *given))
