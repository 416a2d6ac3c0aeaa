"""The task of a vocoder: predict each sample of recordings from those before it and from features."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from wavedil.config import Config
from wavedil.data.corpus import Corpus
from wavedil.data.recording import Recording
from wavedil.data.windows import TrainingWindows
from wavedil.errors import UserError, require_positive
from wavedil.mel import MelConfig
from wavedil.models.local_conditioning import LocalConditioningConfig
from wavedil.models.wavenet_config import WaveNetConfig
from wavedil.pitch import PitchConfig
from wavedil.tasks import sound
from wavedil.training.config import TrainingConfig
from wavedil.training.task import Example, Progress, RunConfig

_CONDITIONING = LocalConditioningConfig(linear_prediction=24)
_MOST_NOISE = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocoderTask(Config):
    """A WaveNet conditioned on features at every moment: mel spectra and pitch, or features of your own.

    Example:
      >>> RunConfig(task=VocoderTask(mel=MelConfig(num_mels=40)), corpus=CorpusConfig(folder="recordings"))

    Reference: Tamamori et al. 2017, "Speaker-dependent WaveNet vocoder"; Shen et al. 2018, arXiv:1712.05884.
    """

    name: ClassVar[str] = "vocoder"

    mel: MelConfig = dataclasses.field(default_factory=MelConfig)
    """The mel spectra that are computed of every recording."""
    features_hop: int | None = None
    """Read features of your own instead, from `x.npy` beside `x.wav`: an array [frames, features] with a frame for
    every so many samples."""
    pitch: bool = True
    """Compute pitch and voicing beside the mel spectra: the model sees what the sound was a period ago, and its voice
    can be given another pitch. Without, it takes the mel spectra of other programs; features of your own have none."""
    pitch_range: PitchConfig = dataclasses.field(default_factory=PitchConfig)
    """Where the pitch is looked for."""
    input_noise: float = 3.0
    """Noise in training on the sound before, for a model that sees a linear prediction of it: Gaussian, of a standard
    deviation of up to so many of 256 mu-law codes, drawn for each window. What a model draws is never quite what a
    recording would be, and it learns to go on from there. 0: none, and none on linear codes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(features_hop=self.features_hop)
        if not 0 <= self.input_noise <= _MOST_NOISE:
            raise UserError(
                f"input_noise is {self.input_noise:g}, but it must be 0 to {_MOST_NOISE} mu-law codes; use 3, or 0 "
                "for none"
            )
        if self.features_hop is not None and self.mel != MelConfig():
            raise UserError(
                f"features_hop is {self.features_hop}, and mel settings are given too; read features of your own, or "
                "compute mel spectra"
            )

    def model(self) -> WaveNetConfig:
        return WaveNetConfig(local_conditioning=_CONDITIONING)

    def training(self) -> TrainingConfig:
        return TrainingConfig()

    def read(self, config: RunConfig, progress: Progress | None = None) -> Corpus:
        if self.features_hop is not None:
            return sound.read(config, progress, features_hop=self.features_hop)
        return sound.read(
            config, progress, self.mel, pitch=self.pitch_range if self.pitch else None
        )

    def resolve(self, config: RunConfig, corpus: Corpus) -> RunConfig:
        config = sound.with_corpus(config, corpus)
        model: WaveNetConfig = config.model
        if corpus.hop is None:
            raise UserError(
                "the recordings have no features, which condition a vocoder; read them with mel or features_hop"
            )
        local = model.local_conditioning or _CONDITIONING
        local = local.of(corpus.num_features, corpus.hop, corpus.mel, corpus.pitch)
        model = sound.wavenet(model, corpus, local_conditioning=local)
        pitch = corpus.pitch is not None
        task = dataclasses.replace(self, mel=corpus.mel or self.mel, pitch=pitch)
        config = dataclasses.replace(config, task=task, model=model)
        return sound.with_window_size(config, corpus, model)

    def windows(self, config: RunConfig, corpus: Corpus) -> TrainingWindows:
        model: WaveNetConfig = config.model
        assert model.local_conditioning is not None
        lookaround_frames = model.local_conditioning.lookaround_frames
        return sound.windows(config, corpus, model, lookaround_frames=lookaround_frames)

    def loss(self, model: Any, batch: Any, key: Any) -> Any:
        return sound.loss(model, batch, key, self._noise(model.config))

    def _noise(self, model: WaveNetConfig) -> float:
        """In codes of the model."""
        predicts = model.prediction_order > 0 and model.quantizer.companding == "mu_law"
        return self.input_noise * model.levels / 256 if predicts else 0.0

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
