"""The task of features: predict each frame of features from those before it, for a vocoder to make sound of."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from wavedil.config import Config
from wavedil.data.corpus import Corpus
from wavedil.data.frame_windows import FrameBatch, FrameWindows
from wavedil.data.recording import Recording
from wavedil.errors import UserError
from wavedil.labels import Vocabulary
from wavedil.mel import MelConfig
from wavedil.models.feature_net_config import FeatureNetConfig
from wavedil.pitch import PitchConfig
from wavedil.tasks import sound
from wavedil.training.config import TrainingConfig
from wavedil.training.memory import at_once, bytes_per_sample, require_memory
from wavedil.training.task import Example, Progress, RunConfig

# Longer recordings are trained on in parts.
_WINDOW_SECONDS = 4
_BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeaturesTask(Config):
    """A FeatureNet draws frames of features, and with them how long a sound is, conditioned on labels.

    Example:
      >>> RunConfig(task=FeaturesTask(mel=MelConfig(num_mels=20)), corpus=CorpusConfig(folder="recordings"))

    Reference: Blaauw and Bonada 2017, arXiv:1704.03809.
    """

    name: ClassVar[str] = "features"

    mel: MelConfig = dataclasses.field(default_factory=MelConfig)
    """The mel spectra of a frame: those of the vocoder that is to make sound of them."""
    pitch: bool = True
    """Compute pitch and voicing beside the mel spectra, as the vocoder does that is to make sound of them."""
    pitch_range: PitchConfig = dataclasses.field(default_factory=PitchConfig)
    """Where the pitch is looked for."""
    noise: float = 0.3
    """Most noise, in standard deviations, on the frames that are seen while it trains: so it learns to go on from
    frames that it drew itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.noise < math.inf:
            raise UserError(
                f"noise is {self.noise}, but it must be at least 0 and finite; 0.3, say"
            )

    def model(self) -> FeatureNetConfig:
        return FeatureNetConfig()

    def training(self) -> TrainingConfig:
        return TrainingConfig(steps=4000, learning_rate=2e-3)

    def read(self, config: RunConfig, progress: Progress | None = None) -> Corpus:
        pitch = self.pitch_range if self.pitch else None
        return sound.read(config, progress, self.mel, None, pitch)

    def resolve(self, config: RunConfig, corpus: Corpus) -> RunConfig:
        config = sound.with_corpus(config, corpus)
        sound.require_labels_to_drop(config.model.label_dropout, corpus)
        if corpus.mel is None:
            raise UserError(
                "the recordings have no mel spectra, which are what the model draws; read them with mel"
            )
        model: FeatureNetConfig = dataclasses.replace(
            config.model,
            num_features=corpus.num_features,
            mel=corpus.mel,
            pitch=corpus.pitch,
            means=(),
            deviations=(),
            labels=corpus.label_values,
            sample_rate=corpus.sample_rate,
        )
        means, deviations = _moments(model, corpus.train)
        model = dataclasses.replace(model, means=means, deviations=deviations)
        training = config.training
        window_size = training.window_size or _WINDOW_SECONDS * corpus.sample_rate
        longest = min(window_size, max(item.num_samples for item in corpus.train))
        batch_size = training.batch_size or _BATCH_SIZE
        num_windows = at_once(batch_size, training)
        require_memory(longest, num_windows, 0, bytes_per_sample(model, training))
        training = dataclasses.replace(training, window_size=window_size, batch_size=batch_size)
        task = dataclasses.replace(self, mel=corpus.mel, pitch=corpus.pitch is not None)
        return dataclasses.replace(config, task=task, model=model, training=training)

    def windows(self, config: RunConfig, corpus: Corpus) -> FrameWindows:
        model: FeatureNetConfig = config.model
        training = config.training
        assert training.window_size is not None  # resolved
        rows = Vocabulary(model.labels).rows_of([item.labels for item in corpus.train])
        return FrameWindows(
            [model.encode(_features(item)) for item in corpus.train],
            rows,
            window_frames=max(1, training.window_size // model.hop),
            # One more, for the frame before the first that is predicted is seen one late.
            context_frames=model.receptive_field.past + 1,
            batch_size=training.batch_size,
            seed=training.seed,
        )

    def loss(self, model: Any, batch: FrameBatch, key: Any) -> Any:
        """Nats of the counted frames, with more weight on the length, and their number."""
        import jax
        import jax.numpy as jnp

        from wavedil.nn.door import weights_dtype

        of_size, of_noise, of_dropout = jax.random.split(key, 3)
        frames, there, counted, ended = map(jnp.asarray, batch[:4])
        # As much for all frames of a window, and for each window another.
        most = jax.random.uniform(of_size, (len(frames), 1, 1), frames.dtype, 0.0, self.noise)
        seen = frames + most * jax.random.normal(of_noise, frames.shape, frames.dtype)
        seen = seen.astype(weights_dtype(model))
        log_probs = model.log_probs(
            frames, batch.labels, there=there, ended=ended, seen=seen, dropout_key=of_dropout
        )
        of_frames, of_length = (-jnp.sum(jnp.where(counted, each, 0.0)) for each in log_probs)
        count = jnp.sum(counted, dtype=of_frames.dtype)
        # One number beside the many of a frame, learned as fast as all of them: else what is quiet when it begins ends.
        loss = of_frames + model.config.num_features * of_length
        return loss, count, {"nats_per_frame": (of_frames + of_length, count)}

    def evaluate(
        self, model: Any, recordings: Sequence[Recording], progress: Progress | None = None
    ) -> dict[str, tuple[Any, Any]]:
        """Nats of every frame of each recording, without noise."""
        from wavedil.evaluation.frames import frame_nats

        return {"nats_per_frame": frame_nats(model, recordings, progress)}

    def examples(
        self, model: Any, recordings: Sequence[Recording], progress: Progress | None = None
    ) -> list[Example]:
        """None: it makes frames, and a vocoder the sound."""
        return []

    def baselines(
        self, config: RunConfig, corpus: Corpus, recordings: Sequence[Recording]
    ) -> dict[str, dict[str, float]]:
        """One Gaussian of the training frames, each number by itself."""
        from wavedil.evaluation.frames import gaussian_nats

        return {"one Gaussian": {"nats_per_frame": gaussian_nats(config.model, recordings)}}


def _features(item: Recording) -> np.ndarray:
    assert item.features is not None
    return item.features


def _moments(
    model: FeatureNetConfig, recordings: Sequence[Recording]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each number of a frame, as it enters; 1 for one that is always the same."""
    frames = np.concatenate([model.encode(_features(item)) for item in recordings])
    frames = frames.astype(np.float64)
    deviations = frames.std(axis=0)
    return (
        tuple(frames.mean(axis=0).tolist()),
        tuple(np.where(deviations > 1e-6, deviations, 1.0).tolist()),
    )
