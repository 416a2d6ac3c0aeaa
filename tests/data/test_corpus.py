"""Corpora: what is found, split, labelled, skipped and refused."""

import json
import math
import os

import numpy as np
import pytest
import spoken_digits
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import (
    BAD,
    tone,
    write,
    write_empty,
    write_m4a,
    write_nan,
    write_silence,
    write_text,
)

from wavedil import Quantizer, UserError, audio, mu_law
from wavedil.data import Corpus, CorpusConfig, Recording, read_corpus
from wavedil.data.listing import Entry
from wavedil.data.split import held_out_paths
from wavedil.labels import Vocabulary
from wavedil.mel import MelConfig, mel


def read(folder, **settings):
    levels = {key: settings.pop(key) for key in ("levels", "companding") if key in settings}
    features = {key: settings.pop(key) for key in ("mel", "features_hop") if key in settings}
    config = CorpusConfig(folder=str(folder), **settings)
    return read_corpus(config, quantizer=Quantizer(**levels), **features)


def paths(recordings):
    return [recording.path for recording in recordings]


@pytest.fixture
def folder(tmp_path):
    """Ten recordings at 8000 Hz in two folders: 0_ann_0.wav ... 4_bob_1.wav."""
    for digit in range(5):
        write(tmp_path / "a" / f"{digit}_ann_0.wav", tone(1000 + digit))
        write(tmp_path / "b" / "deep" / f"{digit}_bob_1.wav", tone(1500 + digit))
    return tmp_path


LABELS = r"(?P<digit>\d)_(?P<speaker>[a-z]+)_(?P<index>\d+)"


def test_a_folder_is_walked_recursively_in_the_order_of_paths(folder):
    write_text(folder / "notes.txt")
    write(folder / ".cache" / "hidden.wav")
    write_empty(folder / "a" / "._0_ann_0.wav")
    corpus = read(folder, test="_0[.]wav$")
    assert paths(corpus.test) == [f"a/{digit}_ann_0.wav" for digit in range(5)]
    assert paths(corpus.train) == [f"b/deep/{digit}_bob_1.wav" for digit in range(5)]
    assert corpus.skipped == ()


def test_a_folder_that_links_to_itself_is_read_once(folder):
    (folder / "b" / "loop").symlink_to(folder, target_is_directory=True)
    corpus = read(folder, test="_0[.]wav$")
    assert len(corpus.train) + len(corpus.test) == 10


@pytest.mark.parametrize("levels", [256, 1024])
def test_codes_are_the_mu_law_of_the_samples(folder, levels):
    corpus = read(folder, test="ann", levels=levels)
    for recording in corpus.train + corpus.test:
        samples, _ = audio.load(folder / recording.path)
        np.testing.assert_array_equal(recording.codes, mu_law.encode(samples, levels))
        assert recording.codes.dtype == mu_law.code_dtype(levels)
        assert not recording.codes.flags.writeable


def test_labels_come_from_named_groups_and_index_is_none(folder):
    corpus = read(folder, labels=LABELS, test="_0[.]wav$")
    assert corpus.label_values == {"digit": tuple("01234"), "speaker": ("ann", "bob")}
    assert corpus.test[3].labels == {"digit": "3", "speaker": "ann"}
    assert corpus.unlabelled == {"digit": 0, "speaker": 0}


def test_a_group_that_begins_with_an_underscore_is_no_label(folder):
    corpus = read(folder, labels=r"(?P<_digit>\d)_(?P<speaker>[a-z]+)", test="_0[.]wav$")
    assert corpus.label_values == {"speaker": ("ann", "bob")}


def test_values_that_are_numbers_are_sorted_by_size(tmp_path):
    for pitch in (9, 10, 100, 20):
        write(tmp_path / f"p{pitch}.wav")
    assert read(tmp_path, labels=r"p(?P<pitch>\d+)").label_values["pitch"] == (
        "9",
        "10",
        "20",
        "100",
    )


def test_files_without_a_label_are_kept_and_counted(folder):
    write(folder / "unknown.wav")
    corpus = read(folder, labels=LABELS, test="ann")
    assert corpus.unlabelled == {"digit": 1, "speaker": 1}
    (unlabelled,) = [item for item in corpus.train if not item.labels]
    assert unlabelled.path == "unknown.wav"
    assert "label digit: 5 values, 1 recordings without it" in corpus.describe()


def test_a_seeded_fraction_depends_on_the_seed_alone(folder):
    first, again = read(folder, held_out=0.3), read(folder, held_out=0.3)
    assert len(first.test) == 3
    assert paths(first.test) == paths(again.test)
    splits = {tuple(paths(read(folder, held_out=0.3, split_seed=seed).test)) for seed in range(5)}
    assert len(splits) > 1


@given(num_files=st.integers(2, 40), held_out=st.floats(0.01, 0.99), seed=st.integers(0, 5))
def test_a_fraction_holds_out_that_share_and_never_all_or_none(num_files, held_out, seed):
    entries = [Entry(f"{n}.wav", None) for n in range(num_files)]
    settings = CorpusConfig(folder=".", held_out=held_out, split_seed=seed)
    count = len(held_out_paths(entries, settings))
    assert 1 <= count <= num_files - 1
    assert abs(count - held_out * num_files) <= 1


def test_silence_is_kept_unless_trimming_is_asked_for_and_trimming_says_how_much(tmp_path):
    silence = np.zeros(8000, np.float32)
    for name, hz in (("a.wav", 300), ("b.wav", 500)):
        write(tmp_path / name, np.concatenate([silence, tone(8000, frequency=hz), silence]))
    whole, trimmed = read(tmp_path), read(tmp_path, trim_db=40.0)
    assert len(whole.train[0].codes) == 24000 and whole.trimmed_seconds == 0
    num_kept = sum(len(item.codes) for item in trimmed.train + trimmed.test)
    # librosa works in frames of 2048 samples: at most one is kept on either side.
    assert 2 * 8000 <= num_kept <= 2 * (8000 + 2 * 2048)
    assert trimmed.trimmed_seconds == pytest.approx((2 * 24000 - num_kept) / 8000)
    assert f"trimming removed {trimmed.trimmed_seconds:.1f} s of silence" in trimmed.describe()


def test_the_commonest_rate_wins_and_others_are_resampled(tmp_path):
    for name in ("a.wav", "b.wav"):
        write(tmp_path / name, tone(8000))
    write(tmp_path / "other.wav", tone(16000, sample_rate=16000), 16000)
    corpus = read(tmp_path, test="other")
    assert (corpus.sample_rate, len(corpus.test[0].codes), corpus.num_resampled) == (8000, 8000, 1)
    assert "resampled 1 recordings to 8000 Hz" in corpus.describe()
    wanted = read(tmp_path, test="other", sample_rate=16000)
    assert {len(item.codes) for item in wanted.train + wanted.test} == {16000}


def test_stereo_recordings_are_mixed(tmp_path):
    stereo = np.stack([tone(500), np.zeros(500)], axis=1)
    write(tmp_path / "a.wav", stereo)
    write(tmp_path / "b.wav", stereo[:400])
    # Where halving meets rounding to 16 bits, a code may be the next one.
    difference = read(tmp_path, test="b").train[0].codes.astype(int) - mu_law.encode(tone(500) / 2)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(("make", "name", "reason"), BAD.values(), ids=BAD)
def test_one_bad_file_among_good_ones_is_named_skipped_and_counted(folder, make, name, reason):
    make(folder / name)
    corpus = read(folder, test="_0[.]wav$")
    assert len(corpus.train) + len(corpus.test) == 10
    (skipped,) = corpus.skipped
    assert skipped.path == name and reason in skipped.reason
    assert "reading: 10 of 11, 1 skipped:" in corpus.describe()
    with pytest.raises(UserError, match=rf"{name}.*strict"):
        read(folder, test="_0[.]wav$", strict=True)


def test_progress_counts_the_seconds_of_every_file(folder):
    calls = []
    corpus = read_corpus(
        CorpusConfig(folder=str(folder)), progress=lambda *call: calls.append(call)
    )
    seconds = sum(item.num_samples for item in (*corpus.train, *corpus.test)) / corpus.sample_rate
    headers, sounds = calls[:10], calls[10:]
    assert [done for done, _ in headers] == 10 * [0] and all(total >= 1 for _, total in headers)
    assert len(sounds) == 10 and sounds == sorted(sounds)
    assert calls[-1] == (math.ceil(seconds),) * 2


def test_recordings_are_read_alike_by_any_number_of_threads(folder, monkeypatch):
    corpora = []
    for cores in (1, 7):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        corpora.append(read(folder))
    assert corpora[0].fingerprint == corpora[1].fingerprint
    assert corpora[0].describe() == corpora[1].describe()


def empty(path):
    pass


def no_audio(path):
    write_text(path / "a.txt")
    write_text(path / "b.md")


def nothing_readable(path):
    write_nan(path / "a.wav")
    write_m4a(path / "b.m4a")


def single(path):
    write(path / "only.wav")


def two(path):
    write(path / "a.wav")
    write(path / "b.wav")


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (empty, {}, "is empty; put recordings there"),
        (no_audio, {}, r"no audio among its files \(1 of .*recordings end in .wav"),
        (nothing_readable, {}, "none of the 2 recordings .* can be used; the first: a.wav: 3 of"),
        (nothing_readable, {"sample_rate": 8000}, "none of the 2 recordings"),
        (single, {"test": "c"}, "leaves none of 1 usable recordings to hold out"),
        (two, {"test": "c"}, "test pattern 'c' leaves none of 2 usable recordings to hold out"),
        (two, {"test": "wav"}, "leaves none of 2 usable recordings to train on"),
        (two, {"labels": r"(?P<digit>\d)"}, "labels gives no digit to any of 2 files"),
    ],
)
def test_a_folder_that_cannot_be_trained_on_is_refused(tmp_path, make, settings, message):
    make(tmp_path)
    with pytest.raises(UserError, match=message):
        read(tmp_path, **settings)


@pytest.mark.parametrize(("name", "message"), [("x", "does not exist"), ("a.txt", "is a file")])
def test_a_place_that_is_no_corpus_is_refused(tmp_path, name, message):
    write_text(tmp_path / "a.txt")
    with pytest.raises(UserError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test": "("}, r"test '\(' is not a regular expression"),
        ({"labels": "(?P<x>"}, "labels .* is not a regular expression"),
        ({"labels": r"\d"}, "names no label"),
        ({"labels": r"(?P<index>\d)"}, "names no label"),
        ({"held_out": -0.1}, "held_out is -0.1"),
        ({"held_out": 1.1}, "held_out is 1.1"),
        ({"trim_db": -3.0}, "trim_db is -3.0"),
        ({"trim_db": float("nan")}, "trim_db is nan"),
        ({"sample_rate": 0}, "sample_rate is 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        CorpusConfig(folder=".", **settings)


def test_with_all_held_out_every_recording_is_read_to_be_scored_whatever_its_labels(folder):
    corpus = read(folder, held_out=1.0, labels=r"(?P<pitch>[A-G]\d)", test="ann")
    assert (len(corpus.test), corpus.train) == (10, ())
    assert corpus.label_values == {"pitch": ()}


def test_settings_survive_json():
    settings = CorpusConfig(folder="x", labels=LABELS, test="a", trim_db=40.0, sample_rate=8000)
    assert CorpusConfig.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@spoken_digits.needs_recordings
def test_spoken_digits_have_their_official_split():
    labels = r"(?P<digit>\d)_(?P<speaker>\w+)_(?P<index>\d+)"
    corpus = read(spoken_digits.FOLDER, test=r"_[0-4]\.wav$", labels=labels)
    assert (len(corpus.train), len(corpus.test), len(corpus.skipped)) == (2700, 300, 0)
    assert sum(len(recording.codes) for recording in corpus.test) == 1_034_030
    assert corpus.sample_rate == 8000
    assert corpus.label_values["digit"] == tuple("0123456789")
    assert len(corpus.label_values["speaker"]) == 6
    assert corpus.unlabelled == {"digit": 0, "speaker": 0}


MEL = MelConfig(num_mels=12, fft_size=256, hop=64)


@pytest.mark.newest
def test_mel_spectra_are_those_of_the_samples_as_they_are_kept(folder):
    corpus = read(folder, test="ann", mel=MEL, sample_rate=4000)
    assert (corpus.hop, corpus.num_features, corpus.mel) == (64, 12, MEL.at(4000))
    for recording in corpus.train + corpus.test:
        samples, _ = audio.load(folder / recording.path, 4000)
        np.testing.assert_array_equal(recording.features, mel(samples, corpus.mel))
    assert "mel spectra: 12 numbers every 64 samples (16 ms)" in corpus.describe()
    assert corpus.fingerprint != read(folder, test="ann", sample_rate=4000).fingerprint


def test_a_recording_shorter_than_a_mel_frame_is_skipped_with_both(folder):
    write(folder / "a" / "click.wav", tone(255))
    corpus = read(folder, test="ann", mel=MEL)
    (bad,) = corpus.skipped
    assert bad.path == "a/click.wav"
    assert "255 samples (0.0319 s) are shorter than one mel frame (256" in bad.reason


def write_features(folder, hop, width=3):
    for path in folder.rglob("*.wav"):
        num_samples = audio.read_info(path).num_samples
        np.save(path.with_suffix(".npy"), np.ones((-(-num_samples // hop), width)))


def test_features_beside_the_recordings_are_read(folder):
    write_features(folder, 50)
    corpus = read(folder, test="ann", features_hop=50)
    assert (corpus.hop, corpus.num_features, corpus.mel) == (50, 3, None)
    assert {len(item.features) for item in corpus.test} == {20, 21}
    assert "features beside them: 3 numbers every 50 samples (6.25 ms)" in corpus.describe()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((19, 3)), "19 frames, but 1002 samples with a frame every 50 samples take 21"),
        (np.ones((21, 4)), "2_ann_0.npy has 4 numbers in a frame, but 0_ann_0.npy has 3"),
        (np.full((21, 3), np.nan), "63 of 63 numbers are NaN"),
        (None, "cannot be opened"),
    ],
)
def test_features_that_do_not_fit_are_skipped_or_refused_when_strict(folder, array, message):
    write_features(folder, 50)
    path = folder / "a" / "2_ann_0.npy"
    path.unlink()
    if array is not None:
        np.save(path, array)
    corpus = read(folder, test="ann", features_hop=50)
    (bad,) = corpus.skipped
    assert message in bad.reason
    with pytest.raises(UserError, match=message):
        read(folder, test="ann", features_hop=50, strict=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features_hop": 0}, "features_hop is 0"),
        ({"features_hop": 50, "mel": MEL}, "or compute mel spectra"),
        ({"features_hop": 50, "trim_db": 40.0}, "leave trim_db out"),
        ({"mel": MelConfig(sample_rate=16000)}, "for 16000 Hz, but the sound has 8000 Hz"),
        ({"features_hop": 50}, "none of the 10 recordings"),
    ],
)
def test_settings_of_features_that_cannot_be_are_refused(folder, settings, message):
    with pytest.raises(UserError, match=message):
        read(folder, **settings)


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_U8", 8), ("ULAW", 8), ("PCM_16", 16)])
def test_a_recording_of_fewer_values_than_levels_is_named_with_its_bits(tmp_path, subtype, bits):
    for name in ("a.wav", "b.wav"):
        write(tmp_path / name, subtype="PCM_24")
    write(tmp_path / "coarse.wav", subtype=subtype)
    assert read(tmp_path, levels=1 << bits).skipped == ()
    if bits == 16:
        return  # no number of levels is too large
    corpus = read(tmp_path, levels=65536, companding="linear")
    assert paths(corpus.train + corpus.test) == ["a.wav", "b.wav"]
    (bad,) = corpus.skipped
    assert bad.path == "coarse.wav"
    assert "a sample in 8 bits, 256 values, too few for 65536 levels" in bad.reason
    assert "use at most 256 levels, or recordings of more bits" in bad.reason
    with pytest.raises(UserError, match=r"coarse.wav: stores a sample in 8 bits.*strict"):
        read(tmp_path, levels=65536, strict=True)


def test_lossy_and_floating_point_files_have_no_bits_to_be_too_few(tmp_path):
    write(tmp_path / "a.ogg", subtype="VORBIS")
    write(tmp_path / "b.wav", subtype="FLOAT")
    assert read(tmp_path, levels=65536).skipped == ()


def test_a_silent_recording_is_named_and_left_out(tmp_path):
    for name in ("a.wav", "b.wav"):
        write(tmp_path / name)
    write_silence(tmp_path / "silence.wav")
    write(tmp_path / "constant.wav", np.full(500, 0.25))
    corpus = read(tmp_path)
    assert [bad.path for bad in corpus.skipped] == ["constant.wav", "silence.wav"]
    assert "is silent: its 4000 samples are all at the same one of 256" in corpus.skipped[1].reason
    assert any("silence.wav: is silent" in line for line in corpus.describe())
    with pytest.raises(UserError, match=r"constant.wav: is silent"):
        read(tmp_path, strict=True)


@pytest.mark.parametrize("settings", [{}, {"trim_db": 40.0}, {"min_max_normalisation": True}])
def test_a_corpus_of_silence_is_refused(tmp_path, settings):
    for name in ("a.wav", "b.wav"):
        write_silence(tmp_path / name)
    with pytest.raises(UserError, match=r"none of the 2 recordings .* a.wav: is silent"):
        read(tmp_path, **settings)


def test_codes_are_those_of_the_scale(folder):
    corpus = read(folder, test="ann", levels=65536, companding="linear")
    samples, _ = audio.load(folder / corpus.train[0].path)
    np.testing.assert_array_equal(corpus.train[0].codes, 32768 + np.rint(32768 * samples))


def test_min_max_normalisation_brings_every_recording_to_full_scale(tmp_path):
    write(tmp_path / "quiet.wav", tone(800, level=0.01) + 0.1)
    write(tmp_path / "loud.wav", tone(800, level=0.9))
    corpus = read(tmp_path, min_max_normalisation=True, levels=256, companding="linear")
    for recording in corpus.train + corpus.test:
        assert (recording.codes.min(), recording.codes.max()) == (0, 255)


@given(
    lengths=st.lists(st.integers(1, 50_000), min_size=1, max_size=30),
    seconds=st.floats(0.1, 40.0),
)
@settings(max_examples=60, deadline=None)
def test_held_out_sound_is_as_long_as_asked_in_seconds_that_do_not_overlap(lengths, seconds):
    rate = 1000
    corpus = Corpus(
        train=(),
        test=tuple(Recording(f"{n}", np.zeros(size, np.uint8)) for n, size in enumerate(lengths)),
        sample_rate=rate,
        skipped=(),
        trimmed_seconds=0.0,
        label_values=Vocabulary(),
        unlabelled={},
    )
    pieces = corpus.held_out(seconds)
    assert [(p.path, p.scored) for p in pieces] == [
        (p.path, p.scored) for p in corpus.held_out(seconds)
    ]
    scored = {}
    for piece in pieces:
        first, end = piece.scored or (0, piece.num_samples)
        assert 0 <= first < end <= piece.num_samples
        assert end - first < 2 * rate or piece.scored is None
        scored.setdefault(piece.path, []).extend(range(first, end))
    for samples in scored.values():
        assert len(samples) == len(set(samples))
    total, wanted = sum(map(len, scored.values())), min(sum(lengths), round(rate * seconds))
    assert 0.4 * wanted - 2 * rate <= total <= 2 * wanted + 2 * rate
