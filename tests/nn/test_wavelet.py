"""The undecimated wavelet transform: PyWavelets' numbers, and the signal back from them."""

from typing import Any

import contract
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import pywt
from contract import assert_close
from flax import nnx
from hypothesis import example, given, settings

from wavedil import UserError
from wavedil.nn import AtrousWavelet, AtrousWaveletSynthesis, Conv1d, Sequential
from wavedil.nn.wavelet_filters import WAVELETS, scaling_filter, wavelet_filter


@pytest.mark.parametrize("name", WAVELETS)
def test_the_filters_are_those_of_pywavelets(name: str) -> None:
    scaling = scaling_filter(name)
    # PyWavelets' symlets are given to 12 digits.
    np.testing.assert_allclose(scaling, pywt.Wavelet(name).rec_lo, atol=1e-11)
    np.testing.assert_allclose(wavelet_filter(scaling), pywt.Wavelet(name).rec_hi, atol=1e-11)


@pytest.mark.parametrize("name", WAVELETS)
def test_the_filters_and_their_even_shifts_are_orthonormal(name: str) -> None:
    scaling = scaling_filter(name)
    both = np.array([scaling, wavelet_filter(scaling)])
    padded = np.pad(both, ((0, 0), (0, both.shape[1])))
    shifted = np.concatenate(
        [np.roll(padded, 2 * shift, axis=1) for shift in range(both.shape[1] // 2)]
    )
    np.testing.assert_allclose(shifted @ shifted.T, np.eye(len(shifted)), atol=1e-12)


@pytest.mark.parametrize(("name", "levels"), [("haar", 4), ("db2", 3), ("db4", 2), ("sym4", 3)])
def test_the_bands_away_from_the_ends_are_pywavelets_up_to_the_documented_shift(
    name: str, levels: int
) -> None:
    x = np.random.default_rng(0).normal(size=(2, 256, 3))
    expected = pywt.swt(x, name, levels, axis=1, trim_approx=True)
    with jax.enable_x64(True):
        layer = AtrousWavelet(3, levels=levels, wavelet=name)
        bands = jnp.split(layer(jnp.asarray(x)), levels + 1, axis=2)
    moments = pywt.Wavelet(name).vanishing_moments_psi
    of_bands = [levels, *range(levels, 0, -1)]
    for band, theirs, level in zip(bands, expected, of_bands, strict=True):
        shift = (2**level - 1) * moments
        inside = slice(layer.delay, 256 - layer.delay)
        ours = band[:, shift:][:, inside]
        np.testing.assert_allclose(ours, theirs[:, inside], rtol=1e-9, atol=1e-9)


@settings(max_examples=5, deadline=None)
@example(name="sym4", levels=2, lengths=[1, 0, 4], learnable=False)  # shorter than the filters
@example(name="db2", levels=1, lengths=[], learnable=False)
@given(
    name=st.sampled_from(["haar", "db2", "db3"]),
    levels=st.integers(1, 3),
    lengths=st.lists(st.sampled_from([0, 1, 4, 25]), max_size=4),
    learnable=st.booleans(),
)
def test_synthesis_of_analysis_is_the_signal_later_whole_and_in_blocks_at_any_length(
    name: str, levels: int, lengths: list[int], learnable: bool
) -> None:
    kind: dict[str, Any] = {"levels": levels, "wavelet": name, "learnable": learnable}
    synthesis = AtrousWaveletSynthesis(2, **kind)
    net = Sequential(AtrousWavelet(2, **kind), synthesis)
    assert synthesis.delay == (2**levels - 1) * (len(scaling_filter(name)) - 1)
    num_samples = sum(lengths)
    x = jax.random.normal(jax.random.key(num_samples), (2, num_samples, 2))
    expected = np.pad(x, ((0, 0), (synthesis.delay, 0), (0, 0)))[:, :num_samples]
    y = contract.whole(net, x, {})
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, atol=1e-5)
    in_blocks = contract.stream(net, x, {}, lengths or [0])
    np.testing.assert_allclose(in_blocks, expected, atol=1e-5)


def test_a_signal_with_zeros_after_it_is_back_complete() -> None:
    analysis = AtrousWavelet(1, levels=3, wavelet="db2")
    synthesis = AtrousWaveletSynthesis(1, levels=3, wavelet="db2")
    x = jax.random.normal(jax.random.key(0), (1, 5, 1))
    y = synthesis(analysis(jnp.pad(x, ((0, 0), (0, synthesis.delay), (0, 0)))))
    np.testing.assert_allclose(y[:, synthesis.delay :], x, atol=1e-6)


def test_fixed_filters_are_no_weights_and_learnable_ones_are() -> None:
    """So that no optimizer changes fixed ones, whatever it decays."""
    fixed, learnable = (AtrousWavelet(1, levels=2, learnable=kind) for kind in (False, True))
    assert not jax.tree.leaves(nnx.state(fixed))
    (filters,) = jax.tree.leaves(nnx.state(learnable, nnx.Param))
    assert filters.shape == (2, 2, 2)
    x = jax.random.normal(jax.random.key(0), (1, 20, 1))
    assert_close(learnable(x), fixed(x))
    (gradient,) = jax.tree.leaves(jax.grad(lambda layer: contract.loss(layer(x)))(learnable))
    assert np.abs(gradient).min() > 0


def test_channels_are_divided_each_by_itself_in_the_documented_order() -> None:
    x = jax.random.normal(jax.random.key(0), (1, 30, 2))
    together = AtrousWavelet(2, levels=2)(x)
    alone = AtrousWavelet(1, levels=2)
    for channel in range(2):
        assert_close(together[..., channel::2], alone(x[..., channel : channel + 1]))


def test_integers_are_divided_as_floats() -> None:
    x = jnp.arange(12, dtype=jnp.int32).reshape(1, 12, 1)
    layer = AtrousWavelet(1, levels=2)
    assert_close(layer(x), layer(x.astype(jnp.float32)))
    assert layer(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize("make", [AtrousWavelet, AtrousWaveletSynthesis])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": 0}, "levels is 0, but it must be a whole number of at least 1"),
        ({"channels": True}, "channels is True"),
        ({"wavelet": "db11"}, "wavelet 'db11' is unknown"),
        ({"learnable": "no"}, "learnable is 'no', but it must be true or false"),
    ],
)
def test_sizes_and_wavelets_that_are_none_are_refused_by_name(
    make: Any, settings: dict[str, Any], message: str
) -> None:
    with contract.unchecked(), pytest.raises(UserError, match=message):
        make(**{"channels": 1, "levels": 2} | settings)
    assert make(np.int64(2), levels=np.array(3)).receptive_field.past == 7


def test_a_wavelet_stands_between_layers_with_weights() -> None:
    net = Sequential(
        AtrousWavelet(1, levels=2, wavelet="db2"), Conv1d(3, 3, kernel_size=2, rngs=nnx.Rngs(0))
    )
    x = jax.random.normal(jax.random.key(0), (1, 40, 1))
    assert_close(contract.stream(net, x, {}, [7, 0, 33]), net(x))
