"""Local conditioning: the features that a model takes at every moment, and how it brings them to the sample rate."""

import dataclasses
from typing import Any, Literal, Self

import numpy as np

from wavedil.config import Config, decided
from wavedil.errors import UserError, require_positive
from wavedil.frames import num_frames
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig

_LONGEST_PREDICTION = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalConditioningConfig(Config):
    """Features that condition a model, a frame every `hop` samples, and how they come to the sample rate.

    Example:
      >>> mel = MelConfig().at(16000)
      >>> WaveNetConfig(local_conditioning=LocalConditioningConfig().of(mel.num_mels, mel.hop, mel))
    """

    num_features: int | None = decided(by="the features", option=True, default=None)
    """Numbers in a frame; None: as many as the recordings' features or the latents have."""
    hop: int | None = decided(by="the features", option=True, default=None)
    """Samples that a frame covers; None: those of the recordings' features or the latents."""
    lookaround_frames: int = 2
    """Frames before and after its own that a sample may see."""
    channels: int = 32
    """Channels of the condition that the stack gets at every sample."""
    upsampling: Literal["repeat", "subpixel"] = "repeat"
    """How a frame becomes samples: repeated and smoothed, or spread out of channels."""
    mel: MelConfig | None = decided(by="the features", default=None)
    """How the features are computed, where they are mel spectra."""
    pitch: PitchConfig | None = decided(by="the features", default=None)
    """How the last two numbers of a frame are computed, where they are pitch period and voicing."""
    pitch_taps: Literal["input", "blocks", "none"] = "input"
    """Where a model whose features carry pitch sees what was a period ago: at its input, in every block of the last
    cycle, or nowhere."""
    linear_prediction: int = 0
    """Samples of which a linear prediction of the next one is made, by coefficients that follow from mel spectra, and
    which the model sees; 24 suits voices at 8 kHz. 0: none, and none where the features are no mel spectra."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(
            "local_conditioning",
            num_features=self.num_features,
            hop=self.hop,
            channels=self.channels,
        )
        if not 0 <= self.linear_prediction <= _LONGEST_PREDICTION:
            raise UserError(
                f"local_conditioning linear_prediction is {self.linear_prediction}, but it must be 0 to "
                f"{_LONGEST_PREDICTION} samples; use 24, or 0 for none"
            )
        fewest = 1 if self.upsampling == "repeat" else 0
        if self.lookaround_frames < fewest:
            raise UserError(
                f"local_conditioning lookaround_frames is {self.lookaround_frames}, but upsampling by "
                f"{self.upsampling!r} looks at {fewest} or more on either side; use 2"
            )
        mel = self.mel
        if mel is None and self.pitch is not None:
            raise UserError(
                "local_conditioning has pitch without mel settings; give both, or neither"
            )
        given = None if mel is None else mel.num_mels + (0 if self.pitch is None else 2)
        if mel is not None and (given, mel.hop) != (self.num_features, self.hop):
            beside = "" if self.pitch is None else " with pitch and voicing"
            raise UserError(
                f"local_conditioning says {self.num_features} features every {self.hop} samples, but its mel settings "
                f"give {given}{beside} every {mel.hop}; take num_features and hop from them"
            )

    @property
    def prediction_order(self) -> int:
        """Samples of which a linear prediction is made; 0 where there is none."""
        return 0 if self.mel is None else self.linear_prediction

    @property
    def follows_pitch(self) -> Literal["input", "blocks", "none"]:
        """Where the model sees what was a pitch period ago."""
        return "none" if self.pitch is None else self.pitch_taps

    def of(
        self,
        num_features: int,
        hop: int,
        mel: MelConfig | None = None,
        pitch: PitchConfig | None = None,
    ) -> Self:
        """This config for these features.

        Raises:
          UserError: If it is for others.
        """
        for name, own, other in (
            ("num_features", self.num_features, num_features),
            ("hop", self.hop, hop),
        ):
            if own not in (None, other):
                raise UserError(
                    f"local_conditioning {name} is {own}, but the features that condition the model have {other}; "
                    "leave it out"
                )
        return dataclasses.replace(self, num_features=num_features, hop=hop, mel=mel, pitch=pitch)

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers in a frame, and samples that it covers.

        Raises:
          UserError: If they are open.
        """
        if self.num_features is None or self.hop is None:
            raise UserError(
                "local_conditioning leaves num_features or hop open; give both, as .of(num_features, hop) does"
            )
        return self.num_features, self.hop

    def require(self, features: Any, what: str) -> None:
        """Refuses an array that does not hold frames of this model's features.

        Raises:
          UserError: If there is none, its shape or its number of features is another, or a number is not finite.
        """
        num_features, hop = self.sizes
        if features is None:
            raise UserError(
                f"{what} are missing, but the model is a vocoder and takes {num_features} numbers every "
                f"{hop} samples; {self._remedy}"
            )
        shape = np.shape(features)
        if len(shape) != 2 or shape[0] < 1:
            raise UserError(f"{what} have shape {shape}, but they must be [frames, features]")
        if shape[1] != num_features:
            raise UserError(
                f"{what} have {shape[1]} numbers in a frame, but the model takes {num_features}; {self._remedy}"
            )
        if not np.all(np.isfinite(features)):
            raise UserError(f"{what} hold numbers that are NaN or infinite; compute them again")
        if self.pitch is not None:
            self._require_pitch(np.asarray(features)[:, -2:], self.pitch, what)

    def _require_pitch(self, frames: Any, pitch: PitchConfig, what: str) -> None:
        # The top of a peak may lie half a sample beyond the range of lags.
        low, high = pitch.shortest_period - 1, pitch.longest_period + 1
        periods = frames[:, 0]
        if not low <= periods.min() <= periods.max() <= high:
            raise UserError(
                f"{what} have pitch periods of {periods.min():.4g} to {periods.max():.4g} samples, but the model knows "
                f"{pitch.shortest_period} to {pitch.longest_period} ({pitch.lowest_hz:g} to {pitch.highest_hz:g} Hz); "
                "change the pitch by less, or train with another pitch_range"
            )
        if not 0 <= frames[:, 1].min() <= frames[:, 1].max() <= 1:
            raise UserError(f"{what} have a voicing that is not from 0 to 1; {self._remedy}")

    def require_length(self, features: Any, num_samples: int, what: str) -> None:
        """Refuses another number of frames than the samples take.

        Raises:
          UserError: With both numbers.
        """
        wanted = num_frames(num_samples, self.sizes[1])
        if len(features) != wanted:
            raise UserError(
                f"{what} has {len(features)} frames for {num_samples} samples, but the model takes a frame every "
                f"{self.hop} samples, {wanted} in all; {self._remedy}"
            )

    @property
    def _remedy(self) -> str:
        if self.mel is None:
            return "compute them as for the training recordings"
        return (
            "compute them with the model's own settings: local = model.config.local_conditioning; "
            "features.of_sound(samples, local.mel, local.pitch)"
        )
