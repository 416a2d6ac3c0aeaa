"""Sound as an array: the same rule at every door, whatever the numbers stand for."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavedil import MelConfig, UserError, audio, mel, mu_law
from wavedil.full_scale import within_full_scale
from wavedil.generation.synthesis import _samples
from wavedil.quantizer import Quantizer

MEL = MelConfig(num_mels=4).at(8000)
DOORS = {
    "mu_law.encode": lambda x, _: mu_law.encode(x),
    "Quantizer.encode": lambda x, _: Quantizer(65536, "linear").encode(x),
    "mel.mel": lambda x, _: mel.mel(x, MEL),
    "audio.save": lambda x, folder: audio.save(folder / "a.wav", x, 8000),
    "synthesize(like=)": lambda x, _: _samples(x, 8000),
}
by_door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
SINE = np.sin(np.arange(1000) / 5.0)


@by_door
@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ((20000 * SINE).astype(np.int16), "int16, .* divide them by 32768"),
        ((20000 * SINE).astype(np.int64), "int64, .* divide them by 32768"),
        (np.zeros(1000, np.int32), "int32, .* divide them by 2147483648"),
        ((100 * SINE + 128).astype(np.uint8), "uint8, .* subtract 128 and divide them by 128"),
        (SINE > 0, "bool, but sound is floats"),
        (np.rint(20000 * SINE), "peak of 20000, but full scale is 1; divide them by 32768"),
        (2.5 * SINE, r"peak of 2.49\d*, but full scale is 1; divide them by 3"),
        (np.where(np.arange(1000) == 7, np.nan, SINE), "1 of 1000 samples are NaN .* first at 7"),
        (jnp.zeros(1000, jnp.int16), "int16, .* divide them by 32768"),
        (jnp.full(1000, -jnp.inf), "1000 of 1000 samples are NaN or infinite"),
    ],
)  # fmt: skip
def test_what_is_no_sound_within_full_scale_is_refused_at_every_door(
    tmp_path, door, samples, message
):
    with pytest.raises(UserError, match=message):
        door(samples, tmp_path)
    assert not list(tmp_path.iterdir())


@by_door
def test_a_peak_between_1_and_2_is_limited_with_one_warning_at_every_door(tmp_path, door):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        door(np.where(np.arange(1000) == 7, 1.24, 0.5 * SINE), tmp_path)
    (warning,) = caught
    assert "samples have a peak of 1.24, beyond full scale 1" in str(warning.message)


@settings(max_examples=50)
@given(peak=st.floats(1, 2, exclude_min=True), wide=st.booleans())
def test_the_peak_is_given_with_so_many_digits_that_it_is_seen_to_be_above_1(peak, wide):
    samples = np.array([peak, -0.5], np.float64 if wide else np.float32)
    if samples[0] <= 1.0:
        return
    with pytest.warns(UserWarning) as caught:
        limited = within_full_scale(samples)
    shown = float(str(caught[0].message).split("peak of ")[1].split(",")[0])
    assert 1.0 < shown == pytest.approx(peak, rel=5e-3)
    assert limited.dtype == samples.dtype
    np.testing.assert_array_equal(limited, np.clip(samples, -1, 1))


@settings(max_examples=50)
@given(x=st.lists(st.floats(-1, 1, width=32), max_size=5), double=st.booleans())
def test_what_lies_within_full_scale_passes_unchanged(x, double):
    samples = np.array(x, np.float64 if double else np.float32)
    assert within_full_scale(samples) is samples


def test_the_number_to_divide_by_brings_the_samples_within_full_scale():
    for samples in (
        np.rint(20000 * SINE),
        2.5 * SINE,
        1e7 * SINE,
        np.rint(1e7 * SINE),
        3e12 * SINE,
    ):
        with pytest.raises(UserError) as refused:
            within_full_scale(samples)
        assert np.abs(samples / float(str(refused.value).split()[-1])).max() <= 1.0
