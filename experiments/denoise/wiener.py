"""The baseline: a Wiener filter on the short-time spectrum."""

import numpy as np
from scipy.signal import istft, stft

# 32 ms with a step of 8 ms.
_FRAME, _STEP = 256, 64
# Of the decision-directed estimate, and the least gain, -20 dB, without which what is left of the noise sings.
_SMOOTHING, _LEAST_GAIN = 0.98, 0.1


def wiener(noisy: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Wiener filter with the decision-directed ratio of speech to noise, of a noise with the spectrum of `noise`.

    gain = r / (1 + r), where r[t] = 0.98 |gain[t - 1] X[t - 1]|^2 / N + 0.02 max(|X[t]|^2 / N - 1, 0)

    Reference: Ephraim and Malah 1984, doi:10.1109/TASSP.1984.1164453; Scalart and Filho 1996.
    """
    spectrum = _stft(noisy)
    power = np.maximum(np.mean(np.abs(_stft(noise)) ** 2, axis=1), 1e-12)
    ratios = np.abs(spectrum) ** 2 / power[:, None]
    gains = np.empty_like(ratios)
    before = np.ones(len(power))
    for t, ratio in enumerate(ratios.T):
        prior = _SMOOTHING * before + (1 - _SMOOTHING) * np.maximum(ratio - 1, 0)
        gains[:, t] = np.maximum(prior / (1 + prior), _LEAST_GAIN)
        before = gains[:, t] ** 2 * ratio
    _, sound = istft(gains * spectrum, nperseg=_FRAME, noverlap=_FRAME - _STEP)
    return sound[: len(noisy)].astype(np.float32)


def _stft(sound: np.ndarray) -> np.ndarray:
    return stft(sound, nperseg=_FRAME, noverlap=_FRAME - _STEP)[2]
