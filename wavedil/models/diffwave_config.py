"""Settings of a DiffWave: its sizes, and how noise is added to sound step by step."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float64, Int

from wavedil.config import Config, decided
from wavedil.errors import UserError, require_positive, require_rate, require_whole
from wavedil.labels import Vocabulary
from wavedil.models.labelled_stack_config import LabelledStackConfig
from wavedil.receptive_field import ReceptiveField

_ONE_CYCLE = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_SIZES = ("kernel_size", "cycles", "channels", "embedding_channels", "label_channels")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffWaveConfig(LabelledStackConfig, Config):
    """Settings of a DiffWave (arXiv:2009.09761): validated when made, JSON round trip.

    Example:
      >>> DiffWaveConfig(dilations=(1, 2, 4), cycles=1).receptive_field
      ReceptiveField(past=7, future=7, stride=1)
    """

    name: ClassVar[str] = "DiffWave"

    channels: int = 64
    """Channels of the signal, the gates and the skip sum."""
    kernel_size: int = 3
    """Taps of every layer, around each sample."""
    dilations: tuple[int, ...] = _ONE_CYCLE
    """Samples between taps, layer by layer in one cycle."""
    cycles: int = 3
    """How often the dilations are repeated."""
    embedding_channels: int = 128
    """Size of the embedding of a diffusion step."""
    noise_steps: int = 200
    """Diffusion steps in which sound becomes noise, T; 50 and 200 in the paper."""
    first_beta: float = 1e-4
    """Share of noise in the variance that the first step adds; the shares rise linearly."""
    last_beta: float = 0.05
    """Share of noise in the variance that the last step adds."""
    labels: Mapping[str, tuple[str, ...]] = decided(by="the recordings", default_factory=Vocabulary)
    """Named labels the model can be conditioned on, each with its values."""
    label_channels: int = 16
    """Size of a label's embedding."""
    label_dropout: float = 0.0
    """Share of the signals whose labels are left out while it trains, 0 to below 1: a model that knows sound without
    labels too can be guided by them (generate --guidance); 0.15, say."""
    level: float = decided(by="the recordings", is_scale=True, default=0.1)
    """Root mean square of the recordings' samples, which the model sees as 1."""
    sample_rate: int = decided(by="the recordings", default=16000)
    """Samples per second (Hz) of the sound."""

    def __post_init__(self) -> None:
        super().__post_init__()
        labels = Vocabulary({name: tuple(values) for name, values in self.labels.items()})
        object.__setattr__(self, "labels", labels)
        require_rate(self.label_dropout, "label_dropout")
        if not self.dilations:
            raise UserError("dilations is empty; give at least one, such as 1:512 or 1,2,4")
        require_positive(dilation=min(self.dilations), noise_steps=self.noise_steps)
        require_positive(**{name: getattr(self, name) for name in (*_SIZES, "sample_rate")})
        if self.embedding_channels % 2:
            raise UserError(
                f"embedding_channels is {self.embedding_channels}, but it must be even, sines and cosines; use "
                f"{self.embedding_channels + 1}"
            )
        if not 0 < self.first_beta <= self.last_beta < 1:
            raise UserError(
                f"first_beta is {self.first_beta:g} and last_beta {self.last_beta:g}, but they must rise between 0 and "
                "1; use 0.0001 and 0.05"
            )
        if not 0 < self.level < np.inf:
            raise UserError(f"level is {self.level:g}, but it must be above 0; use 0.1")

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model that compiles and trains in seconds, for tests and demonstrations."""
        sizes: dict[str, Any] = {"dilations": (1, 2, 4, 8), "cycles": 1, "channels": 8}
        return cls(**({**sizes, "embedding_channels": 16, "label_channels": 4} | changes))

    @property
    def receptive_field(self) -> ReceptiveField:
        """The inputs of output t, about as many after it as before."""
        field = ReceptiveField.identity()
        for dilation in self.layer_dilations:
            block = ReceptiveField.conv(self.kernel_size, dilation, padding="same")
            field = field.then(block.union(ReceptiveField.identity()))
        return field

    @property
    def training_bytes_per_sample(self) -> int:
        """Of the activations that a backward pass needs, about: the taps, gates and outputs of each layer."""
        return 4 * (self.kernel_size + 9) * self.channels * len(self.layer_dilations)

    @property
    def signal_shares(self) -> Float64[np.ndarray, " noise_steps"]:
        """The share of the sound in the variance after each step: prod over s <= t of (1 - beta_s)."""
        return np.cumprod(1.0 - np.linspace(self.first_beta, self.last_beta, self.noise_steps))

    def sampling_steps(self, count: int) -> Int[np.ndarray, " count"]:
        """The diffusion steps, counted from 0, at which sound is drawn in so many: from the last to the first.

        Their distances grow with the noise, as squares do (Song et al. 2020, arXiv:2010.02502, appendix D), for the
        last of the noise takes the smallest steps. All of them are the schedule of the training.

        Raises:
          UserError: If they are more than those of the training, or fewer than 2.
        """
        count, most = require_whole("steps", count), self.noise_steps
        if not 2 <= count <= most:
            raise UserError(
                f"steps is {count}, but the model was trained with {most} steps of noise, so it takes 2 to {most} to "
                f"draw a sound; use {min(6, most)} for speed, or {min(50, most)}"
            )
        steps = np.round((most - 1) * (np.arange(count) / (count - 1)) ** 2).astype(int)
        for index in range(1, count):
            steps[index] = max(steps[index], steps[index - 1] + 1)
        return steps[::-1]
