"""WaveNet: a stack of dilated causal convolutions that predicts the next sample."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from wavedil import distributions
from wavedil.errors import Size, UserError
from wavedil.frames import BEYOND
from wavedil.models.conditioning import Conditioning, Labels, Signal, label_tables
from wavedil.models.embeddings import look_up, smooth_embedding
from wavedil.models.wavenet_config import WaveNetConfig
from wavedil.nn import Conv1d, DilatedStack
from wavedil.nn.door import (
    require_beside,
    require_parts,
    require_signal,
    weights_dtype,
    with_context,
)
from wavedil.nn.dropout import keys_of, require_key
from wavedil.nn.mask import inner, masked, require_mask
from wavedil.ops.devices import split_alike
from wavedil.receptive_field import ReceptiveField


class WaveNet(nnx.Module):
    """Autoregressive model of sound samples (arXiv:1609.03499).

        codes -> embedding -+-> causal conv -> gated stack -> skip sum -> ReLU -> 1x1 -> ReLU -> 1x1 -> parameters
                            |                   ^
                            +-> conditioning ---+

    It is a causal layer like any other: output t sees samples up to t and
    holds the parameters of the distribution of sample t + 1. The one-sample
    shift that turns that into a likelihood is in `log_prob` alone:

        log p(x) = sum_t log p(x[t] | x[t - size], ..., x[t - 1])        (size of the receptive field)

    Labels, features and a context stack condition it as `Conditioning` says.

    Args:
      config: Sizes, levels, output distribution and conditions.
      rngs: Source of the initial weights.

    Shapes:
      __call__: codes [batch, time] -> [batch, time, distribution.num_outputs]
      labels:   values or rows of each named label; row 0 where it is not known.
      local:    [batch, time, local_conditioning.channels], as `conditioning.upsample` makes it; of a model without
                features, None.
      state:    {"input": ..., "stack": [...]}, arrays [batch, past, residual_channels], oldest sample first; with
                a context stack also its own, "context".

    Raises:
      UserError: By `WaveNetConfig`, where sizes do not fit; when called, where features are missing, were not
        provided for, or have another size than the model's.

    Example:
      >>> model = WaveNet(WaveNetConfig.tiny(), rngs=nnx.Rngs(0))
      >>> model.log_prob(jnp.zeros((1, 100), jnp.int32)).shape       # nats
      (1, 100)
    """

    config_class: ClassVar[type[WaveNetConfig]] = WaveNetConfig
    hidden_kernels: ClassVar[tuple[str, ...]] = (
        *("stack", "conditioning.context_stack.stack", "hidden"),
    )
    """Weights, by the beginnings of their names, whose kernels lie between the first layer and the last."""

    def __init__(self, config: WaveNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.distribution = distributions.make(
            config.output, config.levels, config.companding, config.num_components
        )
        channels, skip_channels = config.residual_channels, config.skip_channels
        if config.input == "codes":
            self.embedding = nnx.Param(smooth_embedding(config.levels, config.input_channels, rngs))
        self.input = Conv1d(
            config.input_channels,
            channels,
            kernel_size=config.input_kernel_size,
            use_bias=config.biases,
            rngs=rngs,
        )
        label_embeddings = label_tables(config, rngs)
        self.stack = DilatedStack(
            channels,
            skip_channels,
            kernel_size=config.kernel_size,
            dilations=config.dilations,
            cycles=config.cycles,
            condition_channels=config.condition_channels,
            use_bias=config.biases,
            rngs=rngs,
        )
        hidden_channels = config.hidden_channels or skip_channels
        last_channels = config.bottleneck_channels or hidden_channels
        self.hidden = Conv1d(skip_channels, hidden_channels, kernel_size=1, rngs=rngs)
        self.bottleneck = (
            Conv1d(hidden_channels, last_channels, kernel_size=1, rngs=rngs)
            if config.bottleneck_channels
            else None
        )
        self.output = Conv1d(last_channels, self.distribution.num_outputs, kernel_size=1, rngs=rngs)
        # Nearly zero parameters at first, which are a broad distribution: the loss starts at about log2(levels) bits.
        self.output.kernel[...] *= 0.1
        # Drawn last, so that a model has the same other weights with and without what varies.
        self.conditioning = Conditioning(config, label_embeddings, rngs=rngs)
        self.receptive_field: ReceptiveField = config.receptive_field

    @property
    def num_parameters(self) -> int:
        """Trained numbers."""
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(self, nnx.Param)))

    def __call__(
        self,
        codes: Int[Array, "batch time"],
        labels: Labels | None = None,
        local: Signal | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time parameters"]:
        x, local = self._enter(codes, local, mask=mask, dropout_key=dropout_key)
        of_far, of_near = keys_of(dropout_key, 2)
        far = self.conditioning.context_stack
        context = None if far is None else far(x, mask=mask, dropout_key=of_far)
        condition = self.conditioning(codes.shape[0], labels, local, context)
        x = self.input(x, mask=mask)
        _, skip = self.stack(x, condition, mask=mask, dropout_key=of_near)
        return masked(self.head(skip), mask)

    def valid(
        self,
        codes: Int[Array, "batch time"],
        labels: Labels | None = None,
        local: Signal | None = None,
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
        num_outputs: int | None = None,
    ) -> Float[Array, "batch out_time parameters"]:
        """As of every layer. With a context stack the codes begin with a frame, and so does the signal in them.

        Args:
          codes: As in a call.
          labels: As in a call.
          local: As in a call.
          mask: False where there is no signal; see `Layer.valid`.
          dropout_key: As in a call.
          num_outputs: How many of the last samples have outputs; by default all after the first `past`.
        """
        far = self.conditioning.context_stack
        x, local = self._enter(codes, local, mask=mask, dropout_key=dropout_key, valid=True)
        of_far, of_near = keys_of(dropout_key, 2)
        if num_outputs is None or not codes.shape[1]:
            x = with_context(self, x)
        num_samples = x.shape[1]
        count = num_samples - self.receptive_field.past if num_outputs is None else num_outputs
        near = count + self.stack.receptive_field.past
        first = num_samples - near - self.input.receptive_field.past
        context = (
            None if far is None else _ending(far.valid(x, mask=mask, dropout_key=of_far), near)
        )
        local = None if local is None else _ending(local, near)
        condition = self.conditioning(codes.shape[0], labels, local, context)
        of_input, of_stack = (
            None if mask is None else mask[:, start:] for start in (first, num_samples - near)
        )
        x = self.input.valid(x[:, first:], mask=of_input)
        _, skip = self.stack.valid(x, condition, mask=of_stack, dropout_key=of_near)
        return masked(self.head(skip), inner(mask, num_samples - count, skip))

    def log_prob(
        self,
        codes: Int[Array, "batch time"],
        labels: Labels | None = None,
        context: Int[Array, "batch context_time"] | None = None,
        features: Float[Array, "batch frames features"] | None = None,
        *,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time"]:
        """Log-probability in nats of every sample given those before it.

        Args:
          codes: Samples; BEYOND after the end of a sound, where the result is NaN, without gradient.
          labels: Values or rows of the labels, unlabelled by default.
          context: The samples before, where the codes are cut out of a longer sound: `config.context_samples` of them,
            BEYOND before the silence that a sound begins after; or fewer, where it begins with them. Silence by
            default. Codes that begin at a multiple of `config.frame_size` have the values that they have in the whole.
          features: The features of the samples, those of the context but the last included, as
            `conditioning.upsample` takes them; frame i covers samples `i hop .. (i + 1) hop - 1`.
          dropout_key: As in a call.
        """
        if context is None:
            context = jnp.full((codes.shape[0], 1), self.config.quantizer.silence, jnp.int32)
        context = split_alike(context, codes)
        # Output t sees samples up to t and predicts sample t + 1: it is given the codes one sample late.
        seen = jnp.concatenate([context, codes[:, :-1]], axis=1, dtype=jnp.int32)
        beyond = seen == BEYOND
        entered = jnp.where(beyond, 0, seen)
        local = None if features is None else self.conditioning.upsample(features, seen.shape[1])
        if context.shape[1] < self.config.context_samples:
            parameters = self(entered, labels, local, dropout_key=dropout_key)
            parameters = _ending(parameters, codes.shape[1])
        else:
            settings = {"mask": ~beyond[:, : context.shape[1] - 1], "dropout_key": dropout_key}
            num_outputs = codes.shape[1]
            parameters = self.valid(entered, labels, local, **settings, num_outputs=num_outputs)
        return self.distribution.log_prob(parameters, codes)

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.int32) -> dict[str, Any]:
        dtype = weights_dtype(self, dtype)
        state: dict[str, Any] = {
            "input": self.input.init_state(batch_size, dtype),
            "stack": self.stack.init_state(batch_size, dtype),
        }
        if self.conditioning.context_stack is not None:
            state["context"] = self.conditioning.context_stack.init_state(batch_size, dtype)
        return state

    def step(
        self,
        codes: Int[Array, "batch time"],
        state: dict[str, Any],
        labels: Labels | None = None,
        local: Signal | None = None,
    ) -> tuple[Float[Array, "batch time parameters"], dict[str, Any]]:
        x, local = self._enter(codes, local)
        far, context = self.conditioning.context_stack, None
        require_parts(self, state, ("input", "stack", *(() if far is None else ("context",))))
        after: dict[str, Any] = {}
        if far is not None:
            context, after["context"] = far.step(x, state["context"])
        condition = self.conditioning(codes.shape[0], labels, local, context)
        x, after["input"] = self.input.step(x, state["input"])
        (_, skip), after["stack"] = self.stack.step(x, state["stack"], condition)
        return self.head(skip), after

    def enter(self, codes: Int[Array, "*samples"]) -> Float[Array, "*samples in_channels"]:
        """Codes as the input convolution takes them, embedded or as amplitudes; NaN for what is no level."""
        if self.config.input == "codes":
            return look_up(self.embedding[...], codes)
        amplitudes = self.config.quantizer.decode(np.arange(self.config.levels))
        return look_up(jnp.asarray(amplitudes, self.input.kernel.dtype)[:, None], codes)

    def _enter(
        self,
        codes: Any,
        local: Any,
        *,
        mask: Any = None,
        dropout_key: Any = None,
        valid: bool = False,
    ) -> tuple[Array, Array | None]:
        """Codes as they enter, and the local condition; refuses what does not fit, as the door of every layer."""
        shape, kind = tuple(jnp.shape(codes)), jnp.result_type(codes)
        if len(shape) != 2 or not jnp.issubdtype(kind, jnp.integer):
            raise UserError(
                f"codes have shape {list(shape)} of {kind}, but WaveNet takes integers [batch, time]; "
                "model.config.quantizer.encode makes them of sound"
            )
        require_mask("WaveNet", mask, codes, valid)
        require_key(dropout_key)
        config = self.config.local_conditioning
        if local is not None and config is not None:
            require_signal("WaveNet", "local", local, "channels", config.channels)
            require_beside("WaveNet", local, codes)
            local = jnp.asarray(local, weights_dtype(self, local))
        x = self.enter(codes).astype(weights_dtype(self, local))
        return masked(x, mask), local

    def head(
        self, skip: Float[Array, "batch time skip_channels"]
    ) -> Float[Array, "batch time parameters"]:
        """The layers after the skip sum, which look at each sample by itself."""
        x = jax.nn.relu(self.hidden(jax.nn.relu(skip)))
        return self.output(x if self.bottleneck is None else self.bottleneck(x))


def _ending(signal: Array, count: int) -> Array:
    """The last `count` samples; zeros before those that are there."""
    missing = max(0, count - signal.shape[1])
    signal = jnp.pad(signal, ((0, 0), (missing, 0), (0, 0)))
    return signal[:, signal.shape[1] - count :]
