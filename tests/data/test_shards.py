"""Shards: the same corpus as from the files, in little memory; gone on with after a kill."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc

import numpy as np
import prepared
import pytest
from prepared import LABELS, config, files, make
from recordings import write
from small_disk import small_disk

from wavedil import Quantizer, UserError
from wavedil.data import LabelledWindows, TrainingWindows, read_corpus
from wavedil.data.shards.format import PIECE
from wavedil.files import WriteError
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig

pytest.importorskip("array_record")
sounds, shards = prepared.sounds, prepared.shards


def batches(corpus, quantizer, steps=12):
    windows = TrainingWindows(
        corpus.train,
        window_size=512,
        context_samples=100,
        batch_size=3,
        label_values=corpus.label_values,
        seed=1,
        levels=quantizer.levels,
    )
    labelled = LabelledWindows(
        corpus.train,
        target="speaker",
        values=corpus.label_values["speaker"],
        quantizer=quantizer,
        window_size=512,
        batch_size=3,
        seed=1,
    )
    made = [each.batch(step) for each in (windows, labelled) for step in range(steps)]
    return [*made, windows.describe(10), labelled.describe(10)]


@pytest.mark.newest
@pytest.mark.parametrize("quantizer", [Quantizer(), Quantizer(65536, "linear")], ids=str)
@pytest.mark.parametrize("how", [{}, {"trim_db": 20.0, "channel": "left", "sample_rate": 4000}])
def test_a_corpus_from_shards_is_that_of_the_files_bit_for_bit(sounds, tmp_path, quantizer, how):
    make(sounds, tmp_path / "shards", quantizer=quantizer, **how)
    chosen = {"labels": LABELS, "test": "[12]_ann"}
    there = read_corpus(config(sounds, **how, **chosen), quantizer=quantizer)
    here = read_corpus(config(tmp_path / "shards", **chosen), quantizer=quantizer)
    assert here.describe() == there.describe()
    assert here.fingerprints == there.fingerprints
    assert here.skipped == there.skipped and len(here.skipped) == 1
    assert here.label_values == there.label_values
    for one, other in zip(here.train + here.test, there.train + there.test, strict=True):
        assert (one.path, one.labels) == (other.path, other.labels)
        assert one.codes.dtype == other.codes.dtype
        np.testing.assert_array_equal(np.asarray(one.codes), other.codes)
    for one, other in zip(batches(here, quantizer), batches(there, quantizer), strict=True):
        np.testing.assert_equal(one, other)


@pytest.mark.parametrize("kind", ["mel", "pitch", "beside"])
def test_features_from_shards_are_those_of_the_files_bit_for_bit(sounds, tmp_path, kind):
    """Those of your own with a recording whose array is missing, and one whose array is of another width."""
    chosen = {"labels": LABELS, "test": "[12]_ann"}
    features = {"mel": MelConfig(num_mels=20)} if kind != "beside" else {"features_hop": 64}
    features |= {"pitch": PitchConfig()} if kind == "pitch" else {}
    folder = sounds
    if kind == "beside":
        folder = shutil.copytree(sounds, tmp_path / "sounds")
        whole = read_corpus(config(folder))
        for item in (*whole.train, *whole.test)[1:]:
            width = 6 if item.path == "5_ann.wav" else 300
            frames = np.random.default_rng(0).normal(size=(-(-item.num_samples // 64), width))
            np.save((folder / item.path).with_suffix(".npy"), frames)
    make(folder, tmp_path / "shards", **features)
    there = read_corpus(config(folder, **chosen), **features)
    here = read_corpus(config(tmp_path / "shards", **chosen), **features)
    assert here.describe() == there.describe()
    assert (here.hop, here.mel, here.pitch) == (there.hop, there.mel, there.pitch)
    assert here.fingerprints == there.fingerprints
    assert [item.path for item in here.skipped] == [item.path for item in there.skipped]
    for one, other in zip((*here.train, *here.test), (*there.train, *there.test), strict=True):
        assert not isinstance(one.features, np.ndarray)
        assert one.features.shape == other.features.shape
        np.testing.assert_array_equal(np.asarray(one.features), other.features)
        np.testing.assert_array_equal(one.features[2:7], other.features[2:7])
        assert np.array(one.features).flags.writeable  # a copy, as of an array
        np.testing.assert_array_equal(np.asarray(one.codes), other.codes)
    windows = [
        TrainingWindows(
            corpus.train,
            **{"window_size": 512, "context_samples": 129, "batch_size": 3, "seed": 1},
            label_values=corpus.label_values,
            hop=corpus.hop,
            lookaround_frames=2,
        )
        for corpus in (here, there)
    ]
    for step in range(6):
        one, other = (each.batch(step) for each in windows)
        np.testing.assert_array_equal(one.features, other.features)


def test_a_single_recording_and_a_manifest_are_split_as_the_files_are(sounds, tmp_path):
    rows = "path,split,speaker\n" + "".join(
        f"{sounds}/{number}_ann.wav,{'test' if number < 2 else 'train'},{number}\n"
        for number in range(4)
    )
    (tmp_path / "list.csv").write_text(rows)
    for place in (sounds / "a" / "8_bob.wav", tmp_path / "list.csv"):
        folder = tmp_path / f"shards of {place.name}"
        make(place, folder, num_shards=1)
        there, here = read_corpus(config(place)), read_corpus(config(folder))
        assert here.describe() == there.describe()
        assert here.fingerprints == there.fingerprints


@pytest.mark.newest
def test_parts_prepared_in_any_order_are_the_whole(sounds, tmp_path):
    whole = make(sounds, tmp_path / "whole", num_shards=5)
    assert (whole.num_written, whole.num_there, whole.missing) == (5, 0, 0)
    assert (whole.num_recordings, whole.num_skipped) == (11, 1)
    for number, missing in ((2, 3), (3, 2), (1, 0)):
        made = make(sounds, tmp_path / "parts", num_shards=5, part=(number, 3))
        assert made.missing == missing
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


KILLED = """
import os, signal, sys
from wavedil import Quantizer
from wavedil.data import CorpusConfig, prepare

left = int(sys.argv[3])

def progress(done, total, note):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

prepare(CorpusConfig(folder=sys.argv[1]), sys.argv[2], quantizer=Quantizer(), num_shards=3, progress=progress)
"""


def test_a_preparation_that_was_killed_goes_on_with_the_shard_that_it_was_in(
    sounds, shards, tmp_path
):
    killed = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, str(sounds), str(killed), "11"]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    there = sorted(path.name for path in killed.iterdir())
    assert sum(name.startswith(".new-") for name in there) == 1, there
    with pytest.raises(UserError, match=r"lacks \d of 3 shards .*a shard is being written, or its"):
        read_corpus(config(killed))
    kept = [
        path for path in killed.iterdir() if path.suffix == ".array_record" and path.name[0] == "s"
    ]
    before = {path: path.stat().st_ino for path in kept}
    made = make(sounds, killed)
    assert (made.num_there, made.num_written) == (len(kept), 3 - len(kept))
    assert before and before == {path: path.stat().st_ino for path in kept}
    assert files(killed) == files(shards)  # what was left over has gone too


def test_a_full_disk_leaves_no_shard_that_is_not_complete(sounds, shards, tmp_path):
    with small_disk(tmp_path / "disk", 300_000) as disk:
        with pytest.raises(WriteError, match="No space left on device"):
            make(sounds, disk.folder / "shards")
        names = sorted(path.name for path in (disk.folder / "shards").iterdir())
        assert all(
            files(shards)[name] == (disk.folder / "shards" / name).read_bytes() for name in names
        )
        assert len(names) < 4


def test_codes_in_shards_are_sliced_as_arrays_are(shards):
    corpus = read_corpus(config(shards, held_out=0))
    (recording,) = (item for item in corpus.train if item.path == "a/8_bob.wav")
    whole = np.asarray(recording.codes)
    assert len(recording.codes) == recording.num_samples == whole.size
    rng = np.random.default_rng(0)
    for first, end in [(0, 0), (5, 3), (-10, None), (None, 7), (PIECE, PIECE), (whole.size, None)]:
        np.testing.assert_array_equal(recording.codes[first:end], whole[first:end])
    for first, end in rng.integers(0, whole.size + 10, (50, 2)):
        np.testing.assert_array_equal(recording.codes[first:end], whole[first:end])
    part = recording.part(PIECE - 5, PIECE + 5, None)
    np.testing.assert_array_equal(part.codes, whole[PIECE - 5 : PIECE + 5])
    scored = dataclasses.replace(recording, scored=(5, 10))
    assert scored.num_scored == 5 and os.fspath(scored.path) == recording.path


def test_codes_in_shards_do_not_stay_in_memory(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(4):
        write(tmp_path / "long" / f"{number}_ann.wav", rng.uniform(-1, 1, 2_000_000))
    make(tmp_path / "long", tmp_path / "shards", num_shards=2)
    peaks = {}
    for place in ("long", "shards"):
        tracemalloc.start()
        corpus = read_corpus(config(tmp_path / place, labels=LABELS))
        assert len(batches(corpus, Quantizer(), steps=40)) == 82
        peaks[place] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks["shards"] < 1_500_000 < 8_000_000 < peaks["long"]
