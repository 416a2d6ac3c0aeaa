"""A small corpus without a download: plucked strings, by the Karplus-Strong algorithm."""

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from wavedil import audio

SAMPLE_RATE = 8000
"""Hz, of every recording."""

NOTES = {"A3": 36, "B3": 32, "C4": 30, "E4": 24, "G4": 20}
"""Note -> length of its delay line in samples. The loop's filter adds half a sample, so a string
sounds at SAMPLE_RATE / (length + 1/2) Hz: within 16 cents of the note in equal temperament."""

_TAKES = 28
# Short, so that attacks, the hardest part to learn, are a fair share of the samples.
_SECONDS = (0.25, 0.5)
# Of the amplitude to fall by a factor e: a string that is heard to decay within a recording.
_DECAY_SECONDS = (0.2, 0.4)
# -80 dB, about half a mu-law step around zero at 256 levels: enough that the ends of notes are
# quiet as in a recording, rather than digital silence that a model predicts without a doubt.
_NOISE = 1e-4


def pluck(
    delay: int, num_samples: int, decay_seconds: float, rng: np.random.Generator
) -> Float64[np.ndarray, " time"]:
    """One plucked string: a burst of noise that runs round a delay line with a mean of two taps.

        y[t] = g (y[t - delay] + y[t - delay - 1]) / 2,    y[0 .. delay] is noise

    The mean takes more from high partials than from low ones, so the tone darkens as it fades.

    Args:
      delay: Length of the delay line in samples; the period is `delay + 1/2`.
      num_samples: Length of the result, more than `delay`.
      decay_seconds: Time for the amplitude to fall by a factor e, through g alone.
      rng: Draws the burst.

    Returns:
      Samples [time] whose largest is 1 or -1, at SAMPLE_RATE.

    Reference: Karplus & Strong 1983, "Digital Synthesis of Plucked-String and Drum Timbres",
      Computer Music Journal 7(2).
    """
    gain = np.exp(-(delay + 0.5) / (decay_seconds * SAMPLE_RATE))
    y = np.empty(num_samples)
    burst = rng.uniform(-1.0, 1.0, delay + 1)
    # Without its mean, which would fade as slowly as the note and is not heard.
    y[: delay + 1] = burst - burst.mean()
    # `delay` samples at a time: each depends on samples before the block only.
    for start in range(delay + 1, num_samples, delay):
        stop = min(start + delay, num_samples)
        late = y[start - delay : stop - delay]
        later = y[start - delay - 1 : stop - delay - 1]
        y[start:stop] = gain * 0.5 * (late + later)
    return y / np.abs(y).max()


def write_corpus(folder: str | Path, seed: int = 0) -> list[Path]:
    r"""Write the corpus: 140 WAV files of one note each, about 52 seconds in all.

    Five notes, 28 takes each of a quarter to half a second, of different loudness and decay, as
    `pluck_A3_07.wav`. Equal seeds write equal bytes.

    Args:
      folder: Made if it does not exist.
      seed: 0 or more.

    Returns:
      The files, in order of their names.

    Raises:
      UserError: If a file cannot be written.

    Example:
      write_corpus("strings")
      labels = r"pluck_(?P<note>\w+)_(?P<index>\d+)"
      read_corpus(CorpusSettings(folder="strings", labels=labels))
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot be made a folder ({error.strerror}); choose another place"
        raise audio.AudioError(folder, reason) from None
    files = []
    for number, (note, delay) in enumerate(NOTES.items()):
        for take in range(_TAKES):
            rng = np.random.default_rng([seed, number, take])
            num_samples = int(rng.uniform(*_SECONDS) * SAMPLE_RATE)
            sound = pluck(delay, num_samples, rng.uniform(*_DECAY_SECONDS), rng)
            recorded = rng.uniform(0.4, 0.9) * sound + rng.normal(0.0, _NOISE, num_samples)
            files.append(folder / f"pluck_{note}_{take:02d}.wav")
            audio.save(files[-1], recorded, SAMPLE_RATE)
    return sorted(files)
