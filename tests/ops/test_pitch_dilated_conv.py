"""A convolution whose dilation follows the pitch is its definition, and refuses what is none; gradients are exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import unchecked
from hypothesis import given, settings
from hypothesis import strategies as st

import wavedil as wd
from wavedil.receptive_field import trace


def pitch_dilated_conv(*arrays, longest_lag):
    return wd.ops.pitch_dilated_conv(*map(jnp.asarray, arrays), longest_lag=longest_lag)


def defined(x, kernel, dilation, voicing):
    """The definition, term by term."""
    taps, window, _, out_channels = kernel.shape
    spread = window // 2
    y = np.zeros((*x.shape[:2], out_channels))
    for b, t, k, j in np.ndindex(*x.shape[:2], taps, window):
        at = t - (k + 1) * dilation[b, t] + j - spread
        if at >= 0:
            y[b, t] += voicing[b, t] * (x[b, at] @ kernel[k, j])
    return y


def drawn(seed, taps, spread, longest_lag, num_samples):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, num_samples, 3))
    kernel = rng.normal(size=(taps, 2 * spread + 1, 3, 2))
    dilation = rng.integers(spread + 1, longest_lag + 1, (2, num_samples)).astype(np.int32)
    return x, kernel, dilation, rng.uniform(size=(2, num_samples))


@pytest.mark.long
@given(st.integers(0, 99), st.integers(1, 3), st.integers(0, 2), st.integers(0, 9))
@settings(max_examples=4, deadline=None)
def test_it_is_its_definition_and_sees_its_past_where_that_is_given(seed, taps, spread, more):
    longest_lag = spread + 1 + more
    x, kernel, dilation, voicing = drawn(seed, taps, spread, longest_lag, 45)
    expected = defined(x, kernel, dilation, voicing)
    past = taps * longest_lag + spread
    with jax.enable_x64(True):
        whole = pitch_dilated_conv(x, kernel, dilation, voicing, longest_lag=longest_lag)
        rest = dilation[:, past:], voicing[:, past:]
        later = pitch_dilated_conv(x, kernel, *rest, longest_lag=longest_lag)
    np.testing.assert_allclose(whole, expected, atol=1e-12)
    np.testing.assert_allclose(later, expected[:, past:], atol=1e-12)


def test_gradients_are_those_of_the_definition():
    """It is linear in each of signal, filter and voicing: its derivative along a direction is a difference."""
    x, kernel, dilation, voicing = drawn(0, 2, 1, 9, 25)
    along = [np.random.default_rng(1).normal(size=leaf.shape) for leaf in (x, kernel, voicing)]
    weight = np.random.default_rng(2).normal(size=(2, 25, 2))
    with jax.enable_x64(True):
        gradients = jax.grad(
            lambda x, kernel, voicing: jnp.sum(
                weight * pitch_dilated_conv(x, kernel, dilation, voicing, longest_lag=9)
            ),
            argnums=(0, 1, 2),
        )(x, kernel, voicing)
    for number, (gradient, direction) in enumerate(zip(gradients, along, strict=True)):
        moved = [leaf.copy() for leaf in (x, kernel, voicing)]
        moved[number] = direction
        expected = (weight * defined(moved[0], moved[1], dilation, moved[2])).sum()
        np.testing.assert_allclose(np.vdot(gradient, direction), expected, rtol=1e-10)


def test_a_dilation_out_of_range_is_refused_where_it_is_known_and_gives_nan_where_it_is_not():
    x, kernel, dilation, _ = (np.asarray(leaf) for leaf in drawn(0, 1, 2, 9, 20))
    for wrong in (2, 10, 0, -5):
        bad = dilation.copy()
        bad[1, 7] = wrong
        with pytest.raises(wd.UserError, match=rf"the dilation goes from .*{wrong}.* longest_lag"):
            pitch_dilated_conv(x, kernel, bad, longest_lag=9)
        run = jax.jit(lambda x, d: pitch_dilated_conv(x, kernel, d, longest_lag=9))
        y, right = run(x, bad), run(x, dilation)
        assert np.isnan(y[1, 7]).all() and np.isnan(y).sum() == 2
        np.testing.assert_array_equal(np.delete(y[1], 7, 0), np.delete(right[1], 7, 0))


def test_what_does_not_fit_is_refused():
    x, kernel, dilation, voicing = (jnp.asarray(leaf) for leaf in drawn(0, 1, 1, 9, 20))
    with unchecked():
        for message, arguments in (
            ("counts samples", (x, kernel, dilation.astype(jnp.float32))),
            ("the dilation has shape", (x, kernel, dilation[:, 1:])),
            ("the voicing has shape", (x, kernel, dilation, voicing[:1])),
            ("expected x", (x, kernel[:, :2], dilation)),
        ):
            with pytest.raises(wd.UserError, match=message):
                wd.ops.pitch_dilated_conv(*arguments, longest_lag=9)


def test_a_dilation_that_changes_is_traced_sample_by_sample():
    x, kernel, dilation, _ = drawn(0, 1, 1, 9, 40)
    x, kernel = x.astype(np.float32), kernel.astype(np.float32)
    field = trace(
        lambda x: pitch_dilated_conv(x, kernel[..., :1], dilation[:1], longest_lag=9), x[:1]
    )
    for t in range(40):
        at = t - dilation[0, t]
        assert field.inputs(t) == tuple(i for i in range(at - 1, at + 2) if i >= 0)
    assert field.causal
