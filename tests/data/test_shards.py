"""Shards: the same corpus as from the files, gone on with after a kill, damage named, mixtures refused."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from recordings import tone, write, write_empty
from small_disk import small_disk

from wavedil import Quantizer, UserError
from wavedil.data import (
    CorpusConfig,
    LabelledWindows,
    TrainingWindows,
    prepare,
    read_corpus,
    read_pairs,
)
from wavedil.data.shards.format import PIECE
from wavedil.features import MelConfig
from wavedil.files import WriteError, read_json, write_json

pytest.importorskip("array_record")

LABELS = r"(?P<digit>\d)_(?P<speaker>[a-z]+)"


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Ten recordings: long and short, of another rate, beyond full scale, twice the same; and one that is empty."""
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    for number in range(8):
        samples = tone(900 + 400 * number) + 0.1 * rng.normal(size=900 + 400 * number)
        write(folder / f"{number}_ann.wav", samples)
    write(
        folder / "a" / "8_bob.wav", tone(2 * PIECE + 500) + 0.1 * rng.normal(size=2 * PIECE + 500)
    )
    write(
        folder / "a" / "9_bob.wav", 1.5 * tone(3000, level=1.0), sample_rate=16000, subtype="FLOAT"
    )
    shutil.copyfile(folder / "3_ann.wav", folder / "3_eve.wav")
    write_empty(folder / "7_empty.wav")
    return folder


def config(folder, **settings):
    return CorpusConfig(folder=str(folder), **settings)


def make(sounds, folder, num_shards=3, part=(1, 1), quantizer=None, **settings):
    more = {key: settings.pop(key) for key in ("progress", "warn") if key in settings}
    return prepare(
        config(sounds, **settings),
        folder,
        quantizer=quantizer or Quantizer(),
        num_shards=num_shards,
        part=part,
        **more,
    )


@pytest.fixture
def good(sounds, tmp_path):
    """Those of the recordings that can be used as they are."""
    bad = shutil.ignore_patterns("7_empty.wav", "9_bob.wav")
    return shutil.copytree(sounds, tmp_path / "good", ignore=bad)


@pytest.fixture
def shards(sounds, tmp_path):
    make(sounds, tmp_path / "shards")
    return tmp_path / "shards"


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def place_of(path, recording, folder, offset):
    """Where in a shard a code of a recording is."""
    corpus = read_corpus(config(folder, held_out=0))
    (codes,) = (item.codes for item in corpus.train if item.path == recording)
    return path.read_bytes().index(codes[offset : offset + 200].tobytes())


def test_a_flipped_bit_in_the_codes_names_the_shard_and_preparing_again_mends_it(sounds, shards):
    whole = files(shards)
    second = shards / "shard-00001-of-00003.array_record"
    flip(second, place_of(second, "a/8_bob.wav", shards, PIECE + 10))
    corpus = read_corpus(config(shards, test="0_ann"))
    (damaged,) = (item for item in corpus.train if item.path == "a/8_bob.wav")
    damaged.codes[:PIECE], damaged.codes[2 * PIECE :]  # the other pieces are whole
    with pytest.raises(
        UserError, match=r"shard-00001-of-00003.array_record is damaged .*wavedil prepare"
    ):
        damaged.codes[PIECE - 1 : PIECE + 1]
    warned = []
    assert make(sounds, shards, warn=warned.append).num_written == 1
    assert len(warned) == 1 and "shard-00001-of-00003.array_record is damaged" in warned[0]
    assert files(shards) == whole


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_a_shard_whose_index_is_damaged_is_skipped_and_named_or_refused_where_strict(
    good, tmp_path, damage
):
    shards = tmp_path / "shards"
    make(good, shards)
    last = shards / "shard-00002-of-00003.array_record"
    content = last.read_bytes()
    if damage == "flipped":
        flip(last, content.index(b'"recordings"'))
    else:
        last.write_bytes(content[: {"truncated": len(content) - 1, "empty": 0}[damage]])
    corpus = read_corpus(config(shards, held_out=0))
    (skipped,) = (bad for bad in corpus.skipped if bad.path == last.name)
    assert "is damaged" in skipped.reason and "wavedil prepare" in skipped.reason
    assert any(last.name in line for line in corpus.describe())
    (shards / "shard-00000-of-00003.array_record").rename(shards / "kept")
    with pytest.raises(UserError, match=r"lacks 1 of 3 shards .number 1."):
        read_corpus(config(shards))
    (shards / "kept").rename(shards / "shard-00000-of-00003.array_record")
    with pytest.raises(UserError, match=f"{last.name}.* is damaged .*strict"):
        read_corpus(config(shards, held_out=0, strict=True))


def test_what_strict_refuses_of_files_it_refuses_of_shards(sounds, good, shards, tmp_path):
    with pytest.raises(UserError, match=r"7_empty.wav: is empty .*strict"):
        read_corpus(config(shards, strict=True))
    with pytest.raises(UserError, match=r"7_empty.wav: is empty .*strict"):
        make(sounds, tmp_path / "none", strict=True)
    (tmp_path / "list.csv").write_text(f"path\n{sounds}/0_ann.wav\n{sounds}/gone.wav\n")
    with pytest.raises(
        UserError, match=r"gone.wav: .*strict"
    ):  # not that a shard cannot be written
        make(tmp_path / "list.csv", tmp_path / "gone", num_shards=1, strict=True)
    shutil.copyfile(sounds / "a" / "9_bob.wav", good / "9_bob.wav")
    make(good, tmp_path / "loud")
    with pytest.raises(UserError, match=r"9_bob.wav: the peak is 1.5 .*strict"):
        read_corpus(config(tmp_path / "loud", strict=True))


def test_shards_of_other_settings_are_refused_with_the_setting(sounds, shards, tmp_path):
    with pytest.raises(
        UserError, match=r"holds codes of 256 levels .*has 65536 \(linear\).*--levels 65536"
    ):
        read_corpus(config(shards), quantizer=Quantizer(65536, "linear"))
    with pytest.raises(
        UserError, match=r"sample_rate is 4000, but .* prepared with 8000; leave it out"
    ):
        read_corpus(config(shards, sample_rate=4000))
    with pytest.raises(UserError, match=r"prepared with other settings .*: trim_db: None -> 30.0"):
        make(sounds, shards, trim_db=30.0)
    with pytest.raises(UserError, match=r"prepared with other settings .*: num_shards: 3 -> 4"):
        make(sounds, shards, num_shards=4)
    name = "shard-00001-of-00003.array_record"
    make(sounds, tmp_path / "other", trim_db=30.0)
    shutil.copyfile(tmp_path / "other" / name, shards / name)
    with pytest.raises(
        UserError, match=rf"{name} was prepared with other .*: trim_db: None -> 30.0"
    ):
        read_corpus(config(shards))
    shutil.copyfile(shards / "shard-00002-of-00003.array_record", shards / name)
    with pytest.raises(
        UserError, match=rf"{name} is shard-00002-of-00003.array_record under another name"
    ):
        read_corpus(config(shards))
    warned = []
    assert make(sounds, shards, warn=warned.append).num_written == 1
    assert "under another name; it is written again now" in warned[0]
    shutil.copyfile(shards / name, shards / "shard-00007-of-00009.array_record")
    with pytest.raises(
        UserError, match=r"shard-00007-of-00009.array_record is none of the 3 shards"
    ):
        read_corpus(config(shards))
    (shards / "prepared.json").unlink()
    with pytest.raises(UserError, match=r"prepared.json is missing; wavedil prepare"):
        read_corpus(config(shards))


def test_shards_of_a_later_version_are_refused(shards):
    values = read_json(shards / "prepared.json", "")
    write_json(shards / "prepared.json", values | {"format_version": 9})
    with pytest.raises(UserError, match=r"holds shards of format 9, but this version reads 1"):
        read_corpus(config(shards))


def test_recordings_that_changed_since_are_not_mixed_with_those_of_before(sounds, shards, tmp_path):
    copy = shutil.copytree(sounds, tmp_path / "copy")
    make(copy, shards)  # the same recordings in another place
    write(copy / "new_ann.wav")
    with pytest.raises(UserError, match="other recordings: files were added, removed, changed"):
        make(copy, shards)


def test_places_and_parts_that_cannot_be_used_are_refused(sounds, shards, tmp_path):
    with pytest.raises(UserError, match="part is 4/3, but there are 3 shards"):
        make(sounds, shards, part=(4, 3))
    with pytest.raises(UserError, match="part is 1/4, but there are 3 shards"):
        make(sounds, shards, part=(1, 4))
    with pytest.raises(UserError, match="holds something else"):
        make(sounds, sounds)
    with pytest.raises(
        UserError, match=r"holds shards, .*give the recordings that they were made of"
    ):
        make(shards, tmp_path / "again")
    bad = tmp_path / "bad"
    write_empty(write(bad / "x.wav"))
    with pytest.raises(UserError, match=r"none of the 1 recordings of .*bad can be used"):
        make(bad, tmp_path / "none")


def test_tasks_that_need_more_than_codes_refuse_shards(shards):
    with pytest.raises(
        UserError, match="holds shards, which have the codes of recordings and no features"
    ):
        read_corpus(config(shards), mel=MelConfig())
    with pytest.raises(
        UserError, match=r"holds shards, .*give the recordings that they were made of"
    ):
        read_pairs(config(shards), knobs=(), latency_samples=None)


def test_without_the_package_the_extra_is_named(sounds, shards, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python", None)
    with pytest.raises(UserError, match=r"pip install 'wavedil\[scale\]'"):
        make(sounds, shards)
    with pytest.raises(UserError, match=r"pip install 'wavedil\[scale\]'"):
        read_corpus(config(shards))


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
