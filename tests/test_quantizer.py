"""The grid of levels: round trips, edges to the last bit, and what it refuses."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavedil import UserError, mu_law
from wavedil.quantizer import Quantizer

GRIDS = [
    Quantizer(count, scale) for count in (2, 3, 256, 1023, 65536) for scale in ("linear", "mu_law")
]
by_grid = pytest.mark.parametrize(
    "grid", GRIDS, ids=lambda grid: f"{grid.levels}-{grid.companding}"
)


@by_grid
def test_encoding_a_decoded_code_gives_the_code(grid):
    codes = np.arange(grid.levels)
    amplitudes = grid.decode(codes)
    assert amplitudes.dtype == np.float32
    assert amplitudes.min() >= -1.0 and amplitudes.max() <= 1.0
    np.testing.assert_array_equal(grid.encode(amplitudes), codes)


@by_grid
def test_codes_switch_exactly_at_the_edges(grid):
    below = np.arange(grid.levels - 1)
    assert grid.edges.shape == (grid.levels - 1,) and grid.edges.dtype == np.float64
    np.testing.assert_array_equal(grid.encode(grid.edges), below + 1)
    np.testing.assert_array_equal(grid.encode(np.nextafter(grid.edges, -2.0)), below)


@by_grid
def test_edges_are_those_of_the_formulas(grid):
    below, mu = np.arange(grid.levels - 1), grid.levels - 1
    halves = (2.0 * below + 1.0) / mu - 1.0
    expanded = np.sign(halves) * np.expm1(np.abs(halves) * np.log1p(mu)) / mu
    linear = (2.0 * (below - grid.levels // 2) + 1.0) / grid.levels
    expected = linear if grid.companding == "linear" else expanded
    np.testing.assert_allclose(grid.edges, expected, rtol=1e-10, atol=1e-15)


@given(x=st.floats(-1, 1), count=st.sampled_from([2, 3, 256]))
def test_encoding_is_the_number_of_edges_at_or_below_the_sample(x, count):
    for scale in ("linear", "mu_law"):
        grid = Quantizer(count, scale)
        assert grid.encode(x) == np.searchsorted(grid.edges, x, side="right")


@by_grid
def test_silence_has_its_own_code(grid):
    assert grid.encode(0.0) == grid.silence == grid.levels // 2
    if grid.companding == "linear":
        assert grid.decode(grid.silence) == 0.0


@pytest.mark.parametrize("bits", [8, 16])
def test_linear_levels_are_the_values_of_a_pcm_file(bits):
    half = 1 << (bits - 1)
    values = np.arange(-half, half)
    samples = (values / half).astype(np.float32)  # as libsndfile reads them
    grid = Quantizer(2 * half, "linear")
    np.testing.assert_array_equal(grid.encode(samples), values + half)
    np.testing.assert_array_equal(grid.decode(values + half), samples)


def test_mu_law_levels_are_those_of_mu_law():
    x = np.linspace(-1, 1, 1001)
    np.testing.assert_array_equal(Quantizer(256).encode(x), mu_law.encode(x))
    np.testing.assert_array_equal(
        Quantizer(256).decode(np.arange(256)), mu_law.decode(np.arange(256))
    )


@pytest.mark.parametrize(("count", "dtype"), [(256, np.uint8), (257, np.uint16)])
def test_codes_have_the_smallest_type_and_the_shape_of_the_samples(count, dtype):
    codes = Quantizer(count, "linear").encode(np.zeros((2, 3), np.float32))
    assert codes.dtype == dtype and codes.shape == (2, 3)


def test_edges_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        Quantizer(4, "linear").edges[0] = 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Quantizer(1), "levels is 1, but a sample has 2 to 65536"),
        (lambda: Quantizer(65537, "linear"), "levels is 65537"),
        (lambda: Quantizer(256, "liner"), "'liner' is unknown; did you mean 'linear'"),
        (
            lambda: Quantizer(4, "linear").encode(np.array([0.0, np.inf])),
            "1 of 2 samples are NaN or infinite, the first at 1",
        ),
        (lambda: Quantizer(4, "linear").decode(np.array([4])), "codes run from 4 to 4"),
        (lambda: Quantizer(4, "linear").decode(np.array([0.5])), "codes are float64"),
    ],
)
def test_values_out_of_range_are_refused_by_value(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_levels_load_no_jax():
    code = "import sys, wavedil.quantizer as levels; levels.Quantizer(4).edges; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
