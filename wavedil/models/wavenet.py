"""WaveNet: a causal network over samples, and the likelihood it gives them."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from wavedil import distributions
from wavedil.errors import UserError
from wavedil.models.config import WaveNetConfig
from wavedil.models.embeddings import label_embedding, smooth_embedding
from wavedil.models.upsampler import FeatureUpsampler
from wavedil.nn import ContextStack, Conv1d, DilatedStack
from wavedil.receptive_field import ReceptiveField

Labels = Mapping[str, Int[Array, " batch"]]
Local = Float[Array, "batch time local_channels"]


class WaveNet(nnx.Module):
    """Autoregressive model of sound samples (arXiv:1609.03499).

        codes -> embedding -> causal conv -> gated stack -> skip sum -> ReLU -> 1x1 -> ReLU -> 1x1 -> parameters

    It is a causal layer like any other: output t sees samples up to t and
    holds the parameters of the distribution of sample t + 1. The one-sample
    shift that turns that into a likelihood is in `log_prob` alone:

        log p(x) = sum_t log p(x[t] | x[t - size], ..., x[t - 1])        (size of the receptive field)

    A model with `config.local` is told by features, a frame every `hop` samples, what the sound is. `upsample`
    makes them a condition with a value at every *output*: it steers the prediction, and so lies with the sample
    that is predicted, one after the newest that is seen. With hop 4:

        frame       0       0       0       0       1       1       1 ...
        predicts    x[0]    x[1]    x[2]    x[3]    x[4]    x[5]    x[6]
        sees up to  before  x[0]    x[1]    x[2]    x[3]    x[4]    x[5]

    A model with `config.context` has a second stack that sees far, at a lower rate, and conditions the first:

        codes -> embedding -+-> causal conv -> gated stack -> skip sum -> ...
                            |                   ^
                            +-> context stack --+        (one step every `factor` samples)

    What comes from features, context and labels is added: c[t] = local[t] + context[t] + P labels.

    Args:
      config: Sizes, levels, output distribution and labels.
      rngs: Source of the initial weights.

    Shapes:
      __call__: codes [batch, time] -> [batch, time, distribution.num_parameters]
      labels:   one array [batch] for each named label; 0 where it is not known.
      local:    [batch, time, local.channels], as `upsample` makes it; of a model without features, None.
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

    def __init__(self, config: WaveNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.distribution = distributions.make(
            config.output, config.levels, config.scale, config.num_components
        )
        channels, skip_channels = config.residual_channels, config.skip_channels
        in_channels, use_bias = config.input_channels, config.biases
        if config.input == "codes":
            self.embedding = nnx.Param(smooth_embedding(config.levels, in_channels, rngs))
        self.input = Conv1d(
            in_channels,
            channels,
            kernel_size=config.input_kernel_size,
            use_bias=use_bias,
            rngs=rngs,
        )
        self.label_embeddings = nnx.Dict(
            {
                name: nnx.Param(label_embedding(len(values), config.label_channels, rngs))
                for name, values in config.labels.items()
            }
        )
        label_channels = config.label_channels * len(config.labels)
        # Of features and context, which differ from sample to sample.
        varying = config.local or config.context
        self.stack = DilatedStack(
            channels,
            skip_channels,
            kernel_size=config.kernel_size,
            dilations=config.dilations,
            cycles=config.cycles,
            condition_channels=varying.channels if varying else label_channels or None,
            use_bias=use_bias,
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
        self.output = Conv1d(
            last_channels, self.distribution.num_parameters, kernel_size=1, rngs=rngs
        )
        # Nearly zero parameters at first, which are a broad distribution: the loss starts at about log2(levels) bits.
        self.output.kernel[...] *= 0.1
        if config.local is not None:
            self.upsampler = FeatureUpsampler(config.local, rngs=rngs)
        if varying and label_channels:
            # Added to what varies, which costs nothing at each sample; side by side with it, every layer's matmul
            # would grow.
            self.label_projection = Conv1d(
                label_channels, varying.channels, kernel_size=1, use_bias=False, rngs=rngs
            )
        self.context = (
            ContextStack(
                in_channels,
                config.context.channels,
                varying.channels,
                factor=config.context.factor,
                kernel_size=config.context.kernel_size,
                dilations=config.context.dilations,
                cycles=config.context.cycles,
                rngs=rngs,
            )
            if config.context and varying
            else None
        )
        self.receptive_field: ReceptiveField = self.input.receptive_field.then(
            self.stack.receptive_field
        )
        if self.context is not None:
            # The first block is told of its own sample alone; the taps of the others reach further.
            later = [block.receptive_field for block in self.stack.blocks][1:]
            told = functools.reduce(ReceptiveField.then, later, self.context.receptive_field)
            self.receptive_field = self.receptive_field.union(told)

    @property
    def num_parameters(self) -> int:
        """Trained numbers."""
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(self, nnx.Param)))

    def __call__(
        self,
        codes: Int[Array, "batch time"],
        labels: Labels | None = None,
        local: Local | None = None,
    ) -> Float[Array, "batch time parameters"]:
        x = self.enter(codes)
        context = None if self.context is None else self.context(x)
        condition = self.condition(codes.shape[0], labels, local, context)
        _, skip = self.stack(self.input(x), condition)
        return self.head(skip)

    def log_prob(
        self,
        codes: Int[Array, "batch time"],
        labels: Labels | None = None,
        before: Int[Array, "batch 1"] | None = None,
        features: Float[Array, "batch frames features"] | None = None,
    ) -> Float[Array, "batch time"]:
        """Log-probability in nats of every sample given those before it.

        Args:
          codes: Samples.
          labels: Indices of the labels, unlabelled by default.
          before: The sample before the first, where the codes are cut out of a longer sound; silence by default.
          features: The features of the samples, as `upsample` takes them; frame i governs codes
            `i hop .. (i + 1) hop - 1`.
        """
        local = None if features is None else self.upsample(features, codes.shape[1])
        if before is None:
            before = jnp.full((codes.shape[0], 1), self.config.grid.silence, codes.dtype)
        seen = jnp.concatenate([before, codes[:, :-1]], axis=1)
        return self.distribution.log_prob(self(seen, labels, local), codes)

    def upsample(self, features: Float[Array, "batch frames features"], num_samples: int) -> Local:
        """The features as a condition at every one of the samples.

        Args:
          features: The `ceil(num_samples / hop)` frames of the samples, the first at a multiple of hop; beyond
            them it is zero. Where the samples are cut out of a longer sound, `local.context_frames` more on
            either side, as they lie there.
          num_samples: Samples to make.
        """
        self.require_features(True)
        return self.upsampler(features, num_samples)

    def init_state(self, batch_size: int) -> dict[str, Any]:
        state: dict[str, Any] = {
            "input": self.input.init_state(batch_size),
            "stack": self.stack.init_state(batch_size),
        }
        if self.context is not None:
            state["context"] = self.context.init_state(batch_size)
        return state

    def step(
        self,
        codes: Int[Array, "batch time"],
        state: dict[str, Any],
        labels: Labels | None = None,
        local: Local | None = None,
    ) -> tuple[Float[Array, "batch time parameters"], dict[str, Any]]:
        x, context = self.enter(codes), None
        after: dict[str, Any] = {}
        if self.context is not None:
            context, after["context"] = self.context.step(x, state["context"])
        condition = self.condition(codes.shape[0], labels, local, context)
        x, after["input"] = self.input.step(x, state["input"])
        (_, skip), after["stack"] = self.stack.step(x, state["stack"], condition)
        return self.head(skip), after

    def enter(self, codes: Int[Array, "*samples"]) -> Float[Array, "*samples in_channels"]:
        """Codes as the input convolution takes them: embedded, or as amplitudes."""
        if self.config.input == "codes":
            return self.embedding[codes]
        amplitudes = self.config.grid.decode(np.arange(self.config.levels))
        return jnp.asarray(amplitudes)[codes][..., None]

    def head(
        self, skip: Float[Array, "batch time skip_channels"]
    ) -> Float[Array, "batch time parameters"]:
        """The layers after the skip sum, which look at each sample by itself."""
        x = jax.nn.relu(self.hidden(jax.nn.relu(skip)))
        return self.output(x if self.bottleneck is None else self.bottleneck(x))

    def condition(
        self,
        batch_size: int,
        labels: Labels | None,
        local: Local | None = None,
        context: Local | None = None,
    ) -> Float[Array, "batch time_or_1 condition_channels"] | None:
        """What the stack is conditioned on: the sum of what there is; None for a model without any.

        A context that is not given is zero, as before its first frame is whole.
        """
        self.require_features(local is not None)
        embedded = self._embed_labels(batch_size, labels)
        if local is None and self.config.context is None:
            return embedded
        if embedded is not None:
            embedded = self.label_projection(embedded)
        parts = [part for part in (local, context, embedded) if part is not None]
        if not parts and self.config.context is not None:
            return jnp.zeros((batch_size, 1, self.config.context.channels))
        return functools.reduce(jnp.add, parts)

    def require_features(self, given: bool) -> None:
        """Refuses features that are missing, or given to a model that takes none.

        Raises:
          UserError: With the remedy.
        """
        local = self.config.local
        if given and local is None:
            raise UserError(
                "features were given to a model that takes none; leave them out, or train a vocoder "
                "(wavedil train --task vocoder)"
            )
        if local is not None and not given:
            raise UserError(
                f"the model is a vocoder and was given no features; give frames of {local.num_features} numbers, "
                f"one every {local.hop} samples (wavedil generate RUN OUT.wav --features x.npy, or --like "
                "recording.wav)"
            )

    def _embed_labels(
        self, batch_size: int, labels: Labels | None
    ) -> Float[Array, "batch 1 label_channels"] | None:
        """The embeddings of all labels side by side, or None for a model without labels."""
        if not self.config.labels:
            return None
        unknown = jnp.zeros(batch_size, jnp.int32)
        rows = [
            self.label_embeddings[name][(labels or {}).get(name, unknown)]
            for name in self.config.labels
        ]
        return jnp.concatenate(rows, axis=-1)[:, None]
