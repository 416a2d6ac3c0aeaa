"""The features of a corpus: mel spectra of each recording, or the arrays that lie beside them."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from wavedil import audio, features
from wavedil.errors import UserError
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig

# Beside 7_theo_3.wav lies 7_theo_3.npy.
SUFFIX = ".npy"


class FeatureReader:
    """The features of one recording after the other, all with as many numbers in a frame.

    Args:
      mel: Of the spectra to compute; None for features that are read, or none.
      hop: Samples that a frame of the features to read covers; None for spectra, or no features.
      sample_rate: Hz, of the samples that are given.
      pitch: Of the pitch to compute beside the spectra.

    Attributes:
      sample_rate: As it is given.
      mel: Complete settings of the spectra; None where features are read, or there are none.
      pitch: The settings of the pitch at the sample rate; None without.
      hop: Samples from one frame to the next; None where there are no features.

    Raises:
      UserError: If the settings do not suit the sample rate.
    """

    def __init__(
        self,
        mel: MelConfig | None,
        hop: int | None,
        sample_rate: int,
        pitch: PitchConfig | None = None,
    ) -> None:
        self.sample_rate = sample_rate
        self.mel = None if mel is None else mel.at(sample_rate)
        self.pitch = None if pitch is None else pitch.at(sample_rate)
        self.hop = hop if self.mel is None else self.mel.hop
        self._first: tuple[Path, int] | None = None

    def read(
        self, recording: Path, samples: Float32[np.ndarray, " time"]
    ) -> Float32[np.ndarray, "frames num_features"] | None:
        """A frame for every `hop` of the samples, read-only; None where there are no features.

        Raises:
          AudioError: If the recording is shorter than a frame, or the array beside it cannot be read or is of
            another length or width.
        """
        if self.hop is None:
            return None
        try:
            if self.mel is not None:
                frames = features.of_sound(samples, self.mel, self.pitch)
            else:
                frames = self._read_beside(recording, len(samples), self.hop)
        except UserError as error:
            raise audio.AudioError(recording, str(error)) from None
        frames.flags.writeable = False
        return frames

    def _read_beside(self, recording: Path, num_samples: int, hop: int) -> np.ndarray:
        path = recording.with_suffix(SUFFIX)
        return features.fit(features.read(path), num_samples, hop)

    def require_width(self, recording: Path, frames: np.ndarray | None) -> None:
        """Refuses features of another width than those of the first recording that it was called for.

        Raises:
          AudioError: With both.
        """
        if frames is None:
            return
        path, width = recording.with_suffix(SUFFIX), frames.shape[1]
        first, expected = self._first = self._first or (path, width)
        if width != expected:
            raise audio.AudioError(
                recording,
                f"{path.name} has {width} numbers in a frame, but {first.name} has {expected}; compute all "
                "features with the same settings",
            )
