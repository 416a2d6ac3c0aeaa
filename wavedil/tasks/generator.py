"""The task of a generator: predict each sample of recordings from those before it."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from wavedil.config import Config
from wavedil.data.corpus import Corpus
from wavedil.data.recording import Recording
from wavedil.data.windows import TrainingWindows
from wavedil.errors import UserError
from wavedil.models.wavenet_config import WaveNetConfig
from wavedil.tasks import sound
from wavedil.training.config import TrainingConfig
from wavedil.training.task import Example, Progress, RunConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratorTask(Config):
    """A WaveNet that draws sound by itself, conditioned on labels where the recordings have any.

    Example:
      >>> RunConfig(task=GeneratorTask(), corpus=CorpusConfig(folder="recordings"))

    Reference: van den Oord et al. 2016, arXiv:1609.03499.
    """

    name: ClassVar[str] = "generator"

    def model(self) -> WaveNetConfig:
        return WaveNetConfig()

    def training(self) -> TrainingConfig:
        return TrainingConfig()

    def read(self, config: RunConfig, progress: Progress | None = None) -> Corpus:
        _require_no_features(config.model)
        return sound.read(config, progress)

    def resolve(self, config: RunConfig, corpus: Corpus) -> RunConfig:
        sound.require_no_features(corpus, "a generator takes none")
        config = sound.with_corpus(config, corpus)
        model: WaveNetConfig = config.model
        _require_no_features(model)
        model = sound.wavenet(model, corpus)
        return sound.with_window_size(dataclasses.replace(config, model=model), corpus, model)

    def windows(self, config: RunConfig, corpus: Corpus) -> TrainingWindows:
        return sound.windows(config, corpus, config.model)

    def loss(self, model: Any, batch: Any, key: Any) -> Any:
        return sound.loss(model, batch, key)

    def evaluate(
        self, model: Any, recordings: Sequence[Recording], progress: Progress | None = None
    ) -> dict[str, tuple[Any, Any]]:
        return sound.evaluate(model, recordings, progress)

    def examples(
        self, model: Any, recordings: Sequence[Recording], progress: Progress | None = None
    ) -> list[Example]:
        return sound.drawn(model, recordings, progress)

    def baselines(
        self, config: RunConfig, corpus: Corpus, recordings: Sequence[Recording]
    ) -> dict[str, dict[str, float]]:
        return sound.baselines(config, corpus, recordings)


def _require_no_features(model: WaveNetConfig) -> None:
    if model.local_conditioning is not None:
        raise UserError(
            "model.local_conditioning is given, but a generator takes no features; leave it out, or train a "
            "vocoder (--task vocoder)"
        )
