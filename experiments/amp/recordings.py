"""The pairs: guitars and a bass, and what the amplifier makes of them."""

import csv
from pathlib import Path

import amplifier
import numpy as np
from scipy import signal

from wavedil import audio

SAMPLE_RATE = 44100
# Of stereo recordings the channels differ, and each is a take of its own.
TRAINED = {
    "guit_em9": ("left", "right"),
    "guit_e_fifths": ("left", "right"),
    "guit_harmonics": ("mix",),
    "bass_voxy_c": ("left",),
}
# Never heard in training: a slide.
HELD_OUT = "guit_e_slide"
# Every take is there at several peaks, for an amplifier is another one when it is played softly, and at several
# speeds, which are other notes.
VERSIONS = ((0.9, (1, 1)), (0.6, (4, 5)), (0.4, (5, 4)), (0.2, (3, 2)))
LOUD = VERSIONS[0][0]
GAINS = (0.0, 0.25, 0.5, 0.75, 1.0)
BETWEEN = (0.125, 0.375, 0.625, 0.875)
# At full gain the amplifier is louder than full scale, which a recording would cut off: it is turned down for them all.
VOLUME_OF_SETTINGS = 0.75


def held_out(data: Path) -> np.ndarray:
    """The dry signal that models are scored on."""
    return _take(data, HELD_OUT, "mix", LOUD, (1, 1))


def write(data: Path, folder: Path, gain: float) -> float:
    """One pair at a setting, whose end is the recording that is held out; returns that share of it."""
    test = held_out(data)
    dry = np.concatenate([_to_train_on(data), test])
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "guitar", dry, gain)
    return len(test) / len(dry)


def write_settings(data: Path, folder: Path) -> Path:
    """A manifest of pairs at settings to train on, and of what is held out at these and at settings between."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for split, dry, gains in (
        ("train", _to_train_on(data), GAINS),
        ("test", held_out(data), sorted(GAINS + BETWEEN)),
    ):
        for gain in gains:
            names = _write(folder / f"{split}-{1000 * gain:.0f}", dry, gain, VOLUME_OF_SETTINGS)
            rows.append((*names, gain, split))
    manifest = folder / "pairs.csv"
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([("dry", "wet", "gain", "split"), *rows])
    return manifest


def _to_train_on(data: Path) -> np.ndarray:
    takes = [
        _take(data, name, channel, peak, speed)
        for peak, speed in VERSIONS
        for name, channels in TRAINED.items()
        for channel in channels
    ]
    return np.concatenate(takes)


def _take(data: Path, name: str, channel: str, peak: float, speed: tuple[int, int]) -> np.ndarray:
    samples, rate = audio.load(data / "music-cc0" / f"{name}.flac", channel=channel)
    assert rate == SAMPLE_RATE
    faster, slower = speed
    samples = signal.resample_poly(samples, slower, faster)
    return (samples * (peak / np.abs(samples).max())).astype(np.float32)


def _write(stem: Path, dry: np.ndarray, gain: float, volume: float = 1.0) -> tuple[str, str]:
    names = f"{stem.name}-dry.wav", f"{stem.name}-wet.wav"
    audio.save(stem.with_name(names[0]), dry, SAMPLE_RATE)
    wet = amplifier.amplify(dry, SAMPLE_RATE, gain, volume)
    audio.save(stem.with_name(names[1]), wet, SAMPLE_RATE)
    return names
