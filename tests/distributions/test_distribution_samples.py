"""Samples have the probabilities of the levels, temperature does what it says, means are means."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from output_families import (
    SCIPY,
    categoricals,
    components,
    log_prob_of_all_levels,
    mixtures,
)
from scipy import stats

from wavedil.distributions import Categorical, GaussianMixture, LogisticMixture

# Two components of unequal weight, one beyond full scale, so that an outermost level is drawn often.
TWO = np.array([0.5, -0.5, 0.2, 0.45, -1.0, -2.0], np.float32)
FEW = mixtures(2, 16) | categoricals(16)
MANY = mixtures(2, 65536) | categoricals(65536)


def parameters_of(distribution):
    if isinstance(distribution, Categorical):
        return np.cumsum(np.random.default_rng(4).normal(0, 0.05, distribution.levels)).astype(
            np.float32
        )
    return TWO


def draw(distribution, parameters, count, temperature=1.0, seed=0):
    keys = jax.random.split(jax.random.key(seed), count)
    sample = jax.jit(jax.vmap(distribution.sample, (0, None, None)))
    return np.asarray(sample(keys, parameters, temperature))


def probabilities(distribution, parameters):
    log_prob = log_prob_of_all_levels(distribution, parameters[None])[0]
    return np.exp(log_prob.astype(np.float64))


@pytest.mark.parametrize("distribution", FEW.values(), ids=FEW)
def test_samples_of_few_levels_have_their_probabilities_by_chi_square(distribution) -> None:
    parameters = parameters_of(distribution)
    codes = draw(distribution, parameters, 20000)
    assert codes.dtype == np.int32 and codes.min() >= 0
    counts = np.bincount(codes, minlength=16)
    expected = 20000 * probabilities(distribution, parameters)
    often = expected > 5
    counts = np.append(counts[often], counts[~often].sum() + 1e-9)
    expected = np.append(expected[often], expected[~often].sum() + 1e-9)
    assert stats.chisquare(counts, expected, sum_check=False).pvalue > 1e-3


@pytest.mark.sampled
@pytest.mark.parametrize("distribution", MANY.values(), ids=MANY)
def test_samples_of_many_levels_have_their_probabilities_by_kolmogorov_smirnov(
    distribution,
) -> None:
    parameters = parameters_of(distribution)
    count = 1000
    drawn = np.bincount(draw(distribution, parameters, count), minlength=65536)
    distance = np.cumsum(drawn) / count - np.cumsum(probabilities(distribution, parameters))
    assert stats.kstwo(count).sf(np.abs(distance).max()) > 1e-3


@pytest.mark.parametrize("mixture", mixtures(2, 65536).values(), ids=mixtures(2, 65536))
def test_temperature_divides_the_logits_and_multiplies_the_scales(mixture) -> None:
    logits, means, log_scales = np.split(TWO, 3)
    colder = np.concatenate([logits / 0.5, means, log_scales + np.float32(np.log(0.5))])
    codes, expected = draw(mixture, TWO, 500, temperature=0.5), draw(mixture, colder, 500)
    assert np.abs(codes - expected).max() <= 1
    assert not np.array_equal(codes, draw(mixture, TWO, 500))
    cold = draw(mixture, TWO, 20, temperature=1e-6)
    weightier = components(mixture, TWO)[1][np.argmax(logits)]
    assert np.abs(cold - mixture.quantizer.encode(weightier)).max() <= 3


def test_the_same_key_gives_the_same_codes_in_any_batch() -> None:
    for distribution in FEW.values():
        parameters = np.tile(parameters_of(distribution), (3, 1))
        keys = jax.random.split(jax.random.key(5), 3)
        together = jax.vmap(distribution.sample)(keys, parameters)
        np.testing.assert_array_equal(
            together[1], distribution.sample(keys[1], jnp.asarray(parameters[1]))
        )


@pytest.mark.sampled
@pytest.mark.parametrize("distribution", (FEW | MANY).values(), ids=FEW | MANY)
def test_the_mean_is_that_of_the_levels(distribution) -> None:
    parameters = parameters_of(distribution)
    amplitudes = distribution.quantizer.decode(np.arange(distribution.levels))
    expected = probabilities(distribution, parameters) @ amplitudes
    # A mixture's mean is not rounded to levels.
    exact = isinstance(distribution, Categorical)
    tolerance = 1e-5 if exact else 0.5 * np.diff(distribution.quantizer.edges).max() + 1e-5
    mean = distribution.mean(jnp.asarray(parameters))
    np.testing.assert_allclose(mean, expected, atol=tolerance)


@pytest.mark.parametrize("family", [LogisticMixture, GaussianMixture])
def test_the_mean_of_a_mixture_is_the_integral_of_the_clipped_density(family) -> None:
    mixture = family(2)
    rows = np.random.default_rng(6).normal(0, [1, 1, 1, 1, 3, 3], (40, 6)).astype(np.float32)
    logits, means, scales = components(mixture, rows)
    u = (np.arange(20000) + 0.5) / 20000
    drawn = np.clip(means[..., None] + scales[..., None] * SCIPY[family].ppf(u), -1, 1).mean(-1)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(
        mixture.mean(jnp.asarray(rows)), (weights * drawn).sum(-1), atol=2e-4
    )


@pytest.mark.parametrize("family", [LogisticMixture, GaussianMixture])
def test_the_mean_has_its_slope_in_the_middle_too(family) -> None:
    mixture = family(1)

    def mean(b: float) -> jax.Array:
        return mixture.mean(jnp.stack([0.0, jnp.asarray(b, jnp.float32), -1.0]))

    slope = (mean(1e-2) - mean(-1e-2)) / 2e-2
    np.testing.assert_allclose(jax.grad(mean)(0.0), slope, rtol=1e-2)


def test_the_mean_stays_within_full_scale_at_extreme_parameters() -> None:
    for mixture in mixtures(1, 65536).values():
        rows = np.array([(0, m, c) for m in (-1e9, 0, 3) for c in (-99, 0, 99)], np.float32)
        mean = np.asarray(mixture.mean(jnp.asarray(rows)))
        assert np.isfinite(mean).all() and np.abs(mean).max() <= 1 + 1e-6
