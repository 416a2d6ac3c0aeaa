"""Linear prediction with a Gaussian residual, scored on the same levels as every other model."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr

from wavedil.data import Recording
from wavedil.quantizer import Quantizer

GRID = Quantizer(256, "mu_law")
RECENT = 32
ROUNDS = 3


class LinearPrediction(NamedTuple):
    """Amplitude x[t] is Gaussian around sum over k of weights[k] x[t - 1 - k].

    Its variance follows how wrong the last predictions were: floor + gain (mean square of the last 32 residuals).
    """

    weights: np.ndarray
    floor: float
    gain: float

    def moments(self, past: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of every sample."""
        mean = past @ self.weights
        return mean, np.sqrt(self.floor + self.gain * _recent(np.square(x - mean)))


def fit(recordings: Sequence[Recording], order: int) -> LinearPrediction:
    """Of the greatest likelihood: weights by least squares, each sample weighted by 1 / variance, then the variance."""
    # At first every sample is expected to be as it was, and not very surely.
    model = LinearPrediction(np.eye(order)[0], 1e-6, 1.0)
    for _ in range(ROUNDS):
        model = _fit_variance(_fit_weights(model, recordings), recordings[::10])
    return model


def _fit_weights(model: LinearPrediction, recordings: Sequence[Recording]) -> LinearPrediction:
    products, targets = 0.0, 0.0
    for past, x, _ in _pasts(recordings, len(model.weights)):
        _, deviation = model.moments(past, x)
        rows = past / deviation[:, None]
        products, targets = products + rows.T @ rows, targets + rows.T @ (x / deviation)
    return model._replace(weights=np.linalg.solve(products, targets))


def _fit_variance(model: LinearPrediction, recordings: Sequence[Recording]) -> LinearPrediction:
    def with_variance(logs: np.ndarray) -> LinearPrediction:
        return LinearPrediction(model.weights, *np.exp(logs))

    best = minimize(
        lambda logs: bits_per_sample(with_variance(logs), recordings),
        np.log([model.floor, model.gain]),
        method="Nelder-Mead",
        options={"maxiter": 40},
    )
    return with_variance(best.x)


def bits_per_sample(model: LinearPrediction, recordings: Sequence[Recording]) -> float:
    """The exact mass of each level, the outermost ones up to infinity, over every sample."""
    edges = np.concatenate([[-np.inf], GRID.edges, [np.inf]])
    nats, count = 0.0, 0
    for past, x, codes in _pasts(recordings, len(model.weights)):
        mean, deviation = model.moments(past, x)
        lower, upper = ((edges[codes + i] - mean) / deviation for i in (0, 1))
        nats -= _log_mass(lower, upper).sum()
        count += len(codes)
    return float(nats / count / np.log(2))


def _recent(squares: np.ndarray) -> np.ndarray:
    """Mean of the 32 values before each."""
    sums = np.concatenate([np.zeros(RECENT + 1), np.cumsum(squares)])
    return (sums[RECENT:-1] - sums[: -RECENT - 1]) / RECENT


def _pasts(
    recordings: Sequence[Recording], order: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each recording the amplitudes before each sample, newest first; the amplitudes; the codes."""
    amplitudes = GRID.decode(np.arange(GRID.count)).astype(np.float64)
    for recording in recordings:
        codes = recording.codes.astype(np.int64)
        x = amplitudes[codes]
        padded = np.concatenate([np.zeros(order), x[:-1]])
        yield np.lib.stride_tricks.sliding_window_view(padded, order)[:, ::-1], x, codes


def _log_mass(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """log(F(upper) - F(lower)) of a normal distribution, by symmetry in its lower half, where nothing cancels."""
    flipped = lower + upper > 0
    low = np.where(flipped, -upper, lower)
    high = np.where(flipped, -lower, upper)
    return log_ndtr(high) + np.log1p(-np.exp(log_ndtr(low) - log_ndtr(high)))
