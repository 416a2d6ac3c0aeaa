"""Recordings that are not as they should be: twice there, too loud, of many channels, no files at all."""

import os
import shutil

import numpy as np
import pytest
import soundfile
from recordings import tone, write

from wavedil import UserError, audio
from wavedil.data import CorpusConfig, read_corpus


def read(folder, **settings):
    return read_corpus(CorpusConfig(folder=str(folder), **settings))


@pytest.fixture
def folder(tmp_path):
    """Four recordings, of which two are held out by `test="held"`."""
    for number, name in enumerate(("a.wav", "b.wav", "held_c.wav", "held_d.wav")):
        write(tmp_path / "in" / name, tone(1000 + number))
    return tmp_path / "in"


def copied(folder):
    shutil.copy(folder / "a.wav", folder / "held_a.wav")


def linked(folder):
    (folder / "held_a.wav").symlink_to(folder / "a.wav")


def in_another_format(folder):
    samples, rate = audio.load(folder / "a.wav")
    write(folder / "held_a.flac", samples, rate)


def listed_by_another_way(folder):
    rows = ["a.wav,train", "b.wav,train", f"../{folder.name}/a.wav,test"]
    (folder / "files.csv").write_text("\n".join(["path,split", *rows]))
    return folder / "files.csv"


@pytest.mark.parametrize("again", [copied, linked, in_another_format, listed_by_another_way])
def test_a_sound_that_is_trained_on_and_held_out_is_refused_with_both_names(folder, again):
    place = again(folder) or folder
    settings = {} if place.suffix == ".csv" else {"test": "held"}
    with pytest.raises(UserError, match=r"(held_|\.\./in/)a.* is held out, but a.wav, which is tr"):
        read(place, **settings)


def test_a_sound_that_is_there_twice_on_one_side_is_said_and_counted(folder):
    for name in ("b2.wav", "b3.wav"):
        shutil.copy(folder / "b.wav", folder / name)
    corpus = read(folder, test="held")
    assert len(corpus.train) == 4
    assert "2 recordings are others again: b2.wav is b.wav" in corpus.describe()


def test_recordings_beyond_full_scale_are_limited_and_said_once_and_refused_when_strict(folder):
    write(folder / "hot.wav", tone(900, level=1.24), subtype="FLOAT")
    write(folder / "warm.wav", tone(800, level=1.1), subtype="DOUBLE")
    corpus = read(folder, test="held")
    (line,) = [line for line in corpus.describe() if "full scale" in line]
    assert line.startswith("limited 2 recordings to full scale")
    assert "hot.wav, is 1.24 (+1.9 dBFS)" in line
    with pytest.raises(UserError, match=r"hot.wav: the peak is 1.24 .*strict"):
        read(folder, test="held", strict=True)


def test_the_overshoot_of_resampling_is_limited_without_a_word(folder):
    write(folder / "square.wav", np.sign(tone(4000, frequency=110)))
    assert read(folder, test="held", sample_rate=16000, strict=True).remarks == ()


def test_channels_are_chosen_for_the_whole_corpus(folder):
    left, right = tone(900, frequency=300), tone(900, frequency=700)
    stereo = {"in_phase.wav": (left, right), "cancelling.wav": (left, -left)}
    for name, channels in stereo.items():
        write(folder / name, np.stack(channels, axis=1))
    mixed = read(folder, test="held")
    (bad,) = mixed.skipped
    assert bad.path == "cancelling.wav" and "2 channels cancel; choose one" in bad.reason
    corpus = read(folder, test="held", channel="left")
    found = {item.path: item.codes for item in corpus.train}
    assert not corpus.skipped and len(found) == 4  # mono recordings too
    np.testing.assert_array_equal(found["in_phase.wav"], found["cancelling.wav"])


def test_surround_that_is_averaged_is_said(folder):
    write(
        folder / "film.wav", np.stack([tone(900, frequency=100 * n) for n in range(1, 9)], axis=1)
    )
    (line,) = read(folder, test="held").remarks
    assert line.startswith("averaged all channels of 1 recordings") and "film.wav, has 8" in line
    assert read(folder, test="held", channel="3").remarks == ()


def test_a_channel_that_a_recording_lacks_skips_it_by_name(folder):
    write(folder / "stereo.wav", np.stack([tone(900), tone(900)], axis=1))
    (bad,) = read(folder, test="held", channel="3").skipped
    assert bad.path == "stereo.wav" and "has 2 channels, but channel is 3" in bad.reason
    with pytest.raises(UserError, match="channel is 'centre', but it must be"):
        read(folder, channel="centre")


def test_what_is_no_readable_file_is_named_and_skipped_wherever_it_fails(folder):
    os.mkfifo(folder / "pipe.wav")
    (folder / "folder.wav").mkdir()
    (folder / "broken.wav").symlink_to("nowhere.wav")
    soundfile.write(folder / "phone.wav", tone(700), 8000, format="WAV", subtype="GSM610")
    (folder / "cut.raw").write_bytes(bytes(1000))
    rows = [f"{name},train" for name in ("a.wav", "phone.wav")] + ["held_c.wav,test"]
    bad = ["pipe.wav", "folder.wav", "broken.wav", "cut.raw", "nul\0.wav", "absent.wav", "x" * 300]
    (folder / "files.csv").write_text(
        "\n".join(["path,split", *rows, *(f"{p},train" for p in bad)])
    )
    corpus = read(folder / "files.csv")
    assert [item.path for item in corpus.train] == ["a.wav", "phone.wav"]
    assert [item.path for item in corpus.skipped] == sorted(bad)
    listed = read(folder, test="held")
    assert {item.path for item in listed.skipped} == {"pipe.wav", "broken.wav"}


def test_a_name_that_is_not_utf8_is_read_like_any_other(folder):
    name = os.fsdecode(b"caf\xe9.wav")
    write(folder / "cafe.wav", tone(600))
    os.rename(folder / "cafe.wav", os.path.join(folder, name))
    corpus = read(folder, test="held", labels=r"(?P<word>\D+)\.wav")
    assert name in [item.path for item in corpus.train]
    assert corpus.fingerprint


def test_a_label_value_without_a_recording_to_train_on_is_named(folder):
    corpus = read(folder, test="held", labels=r"(?P<letter>[a-z])\.wav")
    assert "label letter: 4 values; no recording to train on has c, d" in corpus.describe()


def test_what_was_skipped_is_counted_among_what_was_found(folder):
    for number in range(2):
        (folder / f"bad_{number}.wav").write_bytes(b"")
    lines = read(folder, test="held").describe()
    assert lines[-3] == "reading: 4 of 6, 2 skipped:"
    assert lines[-2].startswith("  bad_0.wav: is empty")
