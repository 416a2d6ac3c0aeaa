"""Feature-wise linear modulation: a condition that scales and shifts channels."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, require_positive, require_whole
from wavedil.nn.conv import Conv1d
from wavedil.nn.door import enter, enter_with_context, require_parts
from wavedil.nn.gated_block import Condition
from wavedil.nn.mask import masked
from wavedil.receptive_field import ReceptiveField


class FiLM(nnx.Module):
    """A scale and an offset for every channel, from a condition.

        y = gamma(c) x + beta(c)        (gamma - 1, beta) = W c + b

    It starts as the identity: W and b are zero.

    Args:
      channels: Channels of the signal.
      condition_channels: Channels of the condition c.
      rngs: As for every layer; none of it is used.

    Shapes:
      __call__:  [batch, time, channels] -> [batch, time, channels]
      condition: [batch, time, condition_channels], or time 1 for a condition that is the same at every sample.
      state:     (), since every sample stands by itself.

    Raises:
      UserError: If a size is no whole number of at least 1; when called, if the condition is missing, is for
        another batch than the signal, or is as long as neither the signal nor one sample.

    Example:
      >>> film = FiLM(16, 4, rngs=nnx.Rngs(0))
      >>> y = film(jnp.ones((2, 100, 16)), jnp.ones((2, 1, 4)))

    Reference: Perez et al. 2018, arXiv:1709.07871.
    """

    def __init__(self, channels: Size, condition_channels: Size, *, rngs: nnx.Rngs) -> None:
        channels, condition_channels = require_positive(
            channels=channels, condition_channels=condition_channels
        )
        self.in_channels, self.condition_channels = channels, condition_channels
        self.modulation = Conv1d(condition_channels, 2 * channels, kernel_size=1, rngs=rngs)
        self.modulation.kernel[...] = jnp.zeros_like(self.modulation.kernel[...])
        self.receptive_field = ReceptiveField(past=0)

    def __call__(
        self,
        x: Num[Array, "batch time channels"],
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time channels"]:
        x, condition = enter(self, x, condition, mask=mask, dropout_key=dropout_key)
        return masked(self._modulated(x, condition), mask)

    def valid(
        self,
        x: Num[Array, "batch time channels"],
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time channels"]:
        x, condition = enter_with_context(self, x, condition, mask, dropout_key)
        return masked(self._modulated(x, condition), mask)

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> tuple[()]:
        require_whole("batch_size", batch_size, least=0)
        return ()

    def step(
        self,
        x: Num[Array, "batch time channels"],
        state: tuple[()],
        condition: Condition | None = None,
    ) -> tuple[Float[Array, "batch time channels"], tuple[()]]:
        x, condition = enter(self, x, condition)
        require_parts(self, state, ())
        return self._modulated(x, condition), state

    def _modulated(self, x: Array, condition: Any) -> Array:
        scale, offset = jnp.split(self.modulation(condition), 2, axis=-1)
        return (1 + scale) * x + offset
