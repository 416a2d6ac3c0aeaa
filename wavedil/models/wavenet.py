"""WaveNet: a stack of dilated causal convolutions that predicts the next sample."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from wavedil import distributions
from wavedil.errors import Size
from wavedil.frames import BEYOND
from wavedil.models.conditioning import Conditioning, Labels, Signal, label_tables
from wavedil.models.embeddings import look_up, smooth_embedding
from wavedil.models.entry import entered_by
from wavedil.models.linear_prediction import LinearPrediction, state_before
from wavedil.models.pitch_taps import pitch_entry, pitch_input, pitch_stack, with_taps
from wavedil.models.wavenet_config import INPUT_SPREAD, WaveNetConfig
from wavedil.nn import Conv1d, DilatedStack
from wavedil.nn.door import (
    require_parts,
    weights_dtype,
)
from wavedil.nn.dropout import keys_of
from wavedil.nn.gated_block import is_local
from wavedil.nn.mask import inner, masked
from wavedil.nn.pitch_conv import Dilation, Voicing
from wavedil.ops.devices import split_alike
from wavedil.receptive_field import ReceptiveField

Predictor = Float[Array, "batch time order"]


class WaveNet(nnx.Module):
    """Autoregressive model of sound samples (arXiv:1609.03499).

        codes -> embedding -+-> causal conv -> gated stack -> skip sum -> ReLU -> 1x1 -> ReLU -> 1x1 -> parameters
                            |                   ^
                            +-> conditioning ---+

    It is a causal layer like any other: output t sees samples up to t and
    holds the parameters of the distribution of sample t + 1. The one-sample
    shift that turns that into a likelihood is in `log_prob` alone:

        log p(x) = sum_t log p(x[t] | x[t - size], ..., x[t - 1])        (size of the receptive field)

    Labels, features and a context stack condition it as `Conditioning` says. Where the features carry pitch, it sees
    what the sound was a pitch period before the sample that is predicted, by one of

        input    a few numbers of every sample -> PitchConv1d -> the input of the stack, and the condition
        blocks   the convolutions of the last cycle follow the pitch (`PitchStack`)

    and where they are mel spectra, a linear prediction of that sample (`LinearPrediction`), if the config says so.

    Args:
      config: Sizes, levels, output distribution and conditions.
      rngs: Source of the initial weights.

    Shapes:
      __call__: codes [batch, time] -> [batch, time, distribution.num_outputs]
      labels:   values or rows of each named label; row 0 where it is not known.
      local:    [batch, time, local_conditioning.channels], as `conditioning.upsample` makes it; of a model without
                features, None.
      dilation, voicing: [batch, time], as `conditioning.pitch` makes them of the features that carry pitch.
      predictor: [batch, time, order], as `conditioning.predictor` makes it, of a model that sees a linear prediction.
      state:    {"input": ..., "stack": [...]}, arrays [batch, past, residual_channels], oldest sample first; with
                a context stack also its own, "context", with pitch "pitch", and with a linear prediction "prediction".

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
        *("stack", "pitch_stack", "conditioning.context_stack.stack", "hidden"),
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
            dilations=config.layer_dilations,
            condition_channels=config.condition_channels,
            gate_channels=config.gate_channels,
            dropout=config.dropout,
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
        self.pitch_entry = pitch_entry(config, rngs)
        self.pitch_input = pitch_input(config, rngs)
        self.pitch_stack = pitch_stack(config, rngs)
        self.prediction = (
            LinearPrediction(channels, self.distribution.num_outputs, rngs=rngs)
            if config.prediction_order
            else None
        )
        if config.follows_pitch != "none":
            self.longest_lag = config.longest_lag
        self.spread = INPUT_SPREAD if config.follows_pitch == "input" else 0
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
        dilation: Dilation | None = None,
        voicing: Voicing | None = None,
        predictor: Predictor | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time parameters"]:
        given: dict[str, Any] = {"mask": mask, "dropout_key": dropout_key}
        x, *signals, _ = entered_by(self, codes, local, dilation, voicing, predictor, **given)
        return self.after_entering(x, labels, *signals, **given)

    def after_entering(
        self,
        x: Float[Array, "batch time in_channels"],
        labels: Labels | None = None,
        local: Signal | None = None,
        dilation: Dilation | None = None,
        voicing: Voicing | None = None,
        guess: Float[Array, "batch time"] | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time parameters"]:
        """The outputs of samples as `enter` makes them, and of the linear prediction of each next one; the rest as in
        a call.
        """
        of_far, of_near, of_pitch = keys_of(dropout_key, 3)
        far = self.conditioning.context_stack
        pitch: Any = dilation, voicing
        context = None if far is None else far(x, mask=mask, dropout_key=of_far)
        entered = self.input(x, mask=mask)
        if self.pitch_entry is not None and self.pitch_input is not None:
            taps = self.pitch_input(self.pitch_entry(x), *pitch, mask=mask)
            entered, local = with_taps(entered, local, taps)
        if self.prediction is not None and guess is not None:
            entered = masked(self.prediction.with_input(entered, guess), mask)
        condition = self.conditioning(x.shape[0], labels, local, context, dropout_key=dropout_key)
        y, skip = self.stack(entered, condition, mask=mask, dropout_key=of_near)
        if self.pitch_stack is not None:
            given = {"mask": mask, "dropout_key": of_pitch}
            skip = skip + self.pitch_stack(y, pitch[0], pitch[1], condition, **given)[1]
        return masked(self.head(skip, guess), mask)

    def valid(
        self,
        codes: Int[Array, "batch time"],
        labels: Labels | None = None,
        local: Signal | None = None,
        dilation: Dilation | None = None,
        voicing: Voicing | None = None,
        predictor: Predictor | None = None,
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
          dilation: As in a call.
          voicing: As in a call.
          predictor: As in a call.
          mask: False where there is no signal; see `Layer.valid`.
          dropout_key: As in a call.
          num_outputs: How many of the last samples have outputs; by default all after the first `past`.
        """
        far = self.conditioning.context_stack
        given: dict[str, Any] = {"mask": mask, "dropout_key": dropout_key}
        whole = num_outputs is None or not codes.shape[1]
        signals = codes, local, dilation, voicing, predictor
        x, local, dilation, voicing, guess, _ = entered_by(
            self, *signals, **given, valid=True, with_context=whole
        )
        of_far, of_near, of_pitch = keys_of(dropout_key, 3)
        num_samples = x.shape[1]
        count = num_samples - self.receptive_field.past if num_outputs is None else num_outputs
        after = count + (0 if self.pitch_stack is None else self.pitch_stack.receptive_field.past)
        near = after + self.stack.receptive_field.past
        context = (
            None if far is None else _ending(far.valid(x, mask=mask, dropout_key=of_far), near)
        )
        local = None if local is None else _ending(local, near)

        def seen_by(layer: Any, wanted: int, *signals: Any) -> Any:
            """Of signals what a layer sees for its last outputs, so many as are wanted; the mask may end early."""
            start = num_samples - wanted - layer.receptive_field.past
            return [None if signal is None else signal[:, start:] for signal in signals]

        seen, there = seen_by(self.input, near, x, mask)
        entered = self.input.valid(seen, mask=there)
        if self.pitch_entry is not None and self.pitch_input is not None:
            seen, *pitch, there = seen_by(self.pitch_input, near, x, dilation, voicing, mask)
            taps = self.pitch_input.valid(self.pitch_entry(seen), *pitch, mask=there)
            entered, local = with_taps(entered, local, taps)
        if self.prediction is not None and guess is not None:
            there = None if mask is None else mask[:, num_samples - near :]
            entered = masked(self.prediction.with_input(entered, guess[:, -near:]), there)
            guess = guess[:, num_samples - count :]
        condition = self.conditioning(
            codes.shape[0], labels, local, context, dropout_key=dropout_key
        )
        (there,) = seen_by(self.stack, after, mask)
        y, skip = self.stack.valid(entered, condition, mask=there, dropout_key=of_near)
        if self.pitch_stack is not None:
            *pitch, there = seen_by(self.pitch_stack, count, dilation, voicing, mask)
            if condition is not None and is_local(condition):
                condition = _ending(condition, after)
            given = {"mask": there, "dropout_key": of_pitch}
            more = self.pitch_stack.valid(y, pitch[0], pitch[1], condition, **given)[1]
            skip = _ending(skip, count) + more
        return masked(self.head(skip, guess), inner(mask, num_samples - count, skip))

    def log_prob(
        self,
        codes: Int[Array, "batch time"],
        labels: Labels | None = None,
        context: Int[Array, "batch context_time"] | None = None,
        features: Float[Array, "batch frames features"] | None = None,
        *,
        seen: Int[Array, "batch time"] | None = None,
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
          seen: What the model sees of the codes in place of them, as with noise.
          dropout_key: As in a call.
        """
        if context is None:
            context = jnp.full((codes.shape[0], 1), self.config.quantizer.silence, jnp.int32)
        context = split_alike(context, codes)
        # Output t sees samples up to t and predicts sample t + 1: it is given the codes one sample late.
        before = codes if seen is None else seen
        seen = jnp.concatenate([context, before[:, :-1]], axis=1, dtype=jnp.int32)
        beyond = seen == BEYOND
        entered = jnp.where(beyond, 0, seen)
        given = self.conditioning.of_features(features, seen.shape[1])
        if context.shape[1] < self.config.context_samples:
            parameters = self(entered, labels, *given, dropout_key=dropout_key)
            parameters = _ending(parameters, codes.shape[1])
        else:
            settings = {"mask": ~beyond[:, : context.shape[1] - 1], "dropout_key": dropout_key}
            num_outputs = codes.shape[1]
            parameters = self.valid(entered, labels, *given, **settings, num_outputs=num_outputs)
        return self.distribution.log_prob(parameters, codes)

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.int32) -> dict[str, Any]:
        dtype = weights_dtype(self, dtype)
        state: dict[str, Any] = {
            "input": self.input.init_state(batch_size, dtype),
            "stack": self.stack.init_state(batch_size, dtype),
        }
        if self.conditioning.context_stack is not None:
            state["context"] = self.conditioning.context_stack.init_state(batch_size, dtype)
        pitch = self.pitch_input or self.pitch_stack
        if pitch is not None:
            state["pitch"] = pitch.init_state(batch_size, dtype)
        if self.prediction is not None:
            order, lag = self.config.prediction_order, self.config.predicted_lag
            precise = np.promote_types(dtype, np.float32)
            state["prediction"] = state_before(batch_size, order, lag, precise)
        return state

    def step(
        self,
        codes: Int[Array, "batch time"],
        state: dict[str, Any],
        labels: Labels | None = None,
        local: Signal | None = None,
        dilation: Dilation | None = None,
        voicing: Voicing | None = None,
        predictor: Predictor | None = None,
    ) -> tuple[Float[Array, "batch time parameters"], dict[str, Any]]:
        pitch: Any
        far, context = self.conditioning.context_stack, None
        follows = self.pitch_input or self.pitch_stack
        others = {"context": far, "pitch": follows, "prediction": self.prediction}
        there = (name for name, part in others.items() if part is not None)
        require_parts(self, state, ("input", "stack", *there))
        before = state.get("prediction")
        x, local, *pitch, guess, predicted = entered_by(
            self, codes, local, dilation, voicing, predictor, before=before
        )
        after: dict[str, Any] = {}
        if predicted is not None:
            after["prediction"] = predicted
        if far is not None:
            context, after["context"] = far.step(x, state["context"])
        entered, after["input"] = self.input.step(x, state["input"])
        if self.pitch_entry is not None and self.pitch_input is not None:
            seen = self.pitch_entry(x)
            taps, after["pitch"] = self.pitch_input.step(seen, state["pitch"], *pitch)
            entered, local = with_taps(entered, local, taps)
        if self.prediction is not None and guess is not None:
            entered = self.prediction.with_input(entered, guess)
        condition = self.conditioning(codes.shape[0], labels, local, context)
        (y, skip), after["stack"] = self.stack.step(entered, state["stack"], condition)
        if self.pitch_stack is not None:
            (_, more), after["pitch"] = self.pitch_stack.step(
                y, state["pitch"], pitch[0], pitch[1], condition
            )
            skip = skip + more
        return self.head(skip, guess), after

    def enter(self, codes: Int[Array, "*samples"]) -> Float[Array, "*samples in_channels"]:
        """Codes as the input convolution takes them, embedded or as amplitudes; NaN for what is no level."""
        if self.config.input == "codes":
            return look_up(self.embedding[...], codes)
        return self.amplitudes(codes, self.input.kernel.dtype)[..., None]

    def amplitudes(
        self, codes: Int[Array, "*samples"], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "*samples"]:
        """What codes mean as sound; NaN for what is no level."""
        levels = self.config.quantizer.decode(np.arange(self.config.levels))
        return look_up(jnp.asarray(levels, dtype)[:, None], codes)[..., 0]

    def head(
        self,
        skip: Float[Array, "batch time skip_channels"],
        guess: Float[Array, "batch time"] | None = None,
    ) -> Float[Array, "batch time parameters"]:
        """The layers after the skip sum, which look at each sample by itself, and at the guess of the next one."""
        x = jax.nn.relu(self.hidden(jax.nn.relu(skip)))
        parameters = self.output(x if self.bottleneck is None else self.bottleneck(x))
        if self.prediction is None or guess is None:
            return parameters
        return self.prediction.with_output(parameters, guess)


def _ending(signal: Array, count: int) -> Array:
    """The last `count` samples; zeros before those that are there."""
    missing = max(0, count - signal.shape[1])
    signal = jnp.pad(signal, ((0, 0), (missing, 0), (0, 0)))
    return signal[:, signal.shape[1] - count :]
