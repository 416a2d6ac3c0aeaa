"""A layer that sees the future, made causal by a delay."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, UserError
from wavedil.nn.door import enter, enter_with_context, require_parts
from wavedil.nn.layer import extend, initial_state
from wavedil.nn.mask import inner, masked
from wavedil.ops.devices import split_alike
from wavedil.receptive_field import ReceptiveField

State = tuple[Float[Array, "batch context *in"], Bool[Array, "batch context"]]


class Delayed(nnx.Module):
    """A centred layer as a causal one, which gives its outputs as many samples later as it sees of the future.

        y[t] = layer(x)[t - delay]        delay = layer.receptive_field.future

        x           0 1 2 3 4 5 6
        layer(x)    a b c d e f g         future 2
        y           0 0 a b c d e         f g: what `flush` gives when the signal has ended

    It streams with the numbers of the whole, at the beginning of a signal too: every layer inside sees zeros before
    it. A step computes the context again, `past + future` samples of the layer, so blocks that are not much shorter
    than that are cheapest.

    Args:
      layer: A layer with a receptive field, one output for each sample and no condition; its weights are shared.

    Shapes:
      __call__: as the layer's.
      state:    [batch, past + future, in_channels], or [batch, past + future, num_frequencies, in_channels], oldest
                sample first, and bool [batch, past + future], where the signal had begun.

    Raises:
      UserError: If the layer changes the rate, or does not say its number of channels.

    Example:
      >>> centred = Conv1d(1, 1, kernel_size=5, padding="same", rngs=nnx.Rngs(0))
      >>> causal = Delayed(centred)
      >>> causal.delay
      2
      >>> y, state = causal.step(block, causal.init_state(1))
      >>> last = causal.flush(state)
    """

    def __init__(self, layer: Any) -> None:
        field, what = layer.receptive_field, type(layer).__name__
        if field.stride != 1:
            raise UserError(
                f"this {what} has stride {field.stride}, but a delay is of samples that stay; "
                "delay the layers at one rate by themselves"
            )
        if getattr(layer, "in_channels", None) is None:
            raise UserError(
                f"this {what} does not say how many channels it takes, which the state depends on; "
                "begin it with a layer that has in_channels, such as Conv1d"
            )
        self.layer = layer
        self.in_channels = layer.in_channels
        self.num_frequencies = getattr(layer, "num_frequencies", None)
        self.delay = max(0, field.future)
        self.context = field.past + self.delay
        self.receptive_field = field.then(ReceptiveField.delay(self.delay))

    def __call__(
        self,
        x: Num[Array, "batch time *in"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Any:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)

        def later(y: Array) -> Array:
            silent = ((0, 0), (self.delay, 0), *[(0, 0)] * (y.ndim - 2))
            return masked(jnp.pad(y, silent)[:, : y.shape[1]], mask)

        return jax.tree.map(later, self.layer(x, mask=mask, dropout_key=dropout_key))

    def valid(
        self,
        x: Num[Array, "batch time *in"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Any:
        x, _ = enter_with_context(self, x, mask=mask, dropout_key=dropout_key)
        outputs = self.layer.valid(x, mask=mask, dropout_key=dropout_key)
        past = self.receptive_field.past
        return jax.tree.map(lambda y: masked(y, inner(mask, past, y)), outputs)

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> State:
        past = initial_state(self, batch_size, self.context, self.in_channels, dtype)
        return past, jnp.zeros(past.shape[:2], bool)

    def step(self, x: Num[Array, "batch time *in"], state: State) -> tuple[Any, State]:
        return self._run(enter(self, x)[0], True, state)

    def flush(self, state: State) -> Any:
        """The outputs that are still to come when the signal has ended: [batch, delay, ...]."""
        require_parts(self, state, range(2))
        shape = (state[0].shape[0], self.delay, *state[0].shape[2:])
        silence = split_alike(jnp.zeros(shape, state[0].dtype), state[0])
        return self._run(silence, False, state)[0]

    def _run(self, x: Array, is_signal: bool, state: State) -> tuple[Any, State]:
        require_parts(self, state, range(2))
        past, begun = state
        extended, past = extend(self, x, past, self.context)
        there = jnp.full(x.shape[:2], is_signal)
        mask = jnp.concatenate([split_alike(begun, x), split_alike(there, x)], axis=1)
        # The outputs that see no padding are those of the block, `delay` samples before it. The layers inside see
        # zeros where the mask says that there is no signal.
        return self.layer.valid(extended, mask=mask), (past, mask[:, x.shape[1] :])
