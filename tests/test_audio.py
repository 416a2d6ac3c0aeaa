"""Sound files: what is read equals librosa, what is written is read back, bad files are named."""

import struct
import warnings

import numpy as np
import pytest
from recordings import BAD, tone, write

from wavedil import audio


def librosa_load(path, sample_rate):
    import librosa

    with warnings.catch_warnings():
        # librosa's fallback decoder imports modules that Python 3.13 removes.
        warnings.simplefilter("ignore", DeprecationWarning)
        return librosa.load(path, sr=sample_rate, mono=True)


@pytest.mark.parametrize("sample_rate", [None, 8000, 16000], ids=str)
@pytest.mark.parametrize("num_channels", [1, 2])
def test_loading_equals_librosa(tmp_path, num_channels, sample_rate):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (3000, num_channels))
    path = write(tmp_path / "noise.wav", noise, sample_rate=11025)
    samples, rate = audio.load(path, sample_rate)
    expected, expected_rate = librosa_load(path, sample_rate)
    assert (rate, samples.dtype) == (expected_rate, np.float32)
    np.testing.assert_array_equal(samples, expected)


def test_stereo_is_the_mean_of_its_channels(tmp_path):
    left, right = tone(1000, frequency=300), tone(1000, frequency=500)
    path = write(tmp_path / "stereo.wav", np.stack([left, right], axis=1))
    np.testing.assert_allclose(audio.load(path)[0], (left + right) / 2, atol=1 / 32768)


def test_resampling_keeps_pitch_and_duration(tmp_path):
    path = write(tmp_path / "tone.wav", tone(22050, frequency=440, sample_rate=22050), 22050)
    samples, rate = audio.load(path, 8000)
    assert (len(samples), rate) == (8000, 8000)
    expected = tone(8000, frequency=440, sample_rate=8000)
    np.testing.assert_allclose(samples[200:-200], expected[200:-200], atol=2e-3)


def test_resampling_does_not_pass_full_scale(tmp_path):
    square = np.sign(tone(4000, frequency=110))
    path = write(tmp_path / "square.wav", square)
    assert np.abs(audio.load(path, 16000)[0]).max() <= 1.0


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
def test_every_16_bit_sample_is_read_back_as_it_was_saved(tmp_path, suffix):
    samples = np.arange(-32768, 32768, dtype=np.float32) / 32768
    path = tmp_path / f"all{suffix}"
    audio.save(path, samples, 16000)
    loaded, rate = audio.load(path)
    assert rate == 16000
    np.testing.assert_array_equal(loaded, samples)


def test_full_scale_is_saved_as_the_largest_16_bit_value(tmp_path):
    audio.save(tmp_path / "one.wav", np.ones(3), 8000)
    np.testing.assert_array_equal(audio.load(tmp_path / "one.wav")[0], 32767 / 32768)


def test_a_segment_is_that_part_of_the_whole(tmp_path):
    path = write(tmp_path / "tone.flac", np.stack([tone(900), tone(900, level=0.1)], axis=1))
    whole, _ = audio.load(path)
    np.testing.assert_array_equal(audio.load_segment(path, 123, 456), whole[123:456])


@pytest.mark.parametrize("segment", [(-1, 5), (5, 5), (7, 5), (0, 901)])
def test_a_segment_outside_the_file_is_refused(tmp_path, segment):
    path = write(tmp_path / "tone.wav", tone(900))
    with pytest.raises(audio.AudioError, match=r"not within its 900 samples"):
        audio.load_segment(path, *segment)


def test_the_header_gives_rate_channels_and_length(tmp_path):
    path = write(tmp_path / "stereo.wav", np.zeros((4410, 2)), 44100)
    info = audio.read_info(path)
    assert info == audio.AudioInfo(sample_rate=44100, num_channels=2, num_samples=4410, bits=16)
    assert info.seconds == pytest.approx(0.1)


@pytest.mark.parametrize(("make", "name", "reason"), BAD.values(), ids=BAD)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, make, name, reason):
    path = tmp_path / name
    make(path)
    with pytest.raises(audio.AudioError) as error:
        audio.load(path)
    assert error.value.path == str(path)
    assert str(error.value).startswith(f"{path}: ")
    assert reason in error.value.reason


def test_a_wav_written_to_a_pipe_with_unknown_length_is_read(tmp_path):
    path = write(tmp_path / "pipe.wav", tone(500))
    whole = bytearray(path.read_bytes())
    whole[4:8] = whole[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(whole)
    assert len(audio.load(path)[0]) == 500


@pytest.mark.parametrize("path", ["absent.wav", "."])
def test_a_path_that_cannot_be_opened_is_named(tmp_path, path):
    with pytest.raises(audio.AudioError, match="cannot be opened"):
        audio.load(tmp_path / path)


@pytest.mark.parametrize(
    ("name", "samples", "message"),
    [
        ("a.wav", [0.0, 2.25], "peak of 2.25, but full scale is 1; divide them by 3"),
        ("a.wav", [0.0, np.inf], "1 of 2 samples are NaN or infinite"),
        ("a.wav", [[0.0, 0.0]], r"shape \(1, 2\)"),
        ("a.mp3", [0.0], "cannot write .mp3; use .wav or .flac"),
        ("absent/a.wav", [0.0], "No such file or directory"),
    ],
)
def test_what_cannot_be_saved_is_refused_and_leaves_no_file(tmp_path, name, samples, message):
    with pytest.raises(audio.AudioError, match=message):
        audio.save(tmp_path / name, np.array(samples), 8000)
    assert not list(tmp_path.iterdir())


def test_saving_where_writing_is_impossible_says_so(tmp_path):
    # A folder without permission does not stop the superuser; a file in its place stops everyone.
    (tmp_path / "taken").write_text("")
    with pytest.raises(audio.AudioError, match="cannot be written"):
        audio.save(tmp_path / "taken" / "a.wav", np.zeros(10), 8000)


@pytest.mark.parametrize("rate", [0, 768_001])
def test_a_sample_rate_that_no_converter_has_is_refused(tmp_path, rate):
    with pytest.raises(ValueError, match=f"sample_rate is {rate} Hz, but it must be 1 to 768000"):
        audio.load(write(tmp_path / "a.wav"), rate)
