"""The residual block of a temporal convolutional network."""

import math
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, require_known, require_positive, require_rate
from wavedil.nn.activations import ACTIVATIONS, activation
from wavedil.nn.conv import Conv1d, LayerPadding
from wavedil.nn.door import enter, enter_with_context, require_parts, weights_dtype
from wavedil.nn.dropout import dropout, keys_of
from wavedil.nn.frame_norm import FrameNorm
from wavedil.nn.layer import require_causal
from wavedil.nn.mask import inner, masked
from wavedil.ops.gating import TANH_SIGMOID
from wavedil.receptive_field import ReceptiveField

Norm = Literal["weight", "layer", "group"]
# Groups of group normalisation, where the channels can be divided so.
_MOST_GROUPS = 8


class TemporalBlock(nnx.Module):
    """Two dilated convolutions with normalisation, activation and dropout, and a residual.

        x -+-> conv -> norm -> ReLU -> dropout -> conv -> norm -> ReLU -> dropout -> + -> ReLU
           |                                                                         |
           +-> (1x1 where the channels differ) --------------------------------------+

    The receptive field is 1 + 2 (kernel_size - 1) dilation. As in the published code, dropout drops every number by
    itself, and the weights of the convolutions begin with variance 1 / (3 inputs of an output), where weight
    normalisation overrides the 0.01 written there; those of the 1x1 begin with a standard deviation of 0.01.

    Args:
      in_channels: Channels of the input.
      out_channels: Channels of both convolutions and of the output.
      kernel_size: Taps of both, at least 1.
      dilation: Samples between taps, at least 1.
      norm: "weight", of the kernels; "layer" or "group", over all channels or up to 8 groups of at least 2 channels, of
        one frame, so that no frame sees another; or None.
      activation: By name in `ACTIVATIONS`; or "gated": tanh x sigmoid, each with a convolution of its own, and nothing
        after the residual sum.
      dropout: Share of the numbers that are dropped where a `dropout_key` is given.
      padding: "causal", or "same" for a centred block.
      rngs: Source of the initial weights.

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, time, out_channels]
      state:    for each of the two, [batch, (kernel_size - 1) dilation, channels], oldest sample first.

    Raises:
      UserError: If a size is no whole number of at least 1, a name is unknown, or dropout is not from 0 to below 1.

    Example:
      >>> block = TemporalBlock(1, 16, kernel_size=3, dilation=4, dropout=0.1, rngs=nnx.Rngs(0))
      >>> y = block(jnp.ones((1, 100, 1)), dropout_key=jax.random.key(0))

    Reference: Bai, Kolter and Koltun 2018, arXiv:1803.01271, section 3.3.
    """

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        *,
        kernel_size: Size,
        dilation: Size = 1,
        norm: Norm | None = "weight",
        activation: str = "relu",
        dropout: float = 0.0,
        padding: LayerPadding = "causal",
        rngs: nnx.Rngs,
    ) -> None:
        in_channels, out_channels = require_positive(
            in_channels=in_channels, out_channels=out_channels
        )
        require_known("norm", "None" if norm is None else norm, (*get_args(Norm), "None"))
        require_known("activation", activation, (*ACTIVATIONS, "gated"))
        self.in_channels = in_channels
        self.activation = activation
        self.units = nnx.List(
            _Unit(
                channels,
                out_channels,
                kernel_size=kernel_size,
                dilation=dilation,
                norm=norm,
                activation=activation,
                dropout=require_rate(dropout),
                padding=padding,
                rngs=rngs,
            )
            for channels in (in_channels, out_channels)
        )
        self.residual = (
            _begun(
                Conv1d(in_channels, out_channels, kernel_size=1, rngs=rngs),
                0.01 * math.sqrt(in_channels),
                rngs,
            )
            if in_channels != out_channels
            else None
        )
        first, second = (unit.receptive_field for unit in self.units)
        self.receptive_field = first.then(second).union(ReceptiveField(past=0))

    def __call__(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time out_channels"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        y = x
        for unit, key in zip(self.units, keys_of(dropout_key, 2), strict=True):
            y = unit(y, mask=mask, dropout_key=key)
        return masked(self._joined(x, y), mask)

    def valid(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time out_channels"]:
        x, _ = enter_with_context(self, x, None, mask, dropout_key)
        y, there = x, mask
        for unit, key in zip(self.units, keys_of(dropout_key, 2), strict=True):
            y = unit.valid(y, mask=there, dropout_key=key)
            there = inner(there, unit.receptive_field.past, y)
        past = self.receptive_field.past
        return masked(self._joined(x[:, past : past + y.shape[1]], y), there)

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> list[Any]:
        # Asked of both together: the delay of the first would not be enough.
        require_causal(self.receptive_field, "TemporalBlock")
        dtype = weights_dtype(self, dtype)
        return [unit.init_state(batch_size, dtype) for unit in self.units]

    def step(
        self, x: Num[Array, "batch time in_channels"], state: list[Any]
    ) -> tuple[Float[Array, "batch time out_channels"], list[Any]]:
        require_causal(self.receptive_field, "TemporalBlock")
        x, _ = enter(self, x)
        require_parts(self, state, range(len(self.units)))
        y, after = x, []
        for unit, past in zip(self.units, state, strict=True):
            y, past = unit.step(y, past)
            after.append(past)
        return self._joined(x, y), after

    def _joined(self, x: Array, y: Array) -> Array:
        """The sum of both ways, and its activation."""
        y = y + (x if self.residual is None else self.residual(x))
        return y if self.activation == "gated" else activation(self.activation)(y)


class _Unit(nnx.Module):
    """Convolution, normalisation, activation and dropout: a layer under the contract, for a signal that is checked."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm: Norm | None,
        activation: str,
        dropout: float,
        rngs: nnx.Rngs,
        **settings: Any,
    ) -> None:
        channels = 2 * out_channels if activation == "gated" else out_channels
        conv = Conv1d(in_channels, channels, weight_norm=norm == "weight", rngs=rngs, **settings)
        self.conv = _begun(conv, 3**-0.5, rngs)
        number = math.gcd(channels, _MOST_GROUPS)
        # A channel normalised by itself is always zero.
        groups = {"layer": 1, "group": number // 2 if number == channels > 1 else number}
        self.norm = FrameNorm(channels, groups[norm]) if norm in groups else None
        self.activation, self.dropout = activation, dropout
        self.receptive_field = self.conv.receptive_field

    def __call__(self, x: Array, *, mask: Array | None, dropout_key: Any) -> Array:
        return self._after(self.conv(x, mask=mask), dropout_key)

    def valid(self, x: Array, *, mask: Array | None, dropout_key: Any) -> Array:
        return self._after(self.conv.valid(x, mask=mask), dropout_key)

    def init_state(self, batch_size: Size, dtype: DTypeLike) -> Array:
        return self.conv.init_state(batch_size, dtype)

    def step(self, x: Array, state: Array) -> tuple[Array, Array]:
        y, state = self.conv.step(x, state)
        return self._after(y, None), state

    def _after(self, y: Array, dropout_key: Any) -> Array:
        if self.norm is not None:
            y = self.norm(y)
        if self.activation == "gated":
            y = TANH_SIGMOID(y)
        else:
            y = activation(self.activation)(y)
        return dropout(y, self.dropout, dropout_key)


def _begun(conv: Conv1d, share: float, rngs: nnx.Rngs) -> Conv1d:
    """The convolution with a share of its initial weights, and with biases as large as those of the published code.

    Where a signal is zero for long, biases of zero would leave ReLU without a gradient.
    """
    kernel_size, channels, out_channels = conv.kernel.shape
    bound = (kernel_size * channels) ** -0.5
    scaled = conv.kernel if conv.gain is None else conv.gain
    scaled[...] *= share
    assert conv.bias is not None
    conv.bias[...] = jax.random.uniform(rngs.params(), (out_channels,), jnp.float32, -bound, bound)
    return conv
