"""Shards that are damaged, of other settings, missing or renamed, and what shards are not for: named in a line."""

import shutil
import sys

import prepared
import pytest
from prepared import config, files, make
from recordings import write, write_empty

from wavedil import Quantizer, UserError
from wavedil.data import read_corpus, read_pairs
from wavedil.data.shards.format import PIECE
from wavedil.files import read_json, write_json
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig

pytest.importorskip("array_record")
sounds, good, shards = prepared.sounds, prepared.good, prepared.shards


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
    with pytest.raises(UserError, match=r"holds shards without features, .*with --features mel"):
        read_corpus(config(shards), mel=MelConfig())
    with pytest.raises(UserError, match=r"--features beside --features-hop 64"):
        read_corpus(config(shards), features_hop=64)
    with pytest.raises(
        UserError, match=r"holds shards, .*give the recordings that they were made of"
    ):
        read_pairs(config(shards), knobs=(), latency_samples=None)


def test_features_other_than_those_of_the_shards_are_refused_with_the_setting(good, tmp_path):
    there = tmp_path / "spectra"
    make(good, there, mel=MelConfig(num_mels=8))
    with pytest.raises(UserError, match=r"there -> here\): mel.num_mels: 8 -> 9;"):
        read_corpus(config(there), mel=MelConfig(num_mels=9))
    with pytest.raises(UserError, match=r"pitch: none -> \{"):
        read_corpus(config(there), mel=MelConfig(num_mels=8), pitch=PitchConfig())
    with pytest.raises(UserError, match="mel spectra -> features of your own every 64 samples"):
        read_corpus(config(there), features_hop=64)
    with pytest.raises(UserError, match=r"was prepared with other settings .*mel"):
        make(good, there)
    assert read_corpus(config(there)).num_features == 0  # of whom nobody asks


def test_without_the_package_the_extra_is_named(sounds, shards, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python", None)
    with pytest.raises(UserError, match=r"pip install 'wavedil\[scale\]'"):
        make(sounds, shards)
    with pytest.raises(UserError, match=r"pip install 'wavedil\[scale\]'"):
        read_corpus(config(shards))
