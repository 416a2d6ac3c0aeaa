"""The task of an effect: play what an amp makes of a dry signal, at the settings of its knobs."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from wavedil.config import Config
from wavedil.data.corpus import Corpus
from wavedil.data.pair import Pair
from wavedil.data.pair_reading import read_pairs
from wavedil.data.pair_windows import PairBatch, PairWindows
from wavedil.errors import UserError
from wavedil.models.amp_config import AmpModelConfig, KnobConfig
from wavedil.tasks import sound
from wavedil.training.config import TrainingConfig
from wavedil.training.memory import at_once, bytes_per_sample, require_memory
from wavedil.training.task import Example, Progress, RunConfig

_WINDOW_SIZE, _BATCH_SIZE = 8192, 8
SIZES: dict[str, Callable[[], AmpModelConfig]] = {
    "standard": AmpModelConfig.standard,
    "lite": AmpModelConfig.lite,
    "feather": AmpModelConfig.feather,
    "nano": AmpModelConfig.nano,
    "a2": AmpModelConfig.a2,
}
"""Name of a size -> the model's config."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EffectTask(Config):
    """An amp model learns an amp, a pedal or another effect from pairs of a dry signal and what it made of it.

    What is minimised, of wet signals y and predicted ones z:

        mean (y - z)^2 + stft_weight x multi-resolution STFT loss of y and z, pre-emphasised

    Example:
      >>> RunConfig(task=EffectTask(knobs="gain"), corpus=CorpusConfig(folder="pairs.csv"))

    Reference: Atkinson, Neural Amp Modeler, github.com/sdatkinson/neural-amp-modeler; Wright et al. 2020,
    "Real-time guitar amplifier emulation with deep learning", doi:10.3390/app10030766.
    """

    name: ClassVar[str] = "effect"

    size: Literal["standard", "lite", "feather", "nano", "a2"] | None = None
    """Of the model, standard by default: 13,802, 6,554, 3,026 or 842 parameters, and 12,146 of a2; the smaller, the
    faster."""
    knobs: str = ""
    """Knobs of the amp that the model is to have, with commas between: columns of the manifest with their settings."""
    latency: int | None = None
    """Samples by which the wet signals are late; by default that is found for each pair. It is taken out."""
    stft_weight: float = 2e-4
    """Of the spectra in what is minimised; 0 leaves them out."""
    pre_emphasis: float = 0.85
    """Share of each sample that is taken from the next one, before the spectra."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.stft_weight >= 0:
            raise UserError(f"stft_weight is {self.stft_weight}, but it must be at least 0")
        if not 0 <= self.pre_emphasis < 1:
            raise UserError(
                f"pre_emphasis is {self.pre_emphasis}, but it must be at least 0 and below 1"
            )
        names = self.knob_names
        if not all(names) or len(set(names)) < len(names):
            raise UserError(
                f"knobs {self.knobs!r} are no names with commas between; write gain,tone, each once"
            )

    @property
    def knob_names(self) -> tuple[str, ...]:
        """The knobs."""
        return tuple(name.strip() for name in self.knobs.split(",")) if self.knobs else ()

    def model(self) -> AmpModelConfig:
        return SIZES[self.size or "standard"]()

    def training(self) -> TrainingConfig:
        # Muon halves AdamW's error after 300 steps of the same batches.
        return TrainingConfig(
            steps=4000, batch_size=_BATCH_SIZE, optimizer="muon", weight_decay=0.0
        )

    def read(self, config: RunConfig, progress: Progress | None = None) -> Corpus[Pair]:
        return read_pairs(
            config.corpus, knobs=self.knob_names, latency_samples=self.latency, progress=progress
        )

    def resolve(self, config: RunConfig, corpus: Corpus[Pair]) -> RunConfig:
        config = sound.with_corpus(config, corpus)
        model = config.model if self.size is None else self.model()
        knobs = []
        for name in self.knob_names:
            settings = [pair.knobs[name] for pair in corpus.train]
            knobs.append(KnobConfig(knob=name, least=min(settings), most=max(settings)))
        model = dataclasses.replace(model, knobs=tuple(knobs), sample_rate=corpus.sample_rate)
        shortest = min(pair.num_samples for pair in corpus.train)
        window_size = config.training.window_size or min(_WINDOW_SIZE, shortest)
        batch_size = config.training.batch_size or _BATCH_SIZE
        past, num_windows = model.receptive_field.past, at_once(batch_size, config.training)
        require_memory(window_size, num_windows, past, bytes_per_sample(model, config.training))
        training = dataclasses.replace(
            config.training, window_size=window_size, batch_size=batch_size
        )
        return dataclasses.replace(config, model=model, training=training)

    def windows(self, config: RunConfig, corpus: Corpus[Pair]) -> PairWindows:
        training = config.training
        assert training.window_size is not None and training.batch_size is not None  # resolved
        return PairWindows(
            corpus.train,
            window_size=training.window_size,
            context_samples=config.model.receptive_field.past,
            batch_size=training.batch_size,
            seed=training.seed,
        )

    def loss(self, model: Any, batch: PairBatch, key: Any) -> Any:
        """The metrics are the error-to-signal ratio, and the mean squared error.

        The distance of spectra is that of the windows that are given together: of each part of a batch by itself.
        """
        import jax.numpy as jnp

        from wavedil.nn.door import weights_dtype
        from wavedil.tasks.spectral_loss import multi_resolution_stft, pre_emphasised

        wet = jnp.asarray(batch.wet)[..., 0]
        knobs = {name: jnp.asarray(value) for name, value in batch.knobs.items()} or None
        dry = jnp.asarray(batch.dry, weights_dtype(model))
        predicted = model.valid(dry, knobs=knobs, dropout_key=key)[..., 0].astype(wet.dtype)
        error, energy = jnp.sum(jnp.square(predicted - wet)), jnp.sum(jnp.square(wet))
        count = jnp.asarray(wet.size, error.dtype)
        total = error
        if self.stft_weight:
            both = (pre_emphasised(signal, self.pre_emphasis) for signal in (predicted, wet))
            total = total + self.stft_weight * count * multi_resolution_stft(*both)
        return total, count, {"esr": (error, energy), "squared_error": (error, count)}

    def evaluate(
        self, model: Any, recordings: Sequence[Pair], progress: Progress | None = None
    ) -> dict[str, tuple[Any, Any]]:
        """Error-to-signal ratio of what is held out: energy of the error over that of the wet signal."""
        from wavedil.evaluation.effects import squared_errors

        return {"esr": squared_errors(model, recordings, progress)}

    def examples(
        self, model: Any, recordings: Sequence[Pair], progress: Progress | None = None
    ) -> list[Example]:
        """The scored parts of pairs, played."""
        from wavedil.evaluation.effects import played

        examples = []
        for number, pair in enumerate(recordings):
            first, end = pair.scored or (0, pair.num_samples)
            examples.append(
                Example(played(model, pair), pair.labels, pair.path, pair.wet[first:end])
            )
            if progress is not None:
                progress(number + 1, len(recordings))
        return examples

    def baselines(
        self, config: RunConfig, corpus: Corpus[Pair], recordings: Sequence[Pair]
    ) -> dict[str, dict[str, float]]:
        """The dry signal, turned up or down to come as near as it can."""
        products = np.zeros(3)
        for pair in recordings:
            first, end = pair.scored or (0, pair.num_samples)
            dry, wet = (signal[first:end].astype(np.float64) for signal in (pair.dry, pair.wet))
            products += dry @ dry, dry @ wet, wet @ wet
        power, together, energy = products
        return {"scaled dry": {"esr": float(1 - together**2 / (power * energy))}}
