"""A small corpus without a download: plucked strings, by the Karplus-Strong algorithm."""

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from wavedil import audio

SAMPLE_RATE = 8000
"""Hz, of every recording."""

NOTES = {"A3": 220.00, "B3": 246.94, "C4": 261.63, "E4": 329.63, "G4": 392.00}
"""Note -> its frequency in Hz, in equal temperament."""

# With a third of them a model of a few minutes learns the takes by heart.
_TAKES = 84
# Short, so that attacks, the hardest part to learn, are a fair share of the samples.
_SECONDS = (0.25, 0.5)
# Of the amplitude to fall by a factor e: a string that is heard to decay within a recording.
_DECAY_SECONDS = (0.2, 0.4)
# -80 dB, about half a mu-law step around zero at 256 levels: enough that the ends of notes are
# quiet as in a recording, rather than digital silence that a model predicts without a doubt.
_NOISE = 1e-4


def pluck(
    frequency: float, num_samples: int, decay_seconds: float, rng: np.random.Generator
) -> Float64[np.ndarray, " time"]:
    """One plucked string: a burst of noise that runs round a delay line with a mean of two taps.

        y[t] = g ((1 - f) y[t - d] + f y[t - d - 1]),    y[0 .. d] is noise,    d + f = SAMPLE_RATE / frequency

    The mean delays low partials by the fraction f, which tunes the string, and takes more from
    high ones, so that the tone darkens as it fades.

    Args:
      frequency: Hz, below SAMPLE_RATE / 2.
      num_samples: Length of the result, more than a period.
      decay_seconds: Time for the amplitude to fall by a factor e, through g alone.
      rng: Draws the burst.

    Returns:
      Samples [time] whose largest is 1 or -1, at SAMPLE_RATE.

    Reference: Karplus & Strong 1983, "Digital Synthesis of Plucked-String and Drum Timbres",
      Computer Music Journal 7(2); the fraction: Jaffe & Smith 1983, in the same issue.
    """
    delay, fraction = divmod(SAMPLE_RATE / frequency, 1)
    delay = int(delay)
    gain = np.exp(-(delay + fraction) / (decay_seconds * SAMPLE_RATE))
    y = np.empty(num_samples)
    burst = rng.uniform(-1.0, 1.0, delay + 1)
    # Without its mean, which would fade as slowly as the note and is not heard.
    y[: delay + 1] = burst - burst.mean()
    # `delay` samples at a time: each depends on samples before the block only.
    for start in range(delay + 1, num_samples, delay):
        stop = min(start + delay, num_samples)
        late = y[start - delay : stop - delay]
        later = y[start - delay - 1 : stop - delay - 1]
        y[start:stop] = gain * ((1 - fraction) * late + fraction * later)
    return y / np.abs(y).max()


def write_plucked_strings(folder: str | Path, seed: int = 0) -> list[Path]:
    r"""Write the corpus: 420 WAV files of one note each, about two and a half minutes in all.

    Five notes, 84 takes each of a quarter to half a second, of different loudness and decay, as
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
      read_corpus(CorpusConfig(folder="strings", labels=labels))
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot be made a folder ({error.strerror}); choose another place"
        raise audio.AudioError(folder, reason) from None
    files = []
    for number, (note, frequency) in enumerate(NOTES.items()):
        for take in range(_TAKES):
            rng = np.random.default_rng([seed, number, take])
            num_samples = int(rng.uniform(*_SECONDS) * SAMPLE_RATE)
            sound = pluck(frequency, num_samples, rng.uniform(*_DECAY_SECONDS), rng)
            recorded = rng.uniform(0.4, 0.9) * sound + rng.normal(0.0, _NOISE, num_samples)
            files.append(folder / f"pluck_{note}_{take:02d}.wav")
            audio.save(files[-1], recorded, SAMPLE_RATE)
    return sorted(files)
