"""`wavedil generate` loses no work: what cannot be written is found out first, and what was drawn is kept."""

import dataclasses
import errno
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from command_line import mistake
from flax import nnx

import wavedil as wd
from wavedil import UserError, WaveNet, WaveNetConfig, audio
from wavedil.cli.main import main
from wavedil.files import replacing, require_writable, write_json
from wavedil.generation import drawing

CONFIG = WaveNetConfig.tiny(
    levels=16, dilations=(1, 2), cycles=1, residual_channels=4, skip_channels=4, sample_rate=8000,
    labels={"digit": ("3", "7")},
)  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    wd.save(WaveNet(CONFIG, rngs=nnx.Rngs(0)), folder)
    return folder


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def generate(*arguments):
    return main(["generate", *map(str, arguments)])


def test_ctrl_c_keeps_what_was_drawn(capsys, monkeypatch, tmp_path, model):
    def interrupt(plan, number):
        if number == 1:
            raise KeyboardInterrupt
        return 0

    arguments = [model, tmp_path / "a.wav", "--count=2"]
    assert generate(*arguments, "--seconds=0.25") == 0
    whole = [audio.load(tmp_path / f"a-{number}.wav")[0] for number in (1, 2)]
    monkeypatch.setattr(drawing._Plan, "done_after", interrupt)
    capsys.readouterr()
    picture = tmp_path / "a.png"
    assert generate(*arguments, "--seconds=9", "--overwrite", "--picture", picture) == 130
    out, err = capsys.readouterr()
    assert f"{tmp_path / 'a-2.wav'}: 0.25 s of 9 s at 8000 Hz" in out
    assert err.splitlines()[-1] == "wavedil: interrupted"
    for number, expected in zip((1, 2), whole, strict=True):
        np.testing.assert_array_equal(audio.load(tmp_path / f"a-{number}.wav")[0], expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-1.wav", "a-2.wav", "a.json"]


@pytest.mark.parametrize("engine", ["scan", "compiled"])
def test_the_engine_that_drew_is_said_and_written_beside_the_sound(capsys, tmp_path, model, engine):
    assert generate(model, tmp_path / "a.wav", "--seconds=0.01", "--engine", engine) == 0
    assert f"drawn by: {engine}" in capsys.readouterr().out
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["engine"].startswith(engine) and record["sounds"] == ["a.wav"]
    assert record["seed"] == 0 and record["model"] == str(model)


def test_a_place_without_room_for_the_sound_is_refused_before_it_is_drawn(
    capsys, monkeypatch, tmp_path, model
):
    monkeypatch.setattr(drawing, "draw", None)
    reserve = os.posix_fallocate
    monkeypatch.setattr(
        os, "posix_fallocate", lambda *place: full_disk() if place[2] > 150_000 else reserve(*place)
    )
    line = mistake(capsys, "generate", model, tmp_path / "a.wav", "--seconds=10")
    assert "a.wav cannot be written (No space left on device); free space" in line
    assert not list(tmp_path.iterdir())


def test_a_sound_larger_than_any_file_is_refused(capsys, tmp_path, model):
    line = mistake(capsys, "generate", model, tmp_path / "a.wav", "--seconds=1e30")
    assert "a.wav cannot be written (File too large); make what is written shorter" in line
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_refused_before_the_model_is_read(
    capsys, monkeypatch, tmp_path, model
):
    monkeypatch.setattr(os, "posix_fallocate", full_disk)
    line = mistake(capsys, "generate", "absent", tmp_path / "a.wav")
    assert "cannot be written (No space left on device); free space on its disk" in line
    monkeypatch.undo()
    (tmp_path / "a.wav").mkdir()
    line = mistake(capsys, "generate", "absent", tmp_path / "a.wav", "--overwrite")
    assert "a.wav is a folder; give the name of a file" in line
    name = 252 * "a" + ".wav"
    assert "choose a shorter name" in mistake(capsys, "generate", "absent", tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_disk_that_fills_while_saving_leaves_what_was_there_and_says_so(
    capsys, monkeypatch, tmp_path, model
):
    audio.save(tmp_path / "a.wav", np.zeros(10), 8000)
    before = (tmp_path / "a.wav").read_bytes()
    whole = Path.write_bytes

    def half(path, content):
        if len(content) > 100:
            whole(path, content[: len(content) // 2])
            full_disk()
        return whole(path, content)

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(audio.AudioError, match=r"\(No space left on device\); free space on its"):
        audio.save(tmp_path / "a.wav", np.zeros(1000), 8000)
    with pytest.raises(audio.AudioError, match="free space on its disk"):
        audio.save(tmp_path / "b.wav", np.zeros(1000), 8000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == before


@pytest.mark.parametrize("write", [
    lambda path: audio.save(path, np.zeros(10), 8000),
    lambda path: write_json(path, {}),
    lambda path: wd.save(WaveNet(CONFIG, rngs=nnx.Rngs(0)), path.parent / "model"),
], ids=["audio.save", "write_json", "save"])  # fmt: skip
def test_what_is_renamed_into_place_is_on_the_disk_before_and_the_name_after(
    monkeypatch, tmp_path, write
):
    done, flush, replace = [], os.fsync, os.replace

    def fsync(descriptor):
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        flush(descriptor)

    def rename(scratch, path):
        assert done[-1] == Path(scratch)
        replace(scratch, path)
        done.append("renamed")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    write(tmp_path / "a.wav")
    assert done.count("renamed") == len(done) // 3 > 0
    for number in range(1, len(done), 3):
        assert done[number] == "renamed" and done[number + 1] == done[number - 1].parent


def test_a_block_that_fails_leaves_no_scratch_file(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as scratch:
        scratch.write_text("half of the n")
        _ = 1 / 0
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_testing_a_place_leaves_nothing_there(tmp_path):
    (tmp_path / "a").write_text("old")
    require_writable(tmp_path / "a")
    require_writable(tmp_path / "b")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
    with pytest.raises(UserError, match="absent is no folder, so a cannot be written there"):
        require_writable(tmp_path / "absent" / "a")


def test_a_dull_sound_is_one_line_on_stderr(capsys, tmp_path, model):
    loaded = wd.load(model)
    loaded.output.kernel[...] *= 0.0
    loaded.output.bias[...] = np.where(np.arange(16) == 8, 1000.0, 0.0).astype(np.float32)
    wd.save(loaded, tmp_path / "dull")
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as in a process of its own
        arguments = [tmp_path / "dull", tmp_path / "a.wav", "--temperature=0.3", "--seconds=1"]
        assert generate(*arguments) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "generating" not in line]
    assert len(said) == 1 and said[0].startswith("wavedil: the sound is constant: each of its 8000")
    assert said[0].endswith("raise the temperature, which is 0.3")


def test_a_label_that_is_given_twice_is_refused_with_both_values(capsys, tmp_path, model):
    arguments = ["generate", model, tmp_path / "a.wav", "--label", "digit=3", "--label", "digit=7"]
    assert "label digit is given twice, 3 and 7" in mistake(capsys, *arguments)


def test_guidance_is_said_beside_the_sound_and_refused_of_a_model_that_knows_labels_alone(
    capsys, tmp_path, model
):
    arguments = ["generate", "--seconds=0.01", "--label=digit=7", "--guidance=2"]
    line = mistake(capsys, *arguments, model, tmp_path / "a.wav")
    assert "guidance is 2, but the model was trained with label_dropout 0" in line
    guided = WaveNet(dataclasses.replace(CONFIG, label_dropout=0.1), rngs=nnx.Rngs(0))
    wd.save(guided, tmp_path / "guided")
    assert main([*map(str, (*arguments, tmp_path / "guided", tmp_path / "a.wav"))]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["guidance"] == 2
