"""Mu-law: expected values, round trips, and what it refuses."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavedil import UserError, mu_law

LEVELS = [2, 3, 16, 255, 256, 257, 1024, 65536]


def companded(x, levels):
    mu = levels - 1
    x = np.asarray(x, np.float64)
    return np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)


def test_codes_equal_those_of_tensorflow_wavenet_and_nv_wavenet():
    x = np.array([-1, 1, 0.6, -0.25, 0.01, 0.33, -0.9999, 0.42, 0.1, -0.45])
    np.testing.assert_array_equal(mu_law.encode(x), [0, 255, 243, 32, 157, 230, 0, 235, 203, 18])


# What the peers' own functions give; magenta's code for 1.0 is 256 there, out of range, and the outermost here.
PEERS_X = [-1, 1, 0.6, -0.25, 0.01, 0.33, -0.9999, 0.42, 0.1, -0.45, 0.0]
PEERS_CODES = {
    "nearest": [0, 255, 243, 32, 157, 230, 0, 235, 203, 18, 128],
    "truncate": [0, 255, 243, 31, 156, 229, 0, 235, 202, 18, 127],
    "nsynth": [0, 255, 244, 31, 157, 230, 0, 236, 203, 18, 128],
    "s4": [0, 255, 244, 31, 157, 230, 0, 236, 203, 18, 128],
}
DECODED_CODES = [0, 1, 64, 127, 128, 129, 200, 255]
NEAREST_X = [-1, -0.957273709, -0.0581450039, -8.62115957e-5, 8.62115957e-5, 2.64362269e-4]
NSYNTH_X = [-0.978488031, -0.936837087, -0.0574790313, -8.58711712e-5, 0, 2.63295689e-4]
S4_X = [-1, -0.957437019, -0.0588235294, -1.73622676e-4, 0, 1.73622676e-4]
PEERS_DECODED = {
    "nearest": [*NEAREST_X, 0.0878802262, 1],
    "truncate": [*NEAREST_X, 0.0878802262, 1],
    "nsynth": [*NSYNTH_X, 0.0867564428, 0.978488031],
    "s4": [*S4_X, 0.0848134, 0.957437019],
}


@pytest.mark.parametrize("convention", PEERS_CODES)
def test_each_convention_gives_the_codes_of_its_peers(convention):
    codes = mu_law.encode(np.array(PEERS_X), convention=convention)
    np.testing.assert_array_equal(codes, PEERS_CODES[convention])


@pytest.mark.parametrize("convention", PEERS_DECODED)
def test_each_convention_decodes_as_its_peers_do(convention):
    x = mu_law.decode(np.array(DECODED_CODES), convention=convention)
    np.testing.assert_allclose(x, PEERS_DECODED[convention], rtol=1e-6)


@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("convention", PEERS_CODES)
def test_decoding_returns_to_within_one_level_of_every_code(convention, bits):
    codes = np.arange(1 << bits)
    again = mu_law.encode(mu_law.decode(codes, 1 << bits, convention), 1 << bits, convention)
    lost = 0 if convention in ("nearest", "nsynth") else 1
    assert np.abs(again.astype(int) - codes).max() <= lost


@pytest.mark.parametrize("convention", PEERS_CODES)
def test_no_sample_leaves_the_levels(convention):
    with pytest.warns(UserWarning, match="peak of 2, beyond full scale"):
        codes = mu_law.encode(np.array([-2.0, -1.0, 1.0, 2.0]), 65536, convention)
    np.testing.assert_array_equal(codes, [0, 0, 65535, 65535])


@pytest.mark.parametrize("levels", LEVELS)
def test_silence_and_full_scale_take_the_middle_and_the_ends(levels):
    codes = mu_law.encode(np.array([-1.0, 0.0, 1.0]), levels)
    np.testing.assert_array_equal(codes, [0, levels // 2, levels - 1])


@pytest.mark.parametrize("levels", LEVELS)
def test_encoding_a_decoded_code_gives_the_code(levels):
    codes = np.arange(levels)
    np.testing.assert_array_equal(mu_law.encode(mu_law.decode(codes, levels), levels), codes)


@given(x=st.floats(-1, 1), levels=st.integers(2, 65536))
def test_decoding_moves_a_sample_by_at_most_half_a_level(x, levels):
    restored = mu_law.decode(mu_law.encode(x, levels), levels)
    # Levels are 2 / mu apart where they are uniform: after companding. The slack is float32's.
    moved = abs(companded(restored, levels) - companded(x, levels))
    assert moved <= 1 / (levels - 1) + 1e-6


@given(a=st.floats(-1, 1), b=st.floats(-1, 1))
def test_louder_samples_never_take_a_lower_code(a, b):
    low, high = sorted([a, b])
    assert mu_law.encode(low) <= mu_law.encode(high)


def test_codes_do_not_depend_on_how_a_long_recording_is_cut_into_pieces():
    x = np.random.default_rng(0).uniform(-1, 1, (2, (1 << 20) + 7)).astype(np.float32)
    whole = mu_law.encode(x)
    assert whole.shape == x.shape
    np.testing.assert_array_equal(whole[1], mu_law.encode(x[1]))


@pytest.mark.parametrize(("levels", "dtype"), [(256, np.uint8), (257, np.uint16)])
def test_codes_have_the_smallest_type_and_samples_are_float32(levels, dtype):
    codes = mu_law.encode(np.zeros((2, 3), np.float32), levels)
    assert codes.dtype == dtype
    assert mu_law.decode(codes, levels).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mu_law.encode(0.0, 1), "levels is 1"),
        (lambda: mu_law.decode(np.array([0]), 65537), "levels is 65537"),
        (
            lambda: mu_law.encode(np.array([0.0, np.nan])),
            "1 of 2 samples are NaN or infinite, the first at 1",
        ),
        (lambda: mu_law.decode(np.array([3, 256])), "codes run from 3 to 256"),
        (lambda: mu_law.decode(np.array([-1])), "codes run from -1"),
        (lambda: mu_law.decode(np.array([0.5])), "codes are float64"),
        (lambda: mu_law.encode(0.0, 256, "nsinth"), "'nsinth' is unknown; did you mean 'nsynth'"),
        (
            lambda: mu_law.decode(np.array([0]), 256, "G.711"),
            "known: nearest, truncate, nsynth, s4",
        ),
    ],
)
def test_values_out_of_range_are_refused_by_value(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_importing_files_and_companding_loads_neither_jax_nor_librosa():
    code = (
        "import sys, wavedil.mu_law, wavedil.audio, wavedil.data; "
        "print([m for m in ('jax', 'grain', 'librosa', 'soundfile') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
