"""What a file promises is held: cut off, joined, or without a length, in every format."""

import io
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recordings import tone, write

from wavedil import audio

# Suffix -> format and subtype, as libsndfile calls them.
FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".rf64": ("RF64", "PCM_16"),
    ".w64": ("W64", "PCM_24"),
    ".aiff": ("AIFF", "PCM_16"),
    ".au": ("AU", "PCM_16"),
    ".caf": ("CAF", "PCM_16"),
    ".sph": ("NIST", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
NUM_SAMPLES = 9000


def sound_bytes(suffix, samples=None, **settings):
    file = io.BytesIO()
    form, subtype = FORMATS[suffix]
    samples = tone(NUM_SAMPLES) if samples is None else samples
    soundfile.write(file, samples, 8000, format=form, subtype=subtype, **settings)
    return file.getvalue()


FILES = {suffix: sound_bytes(suffix) for suffix in FORMATS}


def save(folder, suffix, data):
    path = folder / f"sound{suffix}"
    path.write_bytes(data)
    return path


def without(data, positions):
    """A header that leaves its sizes at 0."""
    data = bytearray(data)
    for position, count in positions:
        data[position : position + count] = bytes(count)
    return bytes(data)


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=12, deadline=None)
@given(share=st.floats(0.02, 0.97))
@example(share=0.12545)  # of the MP3 one frame and a byte, which libsndfile takes for nothing
def test_a_file_that_was_cut_off_anywhere_is_refused(suffix, tmp_path_factory, share):
    data = FILES[suffix]
    path = save(tmp_path_factory.mktemp("cut"), suffix, data[: int(share * len(data))])
    with pytest.raises(audio.AudioError, match=r"truncated|has no samples"):
        audio.load(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_that_were_joined_are_one_sound(suffix, tmp_path):
    other = sound_bytes(suffix, tone(5000, frequency=700))
    joined = save(tmp_path, suffix, FILES[suffix] + other)
    samples, _ = audio.load(joined)
    parts = [audio.load(save(tmp_path, suffix, data))[0] for data in (FILES[suffix], other)]
    np.testing.assert_array_equal(samples, np.concatenate(parts))
    joined.write_bytes(FILES[suffix] + other)
    assert audio.read_info(joined).num_samples == len(samples) == NUM_SAMPLES + 5000
    segment = audio.load_segment(joined, NUM_SAMPLES - 100, NUM_SAMPLES + 100)
    if suffix not in (".mp3", ".ogg", ".opus"):  # where it depends a little on where decoding began
        np.testing.assert_array_equal(segment, samples[NUM_SAMPLES - 100 : NUM_SAMPLES + 100])


def test_a_second_file_that_was_cut_off_is_refused_with_the_place_where_it_begins(tmp_path):
    for suffix, data in FILES.items():
        path = save(tmp_path, suffix, data + data[: len(data) // 2])
        with pytest.raises(audio.AudioError, match=f"from byte {len(data)} on, is truncated"):
            audio.load(path)


def test_a_second_file_of_another_rate_is_refused_with_the_place_where_it_begins(tmp_path):
    first, second = write(tmp_path / "a.wav"), write(tmp_path / "b.wav", sample_rate=16000)
    begin = first.stat().st_size
    first.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(audio.AudioError, match=f"byte {begin}, of 16000 Hz .* save each in a file"):
        audio.load(first)


@pytest.mark.parametrize(
    ("suffix", "positions"),
    [
        (".wav", lambda data: [(4, 4), (data.index(b"data") + 4, 4)]),
        (".rf64", lambda data: [(data.index(b"ds64") + 16, 8)]),
        (".w64", lambda data: [(data.index(b"data") + 16, 8)]),
        (".aiff", lambda data: [(data.index(b"SSND") + 4, 4)]),
        (".au", lambda data: [(8, 4)]),
        (".caf", lambda data: [(data.index(b"data") + 4, 8)]),
        (".flac", lambda data: [(22, 4)]),
    ],
)
def test_samples_behind_a_header_that_says_there_are_none_are_read(suffix, positions, tmp_path):
    expected, _ = audio.load(save(tmp_path, suffix, FILES[suffix]))
    path = save(tmp_path, suffix, without(FILES[suffix], positions(FILES[suffix])))
    assert audio.read_info(path).num_samples == NUM_SAMPLES
    np.testing.assert_array_equal(audio.load(path)[0], expected)


def test_a_header_that_says_less_than_follows_is_refused(tmp_path):
    data = bytearray(FILES[".wav"])
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 6000)
    with pytest.raises(audio.AudioError, match="goes on for 12000 bytes behind the 6000 bytes"):
        audio.load(save(tmp_path, ".wav", data))


def test_memory_is_taken_for_what_is_decoded_and_not_for_what_a_header_promises(tmp_path):
    data = bytearray(FILES[".flac"][: FILES[".flac"].index(b"\xff\xf8")])  # without frames
    data[22:26] = b"\x7f\xff\xff\xff"  # the number of samples
    (tmp_path / "a.flac").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(audio.AudioError, match="copy it again"):
            audio.load(tmp_path / "a.flac")
        assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("most", [4, 7, 9000])
def test_sound_is_the_same_however_much_room_is_made_at_first(tmp_path, monkeypatch, most):
    path = write(tmp_path / "a.wav", tone(NUM_SAMPLES))
    expected, _ = audio.load(path)
    monkeypatch.setattr("wavedil.audio.opening._PIECE", 3)
    monkeypatch.setattr("wavedil.audio.loading._FIRST_SAMPLES", most)
    np.testing.assert_array_equal(audio.load(path)[0], expected)


@pytest.mark.parametrize("suffix", FORMATS)
def test_tags_behind_the_sound_are_no_sound(suffix, tmp_path):
    if suffix in (".sph", ".w64"):
        pytest.skip("libsndfile takes what follows for samples")
    expected, _ = audio.load(save(tmp_path, suffix, FILES[suffix]))
    tagged = save(tmp_path, suffix, FILES[suffix] + b"TAG" + bytes(125))
    np.testing.assert_array_equal(audio.load(tagged)[0], expected)


def mp3_frames(data):
    """The frames of an MP3 file at a constant bit rate, without the index in front."""
    size = data.index(data[:2], 4)
    return data[size:]


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_without_an_index_is_decoded_to_its_end(tmp_path, mode):
    # Silence takes few bits: from its bit rate at the start a variable file seems to be short.
    noise = np.random.default_rng(0).normal(0, 0.1, 60_000)
    samples = np.concatenate([noise, np.zeros(60_000), noise]).clip(-1, 1)
    data = sound_bytes(".mp3", samples, bitrate_mode=mode)
    whole, _ = audio.load(save(tmp_path, ".mp3", data))
    bare, _ = audio.load(save(tmp_path, ".mp3", mp3_frames(data)))
    assert len(whole) == 180_000
    # The index says how many samples at both ends the encoder added: fewer than 3 frames.
    assert 0 <= len(bare) - len(whole) < 3 * 576
    lag = int(np.argmax(np.correlate(bare[:4000], whole[1000:3000], "valid"))) - 1000
    np.testing.assert_allclose(bare[lag : lag + len(whole)][:170_000], whole[:170_000], atol=1e-4)


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        *(("WAV", subtype) for subtype in ("GSM610", "G721_32", "NMS_ADPCM_16", "IMA_ADPCM")),
        *(("AU", "G721_32"), ("AIFF", "GSM610"), ("XI", "DPCM_16"), ("CAF", "ALAC_16")),
    ],
)
def test_formats_that_cannot_be_sought_are_read(tmp_path, form, subtype):
    path = tmp_path / "sound.bin"
    soundfile.write(path, tone(NUM_SAMPLES), 8000, format=form, subtype=subtype)
    samples, _ = audio.load(path)
    assert NUM_SAMPLES <= len(samples) < NUM_SAMPLES + 1000  # whole blocks
    assert np.corrcoef(samples[:NUM_SAMPLES], tone(NUM_SAMPLES))[0, 1] > 0.95
    np.testing.assert_array_equal(audio.load_segment(path, 1000, 1200), samples[1000:1200])


@pytest.mark.parametrize("form", ["WAVEX", "AIFF", "FLAC"])
def test_bits_are_those_that_count(tmp_path, form):
    path = tmp_path / "sound.bin"
    subtype = "PCM_32" if form == "WAVEX" else "PCM_24"
    soundfile.write(path, tone(NUM_SAMPLES), 8000, format=form, subtype=subtype)
    data = bytearray(path.read_bytes())
    if form == "WAVEX":
        data[data.index(b"fmt ") + 26] = 24
    elif form == "AIFF":
        data[data.index(b"COMM") + 15] = 20
    path.write_bytes(data)
    assert audio.read_info(path).bits == (20 if form == "AIFF" else 24)


def test_a_path_that_is_no_file_is_refused_at_once(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", "/dev/zero", tmp_path, "nul\0.wav", "lone\ud800.wav"):
        with pytest.raises(audio.AudioError, match="cannot be opened"):
            audio.load(path)


def test_a_name_in_other_bytes_or_with_a_misleading_suffix_is_read(tmp_path):
    import os

    data = write(tmp_path / "a.wav", tone(500)).read_bytes()
    for name in (b"caf\xe9.wav", b"a.raw", b"[a]*?%20 'b\".wav", b"x" * 240 + b".wav"):
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "wb") as file:
            file.write(data)
        assert len(audio.load(os.fsdecode(path))[0]) == 500


def test_stored_samples_beyond_full_scale_are_limited_with_a_warning_that_gives_the_peak(tmp_path):
    path = write(tmp_path / "hot.wav", tone(8000, level=1.24), subtype="FLOAT")
    with pytest.warns(UserWarning, match=r"hot.wav: limited .* peak is 1.24 \(\+1.9 dBFS\)"):
        samples, _ = audio.load(path)
    assert np.abs(samples).max() == 1.0
    resampled = audio.decode(path, 16000)
    assert resampled.peak == pytest.approx(1.24, abs=1e-3)


def test_a_channel_is_chosen_by_name_or_number(tmp_path):
    channels = [tone(900, frequency=hz) for hz in (300, 500, 700)]
    path = write(tmp_path / "three.wav", np.stack(channels, axis=1))
    for channel, expected in {"left": 0, 1: 0, "1": 0, "right": 1, "2": 1, 3: 2, "3": 2}.items():
        samples, _ = audio.load(path, channel=channel)
        np.testing.assert_allclose(samples, channels[expected], atol=1 / 32768)
    with pytest.raises(audio.AudioError, match="has 3 channels, but channel is 4"):
        audio.load(path, channel=4)
    for wrong in ("middle", 0, -1, "", "1.5", True):
        with pytest.raises(ValueError, match="must be mix, left, right or a number from 1"):
            audio.load(path, channel=wrong)
    with pytest.warns(UserWarning, match="its 3 channels are averaged"):
        mixed, _ = audio.load(path)
    np.testing.assert_allclose(mixed, np.mean(channels, axis=0), atol=1 / 32768)


def test_a_mono_file_is_taken_as_it_is_whatever_the_channel(tmp_path):
    path = write(tmp_path / "mono.wav", tone(900))
    np.testing.assert_array_equal(audio.load(path, channel="right")[0], audio.load(path)[0])


def test_channels_that_cancel_are_told_from_silence(tmp_path):
    path = write(tmp_path / "wide.wav", np.stack([tone(900), -tone(900)], axis=1))
    with pytest.raises(audio.AudioError, match="its 2 channels cancel; choose one, channel left"):
        audio.load(path)
    assert np.abs(audio.load(path, channel="left")[0]).max() > 0.4
    silent = write(tmp_path / "silent.wav", np.zeros((900, 2)))
    assert not audio.load(silent)[0].any()
