"""Mixtures over vectors: the density of scipy, draws that have it, and guidance of what it is exact for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from wavedil import UserError
from wavedil.distributions import VectorMixture

MIXTURE = VectorMixture(num_dimensions=3, num_components=2)


def parameters(seed: int = 0) -> np.ndarray:
    return np.asarray(jax.random.normal(jax.random.key(seed), (MIXTURE.num_outputs,)))


def components(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-weights, means and scales in double precision."""
    values = np.asarray(values, np.float64)
    logits, (means, log_scales) = values[:2], values[2:].reshape(2, 2, 3)
    return logits - logsumexp(logits), means, np.exp(-3) + np.exp(log_scales)


def test_the_density_is_that_of_scipy() -> None:
    weights, means, scales = components(parameters())
    vectors = np.random.default_rng(0).normal(size=(20, 3), scale=2).astype(np.float32)
    each = stats.norm.logpdf(vectors[:, None], means, scales).sum(axis=2)
    found = jax.vmap(MIXTURE.log_prob, (None, 0))(jnp.asarray(parameters()), vectors)
    np.testing.assert_allclose(found, logsumexp(weights + each, axis=1), rtol=1e-5)


def test_draws_have_the_mean_and_the_spread_of_the_mixture_and_at_no_temperature_its_centre() -> (
    None
):
    given = jnp.asarray(parameters())
    keys = jax.random.split(jax.random.key(1), 20_000)
    drawn = np.asarray(jax.vmap(MIXTURE.sample, (0, None))(keys, given))
    weights, means, scales = components(parameters())
    shares = np.exp(weights)[:, None]
    mean = (shares * means).sum(axis=0)
    spread = np.sqrt((shares * (scales**2 + means**2)).sum(axis=0) - mean**2)
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=4 * spread.max() / 20_000**0.5)
    np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=0.04)
    cold = MIXTURE.sample(keys[0], given, 1e-4)
    np.testing.assert_allclose(cold, means[np.argmax(weights)], atol=2e-3)


def test_guidance_moves_weights_and_means_and_leaves_the_scales() -> None:
    labelled, without = parameters(0), parameters(1)
    guided = MIXTURE.guided(jnp.asarray(labelled), jnp.asarray(without), 2.0)
    np.testing.assert_allclose(guided[:8], 2 * labelled[:8] - without[:8], rtol=1e-5)
    np.testing.assert_allclose(guided[8:], labelled[8:], rtol=1e-5, atol=1e-6)


def test_sizes_and_parameters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="num_components is 0"):
        VectorMixture(3, 0)
    with pytest.raises(
        UserError, match=r"shape \(5,\), but the last axis of VectorMixture holds 14"
    ):
        MIXTURE.log_prob(jnp.zeros(5), jnp.zeros(3))
