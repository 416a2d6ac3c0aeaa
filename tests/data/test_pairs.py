"""Pairs of dry and wet signals: found, checked, brought together in time, and cut into windows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from wavedil import CorpusConfig, UserError, read_pairs
from wavedil.data import Pair, PairWindows
from wavedil.data.latency import latencies, response_of

RATE = 8000


def guitar(num_samples: int = 8000, seed: int = 0) -> np.ndarray:
    """Plucks: noise through a decaying comb, some of them."""
    rng, sound = np.random.default_rng(seed), np.zeros(num_samples)
    for start in range(0, num_samples, 2000):
        sound[start : start + 40] += rng.normal(size=40)[: num_samples - start]
    for t in range(40, num_samples):
        sound[t] += 0.97 * 0.5 * (sound[t - 39] + sound[t - 40])
    return (0.6 * sound / np.abs(sound).max()).astype(np.float32)


def amp(dry: np.ndarray, gain: float = 4.0, late: int = 0) -> np.ndarray:
    """A clipper and a low-pass filter, late by some samples."""
    wet, kept = np.tanh(gain * dry), 0.0
    for t in range(len(wet)):
        kept += 0.6 * (wet[t] - kept)
        wet[t] = kept
    return 0.7 * np.concatenate([np.zeros(late), wet])[: len(dry)].astype(np.float32)


def write(folder: Path, **sounds: Any) -> None:
    """Files by name, with another rate where it is given beside the sound."""
    for name, value in sounds.items():
        sound, rate = value if isinstance(value, tuple) else (value, RATE)
        soundfile.write(folder / f"{name.replace('_', '-')}.wav", sound, rate, subtype="FLOAT")


def manifest(folder: Path, *rows: dict[str, Any]) -> str:
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / "pairs.jsonl")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    dry = guitar()
    write(tmp_path, a_dry=dry, a_wet=amp(dry, late=30), b_dry=-dry, b_wet=amp(-dry, 8, late=30))
    write(tmp_path, other=dry)
    return tmp_path


def test_files_beside_one_another_are_pairs_whose_latency_is_taken_out(pairs: Path) -> None:
    corpus = read_pairs(CorpusConfig(folder=str(pairs)))
    assert [pair.path for pair in corpus.test] == ["a-wet.wav", "b-wet.wav"]
    late = 8000 - corpus.test[0].num_samples
    assert 25 <= late <= 30
    assert f"latency: the wet signals come {late} samples" in "\n".join(corpus.describe())
    for pair in corpus.test:
        assert pair.dry.size == pair.wet.size
    again = amp(np.pad(corpus.test[0].dry, (30 - late, 0)))[: 8000 - late]
    np.testing.assert_allclose(corpus.test[0].wet, again, atol=1e-5)


def test_the_end_of_each_pair_is_held_out_and_the_rest_trained_on(pairs: Path) -> None:
    corpus = read_pairs(CorpusConfig(folder=str(pairs), held_out=0.25), latency_samples=30)
    for part, whole in zip(corpus.train, corpus.test, strict=True):
        assert whole.num_samples == 7970 and whole.scored == (part.num_samples, 7970)
        assert part.num_samples == round(0.75 * 7970)
        np.testing.assert_array_equal(part.wet, whole.wet[: part.num_samples])
    lines = corpus.describe()
    assert lines[0].startswith("train: 2 pairs, 1.5 s")
    assert lines[1].startswith("held out: the ends of 2 pairs, 0.5 s")
    shorter = corpus.held_out(0.25)
    assert sum(pair.num_scored for pair in shorter) <= 2100
    everything = read_pairs(CorpusConfig(folder=str(pairs), held_out=1))
    assert not everything.train and everything.test[0].scored is None


def test_a_manifest_says_settings_of_knobs_and_what_is_held_out(pairs: Path) -> None:
    files = {"dry": "a-dry.wav", "wet": "a-wet.wav"}
    rows = [files | {"gain": gain, "split": split, "amp": "x"} for gain, split in
            ((2, "train"), ("6.5", "train"), (4, "test"))]  # fmt: skip
    corpus = read_pairs(CorpusConfig(folder=manifest(pairs, *rows)), knobs=("gain",))
    assert [pair.knobs for pair in corpus.train] == [{"gain": 2.0}, {"gain": 6.5}]
    assert [pair.labels for pair in corpus.test] == [{"gain": "4"}]
    assert corpus.test[0].scored is None
    assert "knob gain: 2, 6.5" in corpus.describe()


def test_the_fingerprint_is_another_for_another_setting_or_sound(pairs: Path) -> None:
    files = {"dry": "a-dry.wav", "wet": "a-wet.wav"}
    other = {"dry": "b-dry.wav", "wet": "b-wet.wav"}

    def fingerprint(*rows: dict[str, Any]) -> str:
        config = CorpusConfig(folder=manifest(pairs, *rows), held_out=0.5)
        return read_pairs(config, knobs=("gain",)).fingerprint

    low, high = files | {"gain": 1}, files | {"gain": 2}
    found = {
        fingerprint(low, high),
        fingerprint(low, files | {"gain": 3}),
        fingerprint(low, other | {"gain": 2}),
    }
    assert len(found) == 3 and fingerprint(low, high) in found


FILES = {"dry": "a-dry.wav", "wet": "a-wet.wav"}
ROWS = {
    "no wet": (({"dry": "a-dry.wav", "gain": 1},), "line 1 has no wet; its columns are dry, gain"),
    "an empty wet": ((FILES | {"wet": "", "gain": 1},), "line 1 has no file for wet"),
    "a missing file": ((FILES | {"wet": "c.wav", "gain": 1}, FILES | {"gain": 2}), "c.wav"),
    "no column": ((FILES,), "line 1 has no gain.*or leave it out of knobs"),
    "a word": ((FILES | {"gain": "high"},), "gain 'high', but the setting of a knob must be a"),
    "nan": ((FILES | {"gain": "nan"},), "must be a number"),
    "one setting": ((FILES | {"gain": 1}, FILES | {"gain": 1.0}), "knob gain is 1 in all pairs"),
    "half a split": ((FILES | {"gain": 1, "split": "test"}, FILES | {"gain": 2}), "split for some"),
    "a third split": ((FILES | {"gain": 1, "split": "dev"},), "must be 'train' or 'test'"),
    "no rows": ((), "lists no pairs"),
}


@pytest.mark.parametrize(("rows", "message"), ROWS.values(), ids=ROWS)
def test_a_manifest_that_does_not_fit_is_refused_with_its_line(
    pairs: Path, rows: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_pairs(CorpusConfig(folder=manifest(pairs, *rows)), knobs=("gain",))


DRY = guitar(4000)
SOUNDS = {
    "no wet": ({"a_dry": DRY}, "a-dry.wav has no a-wet.* beside it"),
    "no pairs": ({"a": DRY, "b": DRY}, "call the files NAME-dry.wav and NAME-wet.wav"),
    "lengths": ({"a_dry": DRY, "a_wet": amp(DRY)[:-5]}, "has 4000 samples, but .* has 3995"),
    "rates": ({"a_dry": DRY, "a_wet": (amp(DRY), 11025)}, "11025 Hz, but .*sample_rate 8000"),
    "silent": ({"a_dry": DRY, "a_wet": 0 * DRY + 1e-5}, "a-wet.wav: is silent: its peak is 1e-05"),
    "clipped": (
        {"a_dry": DRY, "a_wet": np.clip(9 * DRY, -1, 1)},
        "a-wet.wav: is clipped: [0-9]+ samples",
    ),
    "too loud": ({"a_dry": DRY, "a_wet": 1.9 * amp(DRY)}, "beyond full scale 1"),
    "unrelated": (
        {"a_dry": DRY, "a_wet": 0.1 * np.random.default_rng(0).normal(size=4000)},
        "a-wet.wav: the wet signal does not follow",
    ),
}


@pytest.mark.parametrize(("sounds", "message"), SOUNDS.values(), ids=SOUNDS)
def test_pairs_that_teach_nothing_of_the_amp_are_refused(
    tmp_path: Path, sounds: Any, message: str
) -> None:
    write(tmp_path, **sounds)
    with pytest.raises(UserError, match=message):
        read_pairs(CorpusConfig(folder=str(tmp_path)))


def test_what_does_not_suit_pairs_is_refused(pairs: Path) -> None:
    with pytest.raises(UserError, match="trim_db is 40"):
        read_pairs(CorpusConfig(folder=str(pairs), trim_db=40))
    with pytest.raises(UserError, match="knobs gain need their settings; give a manifest"):
        read_pairs(CorpusConfig(folder=str(pairs)), knobs=("gain",))
    with pytest.raises(UserError, match="latency is 9000 samples"):
        read_pairs(CorpusConfig(folder=str(pairs)), latency_samples=9000)


def test_pairs_of_another_rate_are_resampled_where_that_is_said(tmp_path: Path) -> None:
    write(tmp_path, a_dry=DRY, a_wet=(np.repeat(amp(DRY), 2), 2 * RATE))
    corpus = read_pairs(CorpusConfig(folder=str(tmp_path), sample_rate=RATE, held_out=0))
    assert corpus.sample_rate == RATE and corpus.train[0].num_samples >= 3990


@pytest.mark.parametrize("gain", [0.5, 4.0, 50.0])
@pytest.mark.parametrize("late", [-300, 0, 7, 1000])
def test_latency_is_found_through_clean_and_clipped_amps(late: int, gain: float) -> None:
    """Never too much is taken out, and little too little."""
    dry = guitar(16000, seed=1)
    wet = amp(dry, gain)
    wet = np.roll(wet, late) + 1e-4 * np.random.default_rng(0).normal(size=16000)
    found = response_of(dry, wet.astype(np.float32), RATE).begin()
    assert late - 24 <= found <= late
    assert found == 0 or late


@pytest.mark.parametrize("late", [-300, 0, 7])
def test_recordings_of_few_frequencies_are_as_late_as_those_beside_them(late: int) -> None:
    """By themselves they say less exactly how late they are, and may have their peak on the wrong side."""
    found = []
    for seed, highest_hz in ((1, 3000), (2, 3000), (3, 300), (4, 150)):
        low = signal.butter(4, highest_hz, fs=RATE, output="sos")
        dry = signal.sosfilt(low, guitar(16000, seed=seed)).astype(np.float32)
        wet = np.roll(amp(dry, 50.0), late) + 1e-4 * np.random.default_rng(0).normal(size=16000)
        found.append(response_of(dry, wet.astype(np.float32), RATE))
    alone = [response.begin() for response in found]
    together = latencies(found)
    assert len(set(together)) == 1
    assert max(together) <= late
    assert together[0] == (0 if late == 0 else max(alone))


def test_a_recording_that_is_late_by_another_number_keeps_its_own() -> None:
    dry = guitar(16000, seed=1)
    wets = [np.roll(amp(dry), late).astype(np.float32) for late in (30, 30, 94, -34)]
    found = latencies([response_of(dry, wet, RATE) for wet in wets])
    assert found[0] == found[1]
    assert [late - found[0] for late in found] == [0, 0, 64, -64]


def test_at_a_rate_of_few_samples_no_latency_is_found() -> None:
    with pytest.raises(UserError, match="no latency is found"):
        response_of(np.array([0.1, 0.2], np.float32), np.array([0.1, 0.3], np.float32), 1)


def counted_pairs(*lengths: int) -> list[Pair]:
    """Sample t of pair i is 1000 i + t, and minus that in the wet signal."""
    dry = [1000 * i + np.arange(length, dtype=np.float32) for i, length in enumerate(lengths, 1)]
    return [Pair(f"{i}", x, -x, {"gain": float(i)}) for i, x in enumerate(dry)]


@settings(max_examples=20)
@given(step=st.integers(0, 50), seed=st.integers(0, 3))
def test_a_window_holds_what_its_predictions_see_and_what_they_are(step: int, seed: int) -> None:
    sizes = {"window_size": 8, "context_samples": 5, "batch_size": 3, "seed": seed}
    windows = PairWindows(counted_pairs(8, 30), **sizes)
    batch = windows.batch(step)
    assert batch.dry.shape == (3, 13, 1) and batch.wet.shape == (3, 8, 1)
    np.testing.assert_array_equal(batch.dry[:, 5:], -batch.wet)
    for dry, gain in zip(batch.dry[..., 0], batch.knobs["gain"], strict=True):
        first = 1000 * (gain + 1)
        expected = dry[-1] - np.arange(12, -1, -1)
        np.testing.assert_array_equal(dry, np.where(expected >= first, expected, 0))
    np.testing.assert_array_equal(windows.batch(step).dry, batch.dry)
    assert not np.array_equal(windows.batch(step + 1).dry, batch.dry)


def test_a_pass_takes_windows_from_everywhere_equally_often() -> None:
    sizes = {"window_size": 10, "context_samples": 0, "batch_size": 4, "seed": 0}
    windows = PairWindows(counted_pairs(40, 80), **sizes)
    starts = np.concatenate([windows.batch(step).dry[:, 0, 0] for step in range(3)])
    for first, length, count in ((1000, 40, 4), (2000, 80, 8)):
        places = np.sort(starts[(starts >= first) & (starts < first + 1000)]) - first
        stretch = (length - 10 + 1) / count
        assert len(places) == count
        assert (np.arange(count) * stretch - 1 < places).all()
        assert (places < np.arange(1, count + 1) * stretch).all()


def test_a_pair_that_is_too_short_is_refused() -> None:
    sizes = {"window_size": 10, "context_samples": 0, "batch_size": 4, "seed": 0}
    with pytest.raises(UserError, match="0 has 9 samples to train on, fewer than window_size 10"):
        PairWindows(counted_pairs(9, 20), **sizes)
