"""The gated residual block of a WaveNet."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, require_positive, require_rate
from wavedil.nn.activations import activation
from wavedil.nn.conv import Conv1d
from wavedil.nn.door import enter, enter_with_context
from wavedil.nn.dropout import dropout
from wavedil.nn.layer import extend, initial_state
from wavedil.nn.mask import inner, masked
from wavedil.ops import GatedWeights, Gating, gated_block
from wavedil.ops.promotion import promoted
from wavedil.receptive_field import ReceptiveField

Condition = Num[Array, "batch time_or_1 condition_channels"]


class GatedBlock(nnx.Module):
    """Dilated causal convolution, tanh x sigmoid gate, residual and skip 1x1.

        x -+-> dropout -> dilated conv -> tanh(.) * sigmoid(.) -+-> 1x1 -> + -> residual
           |                   ^                                |          |
           |                   V condition                      +-> 1x1 ---|--> skip
           +---------------------------------------------------------------+

    Args:
      channels: Channels of the signal and the residual output.
      skip_channels: Channels of the skip output. None: the skip output is the gated activation itself, for a
        caller that joins the skip outputs of many blocks in one matmul, as `DilatedStack` does.
      kernel_size: Taps, at least 1.
      dilation: Samples between taps, at least 1.
      condition_channels: Channels of the condition, or None for a block without one.
      gate_channels: Channels of the gated activation; None: as many as the signal has.
      activation: Name of the function in the place of tanh, one of `wavedil.nn.activations.ACTIVATIONS`.
      gate: That in the place of sigmoid.
      dropout: Share of the convolution's input that is dropped where there is a `dropout_key`, 0 to below 1.
      use_bias: Whether the convolutions have biases.
      rngs: Source of the initial weights.

    Shapes:
      __call__:  [batch, time, channels] -> ([batch, time, channels], [batch, time, skip_channels])
      condition: [batch, time, condition_channels], or time 1 for a condition that is the same at every sample.
      state:     [batch, (kernel_size - 1) dilation, channels], oldest sample first.

    Raises:
      UserError: If a size is no whole number of at least 1, a name that of no activation or dropout no such share;
        when called, if a condition is missing, was not provided for, is for another batch than the signal, or is as
        long as neither the signal nor one sample.

    Example:
      >>> block = GatedBlock(16, 32, kernel_size=2, dilation=4, rngs=nnx.Rngs(0))
      >>> residual, skip = block(jnp.ones((1, 100, 16)))

    Reference: van den Oord et al. 2016, arXiv:1609.03499, sections 2.3 to 2.5.
    """

    def __init__(
        self,
        channels: Size,
        skip_channels: Size | None = None,
        *,
        kernel_size: Size,
        dilation: Size = 1,
        condition_channels: Size | None = None,
        gate_channels: Size | None = None,
        activation: str = "tanh",
        gate: str = "sigmoid",
        dropout: float = 0.0,
        use_bias: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        channels, skip_channels, condition_channels, gate_channels = require_positive(
            channels=channels,
            skip_channels=skip_channels,
            condition_channels=condition_channels,
            gate_channels=gate_channels,
        )
        gate_channels = gate_channels or channels
        self.in_channels, self.condition_channels = channels, condition_channels
        self.activation, self.gate, self.dropout = activation, gate, require_rate(dropout)
        self.gating()  # refuses names that are none
        self.conv = Conv1d(
            channels,
            2 * gate_channels,
            kernel_size=kernel_size,
            dilation=dilation,
            use_bias=use_bias,
            rngs=rngs,
        )
        self.dilation = self.conv.dilation
        self.residual = Conv1d(gate_channels, channels, kernel_size=1, use_bias=use_bias, rngs=rngs)
        # Residuals of many layers add up; starting them small keeps deep stacks near their input's scale.
        self.residual.kernel[...] *= 0.5
        self.skip = (
            Conv1d(gate_channels, skip_channels, kernel_size=1, use_bias=use_bias, rngs=rngs)
            if skip_channels
            else None
        )
        self.condition = (
            Conv1d(condition_channels, 2 * gate_channels, kernel_size=1, use_bias=False, rngs=rngs)
            if condition_channels
            else None
        )
        self.receptive_field = self.conv.receptive_field.union(ReceptiveField(past=0))

    def __call__(
        self,
        x: Num[Array, "batch time channels"],
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "batch time channels"], Float[Array, "batch time skip_channels"]]:
        x, condition = enter(self, x, condition, mask=mask, dropout_key=dropout_key)
        past = self.init_state(x.shape[0], x.dtype)
        (y, skip), _ = self._run(x, past, condition, dropout_key)
        return masked(y, mask), masked(skip, mask)

    def valid(
        self,
        x: Num[Array, "batch time channels"],
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> tuple[
        Float[Array, "batch inner_time channels"], Float[Array, "batch inner_time skip_channels"]
    ]:
        x, condition = enter_with_context(self, x, condition, mask, dropout_key)
        past = self.receptive_field.past
        if condition is not None and is_local(condition):
            condition = condition[:, past:]
        (y, skip), _ = self._run(x[:, past:], x[:, :past], condition, dropout_key)
        there = inner(mask, past, y)
        return masked(y, there), masked(skip, there)

    def init_state(
        self, batch_size: Size, dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "batch past channels"]:
        return initial_state(self, batch_size, self.receptive_field.past, self.in_channels, dtype)

    def step(
        self,
        x: Num[Array, "batch time channels"],
        state: Float[Array, "batch past channels"],
        condition: Condition | None = None,
    ) -> tuple[tuple[Any, Any], Float[Array, "batch past channels"]]:
        x, condition = enter(self, x, condition)
        return self._run(x, state, condition)

    def _run(self, x: Array, state: Array, condition: Array | None, key: Any = None) -> Any:
        extended, state = extend(self, x, state)
        local = is_local(condition)
        residual, gated = gated_block(
            extended,
            self.weights(condition, local),
            self.dilation,
            condition if local else None,
            gating=self.gating(),
            seen=dropout(extended, self.dropout, key),
        )
        skip = gated if self.skip is None else self.skip(gated)
        return (residual, skip), state

    def gating(self) -> Gating:
        """The functions of the gate."""
        return Gating(activation(self.activation), activation(self.gate))

    def weights(self, condition: Condition | None, local: bool) -> GatedWeights:
        """The weights that `wavedil.ops` takes; a condition that is not local becomes part of the bias."""
        bias = self.conv.bias_or_zeros()[None]
        condition_kernel = None if self.condition is None else self.condition.kernel[0]
        if condition is not None and condition_kernel is not None and not local:
            # V c is the same at every sample, so it is worked out once for each signal.
            bias, condition, condition_kernel = promoted(bias, condition, condition_kernel)
            bias = bias + jnp.squeeze(condition, 1) @ condition_kernel
        return GatedWeights(
            kernel=self.conv.kernel[...],
            bias=bias,
            residual_kernel=self.residual.kernel[0],
            residual_bias=self.residual.bias_or_zeros(),
            condition_kernel=condition_kernel if local else None,
        )


def is_local(condition: Condition | None) -> bool:
    """Whether the condition has a value of its own at every sample."""
    return condition is not None and condition.shape[1] != 1
