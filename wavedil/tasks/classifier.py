"""The task of a classifier: predict which value of a label a recording has."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from wavedil.config import Config
from wavedil.data.corpus import Corpus
from wavedil.data.labelled_windows import LabelledBatch, LabelledWindows, moments, rows_of
from wavedil.data.recording import Recording
from wavedil.errors import UserError, suggestion
from wavedil.labels import Vocabulary
from wavedil.mel import MelConfig
from wavedil.models.tcn_config import TCNConfig
from wavedil.tasks import sound
from wavedil.training.config import TrainingConfig
from wavedil.training.memory import at_once, bytes_per_sample, require_memory
from wavedil.training.task import Example, Progress, RunConfig

# Longer recordings are trained on in parts.
_WINDOW_SECONDS = 4
# Share of the answer that training spreads over all values, so that none is predicted with certainty.
_SMOOTHING = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierTask(Config):
    r"""A TCN that predicts the value of one label of a recording, on which it is not conditioned.

    Example:
      >>> labels = r"(?P<digit>\d)_(?P<speaker>\w+)_"
      >>> RunConfig(task=ClassifierTask(target="digit"), corpus=CorpusConfig(folder="recordings", labels=labels))

    Reference: Bai, Kolter and Koltun 2018, arXiv:1803.01271.
    """

    name: ClassVar[str] = "classifier"

    target: str = ""
    """Label that it learns to predict: a group of --labels, or a column of the manifest. It may be left out where
    there is one label alone."""
    input: Literal["mel", "samples"] = "mel"
    """Whether it is given mel spectra or the samples themselves, of which a model has to see more: give it dilations
    such as 1,4,16,64,256."""
    mel: MelConfig = MelConfig(num_mels=40)
    """The mel spectra, of fewer bands than a vocoder's: the pitch of a voice says little."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input == "samples" and self.mel != type(self).mel:
            raise UserError(
                "input is 'samples', and mel settings are given too; leave one of them out"
            )

    def model(self) -> TCNConfig:
        return TCNConfig()

    def training(self) -> TrainingConfig:
        return TrainingConfig(steps=4000, learning_rate=2e-3)

    def read(self, config: RunConfig, progress: Progress | None = None) -> Corpus:
        return sound.read(config, progress, self.mel if self.input == "mel" else None)

    def resolve(self, config: RunConfig, corpus: Corpus) -> RunConfig:
        config = sound.with_corpus(config, corpus)
        target = self._target(corpus)
        trained = [item.labels for item in corpus.train]
        values = Vocabulary.of(trained, corpus.label_values)[target]
        if len(values) < 2:
            raise UserError(
                f"target {target!r} has {'the value ' + values[0] + ' alone' if values else 'no value'} among the "
                "recordings to train on, so there is nothing to tell apart; choose a label of at least two values "
                f"(known: {', '.join(corpus.label_values)}), or hold out other recordings"
            )
        mean, deviation = moments(corpus.train, config.model.quantizer)
        model: TCNConfig = dataclasses.replace(
            config.model,
            in_channels=corpus.num_features or 1,
            mean=mean,
            deviation=deviation,
            target=target,
            values=values,
            mel=corpus.mel,
            sample_rate=corpus.sample_rate,
        )
        task = dataclasses.replace(self, target=target, mel=corpus.mel or self.mel)
        training = config.training
        window_size = training.window_size or _WINDOW_SECONDS * corpus.sample_rate
        longest = min(window_size, max(item.num_samples for item in corpus.train))
        require_memory(
            longest,
            at_once(training.batch_size or 16, training),
            0,
            bytes_per_sample(model, training),
        )
        training = dataclasses.replace(training, window_size=window_size)
        return dataclasses.replace(config, task=task, model=model, training=training)

    def _target(self, corpus: Corpus) -> str:
        labels = corpus.label_values
        if not labels:
            raise UserError(
                "the recordings have no labels, so there is none to predict; name some in their paths with labels, or "
                "in a manifest"
            )
        if self.target in labels:
            return self.target
        if not self.target and len(labels) == 1:
            return next(iter(labels))
        if not self.target:
            raise UserError(
                f"target is missing; say which label to predict: one of {', '.join(labels)}"
            )
        raise UserError(f"target {self.target!r} is no label; {suggestion(self.target, labels)}")

    def windows(self, config: RunConfig, corpus: Corpus) -> LabelledWindows:
        model: TCNConfig = config.model
        assert config.training.window_size is not None  # resolved
        return LabelledWindows(
            corpus.train,
            target=model.target,
            values=model.values,
            quantizer=model.quantizer,
            window_size=max(1, config.training.window_size // model.hop),
            batch_size=config.training.batch_size,
            seed=config.training.seed,
        )

    def loss(self, model: Any, batch: LabelledBatch, key: Any) -> Any:
        """Smoothed nats of the true values, and their number; the metrics are the nats and the share predicted right.

        Reference: label smoothing, Szegedy et al. 2015, arXiv:1512.00567.
        """
        import jax
        import jax.numpy as jnp

        from wavedil.nn.door import weights_dtype
        from wavedil.tasks.augmentation import augmented

        inputs, mask, rows = (
            jnp.asarray(batch.inputs),
            jnp.asarray(batch.mask),
            jnp.asarray(batch.rows),
        )
        dropout_key, other_key = jax.random.split(key)
        if self.input == "mel":
            inputs, mask = augmented(inputs, mask, other_key)
        inputs = inputs.astype(weights_dtype(model))
        logits = model.logits(inputs, mask=mask, dropout_key=dropout_key)
        logits = logits.astype(np.promote_types(logits.dtype, np.float32))
        log_prob = jax.nn.log_softmax(logits)
        counted, chosen = rows >= 0, jnp.maximum(rows, 0)
        of_true = jnp.take_along_axis(log_prob, chosen[:, None], axis=1)[:, 0]
        smoothed = (1 - _SMOOTHING) * of_true + _SMOOTHING * jnp.mean(log_prob, axis=1)
        loss, nats = (-jnp.sum(jnp.where(counted, each, 0.0)) for each in (smoothed, of_true))
        right = jnp.sum((jnp.argmax(logits, axis=1) == rows), dtype=nats.dtype)
        count = jnp.sum(counted, dtype=nats.dtype)
        return loss, count, {"nats": (nats, count), "accuracy": (right, count)}

    def evaluate(
        self, model: Any, recordings: Sequence[Recording], progress: Progress | None = None
    ) -> dict[str, tuple[Any, Any]]:
        """The share of the recordings with the label whose value is predicted right; whole recordings, each once."""
        from wavedil.evaluation.classification import probabilities

        config = model.config
        predicted = probabilities(model, recordings, progress).argmax(axis=1)
        right = predicted == rows_of(recordings, config.target, config.values)
        labelled = np.array([config.target in item.labels for item in recordings])
        return {"accuracy": (right.astype(float), labelled.astype(float))}

    def examples(
        self, model: Any, recordings: Sequence[Recording], progress: Progress | None = None
    ) -> list[Example]:
        """None: it makes no sound."""
        return []

    def baselines(
        self, config: RunConfig, corpus: Corpus, recordings: Sequence[Recording]
    ) -> dict[str, dict[str, float]]:
        """The share that the commonest value among the training recordings is."""
        model: TCNConfig = config.model
        trained = rows_of(corpus.train, model.target, model.values)
        commonest = np.bincount(trained[trained >= 0], minlength=len(model.values)).argmax()
        given = [item.labels[model.target] for item in recordings if model.target in item.labels]
        if not given:
            return {}
        share = float(np.mean([value == model.values[commonest] for value in given]))
        return {"commonest": {"accuracy": share}}
