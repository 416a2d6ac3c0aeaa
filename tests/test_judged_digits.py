"""The experiment that judges generated digits: each measure where its answer is known."""

import sys
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from wavedil import MelConfig
from wavedil.evaluation import classify
from wavedil.models import TCN, TCNConfig

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments" / "spoken_digits"))
from judges import heard
from measures import (
    frechet_distance,
    inception_score,
    likelier_half,
    loudest,
    num_runaways,
    num_silences,
)

RATE = 8000


def of_moments(mean: np.ndarray, root: np.ndarray, seed: int) -> np.ndarray:
    """Rows of exactly that mean, and of covariance root root^T."""
    rows = np.random.default_rng(seed).normal(size=(200, len(mean)))
    rows -= rows.mean(axis=0)
    white = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows, rowvar=False))).T
    return mean + white @ root.T


def tone(seconds: float, hz: float = 200, amplitude: float = 0.3) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


def noise(seconds: float, amplitude: float = 0.5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=round(seconds * RATE)) * amplitude


def test_an_inception_score_is_1_where_all_is_the_same_and_the_number_of_classes_at_best():
    assert inception_score(np.full((30, 10), 0.1)) == pytest.approx(1)
    assert inception_score(np.tile(np.eye(10)[3], (30, 1))) == pytest.approx(1)
    assert inception_score(np.tile(np.eye(10), (3, 1))) == pytest.approx(10, rel=1e-6)


def test_a_frechet_distance_is_that_of_two_gaussians_in_closed_form():
    one = of_moments(np.zeros(2), np.diag([1.0, 2.0]), 0)
    # Axes that are the same: (m1 - m2)^2 + (s1 - s2)^2 of each.
    other = of_moments(np.array([3.0, -1.0]), np.diag([4.0, 0.5]), 1)
    assert frechet_distance(one, other) == pytest.approx(9 + 1 + 9 + 2.25, rel=1e-9)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    # Covariances that do not commute; of two by two the trace of a root is sqrt(trace + 2 sqrt(det)).
    mixed = np.array([[1.0, 0.0], [0.8, 0.6]])
    c1, c2 = np.diag([1.0, 4.0]), mixed @ mixed.T
    cross = np.sqrt(np.trace(c1 @ c2) + 2 * np.sqrt(np.linalg.det(c1 @ c2)))
    found = frechet_distance(one, of_moments(np.zeros(2), mixed, 2))
    assert found == pytest.approx(np.trace(c1) + np.trace(c2) - 2 * cross, rel=1e-9)


def test_the_likelier_half_is_taken_of_each_group():
    likelihood = np.array([5.0, -1.0, 2.0, -3.0, -2.0, -9.0, -8.0])
    groups = np.array([0, 1, 0, 1, 0, 1, 1])
    expected = [True, True, True, True, False, False, False]
    np.testing.assert_array_equal(likelier_half(likelihood, groups), expected)


def test_a_burst_of_noise_is_found_where_it_is_loud_long_and_flat():
    loud = loudest([tone(1)] * 9, RATE)
    assert loud == pytest.approx(0.3 / np.sqrt(2), rel=1e-3)
    quiet = tone(0.5)
    assert num_runaways(np.concatenate([quiet, noise(0.2), quiet]), RATE, loud) == 1
    assert num_runaways(np.concatenate([noise(0.2), tone(1), noise(0.2)]), RATE, loud) == 2
    assert num_runaways(np.concatenate([quiet, noise(0.03), quiet]), RATE, loud) == 0
    assert num_runaways(noise(0.5, amplitude=0.1), RATE, loud) == 0
    assert num_runaways(tone(0.5, amplitude=0.9), RATE, loud) == 0
    assert num_runaways(noise(0.05), RATE, loud) == 0


def test_silence_is_found_inside_a_sound_alone():
    hole, short = np.zeros(round(0.4 * RATE)), np.zeros(round(0.2 * RATE))
    sound = tone(0.3)
    assert num_silences(np.concatenate([sound, hole, sound]), RATE) == 1
    assert num_silences(np.concatenate([sound, hole, sound, hole, sound]), RATE) == 2
    assert num_silences(np.concatenate([hole, sound, short, sound, hole]), RATE) == 0
    assert num_silences(np.concatenate([sound, noise(0.4, 0.0005), sound]), RATE) == 1
    assert num_silences(np.concatenate([sound, noise(0.4, 0.01), sound]), RATE) == 0


def test_what_is_heard_is_what_the_library_says_and_a_linear_function_of_the_features():
    mel = MelConfig(num_mels=4, fft_size=128, hop=64).at(RATE)
    config = TCNConfig(
        in_channels=4, channels=4, dilations=(1,), target="digit", values=("no", "yes"), mel=mel,
        mean=0.4, deviation=0.2, sample_rate=RATE,
    )  # fmt: skip
    model = TCN(config, rngs=nnx.Rngs(0))
    sounds = [tone(0.2), noise(0.3, 0.1), tone(0.1, hz=900)]
    probabilities, features = heard(model, sounds)
    np.testing.assert_allclose(probabilities, classify(model, sounds), atol=1e-6)
    logits = features @ np.asarray(model.output.kernel[0]) + np.asarray(model.output.bias)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    # A sound that the library refuses is judged too: a generator may draw it.
    assert np.isfinite(heard(model, [np.zeros(50), np.zeros(900)])[0]).all()
