"""The task of an autoencoder: learn latents, and predict each sample from those before it and from the latents."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from wavedil.config import Config
from wavedil.data.corpus import Corpus
from wavedil.data.recording import Recording
from wavedil.data.windows import TrainingWindows
from wavedil.models.autoencoder_config import AutoencoderConfig
from wavedil.tasks import sound
from wavedil.training.config import TrainingConfig
from wavedil.training.task import Example, Progress, RunConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderTask(Config):
    """A WaveNet and the encoder of the latents that condition it, trained together.

    Example:
      >>> RunConfig(task=AutoencoderTask(), corpus=CorpusConfig(folder="recordings"))

    Reference: Engel et al. 2017, arXiv:1704.01279.
    """

    name: ClassVar[str] = "autoencoder"

    def model(self) -> AutoencoderConfig:
        return AutoencoderConfig()

    def training(self) -> TrainingConfig:
        return TrainingConfig()

    def read(self, config: RunConfig, progress: Progress | None = None) -> Corpus:
        return sound.read(config, progress)

    def resolve(self, config: RunConfig, corpus: Corpus) -> RunConfig:
        sound.require_no_features(corpus, "an autoencoder learns its own")
        config = sound.with_corpus(config, corpus)
        model: AutoencoderConfig = config.model
        model = dataclasses.replace(model, decoder=sound.wavenet(model.decoder, corpus)).complete()
        return sound.with_window_size(
            dataclasses.replace(config, model=model), corpus, model.decoder
        )

    def windows(self, config: RunConfig, corpus: Corpus) -> TrainingWindows:
        model: AutoencoderConfig = config.model
        return sound.windows(
            config,
            corpus,
            model.decoder,
            lookaround_frames=model.lookaround_frames,
            sound_as_features=True,
        )

    def loss(self, model: Any, batch: Any, key: Any) -> Any:
        return sound.loss(model, batch, key)

    def evaluate(
        self, model: Any, recordings: Sequence[Recording], progress: Progress | None = None
    ) -> dict[str, tuple[Any, Any]]:
        return sound.evaluate(model, recordings, progress)

    def examples(
        self, model: Any, recordings: Sequence[Recording], progress: Progress | None = None
    ) -> list[Example]:
        return sound.copies(model, recordings, progress)

    def baselines(
        self, config: RunConfig, corpus: Corpus, recordings: Sequence[Recording]
    ) -> dict[str, dict[str, float]]:
        return sound.baselines(config, corpus, recordings)
