"""Distances of spectra: zero for equal sounds, known by hand for scaled ones, and larger the worse the copy."""

import numpy as np
import pytest
from recordings import tone

from wavedil import UserError, mu_law
from wavedil.evaluation import (
    griffin_lim,
    mean_spectra_distance_db,
    mel_cepstral_distortion_db,
    multi_resolution_stft,
    require_comparable,
)
from wavedil.mel import MelConfig, mel

RATE = 8000
MEL = MelConfig(num_mels=20, fft_size=256, hop=64).at(RATE)
RATES = [4000, 8000, 16000, 22050, 24000, 44100, 48000]


def voice(num_samples=4000, seed=0):
    """Harmonics with noise, nowhere silent at any frequency."""
    harmonics = sum(tone(num_samples, frequency=150 * k, level=0.3 / k) for k in range(1, 8))
    noise = 0.03 * np.random.default_rng(seed).normal(size=num_samples)
    return (harmonics + noise).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_equal_sounds_have_distance_zero(rate):
    x = voice()
    assert multi_resolution_stft(x, x.copy(), rate) == (0.0, 0.0)


def test_equal_sounds_have_no_cepstral_distortion():
    assert mel_cepstral_distortion_db(voice(), voice(), MEL) == 0.0


@pytest.mark.parametrize("gain", [0.2, 0.9, 1.0, 3.0])
def test_a_gain_has_the_distance_known_by_hand(gain):
    x = voice()
    # ||S - gS|| / ||S|| = |1 - g|, and every log magnitude moves by log g: none of the voice's is near the floor.
    distance = multi_resolution_stft(x, (gain * x).astype(np.float32), RATE)
    np.testing.assert_allclose(distance, (abs(1 - gain), abs(np.log(gain))), rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_cepstral_distortion_does_not_hear_loudness(power):
    x = voice()
    settings = MelConfig(num_mels=20, fft_size=256, hop=64, power=power, smallest=1e-9).at(RATE)
    assert mel_cepstral_distortion_db(x, 0.5 * x, settings) < 1e-3


@pytest.mark.parametrize(("power", "order"), [(1.0, 1), (2.0, 3), (1.0, 13)])
def test_a_ripple_over_the_bands_has_the_distortion_known_by_hand(monkeypatch, power, order):
    """A ripple of d dB in amplitude is d / sqrt(2) dB in root mean square, whatever the exponent of the bands."""
    settings = MelConfig(num_mels=20, fft_size=256, hop=64, power=power).at(RATE)
    ripple_db = 3.0 * np.cos(np.pi * order * (np.arange(20) + 0.5) / 20)
    ripple = power * np.log(10.0) / 20.0 * ripple_db / -np.log(settings.smallest)

    def bands(samples, _):
        flat = np.full((5, 20), 0.5)
        return flat + ripple if samples[0] else flat

    monkeypatch.setattr("wavedil.evaluation.spectral_distance.mel", bands)
    distortion = mel_cepstral_distortion_db(np.zeros(320), np.ones(320), settings)
    np.testing.assert_allclose(distortion, 3.0 / np.sqrt(2.0), rtol=1e-9)


def test_cepstra_beyond_the_thirteenth_do_not_count(monkeypatch):
    ripple = 0.1 * np.cos(np.pi * 14 * (np.arange(20) + 0.5) / 20)
    monkeypatch.setattr(
        "wavedil.evaluation.spectral_distance.mel",
        lambda samples, _: np.full((5, 20), samples[0]) + ripple,
    )
    assert mel_cepstral_distortion_db(np.zeros(320), np.ones(320), MEL) < 1e-9


def test_what_is_symmetric_is_so():
    x, y = voice(seed=0), voice(seed=1)
    there, back = multi_resolution_stft(x, y, RATE), multi_resolution_stft(y, x, RATE)
    np.testing.assert_allclose(there.log_magnitude, back.log_magnitude, rtol=1e-12)
    loud = multi_resolution_stft(x, 2 * x, RATE), multi_resolution_stft(2 * x, x, RATE)
    np.testing.assert_allclose([d.convergence for d in loud], (1.0, 0.5), rtol=1e-3)
    np.testing.assert_allclose(
        mel_cepstral_distortion_db(x, y, MEL), mel_cepstral_distortion_db(y, x, MEL), rtol=1e-12
    )


def test_all_distances_grow_with_noise():
    x = 0.3 * voice()
    noise = np.random.default_rng(1).normal(size=x.size).astype(np.float32)
    distances = []
    for level in (0.0003, 0.003, 0.03, 0.15):
        copy = x + level * noise
        stft = multi_resolution_stft(x, copy, RATE)
        distances.append((*stft, mel_cepstral_distortion_db(x, copy, MEL)))
    assert np.all(np.diff(distances, axis=0) > 0), distances
    assert np.all(np.array(distances[0]) > 0)


def test_the_coarser_the_levels_the_farther_the_sound():
    x = voice()
    distances = [
        multi_resolution_stft(x, mu_law.decode(mu_law.encode(x, levels), levels), RATE)
        for levels in (65536, 256, 16)
    ]
    assert np.all(np.diff(distances, axis=0) > 0), distances


def test_what_cannot_be_compared_is_refused():
    x = voice()
    with pytest.raises(UserError, match=r"399 samples .*takes 400 samples \(0.05 s at 8000 Hz\)"):
        require_comparable(x[:399], RATE)
    require_comparable(x[:400], RATE)
    multi_resolution_stft(x[:400], x[:400], RATE)
    with pytest.raises(UserError, match="silent"):
        multi_resolution_stft(np.zeros(4000), x, RATE)
    for distance, how in ((multi_resolution_stft, RATE), (mel_cepstral_distortion_db, MEL)):
        with pytest.raises(UserError, match=r"\(4000,\) and the resynthesis \(3999,\)"):
            distance(x, x[:-1], how)
    one = MelConfig(num_mels=1, fft_size=256, hop=64).at(RATE)
    with pytest.raises(UserError, match="1 mel band"):
        mel_cepstral_distortion_db(x, x, one)


@pytest.mark.sampled
@pytest.mark.newest
# With frames to the end of the last hop, and cut within one.
@pytest.mark.parametrize("num_samples", [4032, 4000, 4033])
@pytest.mark.parametrize(
    "settings",
    [
        MEL,
        MelConfig(num_mels=20, fft_size=256, hop=50, window_size=200, power=2.0),
        MelConfig(num_mels=20, fft_size=255, hop=64),
    ],
)
def test_griffin_lim_has_about_the_spectra_it_is_given(settings, num_samples):
    x, settings = voice(num_samples), settings.at(RATE)
    copy = griffin_lim(mel(x, settings), settings, num_samples)
    assert copy.shape == x.shape and copy.dtype == np.float32
    heard, wanted = mel(copy, settings), mel(x, settings)
    assert np.abs(heard - wanted).mean() < 0.1 * np.abs(wanted - wanted.mean()).mean()


@pytest.mark.parametrize("num_samples", [8000 + 256, 8000 + 257, 19999])
def test_griffin_lim_in_pieces_has_about_the_spectra_at_their_joints_too(monkeypatch, num_samples):
    monkeypatch.setattr("wavedil.evaluation.phase_recovery._PIECE_SECONDS", 1)
    x = voice(num_samples)
    wanted = mel(x, MEL)
    distances = np.abs(mel(griffin_lim(wanted, MEL, num_samples), MEL) - wanted).mean(axis=1)
    joint = RATE // MEL.hop
    assert distances.mean() < 0.1 * np.abs(wanted - wanted.mean()).mean()
    assert distances[joint - 6 : joint + 2].max() < np.abs(wanted - wanted.mean()).mean()


@pytest.mark.parametrize("block_frames", [1, 7])
def test_distances_in_blocks_of_frames_are_those_of_the_whole(monkeypatch, block_frames):
    x, y = voice(seed=0), voice(seed=1)
    expected = multi_resolution_stft(x, y, RATE)
    monkeypatch.setattr("wavedil.evaluation.spectral_distance._BLOCK_FRAMES", block_frames)
    np.testing.assert_allclose(multi_resolution_stft(x, y, RATE), expected, rtol=1e-12)


@pytest.mark.newest
def test_griffin_lim_refuses_other_frames():
    with pytest.raises(UserError, match=r"shape \(5, 20\), but 400 samples .* take \(7, 20\)"):
        griffin_lim(np.zeros((5, 20)), MEL, 400)


def plucks(count, gain=1.0, seed=0):
    """Alike, and none a copy of another: each has noise of its own."""
    return [gain * voice(1000, seed=seed + number) for number in range(count)]


def test_sounds_are_as_far_from_recordings_as_their_gain_says_and_recordings_are_near_each_other():
    recordings, others = plucks(20), plucks(20, seed=20)
    near = mean_spectra_distance_db(recordings, others, RATE)
    assert mean_spectra_distance_db(recordings, recordings, RATE) == 0.0 < near < 2.0
    # Nothing of the voice is near 70 dB below its loudest, where all counts alike.
    assert mean_spectra_distance_db(recordings, plucks(20, gain=0.5), RATE) == pytest.approx(
        20 * np.log10(2), rel=1e-3
    )


def test_what_is_far_below_the_loudest_is_taken_for_silence():
    hiss = np.random.default_rng(1).normal(size=1000)
    loud = [0.5 * tone(1000)]
    heard, unheard = (
        mean_spectra_distance_db(loud, [loud[0] + level * hiss], RATE) for level in (1e-2, 1e-5)
    )
    assert unheard < 0.5 < 10.0 < heard


def test_sounds_of_unequal_lengths_are_compared_over_the_shortest():
    recordings, longer = plucks(2), [np.append(one, np.ones(300)) for one in plucks(2)]
    cut = mean_spectra_distance_db(recordings, longer, RATE)
    assert cut == 0.0
    with pytest.raises(UserError, match="too short to compare spectra"):
        mean_spectra_distance_db(recordings, [longer[0][:100]], RATE)
