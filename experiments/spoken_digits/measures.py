"""Measures of generated sounds: what a classifier says of them all together, and what is wrong with one itself."""

import numpy as np

_FRAME_SECONDS = 0.01
_RUNAWAY_SECONDS, _SILENCE_SECONDS = 0.1, 0.3
# White noise is at about 0.9, of the mean of a few short spectra.
_FLAT = 0.5
_SPECTRUM_SECONDS = 0.016
_SILENT = 1e-3  # -60 dBFS


def inception_score(probabilities: np.ndarray) -> float:
    """exp of the mean KL divergence of what is said of each sound from what is said on the average.

    1 where the same is said of all; the number of classes where each is certain and all are as common
    (Salimans et al. 2016, arXiv:1606.03498).

    Args:
      probabilities: [sounds, classes].
    """
    p = np.clip(probabilities.astype(np.float64), 1e-12, None)
    mean = p.mean(axis=0)
    return float(np.exp((p * (np.log(p) - np.log(mean))).sum(axis=1).mean()))


def frechet_distance(features: np.ndarray, others: np.ndarray) -> float:
    """Between Gaussians with the means and covariances of two sets of features (Heusel et al. 2017, arXiv:1706.08500).

        |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2))

    It falls with the number of rows, so compare sets of equal numbers.

    Args:
      features: [sounds, channels].
      others: [sounds, channels].
    """
    one, two = features.astype(np.float64), others.astype(np.float64)
    covariances = [np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (one, two)]
    # The trace of (C1 C2)^(1/2) is that of (R C2 R)^(1/2) with R the root of C1, which is symmetric.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    both = np.linalg.eigvalsh(root @ covariances[1] @ root)
    cross = np.sqrt(np.clip(both, 0, None)).sum()
    apart = np.sum((one.mean(axis=0) - two.mean(axis=0)) ** 2)
    return float(apart + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * cross)


def likelier_half(likelihood: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Which sounds are among the likelier half of their group; of an odd number the middle one is.

    Args:
      likelihood: [sounds].
      groups: [sounds], the number of each one's group.
    """
    kept = np.zeros(len(likelihood), bool)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        kept[rows[np.argsort(-likelihood[rows], kind="stable")[: (len(rows) + 1) // 2]]] = True
    return kept


def loudest(sounds: list[np.ndarray], rate: int) -> float:
    """The 99th percentile of the RMS of 10 ms, over all sounds: what goes on louder is no speech."""
    return float(
        np.percentile(np.concatenate([_rms(_frames(sound, rate)) for sound in sounds]), 99)
    )


def num_runaways(sound: np.ndarray, rate: int, loud: float) -> int:
    """How often it runs away into noise: 100 ms or more, all of it louder than `loud`, of a flat spectrum.

    The flatness of a spectrum is its geometric mean over its arithmetic mean, without its constant part, of the mean
    power of pieces of 16 ms.
    """
    frames, count = _frames(sound, rate), round(_RUNAWAY_SECONDS / _FRAME_SECONDS)
    is_loud = _rms(frames) > loud
    found = np.zeros(len(frames), bool)
    for first in range(len(frames) - count + 1):
        if is_loud[first : first + count].all():
            found[first] = _flatness(frames[first : first + count].ravel(), rate) > _FLAT
    return len(_runs(found))


def num_silences(sound: np.ndarray, rate: int) -> int:
    """How often it is below -60 dBFS for 300 ms or more, with sound before and after."""
    silent = _rms(_frames(sound, rate)) < _SILENT
    count = round(_SILENCE_SECONDS / _FRAME_SECONDS)
    return sum(
        end - first >= count and first > 0 and end < len(silent) for first, end in _runs(silent)
    )


def _frames(sound: np.ndarray, rate: int) -> np.ndarray:
    """Its complete pieces of 10 ms, one after the other."""
    size = round(_FRAME_SECONDS * rate)
    return sound[: len(sound) // size * size].reshape(-1, size).astype(np.float64)


def _rms(frames: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(frames**2, axis=-1))


def _flatness(window: np.ndarray, rate: int) -> float:
    size = round(_SPECTRUM_SECONDS * rate)
    pieces = np.lib.stride_tricks.sliding_window_view(window, size)[:: size // 2]
    power = (np.abs(np.fft.rfft(pieces * np.hanning(size))) ** 2).mean(axis=0)[1:] + 1e-20
    return float(np.exp(np.log(power).mean()) / power.mean())


def _runs(found: np.ndarray) -> list[tuple[int, int]]:
    """First of each run of True, and the one after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], found, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
