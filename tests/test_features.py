"""Mel spectra are librosa's, a frame for every hop of samples; features of one's own fit or are refused."""

import json

import librosa
import numpy as np
import pytest
from recordings import tone

from wavedil import UserError
from wavedil.features import fit, read
from wavedil.frames import num_frames
from wavedil.mel import MelConfig, mel

SMALL = MelConfig(num_mels=12, fft_size=256, hop=64)


@pytest.mark.parametrize("num_samples", [256, 1000, 1024])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"power": 2.0, "scale": "htk", "norm": "none"},
        {"padding": "reflect", "window_size": 200},
    ],
)
def test_mel_equals_librosa(num_samples, changes):
    settings = MelConfig(**{"num_mels": 12, "fft_size": 256, "hop": 64, **changes}).at(8000)
    samples = np.random.default_rng(0).uniform(-1, 1, num_samples).astype(np.float32)
    bands = librosa.feature.melspectrogram(
        y=samples, sr=8000, n_fft=256, hop_length=64, win_length=settings.window_size, n_mels=12,
        power=settings.power, pad_mode=settings.padding, htk=settings.scale == "htk",
        norm=None if settings.norm == "none" else "slaney", fmin=0.0, fmax=4000.0,
    )  # fmt: skip
    expected = 1.0 + np.log10(np.maximum(bands, 1e-5)).T / 5.0
    result = mel(samples, settings)
    assert result.shape == (-(-num_samples // 64), 12)
    np.testing.assert_allclose(result, expected[: len(result)], rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["tacotron2", "hifigan"])
def test_the_mel_spectra_of_published_models_are_their_formula_in_float64(name):
    settings = getattr(MelConfig, name)().at(22050)
    rng = np.random.default_rng(0)
    # From quiet, where what is added to the energies counts, to loud; noise, and a tone.
    loudness = np.geomspace(3e-4, 0.3, 8192)
    samples = loudness * (rng.normal(size=8192) + np.sin(np.arange(8192) / 9)).clip(-3, 3)
    filters = librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=0.0, fmax=8000.0)
    beside = 512 if name == "tacotron2" else (1024 - 256) // 2
    padded = np.pad(samples, beside, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 1024)[::256]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    energies = np.abs(np.fft.rfft(frames * hann)) ** 2
    magnitudes = np.sqrt(energies + (1e-9 if name == "hifigan" else 0.0))
    expected = np.log(np.maximum(magnitudes @ filters.T.astype(np.float64), 1e-5))
    logs = (1.0 - mel(samples, settings)) * np.log(1e-5)
    assert len(logs) == 32
    np.testing.assert_allclose(logs, expected[:32], rtol=0, atol=1e-5)


def test_a_click_lies_in_the_frames_around_its_sample():
    samples = np.zeros(2000, np.float32)
    samples[640] = 1.0
    loud = np.flatnonzero(mel(samples, SMALL.at(8000)).max(axis=1))
    # Frame 10 covers samples 640 to 703; a window of 256 reaches two hops to either side, its very ends being 0.
    np.testing.assert_array_equal(loud, [9, 10, 11])


def test_silence_is_0_and_a_loud_tone_about_1():
    settings = MelConfig().at(16000)
    assert mel(np.zeros(16000), settings).shape == (63, 80)
    assert not mel(np.zeros(16000), settings).any()
    assert 0.9 < mel(tone(16000, sample_rate=16000, level=1.0), settings).max() < 1.4


def test_long_recordings_in_blocks_equal_one_pass(monkeypatch):
    samples = np.random.default_rng(0).uniform(-1, 1, 3000).astype(np.float32)
    whole = mel(samples, SMALL.at(8000))
    monkeypatch.setattr("wavedil.mel._BLOCK_FRAMES", 5)
    np.testing.assert_allclose(mel(samples, SMALL.at(8000)), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("rate", "fft_size", "hop"), [(8000, 512, 128), (16000, 1024, 256)])
def test_sizes_left_open_suit_the_rate(rate, fft_size, hop):
    settings = MelConfig(num_mels=40).at(rate)
    assert (settings.fft_size, settings.hop, settings.highest_hz) == (fft_size, hop, rate / 2)
    assert MelConfig.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert settings.at(rate) == settings


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mel(np.zeros(100), SMALL.at(8000)), r"100 samples \(0.0125 s\) are shorter than one mel frame \(256"),
        (lambda: mel(np.full(999, np.nan), SMALL.at(8000)), "999 of 999 samples are NaN"),
        (lambda: mel(np.zeros((2, 999)), SMALL.at(8000)), "mono"),
        (lambda: mel(np.zeros(999), SMALL), r"settings.at\(sample_rate\)"),
        (lambda: SMALL.at(8000).at(16000), "for 8000 Hz, but the sound has 16000 Hz; resample"),
        (lambda: MelConfig(num_mels=80, fft_size=64).at(8000), "mel bands hold no frequency"),
        (lambda: MelConfig().at(1), "mel bands hold no frequency of a Fourier transform of 1 samples at 1 Hz"),
        (lambda: MelConfig(hop=0), "mel hop is 0"),
        (lambda: MelConfig(fft_size=64, window_size=65), "longer than fft_size 64"),
        (lambda: MelConfig(lowest_hz=5000.0, sample_rate=8000), "choose 0 <= lowest_hz"),
        (lambda: MelConfig(smallest=0.0), "between 0 and 1"),
    ],
)  # fmt: skip
def test_bad_sounds_and_settings_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize("num_samples", [1, 63, 64, 65, 128])
def test_features_that_fit_have_a_frame_for_every_hop(num_samples):
    wanted = num_frames(num_samples, 64)
    features = np.arange(2.0 * wanted, dtype=np.float32).reshape(wanted, 2)
    np.testing.assert_array_equal(fit(features, num_samples, 64), features)
    # librosa's centred frames are one more where the samples end with a frame.
    centred = np.zeros((num_samples // 64 + 1, 2), np.float32)
    assert len(fit(centred, num_samples, 64)) == wanted


def test_features_of_another_length_are_refused_with_both():
    with pytest.raises(
        UserError, match="5 frames, but 640 samples with a frame every 64 samples take 10"
    ):
        fit(np.zeros((5, 2), np.float32), 640, 64)


def test_arrays_are_read_as_float32_and_others_refused(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(6).reshape(3, 2))
    assert (read(path).dtype, read(path).shape) == (np.float32, (3, 2))
    bad = {
        "has shape": np.zeros(4),
        "has shape ": np.zeros((0, 4)),
        "holds <U1": np.array([["a"]]),
        "1 of 2 numbers are NaN or infinite": np.array([[1.0, np.inf]]),
    }
    for message, array in bad.items():
        np.save(path, array)
        with pytest.raises(UserError, match=message):
            read(path)
    path.write_text("no array")
    with pytest.raises(UserError, match="no array of numbers"):
        read(path)
    np.save(path, np.zeros((50, 2)))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="or is cut off; write it with"):
        read(path)
    with pytest.raises(UserError, match="cannot be opened"):
        read(tmp_path / "absent.npy")
