"""Settings of a FeatureNet, which draws frames of features: its sizes, and what the numbers of a frame are."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float, Float32

from wavedil.config import Config, decided
from wavedil.errors import UserError, require_positive, require_rate
from wavedil.labels import Vocabulary
from wavedil.mel import MelConfig
from wavedil.models.labelled_stack_config import LabelledStackConfig
from wavedil.pitch import PitchConfig
from wavedil.receptive_field import ReceptiveField

_SIZES = (
    *("channels", "skip_channels", "kernel_size", "cycles", "num_components", "label_channels"),
    *("num_features", "sample_rate"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureNetConfig(LabelledStackConfig, Config):
    """Settings of a FeatureNet: validated when made, JSON round trip.

    Example:
      >>> FeatureNetConfig(dilations=(1, 2, 4), cycles=1).receptive_field.size         # frames
      8
    """

    name: ClassVar[str] = "FeatureNet"

    channels: int = 128
    """Channels of the signal and the gates inside the stack."""
    skip_channels: int = 128
    """Channels of the skip sum and the layer after it."""
    kernel_size: int = 2
    """Taps of every layer of the stack."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Frames between taps, layer by layer in one cycle."""
    cycles: int = 2
    """How often the dilations are repeated."""
    num_components: int = 8
    """Gaussians in the mixture of a frame."""
    dropout: float = 0.0
    """Share of the input of every convolution of the stack that is dropped while it trains, 0 to below 1."""
    labels: Mapping[str, tuple[str, ...]] = decided(by="the recordings", default_factory=Vocabulary)
    """Named labels the model can be conditioned on, each with its values."""
    label_channels: int = 16
    """Size of a label's embedding."""
    label_dropout: float = 0.0
    """Share of the signals whose labels are left out while it trains, 0 to below 1: a model that knows sound without
    labels too can be guided by them (generate --guidance); 0.15, say."""
    num_features: int = decided(by="the features", default=1)
    """Numbers of a frame."""
    means: tuple[float, ...] = decided(by="the recordings", is_scale=True, default=())
    """Of each number of a frame, as it enters; zeros where there are none."""
    deviations: tuple[float, ...] = decided(by="the recordings", is_scale=True, default=())
    """Standard deviation of each; ones where there are none."""
    mel: MelConfig | None = decided(by="the features", default=None)
    """The mel spectra that the frames are."""
    pitch: PitchConfig | None = decided(by="the features", default=None)
    """How the last two numbers of a frame are computed, where they are pitch period and voicing."""
    sample_rate: int = decided(by="the recordings", default=16000)
    """Samples per second (Hz) of the sound."""

    def __post_init__(self) -> None:
        super().__post_init__()
        labels = Vocabulary({name: tuple(values) for name, values in self.labels.items()})
        object.__setattr__(self, "labels", labels)
        if not self.dilations:
            raise UserError("dilations is empty; give at least one, such as 1:16 or 1,2,4")
        require_positive(dilation=min(self.dilations))
        require_positive(**{name: getattr(self, name) for name in _SIZES})
        require_rate(self.dropout)
        require_rate(self.label_dropout, "label_dropout")
        for name in ("means", "deviations"):
            values = np.asarray(getattr(self, name))
            if values.size not in (0, self.num_features) or not np.isfinite(values).all():
                raise UserError(
                    f"{name} are {values.size} numbers, but there must be {self.num_features} finite ones, one for "
                    "each number of a frame, or none"
                )
        if any(value <= 0 for value in self.deviations):
            raise UserError(f"deviations go down to {min(self.deviations)}; all must be above 0")

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model that compiles and trains in seconds, for tests and demonstrations."""
        sizes: dict[str, Any] = {"dilations": (1, 2), "cycles": 1, "channels": 8}
        return cls(
            **(sizes | {"skip_channels": 8, "num_components": 2, "label_channels": 4} | changes)
        )

    @property
    def hop(self) -> int:
        """Samples that a frame covers."""
        return 1 if self.mel is None or self.mel.hop is None else self.mel.hop

    @property
    def receptive_field(self) -> ReceptiveField:
        """The frames of output t, which predicts frame t + 1."""
        field = ReceptiveField.identity()
        for dilation in self.layer_dilations:
            field = field.then(ReceptiveField.conv(self.kernel_size, dilation))
        return field

    @property
    def training_bytes_per_sample(self) -> int:
        """Of the activations that a backward pass needs, about: the gates of each layer, and the mixture."""
        layers = 2 * self.channels * len(self.layer_dilations)
        return max(1, 6 * (layers + self._output_width) // self.hop)

    @property
    def remat_bytes_per_sample(self) -> int:
        """The same where the gates are computed again."""
        return max(1, 6 * (2 * self.channels + self._output_width) // self.hop)

    @property
    def _output_width(self) -> int:
        return 4 * (self.skip_channels + self.num_components * self.num_features)

    def encode(
        self, features: Float[np.ndarray, "frames num_features"]
    ) -> Float32[np.ndarray, "frames num_features"]:
        """Features as they enter: the pitch period in octaves, each number of mean 0 and deviation 1."""
        frames = np.array(features, np.float32)
        if self.pitch is not None:
            frames[:, -2] = np.log2(frames[:, -2])
        means, deviations = self._scales()
        return ((frames - means) / deviations).astype(np.float32)

    def decode(
        self, frames: Float[np.ndarray, "frames num_features"]
    ) -> Float32[np.ndarray, "frames num_features"]:
        """The features of frames that were drawn, each number within its range."""
        means, deviations = self._scales()
        features = (np.asarray(frames, np.float32) * deviations + means).astype(np.float32)
        if self.mel is not None:
            # Silence is 0, and nothing is below it.
            spectra = features[:, : self.mel.num_mels]
            np.maximum(spectra, 0.0, out=spectra)
        if self.pitch is not None:
            shortest, longest = self.pitch.shortest_period, self.pitch.longest_period
            octaves = np.clip(features[:, -2], np.log2(shortest), np.log2(longest))
            features[:, -2] = np.clip(np.exp2(octaves), shortest, longest)
            features[:, -1] = np.clip(features[:, -1], 0.0, 1.0)
        return features

    def _scales(self) -> tuple[np.ndarray, np.ndarray]:
        means = np.asarray(self.means or (0.0,), np.float32)
        return means, np.asarray(self.deviations or (1.0,), np.float32)
