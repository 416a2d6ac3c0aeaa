"""Layers one after the other."""

import functools
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from wavedil.nn.layer import masked
from wavedil.receptive_field import ReceptiveField


class Sequential(nnx.Module):
    """Layers one after the other: y = layer_n(... layer_1(x)).

    Every layer sees zeros before its first sample. Streams if each layer does.

    Args:
      layers: Layers under the contract, or plain functions that act on every sample by itself, such as `jax.nn.relu`.

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, time, out_channels], as many times the samples as layers upsample.
      state:    one entry for each layer.

    Example:
      >>> net = Sequential(Conv1d(1, 8, kernel_size=2, rngs=rngs), jax.nn.relu, Conv1d(8, 1, kernel_size=3, rngs=rngs))
      >>> net.receptive_field.size
      4
    """

    def __init__(self, *layers: Any) -> None:
        modules: list[Any] = [
            layer if isinstance(layer, nnx.Module) else Pointwise(layer) for layer in layers
        ]
        self.layers = nnx.List(modules)
        fields = [module.receptive_field for module in modules]
        self.receptive_field = functools.reduce(ReceptiveField.then, fields, ReceptiveField(past=0))

    def __call__(self, x: Float[Array, "batch time in"]) -> Float[Array, "batch out_time out"]:
        for layer in self.layers:
            x = layer(x)
        return x

    def valid(
        self,
        x: Float[Array, "batch time in"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
    ) -> Float[Array, "batch out_time out"]:
        for layer in self.layers:
            y = layer.valid(x, mask=mask)
            if mask is not None:
                # The outputs stand at the last samples of x, each at as many as the layer upsamples to.
                factor = int(1 / layer.receptive_field.stride)
                mask = jnp.repeat(mask, factor, axis=1)[:, factor * x.shape[1] - y.shape[1] :]
            x = y
        return x

    def init_state(self, batch_size: int, dtype: DTypeLike = jnp.float32) -> list[Any]:
        layers: list[Any] = list(self.layers)
        return [layer.init_state(batch_size, dtype) for layer in layers]

    def step(
        self, x: Float[Array, "batch time in"], state: list[Any]
    ) -> tuple[Float[Array, "batch out_time out"], list[Any]]:
        after = []
        layers: list[Any] = list(self.layers)
        for layer, layer_state in zip(layers, state, strict=True):
            x, layer_state = layer.step(x, layer_state)
            after.append(layer_state)
        return x, after


class Pointwise(nnx.Module):
    """A function of every sample by itself, as a layer without state."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.receptive_field = ReceptiveField(past=0)

    def __call__(self, x: Float[Array, "batch time in"]) -> Float[Array, "batch time out"]:
        return self.function(x)

    def valid(
        self,
        x: Float[Array, "batch time in"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
    ) -> Float[Array, "batch time out"]:
        return self.function(masked(x, mask))

    def init_state(self, batch_size: int, dtype: DTypeLike = jnp.float32) -> tuple[()]:
        return ()

    def step(
        self, x: Float[Array, "batch time in"], state: tuple[()]
    ) -> tuple[Float[Array, "batch time out"], tuple[()]]:
        return self.function(x), state
