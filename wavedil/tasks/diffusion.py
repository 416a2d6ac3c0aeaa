"""The task of a diffusion model: predict the noise that was added to recordings."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from wavedil.config import Config
from wavedil.data.corpus import Corpus
from wavedil.data.recording import Recording
from wavedil.data.windows import Batch, TrainingWindows
from wavedil.errors import UserError
from wavedil.frames import BEYOND
from wavedil.models.diffwave_config import DiffWaveConfig
from wavedil.tasks import sound
from wavedil.training.config import TrainingConfig
from wavedil.training.memory import at_once, bytes_per_sample, require_memory
from wavedil.training.task import Example, Progress, RunConfig

# A window is seen from its own samples alone, so it is long beside what an output sees.
_FIELDS_IN_WINDOW = 4
_SHORTEST_WINDOW = 16384


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffusionTask(Config):
    """A DiffWave that draws sound from noise in a few steps, conditioned on labels where the recordings have any.

    Example:
      >>> RunConfig(task=DiffusionTask(), corpus=CorpusConfig(folder="recordings"))

    Reference: Kong et al. 2020, arXiv:2009.09761.
    """

    name: ClassVar[str] = "diffusion"

    error: Literal["l2", "l1"] = "l2"
    """What is minimised of the difference between the noise and what the model predicts: its square, or its size."""

    def model(self) -> DiffWaveConfig:
        return DiffWaveConfig()

    def training(self) -> TrainingConfig:
        return TrainingConfig()

    def read(self, config: RunConfig, progress: Progress | None = None) -> Corpus:
        return sound.read(config, progress)

    def resolve(self, config: RunConfig, corpus: Corpus) -> RunConfig:
        sound.require_no_features(corpus, "a diffusion model takes none")
        config = sound.with_corpus(config, corpus)
        sound.require_labels_to_drop(config.model.label_dropout, corpus)
        model: DiffWaveConfig = dataclasses.replace(
            config.model,
            sample_rate=corpus.sample_rate,
            labels=corpus.label_values,
            level=_level(config.model, corpus.train),
        )
        training = config.training
        window_size = training.window_size or max(
            _SHORTEST_WINDOW, _FIELDS_IN_WINDOW * model.receptive_field.size
        )
        longest = min(window_size, max(item.num_samples for item in corpus.train))
        num_windows = at_once(training.batch_size or 1, training)
        require_memory(longest, num_windows, 0, bytes_per_sample(model, training))
        training = dataclasses.replace(training, window_size=window_size)
        return dataclasses.replace(config, model=model, training=training)

    def windows(self, config: RunConfig, corpus: Corpus) -> TrainingWindows:
        training = config.training
        assert training.window_size is not None  # resolved
        return TrainingWindows(
            corpus.train,
            window_size=training.window_size,
            context_samples=1,
            batch_size=training.batch_size,
            label_values=corpus.label_values,
            seed=training.seed,
            levels=config.model.quantizer.levels,
        )

    def loss(self, model: Any, batch: Batch, key: Any) -> Any:
        """Errors of the noise at random steps, and the number of samples; the metric is their mean."""
        import jax
        import jax.numpy as jnp

        from wavedil.evaluation.denoising import noisy
        from wavedil.nn.door import weights_dtype

        config: DiffWaveConfig = model.config
        codes = jnp.asarray(batch.codes)
        mask = codes != BEYOND
        quantizer = config.quantizer
        scale = 2.0 / (quantizer.levels * config.level)
        samples = jnp.where(mask, codes - quantizer.silence, 0).astype(jnp.float32) * scale
        of_steps, of_noise, of_dropout = jax.random.split(key, 3)
        # Spread over the batch, so that two batches differ less than with steps drawn one by one.
        rows = codes.shape[0]
        places = jax.random.uniform(of_steps) + jnp.arange(rows, dtype=jnp.float32) / rows
        steps = (places % 1.0 * config.noise_steps).astype(jnp.int32)
        noise = jax.random.normal(of_noise, samples.shape)
        x = noisy(config, samples, noise, steps)
        x = x[..., None].astype(weights_dtype(model))
        predicted = model(x, steps, batch.labels, mask=mask, dropout_key=of_dropout)[..., 0]
        difference = jnp.where(mask, predicted.astype(noise.dtype) - noise, 0.0)
        errors = jnp.abs(difference) if self.error == "l1" else jnp.square(difference)
        total, count = jnp.sum(errors), jnp.sum(mask, dtype=errors.dtype)
        return total, count, {f"{self.error}_error_of_noise": (total, count)}

    def evaluate(
        self, model: Any, recordings: Sequence[Recording], progress: Progress | None = None
    ) -> dict[str, tuple[Any, Any]]:
        """Mean squared error of the noise, at fixed steps and with fixed noise: 1 is that of no guess at all."""
        from wavedil.evaluation.denoising import squared_errors

        return {"squared_error_of_noise": squared_errors(model, recordings, progress)}

    def examples(
        self, model: Any, recordings: Sequence[Recording], progress: Progress | None = None
    ) -> list[Example]:
        """Sounds of a second drawn in a few steps, with labels that recordings have."""
        from wavedil.generation.diffusion import diffuse
        from wavedil.labels import Vocabulary

        labelled = sound.example_labels(recordings)
        sounds = diffuse(
            model,
            sound.EXAMPLE_SEED,
            num_samples=model.config.sample_rate,
            batch_size=len(labelled),
            labels=Vocabulary(model.config.labels).rows_of(labelled),
            progress=progress,
        )
        return [Example(samples, labels) for samples, labels in zip(sounds, labelled, strict=True)]

    def baselines(
        self, config: RunConfig, corpus: Corpus, recordings: Sequence[Recording]
    ) -> dict[str, dict[str, float]]:
        """No guess, and the best guess that looks at one sample alone: sqrt(1 - a) x for sound of power 1."""
        from wavedil.evaluation.denoising import fixed_steps

        model: DiffWaveConfig = config.model
        shares = model.signal_shares[fixed_steps(model)]
        power = (_level(model, recordings) / model.level) ** 2 if recordings else 1.0
        alone = float(np.mean(shares**2 + shares * (1 - shares) * power))
        name = "squared_error_of_noise"
        return {"no guess": {name: 1.0}, "one sample": {name: alone}}


def _level(model: DiffWaveConfig, recordings: Sequence[Recording]) -> float:
    """Root mean square of the samples of recordings."""
    power = sum(float(np.sum(model.quantizer.decode(item.codes) ** 2)) for item in recordings)
    count = sum(item.num_samples for item in recordings)
    if not power > 0:
        raise UserError(
            "the recordings are silent, so there is nothing to learn; give others (or other labels)"
        )
    return float((power / count) ** 0.5)
