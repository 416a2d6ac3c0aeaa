"""The protocol of a task, and the configuration of a run that it is part of."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, Self, cast

import numpy as np
from jaxtyping import Float

from wavedil.config import Config
from wavedil.data.config import CorpusConfig
from wavedil.training.config import TrainingConfig

# Settings that change what a run writes down, and not what it learns.
_REPORTS = (
    "log_every",
    "evaluate_every",
    "evaluate_seconds",
    "save_every",
    "sample_every",
    "tensorboard",
)
# And those that say where and how its sums are computed: they change them by rounding, and what is drawn at random.
_MEANS = ("devices", "accumulate", "remat")

Progress = Callable[[int, int], None]
"""Called with what is done, and with how much there is in all."""


class Example(NamedTuple):
    """A sound by which one hears what a model has learnt."""

    samples: Float[np.ndarray, " time"]
    """At the model's rate."""
    labels: Mapping[str, str] = {}
    """Name -> value."""
    of: str = ""
    """The recording that it is made of; "" where it is drawn from nothing."""
    recording: Float[np.ndarray, " time"] | None = None
    """What it should sound like, where it is made of one."""


class Corpus(Protocol):
    """The data that a task trains on: recordings, or pairs of them."""

    @property
    def test(self) -> Sequence[Any]:
        """The held-out part."""

    @property
    def fingerprint(self) -> str:
        """A few characters that are others for another content."""

    def describe(self) -> Sequence[str]:
        """A summary of what was read, in lines for people."""

    def held_out(self, seconds: float) -> Sequence[Any]:
        """About so many seconds of what is not trained on, the same each time."""


class Windows(Protocol):
    """The batches of a training."""

    def batch(self, step: int) -> Any:
        """The batch of a step, any pytree of arrays: a pure function of the seed and the step.

        Where batches are computed in parts, on devices or one after the other, the first axis of every array is that
        of the windows. It is asked for by a thread, ahead of the step.
        """

    def describe(self, steps: int) -> Sequence[str]:
        """What a training of so many steps predicts, in lines for people."""


class Task(Protocol):
    """A purpose that a model is trained for: a frozen `Config` whose fields are its options.

    The loop knows nothing else of what it trains. A loss is a sum and a weight, not a mean, so that it can be summed
    over the parts of a batch, on several devices and one after the other, before it is divided.
    """

    name: ClassVar[str]
    """Key in `wavedil.tasks.TASKS`, a dictionary that you may add to."""

    def model(self) -> Any:
        """The config of the model that is trained where the user names none."""

    def training(self) -> TrainingConfig:
        """The training settings where the user names none."""

    def read(self, config: "RunConfig", progress: Progress | None = None) -> Any:
        """The corpus that `config.corpus` describes."""

    def resolve(self, config: "RunConfig", corpus: Any) -> "RunConfig":
        """The configuration with what the corpus decides: sample rate, labels, features, sizes of the model."""

    def windows(self, config: "RunConfig", corpus: Any) -> Windows:
        """The training batches of a resolved configuration."""

    def loss(self, model: Any, batch: Any, key: Any) -> tuple[Any, Any, dict[str, tuple[Any, Any]]]:
        """Sum and weight of the loss over a batch, and those of each metric to show, by name.

        The key is `fold_in(key(seed), step)`, for dropout and noise; each part of a batch has its own.
        """

    def evaluate(
        self, model: Any, recordings: Sequence[Any], progress: Progress | None = None
    ) -> dict[str, tuple[Any, Any]]:
        """Sum and weight of each metric over recordings: numbers, or arrays with one for each recording."""

    def examples(
        self, model: Any, recordings: Sequence[Any], progress: Progress | None = None
    ) -> Sequence[Example]:
        """Sounds of the model, about a second each and the same ones each time; () where it makes none.

        Args:
          model: With the averaged weights.
          recordings: A few of those held out, or none; of each, `scored` says which part.
          progress: Called now and then; it raises where the work is to be given up.
        """

    def baselines(
        self, config: "RunConfig", corpus: Any, recordings: Sequence[Any]
    ) -> dict[str, Any]:
        """Means of the metrics that any model should beat, by the name of the baseline; {} where there are none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(Config):
    """Everything that decides what a training run does.

    Example:
      >>> RunConfig(task=VocoderTask(), corpus=CorpusConfig(folder="recordings"))
    """

    task: Task
    corpus: CorpusConfig
    model: Any = None
    """Of the model; by default that which the task trains."""
    training: TrainingConfig = None  # type: ignore[assignment]
    """How it is trained; by default as the task says."""
    recordings_fingerprint: str = ""
    """Of the recordings, their labels and split, wherever they lie; empty before they are read."""
    start_from: str = ""
    """The run or saved model whose weights are the initial ones; empty: they are drawn."""

    def __post_init__(self) -> None:
        if self.model is None:
            object.__setattr__(self, "model", self.task.model())
        if cast(Any, self.training) is None:
            object.__setattr__(self, "training", self.task.training())
        super().__post_init__()

    def with_reports_of(self, other: Self) -> Self:
        """This configuration, with what leaves the trained parameters alone taken from another.

        That is where the recordings lie, how often the run reports, evaluates and saves, and where to; on how many
        devices and in how many parts; and what it remembers of having been trained further.
        """
        corpus = dataclasses.replace(
            self.corpus, folder=other.corpus.folder, strict=other.corpus.strict
        )
        reports = {name: getattr(other.training, name) for name in (*_REPORTS, *_MEANS)}
        training = dataclasses.replace(self.training, earlier=other.training.earlier, **reports)
        return dataclasses.replace(self, corpus=corpus, training=training)
