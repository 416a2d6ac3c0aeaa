"""Speech in noise: digits spoken one after the other, music and made noise over them, at a wanted ratio."""

import dataclasses
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

import wavedil as wd

SAMPLE_RATE = 8000
# Speakers and pieces of music that the network never meets in training. All tablas are among them.
TEST_SPEAKERS = ("george", "theo")
TEST_MUSIC = ("bass_voxy_c", "guit_em9", "loop_garzul", "loop_tabla", "tabla_ghe1")
NOISES = ("music", "made")
# Noise alone at the beginning, from which the baseline learns it.
LEAD_SECONDS = 0.25


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Sounds at 8 kHz: digits by speaker, and music by name."""

    digits: dict[str, list[np.ndarray]]
    music: dict[str, np.ndarray]


def read(data: Path, test: bool) -> Recordings:
    """The recordings of one side of the split; of the test speakers the official test recordings, 0 to 4 of each."""
    digits: dict[str, list[np.ndarray]] = {}
    for path in sorted((data / "fsdd" / "recordings").glob("*.wav")):
        _, speaker, index = path.stem.split("_")
        if (speaker in TEST_SPEAKERS) == test and (int(index) < 5 or not test):
            digits.setdefault(speaker, []).append(wd.audio.load(path, SAMPLE_RATE)[0])
    music = {
        path.stem: wd.audio.load(path, SAMPLE_RATE)[0]
        for path in sorted((data / "music-cc0").glob("*.flac"))
        if (path.stem in TEST_MUSIC) == test
    }
    return Recordings(digits, music)


def utterance(recordings: Recordings, rng: np.random.Generator, num_digits: int = 5) -> np.ndarray:
    """Digits of one speaker with pauses before, between and after them, at one loudness."""
    speaker = rng.choice(sorted(recordings.digits))
    parts = [np.zeros(round(LEAD_SECONDS * SAMPLE_RATE), np.float32)]
    for number in rng.integers(len(recordings.digits[speaker]), size=num_digits):
        sound = recordings.digits[speaker][number]
        pause = rng.integers(600, 2400)
        parts += [0.1 * sound / np.sqrt(np.mean(sound**2)), np.zeros(pause, np.float32)]
    return np.concatenate(parts)


def noise(
    recordings: Recordings, kind: str, num_samples: int, rng: np.random.Generator, vary: bool
) -> np.ndarray:
    """A stretch of music, repeated where it is short; or Gaussian noise of a random smooth spectrum.

    `vary` plays music at another speed, so that a network does not learn a few pieces by heart.
    """
    if kind == "made":
        return _made_noise(num_samples, rng)
    music = recordings.music[rng.choice(sorted(recordings.music))]
    if vary:
        music = resample_poly(music, int(rng.integers(7, 14)), 10).astype(np.float32)
    first = rng.integers(len(music))
    return np.take(music, np.arange(first, first + num_samples), mode="wrap")


def _made_noise(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Falling by 0 to 9 dB an octave, with hills and valleys of some 6 dB."""
    spectrum = np.fft.rfft(rng.normal(size=num_samples))
    octaves = np.log2(np.maximum(np.linspace(0, SAMPLE_RATE / 2, len(spectrum)), 60) / 60)
    level_db = -rng.uniform(0, 9) * octaves
    for ripples in (0.5, 1, 2):
        level_db += rng.normal(0, 3) * np.cos(np.pi * ripples * octaves + rng.uniform(0, 2 * np.pi))
    return np.fft.irfft(spectrum * 10 ** (level_db / 20), num_samples).astype(np.float32)


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Speech with the noise at that ratio of energies, both over the whole length."""
    energies = np.mean(speech**2), max(np.mean(noise**2), 1e-12)
    gain = np.sqrt(energies[0] / energies[1] / 10 ** (snr_db / 10))
    return (speech + gain * noise).astype(np.float32)


def si_sdr_db(estimate: np.ndarray, speech: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019, arXiv:1811.02508)."""
    estimate, speech = estimate - estimate.mean(), speech - speech.mean()
    target = (estimate @ speech) / (speech @ speech) * speech
    distortion = estimate - target
    return float(10 * np.log10((target @ target) / (distortion @ distortion)))
