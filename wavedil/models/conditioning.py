"""Conditioning: labels, features and a context stack, summed to the one signal that a stack is conditioned on."""

import functools
from collections.abc import Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Num

from wavedil.errors import UserError
from wavedil.frames import num_frames
from wavedil.models.embeddings import label_embedding, look_up
from wavedil.models.linear_prediction import coefficients
from wavedil.models.upsampler import FeatureUpsampler
from wavedil.models.wavenet_config import INPUT_SPREAD, WaveNetConfig
from wavedil.nn import ContextStack, Conv1d
from wavedil.ops.devices import split_alike
from wavedil.ops.promotion import promoted

Labels = Mapping[str, Any]
Signal = Num[Array, "batch time channels"]
# Far from the numbers of the keys that layers are given.
_OF_LABELS = 1 << 20


class Labelled(Protocol):
    """The config of a model with labels."""

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Label -> its values."""

    @property
    def label_channels(self) -> int:
        """Size of an embedding."""

    @property
    def label_dropout(self) -> float:
        """Share of the signals whose labels are left out where there is a key."""

    def label_indices(self, labels: Labels | None, num_signals: int = 1) -> dict[str, Any]:
        """As `Vocabulary.rows`."""


def label_tables(config: Labelled, rngs: nnx.Rngs) -> nnx.Dict:
    """The initial embeddings of every label's values."""
    return nnx.Dict(
        {
            name: nnx.Param(label_embedding(len(values), config.label_channels, rngs))
            for name, values in config.labels.items()
        }
    )


def embedded_labels(
    config: Labelled,
    tables: nnx.Dict,
    batch_size: int,
    labels: Labels | None,
    dropout_key: Any = None,
) -> Float[Array, "batch 1 label_channels"] | None:
    """The embeddings of all labels side by side, or None for a model without labels.

    With a key, a share of the signals have row 0 of every label, that of a signal without it: all or none, so that
    what sound without labels is like is learnt as often as `config.label_dropout` says.

    Reference: Ho and Salimans 2022, "Classifier-free diffusion guidance", arXiv:2207.12598.
    """
    rows: dict[str, Int[Array, " batch"]] = config.label_indices(labels, batch_size)
    if not config.labels:
        return None
    if dropout_key is not None and config.label_dropout:
        key = jax.random.fold_in(dropout_key, _OF_LABELS)
        keep = jax.random.bernoulli(key, 1 - config.label_dropout, (batch_size,))
        rows = {name: jnp.asarray(row) for name, row in rows.items()}
        rows = {name: jnp.where(split_alike(keep, row), row, 0) for name, row in rows.items()}
    unlabelled = jnp.zeros(batch_size, jnp.int32)
    embedded = [look_up(table[...], rows.get(name, unlabelled)) for name, table in tables.items()]
    return jnp.concatenate(embedded, axis=-1)[:, None]


class Conditioning(nnx.Module):
    """The condition of a gated stack, c[t] = features[t] + context[t] + P labels.

        labels    -> embedding of each, side by side -> P ---.
        features  -> FeatureUpsampler, a value at every t ---+--> c
        samples   -> ContextStack, at a lower rate ----------'

    Labels alone are the same at every sample and go in as they are, without P.

    What comes from features lies with the sample that is *predicted*, one after the newest that is seen. With
    hop 4:

        frame       0       0       0       0       1       1       1 ...
        predicts    x[0]    x[1]    x[2]    x[3]    x[4]    x[5]    x[6]
        sees up to  before  x[0]    x[1]    x[2]    x[3]    x[4]    x[5]

    Args:
      config: Of the WaveNet; `labels`, `local_conditioning` and `context_stack` say what there is.
      label_embeddings: A table for each label, as `label_tables` draws them.
      rngs: Source of the other initial weights.

    Shapes:
      __call__: labels, local [batch, time, channels], context [batch, time, channels] ->
                [batch, time or 1, channels], or None for a model without conditions.
    """

    def __init__(
        self, config: WaveNetConfig, label_embeddings: nnx.Dict, *, rngs: nnx.Rngs
    ) -> None:
        self.config = config
        local, context = config.local_conditioning, config.context_stack
        label_channels, channels = (
            config.label_channels * len(config.labels),
            config.condition_channels,
        )
        varying = local or context
        self.label_embeddings = label_embeddings
        self.upsampler = None if local is None else FeatureUpsampler(local, rngs=rngs)
        # Added to what varies, labels cost nothing at each sample; side by side with it, every layer's matmul
        # would grow.
        self.label_projection = (
            Conv1d(label_channels, channels, kernel_size=1, use_bias=False, rngs=rngs)
            if varying and channels and label_channels
            else None
        )
        self.context_stack = (
            ContextStack(
                config.input_channels,
                context.channels,
                channels,
                factor=context.factor,
                kernel_size=context.kernel_size,
                dilations=context.dilations,
                cycles=context.cycles,
                rngs=rngs,
            )
            if context and channels
            else None
        )

    def __call__(
        self,
        batch_size: int,
        labels: Labels | None = None,
        local: Signal | None = None,
        context: Signal | None = None,
        *,
        dropout_key: Any = None,
    ) -> Float[Array, "batch time_or_1 channels"] | None:
        """The condition of all samples.

        Args:
          batch_size: Signals.
          labels: Values or rows of the labels, as `Vocabulary.rows` takes them; unlabelled by default.
          local: The features as `upsample` makes them.
          context: What the context stack gives; zero, as before its first frame is complete, if it is left out.
          dropout_key: Where it is given, the labels of a share of the signals are left out.
        """
        self.require_features(local is not None)
        embedded = embedded_labels(
            self.config, self.label_embeddings, batch_size, labels, dropout_key
        )
        if embedded is not None and self.label_projection is not None:
            embedded = self.label_projection(embedded)
        parts = [part for part in (local, context, embedded) if part is not None]
        if parts:
            return functools.reduce(jnp.add, promoted(*parts))
        if self.context_stack is None:
            return None
        dtype = self.context_stack.frames.kernel.dtype
        return jnp.zeros((batch_size, 1, self.config.condition_channels), dtype)

    def upsample(self, features: Float[Array, "batch frames features"], num_samples: int) -> Signal:
        """The features as a condition at every one of the samples.

        Args:
          features: The `ceil(num_samples / hop)` frames of the samples, the first at a multiple of hop; beyond
            them it is zero. Where the samples are cut out of a longer sound, `local_conditioning.lookaround_frames`
            more on either side, as they lie there.
          num_samples: Samples to make.
        """
        self.require_features(True)
        assert self.upsampler is not None
        return self.upsampler(features, num_samples)

    def pitch(
        self, features: Float[Array, "batch frames features"], num_samples: int
    ) -> tuple[Int[Array, "batch time"] | None, Float[Array, "batch time"] | None]:
        """How far back of the newest sample that is seen the one lies that is a period before the predicted one, and
        the voicing, at every one of the samples; None and None for a model that does not follow the pitch.

        Args:
          features: As of `upsample`, with the period in samples and the voicing as the last two numbers.
          num_samples: Samples to make.
        """
        local = self.config.local_conditioning
        if local is None or local.follows_pitch == "none":
            return None, None
        own = self._own_frames(features, num_samples)
        period, voicing = (
            jnp.repeat(own[..., column], local.sizes[1], axis=1)[:, :num_samples]
            for column in (-2, -1)
        )
        # One less, because the newest sample that is seen is the one before the predicted one.
        dilation = jnp.round(period).astype(jnp.int32) - 1
        return jnp.clip(dilation, INPUT_SPREAD + 1, self.config.longest_lag), voicing

    def predictor(
        self, features: Float[Array, "batch frames features"], num_samples: int
    ) -> Float[Array, "batch time order"] | None:
        """The coefficients of the linear prediction at every one of the samples; None for a model without.

        Args:
          features: As of `upsample`.
          num_samples: Samples to make.
        """
        local, order = self.config.local_conditioning, self.config.prediction_order
        if local is None or local.mel is None or not order:
            return None
        own = self._own_frames(features, num_samples)[..., : local.mel.num_mels]
        weights = coefficients(own, local.mel, order)
        return jnp.repeat(weights, local.sizes[1], axis=1)[:, :num_samples]

    def of_features(self, features: Any, num_samples: int) -> tuple[Any, Any, Any, Any]:
        """All that a call of the model is given of features: the local condition, the dilation, the voicing and the
        coefficients of the linear prediction.
        """
        if features is None:
            return None, None, None, None
        local = self.upsample(features, num_samples)
        dilation, voicing = self.pitch(features, num_samples)
        # Periods are whole numbers that bfloat16 does not have all of; how voiced a sample is it holds well enough.
        voicing = None if voicing is None else voicing.astype(local.dtype)
        return local, dilation, voicing, self.predictor(features, num_samples)

    def _own_frames(self, features: Array, num_samples: int) -> Array:
        """The frames of the samples, without those on either side."""
        local = self.config.local_conditioning
        assert local is not None
        around = local.lookaround_frames
        if features.shape[1] > num_frames(num_samples, local.sizes[1]):
            return features[:, around : features.shape[1] - around]
        return features

    def require_features(self, given: bool) -> None:
        """Refuses features that are missing, or given to a model that takes none.

        Raises:
          UserError: With the remedy.
        """
        local = self.config.local_conditioning
        if given and local is None:
            raise UserError(
                "features were given to a model that takes none; leave them out, or take a vocoder"
            )
        if local is not None and not given:
            num_features, hop = local.sizes
            raise UserError(
                f"the model is a vocoder and was given no features; give frames of {num_features} numbers, "
                f"one every {hop} samples (wavedil generate RUN OUT.wav --features x.npy, or --like "
                "recording.wav)"
            )
