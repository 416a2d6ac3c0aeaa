"""A temporal convolutional network: blocks whose dilation grows."""

import functools
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import (
    Size,
    Sizes,
    UserError,
    require_bool,
    require_positive,
    require_sizes,
)
from wavedil.nn.conv import Conv1d, LayerPadding
from wavedil.nn.door import enter, enter_with_context, require_parts, weights_dtype
from wavedil.nn.dropout import keys_of
from wavedil.nn.layer import require_causal
from wavedil.nn.mask import inner, masked
from wavedil.nn.temporal_block import Norm, TemporalBlock
from wavedil.receptive_field import ReceptiveField


class TemporalConvNet(nnx.Module):
    """`TemporalBlock`s in a row, each with twice the dilation of the one before.

    The receptive field is 1 + 2 (kernel_size - 1) sum(dilations). For one answer to a whole sequence, take
    `last_step(net(x, mask=mask), mask)`: of each signal the output at its last sample.

    Args:
      in_channels: Channels of the input.
      channels: Channels of every block; the last are those of the output.
      kernel_size: Taps of every convolution, at least 1.
      dilations: One for each block, or None for 1, 2, 4 ...
      norm, activation, dropout, padding: As `TemporalBlock`.
      skip_connections: Whether the output is the sum of the outputs of all blocks, each through a 1x1 where its
        channels are not the last block's, instead of the last block's alone.
      rngs: Source of the initial weights.

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, time, channels[-1]]
      state:    one of `TemporalBlock` for each block.

    Raises:
      UserError: As `TemporalBlock`, or if there is no block, or not a dilation for each, or skip_connections is not
        true or false.

    Example:
      >>> net = TemporalConvNet(1, [25] * 8, kernel_size=7, dropout=0.05, rngs=nnx.Rngs(0))
      >>> net.receptive_field.size
      3061

    Reference: Bai, Kolter and Koltun 2018, arXiv:1803.01271.
    """

    def __init__(
        self,
        in_channels: Size,
        channels: Sizes,
        *,
        kernel_size: Size,
        dilations: Sizes | None = None,
        norm: Norm | None = "weight",
        activation: str = "relu",
        dropout: float = 0.0,
        skip_connections: bool = False,
        padding: LayerPadding = "causal",
        rngs: nnx.Rngs,
    ) -> None:
        (in_channels,) = require_positive(in_channels=in_channels)
        channels = require_sizes("channels", channels)
        if not channels:
            raise UserError("channels is empty; give at least one block, such as [25, 25, 25]")
        doubling = [2**level for level in range(len(channels))]
        dilations = require_sizes("dilation", doubling if dilations is None else dilations)
        if len(dilations) != len(channels):
            raise UserError(
                f"there are {len(dilations)} dilations for {len(channels)} blocks; give one for each, as {doubling}"
            )
        self.in_channels = in_channels
        self.blocks = nnx.List(
            TemporalBlock(
                before,
                after,
                kernel_size=kernel_size,
                dilation=dilation,
                norm=norm,
                activation=activation,
                dropout=dropout,
                padding=padding,
                rngs=rngs,
            )
            for before, after, dilation in zip(
                (in_channels, *channels), channels, dilations, strict=False
            )
        )
        self.skip_connections = require_bool("skip_connections", skip_connections)
        self.skips = nnx.List(
            None
            if before == channels[-1]
            else Conv1d(before, channels[-1], kernel_size=1, rngs=rngs)
            for before in (channels[:-1] if self.skip_connections else ())
        )
        fields = [block.receptive_field for block in self.blocks]
        # Every block passes its input on, so the chain sees what its beginnings see.
        self.receptive_field = functools.reduce(ReceptiveField.then, fields)

    def __call__(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time out_channels"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        outputs = []
        for block, key in zip(self.blocks, keys_of(dropout_key, len(self.blocks)), strict=True):
            x = block(x, mask=mask, dropout_key=key)
            outputs.append(x)
        return masked(self._joined(outputs), mask)

    def valid(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time out_channels"]:
        x, _ = enter_with_context(self, x, None, mask, dropout_key)
        outputs, firsts, first = [], [], 0
        for block, key in zip(self.blocks, keys_of(dropout_key, len(self.blocks)), strict=True):
            x = block.valid(x, mask=mask, dropout_key=key)
            mask = inner(mask, block.receptive_field.past, x)
            first += block.receptive_field.past
            outputs.append(x)
            firsts.append(first)
        # Each has outputs where its own blocks see no padding; the sum where the last does.
        ends = [
            y[:, first - start : first - start + x.shape[1]]
            for y, start in zip(outputs, firsts, strict=True)
        ]
        return masked(self._joined(ends), mask)

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> list[Any]:
        # Asked of all blocks together: the delay of the first would not be enough.
        require_causal(self.receptive_field, "TemporalConvNet")
        dtype = weights_dtype(self, dtype)
        return [block.init_state(batch_size, dtype) for block in self.blocks]

    def step(
        self, x: Num[Array, "batch time in_channels"], state: list[Any]
    ) -> tuple[Float[Array, "batch time out_channels"], list[Any]]:
        require_causal(self.receptive_field, "TemporalConvNet")
        x, _ = enter(self, x)
        require_parts(self, state, range(len(self.blocks)))
        outputs, after = [], []
        for block, past in zip(self.blocks, state, strict=True):
            x, past = block.step(x, past)
            outputs.append(x)
            after.append(past)
        return self._joined(outputs), after

    def _joined(self, outputs: list[Array]) -> Array:
        """The outputs of the blocks as that of the network."""
        y = outputs[-1]
        # Without skip connections there is none of these.
        for skip, output in zip(self.skips, outputs, strict=False):
            y = y + (output if skip is None else skip(output))
        return y
