"""Copy synthesis: what a vocoder makes of recordings that it is told by their features, and how near it comes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, PRNGKeyArray

from wavedil.data.corpus import Recording
from wavedil.data.labels import label_index
from wavedil.features import MelSettings
from wavedil.generation.sampler import generate
from wavedil.griffin_lim import griffin_lim
from wavedil.models.wavenet import WaveNet
from wavedil.spectral_distance import mel_cepstral_distortion_db, multi_resolution_stft

Sound = Float32[np.ndarray, " time"]


class Distances(NamedTuple):
    """How far copies are from their recordings, a mean over them; 0 where they are equal."""

    stft_convergence: float
    """Difference of the spectrograms at three resolutions, relative to the recording's."""
    stft_log_magnitude: float
    """Mean absolute difference of the logarithms of the same magnitudes."""
    mel_cepstral_db: float | None
    """Mel-cepstral distortion (dB); None for a model whose features are no mel spectra."""

    @property
    def stft(self) -> float:
        """Multi-resolution STFT distance: the sum of both views."""
        return self.stft_convergence + self.stft_log_magnitude


def copy_recordings(
    model: WaveNet,
    recordings: Sequence[Recording],
    key: PRNGKeyArray,
    progress: Callable[[int, int], None] | None = None,
) -> list[Sound]:
    """A vocoder's copy of each recording, drawn from its features and labels alone, of the same length.

    Args:
      model: A vocoder.
      recordings: With the features that it takes; at least one.
      key: Random key; the same key gives the same copies.
      progress: Called with the samples drawn so far and in all.
    """
    labels = {
        name: jnp.asarray([label_index(item.labels, name, values) for item in recordings])
        for name, values in model.config.labels.items()
    }
    features = [np.asarray(item.features) for item in recordings]
    codes = generate(model, key, features=features, labels=labels, progress=progress)
    sounds = model.config.grid.decode(codes)
    return [sound[: item.codes.size] for sound, item in zip(sounds, recordings, strict=True)]


def copies_to_compare(
    model: WaveNet, recordings: Sequence[Recording], copies: list[Sound]
) -> dict[str, list[Sound]]:
    """The model's copies beside those of Griffin-Lim from the same mel spectra, and of the levels alone.

    The levels alone are the recordings themselves, rounded to the model's levels: no copy that is made of these
    levels can be expected to come nearer. Griffin-Lim is left out where the features are no mel spectra.
    """
    named = {"this model": copies}
    mel = model.config.local.mel if model.config.local else None
    if mel is not None:
        named["Griffin-Lim"] = [
            griffin_lim(np.asarray(item.features), mel, item.codes.size) for item in recordings
        ]
    named["levels alone"] = [model.config.grid.decode(item.codes) for item in recordings]
    return named


def mean_distances(
    sounds: Sequence[Sound], copies: Sequence[Sound], sample_rate: int, mel: MelSettings | None
) -> Distances:
    """Distances of each copy from its sound, a mean over them.

    Args:
      sounds: The recordings, at least one.
      copies: One of each, of the same length.
      sample_rate: Hz.
      mel: Of the mel cepstra; None leaves them out.

    Raises:
      UserError: If a sound is silent or too short, or a copy is of another length.
    """
    pairs = list(zip(sounds, copies, strict=True))
    stft = [multi_resolution_stft(sound, copy, sample_rate) for sound, copy in pairs]
    convergence, log_magnitude = np.mean(stft, axis=0)
    distortion = None
    if mel is not None:
        distortion = float(
            np.mean([mel_cepstral_distortion_db(sound, copy, mel) for sound, copy in pairs])
        )
    return Distances(float(convergence), float(log_magnitude), distortion)
