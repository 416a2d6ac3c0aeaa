"""Activations by name."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wavedil.errors import require_known

Activation = Callable[[Float[Array, "..."]], Float[Array, "..."]]


def _gelu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """x times about the normal distribution's share below x, by tanh, as in JAX and Flax."""
    return jax.nn.gelu(x, approximate=True)


def _identity(x: Float[Array, "..."]) -> Float[Array, "..."]:
    return x


ACTIVATIONS: dict[str, Activation] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "gelu": _gelu,
    "silu": jax.nn.silu,
    "softsign": jax.nn.soft_sign,
    "leaky_relu": jax.nn.leaky_relu,
    "identity": _identity,
}


def activation(name: str) -> Activation:
    """The function of that name.

    Raises:
      UserError: If there is none.
    """
    require_known("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
