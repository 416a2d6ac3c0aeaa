"""Settings of a temporal convolutional network that says which value of a label a sequence has."""

import dataclasses
import math
from typing import ClassVar, Literal

from wavedil.config import Config, decided
from wavedil.errors import UserError, require_positive, require_rate
from wavedil.mel import MelConfig
from wavedil.quantizer import Quantizer

Activation = Literal[
    "tanh", "sigmoid", "relu", "gelu", "silu", "softsign", "leaky_relu", "identity", "gated"
]
"""Those of `wavedil.nn.ACTIVATIONS`, whose functions would load JAX, and gated."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TCNConfig(Config):
    """Settings of a TCN (arXiv:1803.01271): validated when made, JSON round trip.

    Example:
      >>> TCNConfig(in_channels=80, values=("no", "yes"), dilations=(1, 2, 4))
    """

    name: ClassVar[str] = "TCN"

    channels: int = 128
    """Channels of every block."""
    kernel_size: int = 3
    """Taps of every convolution."""
    dilations: tuple[int, ...] = (1, 2, 4)
    """Frames, or samples, between taps, block by block."""
    activation: Activation = "gelu"
    """By name, or gated: tanh x sigmoid."""
    norm: Literal["weight", "layer", "group", "none"] = "layer"
    """Of the kernels, of the channels of a frame, of groups of them, or none."""
    dropout: float = 0.1
    """Share of the numbers that training drops after every convolution."""
    skip_connections: bool = True
    """Whether the outputs of all blocks are summed, rather than the last one's taken alone."""
    pooling: Literal["mean", "last"] = "mean"
    """The answer to a sequence: the mean of those at all of its frames, or that at its last."""
    in_channels: int = decided(by="the recordings", default=1)
    """Channels of the sequence."""
    mean: float = decided(by="the recordings", is_scale=True, default=0.0)
    """Of the numbers of the sequence, which is subtracted from them."""
    deviation: float = decided(by="the recordings", is_scale=True, default=1.0)
    """Standard deviation of the numbers, by which they are divided then."""
    target: str = decided(by="the task", default="")
    """Label that it predicts."""
    values: tuple[str, ...] = decided(by="the recordings", default=())
    """Values of the label, in the order of the outputs."""
    mel: MelConfig | None = decided(by="the task", default=None)
    """The mel spectra that are the sequence; None: the samples themselves."""
    sample_rate: int = decided(by="the recordings", default=16000)
    """Samples per second (Hz) of the sound."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.dilations:
            raise UserError("dilations is empty; give at least one, such as 1:16 or 1,2,4")
        sizes = ("channels", "kernel_size", "in_channels", "sample_rate")
        require_positive(dilation=min(self.dilations))
        require_positive(**{name: getattr(self, name) for name in sizes})
        require_rate(self.dropout)
        if not 0 < self.deviation < math.inf or not math.isfinite(self.mean):
            raise UserError(
                f"mean is {self.mean} and deviation {self.deviation}; both must be finite, and the deviation above 0"
            )
        if len(set(self.values)) != len(self.values):
            raise UserError(
                f"values are {', '.join(self.values)}, but each may come once; leave the others out"
            )

    @property
    def quantizer(self) -> Quantizer:
        """The levels of a sample, where recordings are held as codes."""
        return Quantizer()

    @property
    def hop(self) -> int:
        """Samples of a step of the sequence."""
        return 1 if self.mel is None or self.mel.hop is None else self.mel.hop

    @property
    def training_bytes_per_sample(self) -> int:
        """Of the activations that a backward pass needs, about: those of both convolutions of each block."""
        return max(1, 4 * 8 * self.channels * len(self.dilations) // self.hop)
