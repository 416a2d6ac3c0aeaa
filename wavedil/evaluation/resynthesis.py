"""Resynthesis: what a vocoder makes of recordings' features, and how near that comes to the recordings."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, PRNGKeyArray

from wavedil.data.recording import Recording
from wavedil.evaluation.phase_recovery import griffin_lim
from wavedil.evaluation.spectral_distance import mel_cepstral_distortion_db, multi_resolution_stft
from wavedil.generation.sampler import generate
from wavedil.labels import Vocabulary
from wavedil.mel import MelConfig
from wavedil.models.wavenet import WaveNet

Sound = Float32[np.ndarray, " time"]


class Distances(NamedTuple):
    """How far resynthesised sounds are from their recordings, a mean over them; 0 where they are equal."""

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


def resynthesize(
    model: WaveNet,
    recordings: Sequence[Recording],
    key: PRNGKeyArray | int,
    progress: Callable[[int, int], None] | None = None,
    *,
    temperature: float = 1.0,
    voiced_temperature: float | None = None,
) -> list[Sound]:
    """Each recording as a vocoder draws it from its features and labels alone, of the same length.

    Args:
      model: A vocoder.
      recordings: With the features that it takes; at least one.
      key: Random key or seed; the same key gives the same sounds.
      progress: Called with the samples drawn so far and in all.
      temperature: As of `generate`.
      voiced_temperature: As of `generate`.
    """
    labels = Vocabulary(model.config.labels).rows_of([item.labels for item in recordings])
    features = [np.asarray(item.features) for item in recordings]
    codes = generate(
        model,
        key,
        features=features,
        labels=labels,
        temperature=temperature,
        voiced_temperature=voiced_temperature,
        progress=progress,
    )
    sounds = model.config.quantizer.decode(codes)
    return [sound[: item.num_samples] for sound, item in zip(sounds, recordings, strict=True)]


def with_baselines(
    model: WaveNet, recordings: Sequence[Recording], resynthesised: list[Sound]
) -> dict[str, list[Sound]]:
    """The model's resynthesis beside that of Griffin-Lim from the same mel spectra, and of the levels alone.

    The levels alone are the recordings themselves, rounded to the model's levels: nothing that is made of these
    levels can be expected to come nearer. Griffin-Lim is left out where the features are no mel spectra.
    """
    named = {"this model": resynthesised}
    local = model.config.local_conditioning
    if local is not None and local.mel is not None:
        mel = local.mel
        named["Griffin-Lim"] = [
            griffin_lim(np.asarray(item.features)[:, : mel.num_mels], mel, item.num_samples)
            for item in recordings
        ]
    named["levels alone"] = [model.config.quantizer.decode(item.codes) for item in recordings]
    return named


def mean_distances(
    sounds: Sequence[Sound], resynthesised: Sequence[Sound], sample_rate: int, mel: MelConfig | None
) -> Distances:
    """Distances of each resynthesised sound from its recording, a mean over them.

    Args:
      sounds: The recordings, at least one.
      resynthesised: One of each, of the same length.
      sample_rate: Hz.
      mel: Of the mel cepstra; None leaves them out.

    Raises:
      UserError: If a sound is silent or too short, or the two are of different lengths.
    """
    pairs = list(zip(sounds, resynthesised, strict=True))
    stft = [multi_resolution_stft(sound, other, sample_rate) for sound, other in pairs]
    convergence, log_magnitude = np.mean(stft, axis=0)
    distortion = None
    if mel is not None:
        distortion = float(
            np.mean([mel_cepstral_distortion_db(sound, other, mel) for sound, other in pairs])
        )
    return Distances(float(convergence), float(log_magnitude), distortion)
