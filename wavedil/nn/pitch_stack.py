"""A stack of gated blocks whose dilations follow the pitch."""

import functools
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, require_positive, require_rate, require_whole
from wavedil.nn.conv import Conv1d
from wavedil.nn.door import enter, enter_pitch, enter_with_context, require_parts, weights_dtype
from wavedil.nn.dropout import dropout, keys_of
from wavedil.nn.gated_block import Condition, is_local
from wavedil.nn.layer import normal
from wavedil.nn.mask import inner, masked
from wavedil.nn.pitch_conv import Dilation, PitchConv1d, Voicing
from wavedil.ops import GatedWeights
from wavedil.ops.gating import TANH_SIGMOID
from wavedil.ops.promotion import promoted
from wavedil.receptive_field import ReceptiveField, pitch_lags

State = list[Float[Array, "batch _ channels"]]


class PitchBlock(nnx.Module):
    """The weights of one gated block whose dilation follows the pitch; `PitchStack` runs it.

    x -> PitchConv1d -> + V condition -> tanh(.) * sigmoid(.) -> 1x1 -> + x
    """

    def __init__(
        self,
        channels: int,
        gate_channels: int,
        *,
        taps: int,
        part: int,
        longest_lag: int,
        condition_channels: int | None,
        use_bias: bool,
        rngs: nnx.Rngs,
    ) -> None:
        self.part = part
        self.conv = PitchConv1d(
            channels,
            2 * gate_channels,
            longest_lag=longest_lag,
            taps=taps,
            use_bias=use_bias,
            rngs=rngs,
        )
        self.residual = Conv1d(gate_channels, channels, kernel_size=1, use_bias=use_bias, rngs=rngs)
        # As in `GatedBlock`.
        self.residual.kernel[...] *= 0.5
        self.condition = (
            Conv1d(condition_channels, 2 * gate_channels, kernel_size=1, use_bias=False, rngs=rngs)
            if condition_channels
            else None
        )
        self.receptive_field = self.conv.receptive_field

    def dilation_of(self, dilation: Array) -> Array:
        """The block's part of a dilation."""
        return jnp.maximum((dilation + self.part // 2) // self.part, 1)

    def weights(self, condition: Condition | None, local: bool) -> GatedWeights:
        """The weights as those of a `GatedBlock`, the oldest tap first, for a loop over samples."""
        conv = self.conv
        bias = jnp.zeros(conv.newest.shape[1]) if conv.bias is None else conv.bias[...]
        return GatedWeights(
            kernel=jnp.concatenate([conv.kernel[::-1, 0], conv.newest[...][None]]),
            bias=bias[None],
            residual_kernel=self.residual.kernel[0],
            residual_bias=self.residual.bias_or_zeros(),
            condition_kernel=None if self.condition is None else self.condition.kernel[0],
        )


class PitchStack(nnx.Module):
    """Gated blocks in a row whose dilations are parts of the pitch period, their skip outputs summed.

    With n blocks the dilations are d / 2^(n-1), ... d / 2, d, rounded, at least 1. A block is else that of a
    `DilatedStack`, and has as many weights.

    Args:
      channels: Channels of the signal in all blocks.
      skip_channels: Channels of the summed skip output.
      num_blocks: Blocks.
      longest_lag: The longest dilation d that there may be, in samples.
      kernel_size: Taps of every block, its own sample included, at least 2.
      condition_channels: Channels of the condition, or None for a stack without one.
      gate_channels: Channels of every gated activation; None: as many as the signal has.
      dropout: Share of every convolution's input that is dropped where there is a `dropout_key`, 0 to below 1.
      use_bias: Whether the convolutions of the blocks and the skip sum have biases.
      rngs: Source of the initial weights.

    Shapes:
      __call__:  x [batch, time, channels], dilation int [batch, time] from 1 to longest_lag, voicing [batch, time]
                 or None, condition as of `GatedBlock` -> the residual output of the last block, and the skip sum.
      state:     one array [batch, past, channels] for each block, oldest sample first.

    Raises:
      UserError: If a size is none; when called, as `PitchConv1d` and `GatedBlock`.

    Example:
      >>> stack = PitchStack(32, 64, num_blocks=4, longest_lag=120, rngs=nnx.Rngs(0))
      >>> residual, skip = stack(jnp.ones((1, 500, 32)), jnp.full((1, 500), 80))

    Reference: Wu et al. 2019, arXiv:1907.00797.
    """

    spread = 0

    def __init__(
        self,
        channels: Size,
        skip_channels: Size,
        *,
        num_blocks: Size,
        longest_lag: Size,
        kernel_size: Size = 2,
        condition_channels: Size | None = None,
        gate_channels: Size | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        channels, skip_channels, num_blocks, longest_lag, condition_channels, gate_channels = (
            require_positive(
                channels=channels,
                skip_channels=skip_channels,
                num_blocks=num_blocks,
                longest_lag=longest_lag,
                condition_channels=condition_channels,
                gate_channels=gate_channels,
            )
        )
        taps = require_whole("kernel_size", kernel_size, least=2) - 1
        self.in_channels, self.condition_channels = channels, condition_channels
        self.longest_lag, self.dropout = longest_lag, require_rate(dropout)
        gate_channels = gate_channels or channels
        self.blocks = nnx.List(
            PitchBlock(
                channels,
                gate_channels,
                taps=taps,
                part=2 ** (num_blocks - 1 - number),
                longest_lag=lag,
                condition_channels=condition_channels,
                use_bias=use_bias,
                rngs=rngs,
            )
            for number, lag in enumerate(pitch_lags(longest_lag, num_blocks))
        )
        joined = num_blocks * gate_channels
        # As in `DilatedStack`.
        kernel = normal(rngs, (joined, skip_channels))
        self.skip_kernel = nnx.Param(2.0 * joined**-0.5 * kernel)
        self.skip_bias = nnx.Param(jnp.zeros(skip_channels, jnp.float32)) if use_bias else None
        fields = [block.receptive_field for block in self.blocks]
        self.receptive_field = functools.reduce(ReceptiveField.then, fields)

    def __call__(
        self,
        x: Num[Array, "batch time channels"],
        dilation: Dilation,
        voicing: Voicing | None = None,
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "batch time channels"], Float[Array, "batch time skip_channels"]]:
        signal, condition = enter(self, x, condition, mask=mask, dropout_key=dropout_key)
        dilation, voicing = enter_pitch(self, x, signal, dilation, voicing, mask)
        keys = keys_of(dropout_key, len(self.blocks))
        y, gated = signal, []
        for block, key in zip(self.blocks, keys, strict=True):
            seen = dropout(y, self.dropout, key)
            joint = block.conv(seen, block.dilation_of(dilation), voicing)
            y, z = _gated(block, y, joint, condition)
            y = masked(y, mask)
            gated.append(z)
        return y, masked(self._skip(gated), mask)

    def valid(
        self,
        x: Num[Array, "batch time channels"],
        dilation: Dilation,
        voicing: Voicing | None = None,
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> tuple[
        Float[Array, "batch inner_time channels"], Float[Array, "batch inner_time skip_channels"]
    ]:
        signal, condition = enter_with_context(self, x, condition, mask, dropout_key)
        dilation, voicing = enter_pitch(self, x, signal, dilation, voicing, mask)
        y, count = signal, signal.shape[1] - self.receptive_field.past
        keys = keys_of(dropout_key, len(self.blocks))
        gated = []
        for block, key in zip(self.blocks, keys, strict=True):
            past = block.receptive_field.past
            seen = dropout(y, self.dropout, key)
            joint = block.conv.valid(seen, block.dilation_of(dilation), voicing)
            dilation = dilation[:, past:]
            voicing = None if voicing is None else voicing[:, past:]
            if condition is not None and is_local(condition):
                condition = condition[:, past:]
            y, z = _gated(block, y[:, past:], joint, condition)
            mask = inner(mask, past, y)
            y = masked(y, mask)
            gated.append(z[:, z.shape[1] - count :])
        return y, masked(self._skip(gated), mask)

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> State:
        dtype = weights_dtype(self, dtype)
        return [block.conv.init_state(batch_size, dtype) for block in self.blocks]

    def step(
        self,
        x: Num[Array, "batch time channels"],
        state: State,
        dilation: Dilation,
        voicing: Voicing | None = None,
        condition: Condition | None = None,
    ) -> tuple[
        tuple[Float[Array, "batch time channels"], Float[Array, "batch time skip_channels"]], State
    ]:
        signal, condition = enter(self, x, condition)
        dilation, voicing = enter_pitch(self, x, signal, dilation, voicing)
        require_parts(self, state, range(len(self.blocks)))
        y, gated, after = signal, [], []
        for block, past in zip(self.blocks, state, strict=True):
            joint, past = block.conv.step(y, past, block.dilation_of(dilation), voicing)
            y, z = _gated(block, y, joint, condition)
            gated.append(z)
            after.append(past)
        return (y, self._skip(gated)), after

    def _skip(self, gated: list[Array]) -> Array:
        joined, kernel, bias = promoted(
            jnp.concatenate(gated, axis=-1), self.skip_kernel[...], self.skip_bias_or_zeros()
        )
        return joined @ kernel + bias[None, None]

    def skip_bias_or_zeros(self) -> Float[Array, " skip_channels"]:
        """The bias of the skip sum, or zeros where there is none."""
        if self.skip_bias is None:
            return jnp.zeros(self.skip_kernel.shape[-1], self.skip_kernel.dtype)
        return self.skip_bias[...]


def _gated(block: PitchBlock, x: Array, joint: Array, condition: Any) -> tuple[Array, Array]:
    """The residual output and the gated activation."""
    if condition is not None and block.condition is not None:
        joint = joint + block.condition(condition)
    z = TANH_SIGMOID(joint)
    return x + block.residual(z), z
