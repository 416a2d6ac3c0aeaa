"""Baselines: known answers, fitted on train and scored on test."""

import numpy as np
import pytest
import spoken_digits

from wavedil import UserError
from wavedil.data import CorpusConfig, Recording, read_corpus
from wavedil.evaluation import bigram_bits, histogram_bits


def recordings(*codes):
    return [Recording(f"{n}.wav", np.array(item, np.uint8)) for n, item in enumerate(codes)]


@pytest.mark.parametrize("bits", [histogram_bits, bigram_bits])
def test_uniform_noise_costs_all_its_bits(bits):
    rng = np.random.default_rng(0)
    train, test = recordings(rng.integers(0, 16, 200_000)), recordings(rng.integers(0, 16, 10_000))
    assert bits(train, test, levels=16) == pytest.approx(4.0, abs=0.01)


def test_the_histogram_is_the_cross_entropy_with_one_added_to_each_count():
    train, test = recordings([0, 0], [1]), recordings([0, 3, 0])
    p = np.array([3, 2, 1, 1]) / 7
    expected = -np.log2(p[[0, 3, 0]]).mean()
    assert histogram_bits(train, test, levels=4) == pytest.approx(expected, abs=1e-12)


def test_the_bigram_starts_every_recording_from_silence():
    # Silence is 2. Pairs in train: (2, 0), (0, 1) and (2, 3); in test: (2, 3), (3, 3).
    train, test = recordings([0, 1], [3]), recordings([3, 3])
    expected = -np.mean(np.log2([2 / 6, 1 / 4]))
    assert bigram_bits(train, test, levels=4) == pytest.approx(expected, abs=1e-12)


def test_a_bigram_learns_an_alternation_that_a_histogram_cannot():
    train = test = recordings(np.tile([0, 1], 5000))
    assert histogram_bits(train, test, levels=2) == pytest.approx(1.0, abs=1e-3)
    assert bigram_bits(train, test, levels=2) < 0.01


def test_a_code_never_seen_in_training_costs_finitely_many_bits():
    assert np.isfinite(histogram_bits(recordings([0]), recordings([255])))
    assert np.isfinite(bigram_bits(recordings([0]), recordings([255])))


@pytest.mark.parametrize("bits", [histogram_bits, bigram_bits])
def test_recordings_without_samples_are_refused(bits):
    with pytest.raises(UserError, match="0 samples"):
        bits([], recordings([0]))


def test_a_bigram_table_too_large_for_memory_is_refused():
    with pytest.raises(UserError, match="levels is 65536"):
        bigram_bits(recordings([0]), recordings([0]), levels=65536)


@spoken_digits.needs_recordings
def test_spoken_digits_cost_the_bits_known_for_them():
    corpus = read_corpus(CorpusConfig(folder=str(spoken_digits.FOLDER), test=r"_[0-4]\.wav$"))
    assert histogram_bits(corpus.train, corpus.test) == pytest.approx(7.18, abs=0.01)
    assert bigram_bits(corpus.train, corpus.test) == pytest.approx(5.45, abs=0.01)
