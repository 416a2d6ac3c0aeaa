"""Layers one after the other."""

import functools
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Num, PRNGKeyArray

from wavedil.errors import Size
from wavedil.nn.door import require_context, require_parts, weights_dtype
from wavedil.nn.dropout import keys_of, require_key
from wavedil.nn.layer import require_causal
from wavedil.nn.mask import at_stride, first_valid, masked, require_mask
from wavedil.nn.pointwise import Pointwise
from wavedil.receptive_field import ReceptiveField


class Sequential(nnx.Module):
    """Layers one after the other: y = layer_n(... layer_1(x)).

    Every layer sees zeros before its first sample. Streams if each layer does; wrapped in `Delayed` it
    does if layers see the future, too.

    Args:
      layers: Layers under the contract, and modules and functions that act on every sample by itself, such as
        `nnx.Linear`, `nnx.LayerNorm` and `jax.nn.relu`.

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, time, out_channels], as many times the samples as layers upsample.
      state:    one entry for each layer.

    Raises:
      UserError: If one is neither; when called, if a module or function without state sees other samples than its own.

    Example:
      >>> net = Sequential(Conv1d(1, 8, kernel_size=2, rngs=rngs), jax.nn.relu, Conv1d(8, 1, kernel_size=3, rngs=rngs))
      >>> net.receptive_field.size
      4
    """

    def __init__(self, *layers: Any) -> None:
        modules: list[Any] = [layer if _is_layer(layer) else Pointwise(layer) for layer in layers]
        self.layers = nnx.List(modules)
        self.in_channels = getattr(modules[0], "in_channels", None) if modules else None
        fields = [module.receptive_field for module in modules]
        self.receptive_field = functools.reduce(ReceptiveField.then, fields, ReceptiveField(past=0))

    def __call__(
        self,
        x: Num[Array, "batch time *in"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Num[Array, "batch out_time *out"]:
        require_mask("Sequential", mask, x)
        require_key(dropout_key)
        x = masked(x, mask)
        for layer, key in zip(self.layers, keys_of(dropout_key, len(self.layers)), strict=True):
            x = layer(x, mask=mask, dropout_key=key)
            mask = at_stride(mask, layer.receptive_field.stride)
        return x

    def valid(
        self,
        x: Num[Array, "batch time *in"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Num[Array, "batch out_time *out"]:
        require_mask("Sequential", mask, x, valid=True)
        require_key(dropout_key)
        signal = x = masked(x, mask)
        start = 0  # which of the outputs of the layer before, in a call, is the first of x
        for layer, key in zip(self.layers, keys_of(dropout_key, len(self.layers)), strict=True):
            field = layer.receptive_field
            if x.shape[1] and (missing := start % field.period):
                # A layer of frames begins with a frame. No output that is kept sees what is put before it.
                x, start = _after_nothing(x, missing), start - missing
                mask = None if mask is None else _after_nothing(mask, missing)
            x = layer.valid(x, mask=mask, dropout_key=key)
            start = int(start / field.stride) + first_valid(field)
            if mask is not None:
                mask = at_stride(mask, field.stride)[:, first_valid(field) :][:, : x.shape[1]]
        x = x[:, first_valid(self.receptive_field) - start :]
        if self.receptive_field.stride == 1:
            # A layer inside may have been given nothing, because those before it had no outputs. Asked last: the first
            # layer refuses what is no signal.
            require_context(self, signal)
        return x

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> list[Any]:
        # Asked of all layers together: the delay of the first that sees the future would not be enough.
        require_causal(self.receptive_field, type(self).__name__)
        states = []
        layers: list[Any] = list(self.layers)
        for layer in layers:
            states.append(layer.init_state(batch_size, dtype))
            dtype = weights_dtype(layer, dtype)  # of its outputs, which the next layer sees
        return states

    def step(
        self, x: Num[Array, "batch time *in"], state: list[Any]
    ) -> tuple[Num[Array, "batch out_time *out"], list[Any]]:
        require_causal(self.receptive_field, type(self).__name__)
        require_parts(self, state, range(len(self.layers)))
        after = []
        layers: list[Any] = list(self.layers)
        for layer, layer_state in zip(layers, state, strict=True):
            x, layer_state = layer.step(x, layer_state)
            after.append(layer_state)
        return x, after


def _after_nothing(x: Array, num_samples: int) -> Array:
    """x after so many zeros."""
    return jnp.pad(x, [(0, 0), (num_samples, 0)] + [(0, 0)] * (x.ndim - 2))


def _is_layer(layer: Any) -> bool:
    """Whether it is under the contract."""
    return all(hasattr(layer, name) for name in ("receptive_field", "init_state", "valid"))
