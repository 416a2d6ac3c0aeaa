"""The features that a model takes at every moment, and how it brings them to the sample rate."""

import dataclasses
from typing import Any, Literal

import numpy as np

from wavedil.errors import UserError
from wavedil.features import MelSettings, num_frames
from wavedil.settings import Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalConfig(Settings):
    """What features a vocoder takes, a frame every `hop` samples, and how it brings them to the sample rate.

    Example:
      >>> mel = MelSettings().at(16000)
      >>> WaveNetConfig(local=LocalConfig(num_features=mel.num_mels, hop=mel.hop, mel=mel))
    """

    num_features: int
    """Numbers in a frame."""
    hop: int
    """Samples that a frame governs."""
    context_frames: int = 2
    """Frames before and after its own that a sample may see."""
    channels: int = 32
    """Channels of the condition that the stack gets at every sample."""
    upsampling: Literal["repeat", "subpixel"] = "repeat"
    """How a frame becomes samples: repeated and smoothed, or spread out of channels."""
    mel: MelSettings | None = None
    """How the features are computed, where they are mel spectra."""

    def __post_init__(self) -> None:
        for name in ("num_features", "hop", "channels"):
            if getattr(self, name) < 1:
                raise UserError(f"local {name} is {getattr(self, name)}, but it must be at least 1")
        if self.upsampling not in ("repeat", "subpixel"):
            raise UserError(
                f"local upsampling is {self.upsampling!r}, but it must be 'repeat' or 'subpixel'"
            )
        fewest = 1 if self.upsampling == "repeat" else 0
        if self.context_frames < fewest:
            raise UserError(
                f"local context_frames is {self.context_frames}, but upsampling by {self.upsampling!r} looks at "
                f"{fewest} or more on either side; use 2"
            )
        if self.mel is not None and (self.mel.num_mels, self.mel.hop) != (
            self.num_features,
            self.hop,
        ):
            raise UserError(
                f"local says {self.num_features} features every {self.hop} samples, but its mel settings give "
                f"{self.mel.num_mels} every {self.mel.hop}; take num_features and hop from mel"
            )

    def require(self, features: Any, what: str) -> None:
        """Refuses an array that does not hold frames of this model's features.

        Raises:
          UserError: If there is none, its shape or its number of features is another, or a number is not finite.
        """
        if features is None:
            raise UserError(
                f"{what} are missing, but the model is a vocoder and takes {self.num_features} numbers every "
                f"{self.hop} samples; {self._remedy}"
            )
        shape = np.shape(features)
        if len(shape) != 2 or shape[0] < 1:
            raise UserError(f"{what} have shape {shape}, but they must be [frames, features]")
        if shape[1] != self.num_features:
            raise UserError(
                f"{what} have {shape[1]} numbers in a frame, but the model takes {self.num_features}; {self._remedy}"
            )
        if not np.all(np.isfinite(features)):
            raise UserError(f"{what} hold numbers that are NaN or infinite; compute them again")

    def require_length(self, features: Any, num_samples: int, what: str) -> None:
        """Refuses another number of frames than the samples take.

        Raises:
          UserError: With both numbers.
        """
        wanted = num_frames(num_samples, self.hop)
        if len(features) != wanted:
            raise UserError(
                f"{what} has {len(features)} frames for {num_samples} samples, but the model takes a frame every "
                f"{self.hop} samples, {wanted} in all; {self._remedy}"
            )

    @property
    def _remedy(self) -> str:
        if self.mel is None:
            return "compute them as for the training recordings"
        return "compute them with the model's own settings: features.mel(samples, model.config.local.mel)"
