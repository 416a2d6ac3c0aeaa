"""A function with its own backward pass: which of its two derivatives is used where."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wavedil.ops.own_backward import own_backward

# The gradient of x y is y, x; this one says ten times that, so that it is known by its values.
_times_ten = own_backward(
    lambda x, y: x * y,
    lambda x, y: (x * y, (x, y)),
    lambda saved, gradient: (10 * gradient * saved[1], 10 * gradient * saved[0]),
)


def product(x: Any, y: Any) -> Any:
    return _times_ten((), x, y)


def total(x: Any, y: Any) -> Any:
    return jnp.sum(product(x, y))


X, Y = np.arange(1.0, 4, dtype=np.float32), np.float32(7)
REVERSE: dict[str, Callable[..., Any]] = {
    "grad": jax.grad(total),
    "jit of grad": jax.jit(jax.grad(total)),
    "grad of jit": jax.grad(jax.jit(total)),
    "vmap of grad": jax.vmap(jax.grad(total), (0, None)),
    "grad of vmap": jax.grad(lambda x, y: jnp.sum(jax.vmap(product, (0, None))(x, y))),
    "grad of vmap of vmap": lambda x, y: jax.grad(
        lambda x: jnp.sum(jax.vmap(jax.vmap(product, (0, None)), (0, None))(x[None], y))
    )(x),
    "grad of scan": jax.grad(
        lambda x, y: jax.lax.scan(lambda sum, x: (sum + total(x, y), None), 0.0, x)[0]
    ),
    "grad of checkpoint": jax.grad(jax.checkpoint(total)),
    "vjp": lambda x, y: jax.vjp(lambda x: product(x, y), x)[1](jnp.ones_like(x))[0],
}


@pytest.mark.parametrize("gradient", REVERSE.values(), ids=REVERSE)
def test_reverse_mode_uses_the_backward_pass_in_every_order_of_transformations(
    gradient: Callable[..., Any],
) -> None:
    np.testing.assert_array_equal(gradient(X, Y), 10 * np.full_like(X, Y))


def test_what_is_shared_by_a_vmap_has_the_sum_of_its_gradients() -> None:
    of_shared = jax.grad(lambda y: jnp.sum(jax.vmap(product, (0, None))(X, y)))
    np.testing.assert_array_equal(of_shared(Y), 10 * X.sum())


def test_forward_mode_uses_the_definition() -> None:
    ones = jnp.ones_like(X)
    _, tangent = jax.jvp(lambda x: product(x, Y), (X,), (ones,))
    _, linear = jax.linearize(lambda x: product(x, Y), X)
    jacobian = jax.jacfwd(lambda x: product(x, Y))(X)
    for actual in (tangent, linear(ones), jacobian.sum(1)):
        np.testing.assert_array_equal(actual, np.full_like(X, Y))


def test_gradients_of_gradients_are_those_of_the_pass_that_was_taken() -> None:
    """Forward over reverse and reverse over reverse differentiate the backward pass, reverse over forward the other."""

    def second(of_first: Callable[..., Any], first: Callable[..., Any]) -> Any:
        return of_first(lambda y: jnp.sum(first(lambda x: total(x, y))(X)))(Y)

    for of_first in (jax.jacfwd, jax.grad, jax.jacrev):
        assert second(of_first, jax.grad) == 10 * len(X)
    assert second(jax.jacfwd, jax.jacfwd) == len(X)
