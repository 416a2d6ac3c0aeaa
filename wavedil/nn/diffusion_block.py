"""The gated residual block of a diffusion model, which sees both ways."""

import math
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, UserError, require_positive
from wavedil.nn.conv import Conv1d
from wavedil.nn.door import enter, enter_with_context, require_beside, require_signal
from wavedil.nn.layer import require_causal
from wavedil.nn.mask import inner, masked
from wavedil.ops.devices import split_alike
from wavedil.ops.gating import TANH_SIGMOID
from wavedil.ops.promotion import promoted
from wavedil.receptive_field import ReceptiveField

Embedding = Num[Array, "batch 1 embedding_channels"]
Condition = Num[Array, "batch time_or_1 condition_channels"]


class DiffusionBlock(nnx.Module):
    """Centred dilated convolution, steered by how much noise there is: gate, residual and skip.

        x -+-> + linear(embedding) -> dilated conv -> + -> tanh(.) * sigmoid(.) -> 1x1 -+-> skip
           |                                          ^                                 |
           |                              1x1 of the condition                          V
           +----------------------------------------------------------------------------+-> (.) / sqrt(2) -> residual

    The embedding is that of the diffusion step, one for each signal. Beyond its ends what the convolution sees is zero.

    Args:
      channels: Channels of the signal, the gate and both outputs.
      embedding_channels: Channels of the step's embedding.
      kernel_size: Taps, at least 1; around each sample, the longer half after it.
      dilation: Samples between taps, at least 1.
      condition_channels: Channels of the condition, or None for a block without one.
      rngs: Source of the initial weights.

    Shapes:
      __call__:  [batch, time, channels] -> ([batch, time, channels], [batch, time, channels])
      embedding: [batch, 1, embedding_channels]
      condition: [batch, time, condition_channels], or time 1 for a condition that is the same at every sample.

    Raises:
      UserError: If a size is no whole number of at least 1; when called, if the embedding or the condition does not
        fit; by `init_state` and `step`, for it sees the future, with the delay that would make it causal.

    Example:
      >>> block = DiffusionBlock(16, 32, dilation=4, rngs=nnx.Rngs(0))
      >>> residual, skip = block(jnp.ones((1, 100, 16)), jnp.ones((1, 1, 32)))

    Reference: Kong et al. 2020, "DiffWave", arXiv:2009.09761, section 3.
    """

    def __init__(
        self,
        channels: Size,
        embedding_channels: Size,
        *,
        kernel_size: Size = 3,
        dilation: Size = 1,
        condition_channels: Size | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        channels, embedding_channels, condition_channels = require_positive(
            channels=channels,
            embedding_channels=embedding_channels,
            condition_channels=condition_channels,
        )
        self.in_channels, self.condition_channels = channels, condition_channels
        self.embedding_channels = embedding_channels
        self.conv = Conv1d(
            channels,
            2 * channels,
            kernel_size=kernel_size,
            dilation=dilation,
            padding="same",
            rngs=rngs,
        )
        self.step_projection = Conv1d(embedding_channels, channels, kernel_size=1, rngs=rngs)
        self.outputs = Conv1d(channels, 2 * channels, kernel_size=1, rngs=rngs)
        self.condition = (
            Conv1d(condition_channels, 2 * channels, kernel_size=1, use_bias=False, rngs=rngs)
            if condition_channels
            else None
        )
        self.receptive_field = self.conv.receptive_field.union(ReceptiveField.identity())

    def __call__(
        self,
        x: Num[Array, "batch time channels"],
        embedding: Embedding,
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "batch time channels"], Float[Array, "batch time channels"]]:
        x, condition = enter(self, x, condition, mask=mask, dropout_key=dropout_key)
        x, shifted, condition = self._enter(x, embedding, condition)
        return self._gated(x, self.conv(shifted, mask=mask), condition, mask)

    def valid(
        self,
        x: Num[Array, "batch time channels"],
        embedding: Embedding,
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> tuple[
        Float[Array, "batch inner_time channels"], Float[Array, "batch inner_time channels"]
    ]:
        """Without the outputs that see beyond the ends, `past` at the beginning and `future` at the end."""
        x, condition = enter_with_context(self, x, condition, mask, dropout_key)
        x, shifted, condition = self._enter(x, embedding, condition)
        joint, past = self.conv.valid(shifted, mask=mask), self.receptive_field.past
        here = slice(past, past + joint.shape[1])
        if condition is not None and condition.shape[1] != 1:
            condition = condition[:, here]
        return self._gated(x[:, here], joint, condition, inner(mask, past, joint))

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> Any:
        require_causal(self.receptive_field, "DiffusionBlock")
        return self.conv.init_state(batch_size, dtype)

    def step(self, x: Any, state: Any, embedding: Any, condition: Any = None) -> Any:
        require_causal(self.receptive_field, "DiffusionBlock")
        return self(x, embedding, condition), state  # of one tap, which keeps nothing

    def _enter(
        self, x: Array, embedding: Any, condition: Array | None
    ) -> tuple[Array, Array, Array | None]:
        """Signal and condition in the type of all, and what the convolution sees."""
        what = type(self).__name__
        require_signal(what, "embedding", embedding, "embedding_channels", self.embedding_channels)
        require_beside(what, embedding, x)
        if embedding.shape[1] != 1:
            raise UserError(
                f"the embedding has {embedding.shape[1]} samples, but {what} takes one for each signal; give it "
                f"[batch, 1, {self.embedding_channels}]"
            )
        x, embedding, condition = promoted(x, embedding, condition)
        shift = self.step_projection(split_alike(embedding, x))
        return x, x + shift, condition

    def _gated(
        self, x: Array, joint: Array, condition: Array | None, mask: Array | None
    ) -> tuple[Array, Array]:
        if condition is not None and self.condition is not None:
            joint = joint + self.condition(condition)
        residual, skip = jnp.split(self.outputs(TANH_SIGMOID(joint)), 2, axis=-1)
        return masked((x + residual) * math.sqrt(0.5), mask), masked(skip, mask)
