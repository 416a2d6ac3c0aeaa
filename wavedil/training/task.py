"""What a task is to the training loop: everything that depends on what is trained for what."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from wavedil.training.config import RunConfig

Progress = Callable[[int, int], None]
"""Called with what is done, and with how much there is in all."""


class Corpus(Protocol):
    """What a task read: recordings, or pairs of them, or whatever it trains on."""

    @property
    def test(self) -> Sequence[Any]:
        """What is held out."""

    @property
    def fingerprint(self) -> str:
        """A few characters that are others for another content."""

    def describe(self) -> Sequence[str]:
        """What was read, a line each, for people."""

    def held_out(self, seconds: float) -> Sequence[Any]:
        """About so many seconds of what is not trained on, the same each time."""


class Windows(Protocol):
    """The batches of a training."""

    def batch(self, step: int) -> Any:
        """The batch of a step, any pytree of arrays: a pure function of the seed and the step."""


class Task(Protocol):
    """What is trained for what. A task is a frozen `Config`; its fields are its options.

    The loop knows nothing else of what it trains. A loss is a sum and a weight, not a mean, so that it can be summed
    over devices and over steps before it is divided.
    """

    name: ClassVar[str]
    """Key in `wavedil.tasks.TASKS`, a dictionary that you may add to."""

    def model(self) -> Any:
        """The config of the model that is trained where the user names none."""

    def read(self, config: "RunConfig", progress: Progress | None = None) -> Any:
        """The corpus that `config.corpus` describes."""

    def resolve(self, config: "RunConfig", corpus: Any) -> "RunConfig":
        """The configuration with what the corpus decides: sample rate, labels, features, sizes of the model."""

    def windows(self, config: "RunConfig", corpus: Any) -> Windows:
        """The training batches of a resolved configuration."""

    def loss(self, model: Any, batch: Any, key: Any) -> tuple[Any, Any, dict[str, tuple[Any, Any]]]:
        """Sum and weight of the loss over a batch, and those of each metric to show, by name.

        The key is `fold_in(key(seed), step)`, for dropout and noise.
        """

    def evaluate(
        self, model: Any, recordings: Sequence[Any], progress: Progress | None = None
    ) -> dict[str, tuple[Any, Any]]:
        """Sum and weight of each metric over recordings: numbers, or arrays with one for each recording."""

    def baselines(
        self, config: "RunConfig", corpus: Any, recordings: Sequence[Any]
    ) -> dict[str, Any]:
        """Means of the metrics that any model should beat, by the name of the baseline; {} where there are none."""
