"""Period and voicing of sounds whose pitch is known, frame by frame."""

import numpy as np
import pytest

from wavedil import UserError
from wavedil.features import of_sound
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig, pitch

SETTINGS = PitchConfig().at(8000)
HOP = 64


def voice(hz):
    """A pulse train of this pitch at every sample, its harmonics falling as those of a voice."""
    phase = 2 * np.pi * np.cumsum(hz) / 8000
    orders = np.arange(1, 9)
    audible = orders[:, None] * hz < 4000
    return (audible * np.cos(orders[:, None] * phase) / orders[:, None]).sum(0) / 8


@pytest.mark.parametrize(("low", "high"), [(80, 110), (200, 120), (240, 330)])
def test_a_gliding_voice_has_its_period_in_every_frame(low, high):
    hz = np.geomspace(low, high, 8000)
    noise = 1e-3 * np.random.default_rng(0).normal(size=8000)
    frames = pitch(voice(hz) + noise, SETTINGS, HOP)
    assert frames.shape == (125, 2)
    middle = hz[HOP // 2 :: HOP][4:-4]
    cents = 1200 * np.log2(8000 / frames[4:-4, 0] / middle)
    assert np.abs(cents).max() < 30
    assert frames[4:-4, 1].min() > 0.9


def test_noise_and_silence_are_unvoiced_and_a_voice_between_them_is_voiced():
    rng = np.random.default_rng(0)
    parts = 0.1 * rng.normal(size=4000), voice(np.full(4000, 130.0)), np.zeros(4000)
    frames = pitch(np.concatenate(parts), SETTINGS, HOP)
    voiced = frames[:, 1] > 0
    assert voiced[:58].mean() < 0.1
    assert voiced[66:122].all()
    assert not voiced[130:].any()
    # The period goes on where nothing is voiced.
    np.testing.assert_allclose(frames[130:, 0], frames[voiced][-1, 0])
    assert not pitch(np.zeros(1000), SETTINGS, HOP)[:, 1].any()


def test_loudness_changes_nothing_and_blocks_equal_one_pass(monkeypatch):
    sound = voice(np.geomspace(90, 200, 5000))
    whole = pitch(sound, SETTINGS, HOP)
    np.testing.assert_allclose(pitch(0.01 * sound, SETTINGS, HOP), whole, atol=1e-3)
    monkeypatch.setattr("wavedil.pitch._BLOCK_FRAMES", 7)
    np.testing.assert_array_equal(pitch(sound, SETTINGS, HOP), whole)


def test_pitch_comes_beside_the_mel_spectra():
    mel = MelConfig(num_mels=12, fft_size=256, hop=HOP).at(8000)
    sound = voice(np.full(2000, 100.0))
    frames = of_sound(sound, mel, SETTINGS)
    np.testing.assert_array_equal(frames[:, :12], of_sound(sound, mel, None))
    np.testing.assert_array_equal(frames[:, 12:], pitch(sound, SETTINGS, HOP))


def test_settings_that_fit_no_sound_are_refused():
    for make, message in (
        (lambda: PitchConfig(lowest_hz=500), "pitch from 500 Hz to 400 Hz"),
        (lambda: PitchConfig(highest_hz=1500).at(8000), "an eighth of the sample rate"),
        (lambda: SETTINGS.at(16000), "are for 8000 Hz"),
        (lambda: pitch(np.zeros(99), PitchConfig(), HOP), "settings.at"),
    ):
        with pytest.raises(UserError, match=message):
            make()
