"""FeatureNet: a stack of dilated causal convolutions over frames, which predicts the next frame of features."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.distributions.vectors import VectorMixture
from wavedil.errors import Size
from wavedil.models.conditioning import Labels, embedded_labels, label_tables
from wavedil.models.feature_net_config import FeatureNetConfig
from wavedil.nn import Conv1d, DilatedStack
from wavedil.nn.door import enter, enter_with_context, require_parts, weights_dtype
from wavedil.nn.mask import inner, masked


class FeatureNet(nnx.Module):
    """Autoregressive model of frames of features, conditioned on labels, which says when a sound ends, too.

        frames -> 1x1 -> gated stack -> skip sum -> ReLU -> 1x1 -> ReLU -> 1x1 -> mixture of Gaussians, end
                             ^
        labels --------------'

    It is a causal layer like any other: output t sees frames up to t, and holds the parameters of the mixture of frame
    t + 1, and as the last number the logit that the sound has ended with frame t. A sound of n frames has

        log p = log p(x[0]) + sum_{t > 0} log (1 - e[t]) p(x[t] | x[< t]) + log e[n]

    with e[t] the probability of an end after t frames: lengths are drawn too, and none is 0. Before the first frame
    there is a frame of zeros. Frames are those that `config.encode` makes of features.

    Args:
      config: Sizes, labels, what the numbers of a frame are.
      rngs: Source of the initial weights.

    Shapes:
      __call__: [batch, time, num_features] -> [batch, time, distribution.num_outputs + 1]
      labels:   values or rows of each named label; row 0 where it is not known.
      state:    {"input": ..., "stack": [...]}.

    Raises:
      UserError: By `FeatureNetConfig`, where sizes do not fit.

    Example:
      >>> model = FeatureNet(FeatureNetConfig.tiny(num_features=3), rngs=nnx.Rngs(0))
      >>> model.log_prob(jnp.ones((1, 20, 3))).shape       # nats
      (1, 20)

    Reference: Blaauw and Bonada 2017, "A neural parametric singing synthesizer", arXiv:1704.03809.
    """

    config_class: ClassVar[type[FeatureNetConfig]] = FeatureNetConfig
    hidden_kernels: ClassVar[tuple[str, ...]] = ("stack", "hidden")
    """As `WaveNet.hidden_kernels`."""

    def __init__(self, config: FeatureNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config, self.in_channels = config, config.num_features
        self.distribution = VectorMixture(config.num_features, config.num_components)
        self.label_embeddings = label_tables(config, rngs)
        self.input = Conv1d(config.num_features, config.channels, kernel_size=1, rngs=rngs)
        self.stack = DilatedStack(
            config.channels,
            config.skip_channels,
            kernel_size=config.kernel_size,
            dilations=config.layer_dilations,
            condition_channels=config.condition_channels,
            dropout=config.dropout,
            rngs=rngs,
        )
        skip_channels, num_outputs = config.skip_channels, self.distribution.num_outputs + 1
        self.hidden = Conv1d(skip_channels, skip_channels, kernel_size=1, rngs=rngs)
        self.output = Conv1d(skip_channels, num_outputs, kernel_size=1, rngs=rngs)
        self.receptive_field = config.receptive_field

    def __call__(
        self,
        x: Num[Array, "batch time num_features"],
        labels: Labels | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time outputs"]:
        given: dict[str, Any] = {"mask": mask, "dropout_key": dropout_key}
        x, _ = enter(self, x, **given)
        condition = self._condition(x, labels, dropout_key)
        _, skip = self.stack(self.input(x, mask=mask), condition, **given)
        return masked(self._head(skip), mask)

    def valid(
        self,
        x: Num[Array, "batch time num_features"],
        labels: Labels | None = None,
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time outputs"]:
        x, _ = enter_with_context(self, x, None, mask, dropout_key)
        condition = self._condition(x, labels, dropout_key)
        entered = self.input.valid(x, mask=mask)
        _, skip = self.stack.valid(entered, condition, mask=mask, dropout_key=dropout_key)
        return masked(self._head(skip), inner(mask, self.receptive_field.past, skip))

    def log_prob(
        self,
        frames: Float[Array, "batch time num_features"],
        labels: Labels | None = None,
        *,
        there: Bool[Array, "batch time"] | None = None,
        ended: Bool[Array, " batch"] | None = None,
        seen: Float[Array, "batch time num_features"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time"]:
        """Log-density in nats of every frame given those before it, with that of the sound's going on or its end.

        Arguments are those of `log_probs`, whose sum it is.
        """
        of_frames, of_length = self.log_probs(
            frames, labels, there=there, ended=ended, seen=seen, dropout_key=dropout_key
        )
        return of_frames + of_length

    def log_probs(
        self,
        frames: Float[Array, "batch time num_features"],
        labels: Labels | None = None,
        *,
        there: Bool[Array, "batch time"] | None = None,
        ended: Bool[Array, " batch"] | None = None,
        seen: Float[Array, "batch time num_features"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "batch time"], Float[Array, "batch time"]]:
        """Log-density in nats of every frame given those before it, and log-probability that there is that frame.

        That of the sound's end is beside its last frame.

        Args:
          frames: As `config.encode` makes them.
          labels: Values or rows of the labels, unlabelled by default.
          there: False before a sound's first frame and after its last, where the result is 0; by default all are.
          ended: Whether the sound has ended with the last frame that is there, which is so by default; the others go
            on after it.
          seen: The frames as the model sees them, where those differ from the frames that it predicts: with noise.
          dropout_key: As in a call.
        """
        if there is None:
            there = jnp.ones(frames.shape[:2], bool)
        if ended is None:
            ended = jnp.ones(frames.shape[:1], bool)
        # Output t sees frames up to t - 1 and predicts frame t: it is given the frames one late.
        #   seen        .  0  1  2
        #   predicted   0  1  2  end
        seen = jnp.where(there[..., None], frames if seen is None else seen, 0.0)
        sees = jnp.pad(there, ((0, 0), (1, 0)))
        predicts = jnp.pad(there, ((0, 0), (0, 1)))
        given: dict[str, Any] = {"mask": sees | predicts, "dropout_key": dropout_key}
        outputs = self(jnp.pad(seen, ((0, 0), (1, 0), (0, 0))), labels, **given)
        of_frames = self.distribution.log_prob(outputs[:, :-1, :-1], frames)
        ends = outputs[..., -1].astype(of_frames.dtype)
        goes_on = jnp.where(sees[:, :-1], jax.nn.log_sigmoid(-ends[:, :-1]), 0.0)
        last = there & ~predicts[:, 1:] & ended[:, None]
        end = jnp.where(last, jax.nn.log_sigmoid(ends[:, 1:]), 0.0)
        return jnp.where(there, of_frames, 0.0), jnp.where(there, goes_on + end, 0.0)

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> dict[str, Any]:
        dtype = weights_dtype(self, dtype)
        stack = self.stack.init_state(batch_size, dtype)
        return {"input": self.input.init_state(batch_size, dtype), "stack": stack}

    def step(
        self,
        x: Num[Array, "batch time num_features"],
        state: dict[str, Any],
        labels: Labels | None = None,
    ) -> tuple[Float[Array, "batch time outputs"], dict[str, Any]]:
        x, _ = enter(self, x)
        require_parts(self, state, ("input", "stack"))
        condition = self._condition(x, labels)
        entered, before = self.input.step(x, state["input"])
        (_, skip), stack = self.stack.step(entered, state["stack"], condition)
        return self._head(skip), {"input": before, "stack": stack}

    def _condition(self, x: Array, labels: Labels | None, dropout_key: Any = None) -> Any:
        return embedded_labels(self.config, self.label_embeddings, x.shape[0], labels, dropout_key)

    def _head(self, skip: Array) -> Array:
        return self.output(jax.nn.relu(self.hidden(jax.nn.relu(skip))))
