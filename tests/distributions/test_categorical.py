"""The categorical distribution."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import chisquare

from wavedil.distributions import Categorical


def test_probabilities_of_all_levels_sum_to_1_at_extreme_logits() -> None:
    parameters = jnp.array([[0.0, 80.0, -80.0, 3.0], [1e4, -1e4, 0.0, 0.0]])
    levels = jnp.tile(jnp.arange(4)[:, None], (1, 2))
    total = jnp.exp(Categorical(4).log_prob(jnp.tile(parameters, (4, 1, 1)), levels)).sum(0)
    np.testing.assert_allclose(total, 1.0, rtol=1e-6)


def test_samples_have_the_probabilities_of_the_density() -> None:
    logits = jnp.array([0.0, 1.0, -2.0, 0.5, -0.3])
    keys = jax.random.split(jax.random.key(0), 20000)
    codes = jax.vmap(Categorical(5).sample, (0, None))(keys, logits)
    expected = 20000 * jax.nn.softmax(logits)
    assert chisquare(np.bincount(codes, minlength=5), expected, sum_check=False).pvalue > 1e-3


def test_impossible_levels_are_never_drawn() -> None:
    logits = jnp.array([-jnp.inf, 0.0, -jnp.inf, 0.0, -jnp.inf])
    keys = jax.random.split(jax.random.key(1), 5000)
    codes = jax.vmap(Categorical(5).sample, (0, None))(keys, logits)
    assert set(np.unique(codes)) == {1, 3}


def test_temperature_sharpens() -> None:
    logits = jnp.array([0.0, 1.0])
    keys = jax.random.split(jax.random.key(2), 4000)
    share = jax.vmap(Categorical(2).sample, (0, None, None))(keys, logits, 0.5).mean()
    np.testing.assert_allclose(share, jax.nn.sigmoid(2.0), atol=0.03)
