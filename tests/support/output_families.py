"""The output distributions of all tests, and their probabilities by scipy in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats
from scipy.special import logsumexp

from wavedil.distributions import Categorical, GaussianMixture, LogisticMixture

SCIPY = {LogisticMixture: stats.logistic, GaussianMixture: stats.norm}


def mixtures(num_components, *levels):
    """Both mixtures on both scales, named as tests show them."""
    return {
        f"{family.__name__}-{count}-{scale}": family(num_components, count, scale)
        for family in SCIPY
        for count in levels
        for scale in ("linear", "mu_law")
    }


def categoricals(*levels):
    return {
        f"Categorical-{count}-{scale}": Categorical(count, scale)
        for count in levels
        for scale in ("linear", "mu_law")
    }


def log_prob_of_all_levels(distribution, rows):
    """log p of every level [rows, levels], for each row of parameters."""
    codes = jnp.arange(distribution.levels)
    of_row = jax.vmap(distribution.log_prob, (None, 0))
    return np.asarray(jax.jit(lambda rows: jax.lax.map(lambda row: of_row(row, codes), rows))(rows))


def components(mixture, parameters):
    """Logits, means and scales by the formulas of `Mixture`, in double precision."""
    logits, offsets, log_scales = np.split(np.asarray(parameters, np.float64), 3, axis=-1)
    number, mu = mixture.num_components, mixture.levels - 1

    def expanded(y):
        if mixture.companding == "linear":
            return y
        return np.sign(y) * ((1 + mu) ** np.abs(y) - 1) / mu

    means = expanded(offsets + (2 * np.arange(number) + 1) / number - 1)
    parts = np.diff(expanded(2 * np.arange(number + 1) / number - 1))
    deviation = SCIPY[type(mixture)].std()
    smallest = np.diff(mixture.quantizer.edges).min() / 16
    scales = smallest + np.exp(np.minimum(log_scales, 10)) * parts / (2 * deviation)
    return logits, np.clip(means, -1e4, 1e4), scales


def reference(mixture, logits, means, scales, codes):
    """log p by scipy: survival functions on the side of the mean where they are small, or the density in levels
    so narrow that even in double precision the difference would cancel.
    """
    family = SCIPY[type(mixture)]
    edges = np.concatenate([[-np.inf], mixture.quantizer.edges, [np.inf]])
    lower = (edges[codes][..., None] - means) / scales
    upper = (edges[codes + 1][..., None] - means) / scales
    mirrored = lower + upper < 0
    near, far = np.where(mirrored, -upper, lower), np.where(mirrored, -lower, upper)
    beyond = family.logsf(near)
    with np.errstate(divide="ignore"):
        log_mass = beyond + np.log(-np.expm1(family.logsf(far) - beyond))
    width = np.diff(edges)[codes][..., None] / scales
    middle = np.where(np.isfinite(width), near + width / 2, 0)
    narrow = width * (1 + np.abs(middle)) < 1e-4
    log_mass = np.where(narrow, family.logpdf(middle) + np.log(width), log_mass)
    return logsumexp(logits + log_mass, axis=-1) - logsumexp(logits, axis=-1)
