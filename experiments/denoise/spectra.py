"""Short-time spectra that begin and end with the signal, and the sound of them, as streams of frames.

    frame m    samples 64 m - 192 .. 64 m + 63, of 32 ms every 8 ms

A sample is complete when the last frame that holds it is there: 192 samples, 24 ms, later.
"""

import numpy as np

FRAME, HOP = 256, 64
NUM_BINS = FRAME // 2 + 1
DELAY = FRAME - HOP
# Its square, the Hann window, is the window of analysis and synthesis together; its shifts by 64 samples sum up to 2.
_WINDOW = np.sqrt(np.hanning(FRAME + 1)[:-1]).astype(np.float32)


def spectra(extended: np.ndarray) -> np.ndarray:
    """[frames, bins] of a signal that begins with the 192 samples before the first frame's own."""
    frames = np.lib.stride_tricks.sliding_window_view(extended, FRAME)[::HOP]
    return np.fft.rfft(_WINDOW * frames).astype(np.complex64)


def overlapping(spectra: np.ndarray, past: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The samples that frames complete, 64 each, and the 192 after them that have yet to be completed.

    Args:
      spectra: [frames, bins].
      past: The incomplete samples of the frames before.
    """
    sound = np.concatenate([past, np.zeros(HOP * len(spectra), np.float32)])
    for number, frame in enumerate(np.fft.irfft(spectra, FRAME)):
        sound[HOP * number :][:FRAME] += 0.5 * _WINDOW * frame
    return sound[: HOP * len(spectra)], sound[HOP * len(spectra) :]


def features(spectra: np.ndarray) -> np.ndarray:
    """What the network sees: the logarithms of the powers, at about its own scale."""
    return ((np.log(np.abs(spectra) ** 2 + 1e-5) + 3) / 4).astype(np.float32)
