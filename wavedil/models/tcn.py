"""A temporal convolutional network that says which value of a label a sequence has."""

from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, UserError
from wavedil.models.tcn_config import TCNConfig
from wavedil.nn import Conv1d, TemporalConvNet, last_step, mean_step
from wavedil.nn.door import enter, enter_with_context, require_parts, weights_dtype
from wavedil.nn.mask import inner


class TCN(nnx.Module):
    """Temporal blocks and a linear layer: at every step of a sequence, a logit for each value of a label.

    The blocks are given (x - mean) / deviation, as the config says them, and zeros beyond the ends.

        y = model(x)                   [batch, time, values]: the answer at each step, from what it sees
        logits = model.logits(x)       [batch, values]: the answer to the sequence, their mean or the last of them

    The linear layer comes before the mean, which is the same, so that a stream needs their sum alone.

    Args:
      config: Sizes, and the values.
      rngs: Source of the initial weights.

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, time, values]
      state:    {"net": of the blocks, "output": of the linear layer}.

    Raises:
      UserError: If there are fewer than two values, or a setting is unknown.

    Example:
      >>> model = TCN(TCNConfig(in_channels=3, values=("no", "yes")), rngs=nnx.Rngs(0))
      >>> model.logits(jnp.ones((1, 100, 3))).shape
      (1, 2)

    Reference: Bai, Kolter and Koltun 2018, arXiv:1803.01271.
    """

    config_class: ClassVar[type[TCNConfig]] = TCNConfig
    hidden_kernels: ClassVar[tuple[str, ...]] = ("net.",)

    def __init__(self, config: TCNConfig, *, rngs: nnx.Rngs) -> None:
        if len(config.values) < 2:
            raise UserError(
                f"values are {list(config.values)}, but there must be two to tell apart; give their names, such as "
                "values=('no', 'yes')"
            )
        self.config, self.in_channels = config, config.in_channels
        self.net = TemporalConvNet(
            config.in_channels,
            [config.channels] * len(config.dilations),
            kernel_size=config.kernel_size,
            dilations=config.dilations,
            norm=None if config.norm == "none" else config.norm,
            activation=config.activation,
            dropout=config.dropout,
            skip_connections=config.skip_connections,
            rngs=rngs,
        )
        self.output = Conv1d(config.channels, len(config.values), kernel_size=1, rngs=rngs)
        self.receptive_field = self.net.receptive_field

    def __call__(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time values"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        return self.output(
            self.net(self._standardised(x), mask=mask, dropout_key=dropout_key), mask=mask
        )

    def logits(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch values"]:
        """The answer to each sequence."""
        pool = last_step if self.config.pooling == "last" else mean_step
        return pool(self(x, mask=mask, dropout_key=dropout_key), mask)

    def valid(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time values"]:
        x, _ = enter_with_context(self, x, None, mask, dropout_key)
        y = self.net.valid(self._standardised(x), mask=mask, dropout_key=dropout_key)
        return self.output.valid(y, mask=inner(mask, self.receptive_field.past, y))

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> dict[str, Any]:
        dtype = weights_dtype(self, dtype)
        output = self.output.init_state(batch_size, dtype)
        return {"net": self.net.init_state(batch_size, dtype), "output": output}

    def step(
        self, x: Num[Array, "batch time in_channels"], state: dict[str, Any]
    ) -> tuple[Float[Array, "batch time values"], dict[str, Any]]:
        x, _ = enter(self, x)
        require_parts(self, state, ("net", "output"))
        y, net = self.net.step(self._standardised(x), state["net"])
        y, output = self.output.step(y, state["output"])
        return y, {"net": net, "output": output}

    def _standardised(self, x: Array) -> Array:
        return (x - self.config.mean) / self.config.deviation
