"""The gated residual block of a WaveNet."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from wavedil.errors import require_positive
from wavedil.nn.conv import Conv1d
from wavedil.nn.layer import extend, masked, past_samples
from wavedil.ops import GatedWeights, gated_block
from wavedil.receptive_field import ReceptiveField

Condition = Float[Array, "batch time_or_1 condition_channels"]


class GatedBlock(nnx.Module):
    """Dilated causal convolution, tanh x sigmoid gate, residual and skip 1x1.

        x -+-> dilated conv -> tanh(.) * sigmoid(.) -+-> 1x1 -> + -> residual
           |        ^                                |          |
           |        V condition                      +-> 1x1 ---|--> skip
           +----------------------------------------------------+

    Args:
      channels: Channels of the signal, the gate and the residual output.
      skip_channels: Channels of the skip output. None: the skip output is the gated activation itself, for a
        caller that joins the skip outputs of many blocks in one matmul, as `DilatedStack` does.
      kernel_size: Taps, at least 1.
      dilation: Samples between taps, at least 1.
      condition_channels: Channels of the condition, or None for a block without one.
      use_bias: Whether the convolutions have biases.
      rngs: Source of the initial weights.

    Shapes:
      __call__:  [batch, time, channels] -> ([batch, time, channels], [batch, time, skip_channels])
      condition: [batch, time, condition_channels], or time 1 for a condition that is the same at every sample.
      state:     [batch, (kernel_size - 1) dilation, channels], oldest sample first.

    Raises:
      ValueError: If a size is below 1; when called, if a condition is missing, was not provided for, or is as
        long as neither the signal nor one sample.

    Example:
      >>> block = GatedBlock(16, 32, kernel_size=2, dilation=4, rngs=nnx.Rngs(0))
      >>> residual, skip = block(jnp.ones((1, 100, 16)))

    Reference: van den Oord et al. 2016, arXiv:1609.03499, sections 2.3 to 2.5.
    """

    def __init__(
        self,
        channels: int,
        skip_channels: int | None = None,
        *,
        kernel_size: int,
        dilation: int = 1,
        condition_channels: int | None = None,
        use_bias: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        require_positive(channels=channels)
        self.channels = channels
        self.dilation = dilation
        self.conv = Conv1d(
            channels,
            2 * channels,
            kernel_size=kernel_size,
            dilation=dilation,
            use_bias=use_bias,
            rngs=rngs,
        )
        self.residual = Conv1d(channels, channels, kernel_size=1, use_bias=use_bias, rngs=rngs)
        # Residuals of many layers add up; starting them small keeps deep stacks near their input's scale.
        self.residual.kernel[...] *= 0.5
        self.skip = (
            Conv1d(channels, skip_channels, kernel_size=1, use_bias=use_bias, rngs=rngs)
            if skip_channels
            else None
        )
        self.condition = (
            Conv1d(condition_channels, 2 * channels, kernel_size=1, use_bias=False, rngs=rngs)
            if condition_channels
            else None
        )
        self.receptive_field = self.conv.receptive_field.union(ReceptiveField(past=0))

    def __call__(
        self, x: Float[Array, "batch time channels"], condition: Condition | None = None
    ) -> tuple[Float[Array, "batch time channels"], Float[Array, "batch time skip_channels"]]:
        return self.step(x, self.init_state(x.shape[0], x.dtype), condition)[0]

    def valid(
        self,
        x: Float[Array, "batch time channels"],
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
    ) -> tuple[
        Float[Array, "batch inner_time channels"], Float[Array, "batch inner_time skip_channels"]
    ]:
        past = self.receptive_field.past
        x = masked(x, mask)
        if condition is not None and is_local(condition, x):
            condition = condition[:, past:]
        return self.step(x[:, past:], x[:, :past], condition)[0]

    def init_state(
        self, batch_size: int, dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "batch past channels"]:
        return past_samples(batch_size, self.receptive_field.past, self.channels, dtype)

    def step(
        self,
        x: Float[Array, "batch time channels"],
        state: Float[Array, "batch past channels"],
        condition: Condition | None = None,
    ) -> tuple[tuple[Any, Any], Float[Array, "batch past channels"]]:
        extended, state = extend(x, state)
        local = is_local(condition, x)
        residual, gated = gated_block(
            extended, self.weights(condition, local), self.dilation, condition if local else None
        )
        skip = gated if self.skip is None else self.skip(gated)
        return (residual, skip), state

    def weights(self, condition: Condition | None, local: bool) -> GatedWeights:
        """The weights that `wavedil.ops` takes; a condition that is not local becomes part of the bias."""
        if (condition is None) != (self.condition is None):
            state = "without a condition" if self.condition is None else "with a condition"
            raise ValueError(f"this block was made {state}, but was called otherwise")
        bias = self.conv.bias_or_zeros()[None]
        condition_kernel = None if self.condition is None else self.condition.kernel[0]
        if condition is not None and condition_kernel is not None and not local:
            # V c is the same at every sample, so it is worked out once for each signal.
            bias = bias + jnp.squeeze(condition, 1) @ condition_kernel
        return GatedWeights(
            kernel=self.conv.kernel[...],
            bias=bias,
            residual_kernel=self.residual.kernel[0],
            residual_bias=self.residual.bias_or_zeros(),
            condition_kernel=condition_kernel if local else None,
        )


def is_local(condition: Condition | None, x: Float[Array, "batch time channels"]) -> bool:
    """Whether the condition has a value of its own at every sample of x."""
    if condition is None or condition.shape[1] == 1:
        return False
    if condition.shape[1] != x.shape[1]:
        raise ValueError(
            f"the condition has {condition.shape[1]} samples and the signal {x.shape[1]}; a condition has a "
            "value at every sample, or one for all"
        )
    return True
