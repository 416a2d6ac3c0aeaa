"""Probabilities of the levels: they sum to 1, are those of scipy, and have finite, right gradients."""

import inspect
import itertools

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from output_families import (
    categoricals,
    components,
    log_prob_of_all_levels,
    mixtures,
    reference,
)

from wavedil import UserError
from wavedil.distributions import (
    Categorical,
    Distribution,
    GaussianMixture,
    LogisticMixture,
    make,
)
from wavedil.quantizer import Quantizer

# Means inside, at the edges of and far outside full scale; scales from far below a level to far above all.
MEANS = (-1e9, -1e3, -1.5, -1.0, -0.3, 0.0, 1e-5, 0.9999, 1.2, 1e3)
LOG_SCALES = (-1e4, -12.0, -7.0, -3.0, 0.0, 4.0, 1e4)
EXTREMES = np.array([(0, *row) for row in itertools.product(MEANS, LOG_SCALES)], np.float32)
by_mixture = pytest.mark.parametrize(
    "mixture", mixtures(1, 256, 65536).values(), ids=mixtures(1, 256, 65536)
)
TWO = mixtures(2, 256, 65536)
by_mixture_of_two = pytest.mark.parametrize("mixture", TWO.values(), ids=TWO)


@pytest.mark.sampled
@by_mixture
def test_probabilities_of_all_levels_sum_to_1_at_extreme_parameters(mixture) -> None:
    log_prob = log_prob_of_all_levels(mixture, EXTREMES)
    assert log_prob.dtype == np.float32
    assert log_prob.max() <= 1e-6
    np.testing.assert_allclose(np.exp(log_prob.astype(np.float64)).sum(-1), 1.0, atol=1e-5)


@by_mixture_of_two
def test_probabilities_of_a_mixture_sum_to_1_whatever_its_weights(mixture) -> None:
    rows = np.random.default_rng(0).normal(0, [100, 100, 1, 1, 8, 8], (8, 6)).astype(np.float32)
    log_prob = log_prob_of_all_levels(mixture, rows)
    np.testing.assert_allclose(np.exp(log_prob.astype(np.float64)).sum(-1), 1.0, atol=1e-5)


@pytest.mark.parametrize(
    "categorical", categoricals(256, 65536).values(), ids=categoricals(256, 65536)
)
def test_probabilities_of_a_categorical_sum_to_1_at_extreme_logits(categorical) -> None:
    rng = np.random.default_rng(1)
    rows = np.stack([scale * rng.normal(size=categorical.levels) for scale in (0, 1, 100, 1e30)])
    log_prob = log_prob_of_all_levels(categorical, rows.astype(np.float32))
    np.testing.assert_allclose(np.exp(log_prob.astype(np.float64)).sum(-1), 1.0, atol=1e-5)


@by_mixture
def test_log_probabilities_are_those_of_scipy_in_double_precision(mixture) -> None:
    # The means and scales as the mixture has them: a float32 mean is nowhere nearer than its rounding.
    logits, means, log_scales = (
        np.float64(part) for part in mixture._components(jnp.asarray(EXTREMES))
    )
    codes = np.unique(np.linspace(0, mixture.levels - 1, 401).astype(int))
    log_prob = jax.jit(mixture.log_prob)(
        np.repeat(EXTREMES[:, None], codes.size, 1), np.tile(codes, (len(EXTREMES), 1))
    )
    columns = (part[:, None] for part in (logits, means, np.exp(log_scales)))
    expected = reference(mixture, *columns, codes)
    error = np.abs(log_prob - expected) / np.maximum(1, np.abs(expected))
    assert error.max() < 5e-6


@by_mixture_of_two
def test_means_and_scales_come_from_the_parameters_as_documented(mixture) -> None:
    rows = np.random.default_rng(2).normal(0, 2, (100, 6)).astype(np.float32)
    logits, means, log_scales = mixture._components(jnp.asarray(rows))
    expected = components(mixture, rows)
    np.testing.assert_array_equal(logits, expected[0])
    np.testing.assert_allclose(means, expected[1], rtol=5e-6, atol=1e-7)
    np.testing.assert_allclose(np.exp(log_scales), expected[2], rtol=1e-5)


@by_mixture_of_two
def test_gradients_are_the_finite_differences_of_scipys_log_probabilities(mixture) -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(0, [1, 1, 0.5, 0.5, 2, 2], (200, 6)).astype(np.float32) - 2 * (
        np.arange(6) >= 4
    )
    codes = rng.integers(0, mixture.levels, 200)
    codes[:8] = [0, mixture.levels - 1] * 4
    total = jax.jit(jax.grad(lambda p, codes: mixture.log_prob(p, codes).sum()))
    gradients = total(rows, codes)
    for column in range(6):
        h = 1e-5 * (np.arange(6) == column)
        above, below = (
            reference(mixture, *components(mixture, rows + side * h), codes) for side in (1, -1)
        )
        expected = (above - below) / 2e-5
        np.testing.assert_allclose(gradients[:, column], expected, rtol=2e-3, atol=2e-3)


_WIDE = st.floats(-1e4, 1e4, width=32)
_ANY = st.floats(-(2.0**60), 2.0**60, width=32)
_VALUE_AND_GRADIENT = {
    name: jax.jit(jax.value_and_grad(mixture.log_prob)) for name, mixture in TWO.items()
}


@settings(deadline=None, max_examples=200)
@given(
    weights=st.tuples(_WIDE, _WIDE),
    others=st.tuples(_ANY, _ANY, _ANY, _ANY),
    where=st.floats(0, 1),
)
def test_log_probabilities_and_gradients_are_finite_everywhere(weights, others, where) -> None:
    parameters = jnp.array([*weights, *others], jnp.float32)
    for name, mixture in TWO.items():
        code = jnp.asarray(round(where * (mixture.levels - 1)))
        value, gradient = _VALUE_AND_GRADIENT[name](parameters, code)
        assert np.isfinite(value) and value <= 1e-6, name
        assert np.isfinite(gradient).all(), name


@pytest.mark.sampled
@pytest.mark.parametrize("mixture", mixtures(10, 256, 65536).values(), ids=mixtures(10, 256, 65536))
def test_zeros_are_nearly_uniform_over_the_levels(mixture) -> None:
    log_prob = log_prob_of_all_levels(mixture, np.zeros((1, 30), np.float32))[0]
    more = -log_prob / np.log(2) - np.log2(mixture.levels)
    assert more.mean() < 0.1 and more.max() < 1.3


@by_mixture
def test_zeros_of_one_component_are_nearly_flat_over_full_scale(mixture) -> None:
    log_prob = log_prob_of_all_levels(mixture, np.zeros((1, 3), np.float32))[0]
    edges = np.concatenate([[-1.0], mixture.quantizer.edges, [1.0]])
    uniform = np.log(np.diff(edges) / 2)
    assert ((uniform - log_prob) / np.log(2)).max() < 1.2


def test_the_density_integrates_to_1_and_is_the_limit_of_the_levels() -> None:
    parameters = jnp.array([0.3, -0.3, 0.1, 0.2, -3.0, -1.0])
    for mixture in (LogisticMixture(2, 65536), GaussianMixture(2, 65536)):
        x = jnp.linspace(-8, 8, 200_001)
        density = jnp.exp(jax.vmap(mixture.log_density, (None, 0))(parameters, x))
        np.testing.assert_allclose(np.trapezoid(density, x), 1.0, rtol=1e-3)
        codes = np.array([20000, 32768, 40000])
        at = jnp.asarray(mixture.quantizer.decode(codes))
        log_width = np.log(2 / 65536)
        np.testing.assert_allclose(
            jax.vmap(mixture.log_density, (None, 0))(parameters, at) + log_width,
            jax.vmap(mixture.log_prob, (None, 0))(parameters, jnp.asarray(codes)),
            atol=1e-4,
        )


@pytest.mark.parametrize("family", ["categorical", "logistic", "gaussian"])
def test_every_family_keeps_the_protocol_and_gives_what_codes_beyond_the_levels_deserve(
    family,
) -> None:
    distribution = make(family, 16, "linear")
    assert isinstance(distribution, Distribution)
    parameters = jnp.zeros((1, distribution.num_outputs), jnp.bfloat16)
    assert distribution.log_prob(parameters, jnp.array([3])).dtype == jnp.float32
    assert np.isnan(distribution.log_prob(parameters, jnp.array([16]))[0])


FAMILIES = {
    f"{family}-{levels}": make(family, levels, companding)
    for family, companding in (("categorical", "mu_law"), ("logistic", "mu_law"), ("gaussian", "linear"))
    for levels in (16, 256)
}  # fmt: skip
_COUNTED = {
    name: jax.jit(
        jax.value_and_grad(
            lambda p, codes, counted, family=family: jnp.sum(
                jnp.where(counted, family.log_prob(p, codes), 0.0)
            ),
        )
    )
    for name, family in FAMILIES.items()
}


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=20)
@given(code=st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 300))
def test_a_code_that_is_no_level_has_log_probability_nan_and_no_gradient_where_it_is_left_out(
    name, code
) -> None:
    family = FAMILIES[name]
    parameters = jnp.full((2, family.num_outputs), 0.1)
    codes = jnp.array([3, code])
    inside = 0 <= code < family.levels
    everywhere, alone = jnp.array([True, True]), jnp.array([True, inside])
    assert np.isfinite(_COUNTED[name](parameters, codes, everywhere)[0]) == inside
    value, gradient = _COUNTED[name](parameters, codes, alone)
    assert np.isfinite(value) and np.isfinite(gradient).all() and gradient[0].any()
    assert inside or not gradient[1].any()


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.uint32])
def test_codes_of_every_integer_type_are_held_to_the_levels(dtype) -> None:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    codes = np.array([low, 0, 15, 16, 127, high], dtype)
    for name, family in FAMILIES.items():
        log_prob = family.log_prob(jnp.zeros((6, family.num_outputs)), jnp.asarray(codes))
        expected = [0 <= int(code) < family.levels for code in codes]
        np.testing.assert_array_equal(np.isfinite(log_prob), expected, name)


@pytest.mark.sampled
@pytest.mark.parametrize("name", FAMILIES)
def test_nan_parameters_draw_the_code_that_is_none(name) -> None:
    family = FAMILIES[name]
    rows = jnp.zeros((family.num_outputs + 1, family.num_outputs))
    rows = rows.at[jnp.arange(family.num_outputs), jnp.arange(family.num_outputs)].set(jnp.nan)
    codes = np.asarray(family.sample(jax.random.key(0), rows))
    assert (codes[:-1] == -1).all() and codes[-1] >= 0


def test_names_and_numbers_of_components_make_what_they_say() -> None:
    assert make("categorical", 256, "mu_law") == Categorical(256, "mu_law")
    assert make("logistic", 256, "linear") == LogisticMixture(10, 256, "linear")
    assert make("gaussian", 65536, "linear") == GaussianMixture(1, 65536, "linear")
    assert make("gaussian", 256, "mu_law", 3) == GaussianMixture(3, 256, "mu_law")


unchecked_make = inspect.unwrap(
    make
)  # the tests' check of types would come before the library's own


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unchecked_make("logistics", 256, "linear"), "'logistics' is unknown; did you mean 'logistic'"),
        (lambda: make("categorical", 256, "linear", 3), "num_components is 3, but a categorical"),
        (lambda: make("logistic", 70000, "linear"), "levels is 70000, but a sample has 2 to 65536"),
        (lambda: GaussianMixture(0), "num_components is 0, but it must be a whole number of at least 1"),
        (lambda: Categorical(1), "levels is 1"),
        (
            lambda: GaussianMixture(2).log_prob(jnp.zeros((5, 3)), jnp.zeros(5, jnp.int32)),
            r"shape \(5, 3\), but the last axis of GaussianMixture holds 6",
        ),
        (
            lambda: Categorical(4).log_prob(jnp.zeros((5, 4)), jnp.zeros(6, jnp.int32)),
            r"samples of shape \(5,\), but the samples have shape \(6,\)",
        ),
        (
            lambda: LogisticMixture(1).log_prob(jnp.zeros((5, 3)), jnp.zeros(5)),
            r"codes are float32, but codes are integers 0 to 65535; encode amplitudes with wavedil.quantizer",
        ),
        (lambda: Categorical(4).sample(jax.random.key(0), jnp.zeros(())), "the last axis of Categorical"),
    ],
)  # fmt: skip
def test_what_is_out_of_range_or_of_another_shape_is_refused(call, message) -> None:
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize("integer", [np.int64, np.array])
def test_levels_and_components_of_numpy_are_kept_as_pythons(integer) -> None:
    for made in (LogisticMixture(integer(2), integer(16)), Categorical(integer(16))):
        plain = type(made)(*(2, 16) if isinstance(made, LogisticMixture) else (16,))
        assert made == plain and hash(made) == hash(plain)
        assert type(made.levels) is type(made.num_outputs) is int


@pytest.mark.parametrize("wrong", [True, "2", 2.0])
def test_levels_and_components_that_are_no_whole_numbers_are_refused(wrong) -> None:
    for construct in (
        lambda: Categorical(wrong),
        lambda: LogisticMixture(wrong),
        lambda: GaussianMixture(levels=wrong),
        lambda: Quantizer(wrong),
    ):
        with contract.unchecked(), pytest.raises(UserError, match="must be a whole number"):
            construct()
