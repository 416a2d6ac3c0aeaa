"""A disk that is full, or fills up: one line, exit code 1, and nothing lost that was saved."""

import os

import numpy as np
import pytest
import training_runs
from command_line import TINY, mistake
from recordings import tone, write
from small_disk import full_disk, small_disk

import wavedil as wd
from wavedil import audio
from wavedil.cli.main import main
from wavedil.models import named_weights
from wavedil.training import loop

one_compilation = training_runs.one_compilation
pytestmark = pytest.mark.usefixtures("one_compilation")

SAVING = ["--training.save-every=2", "--training.evaluate-every=2", "--training.steps=6"]


def train(*arguments):
    """The exit code."""
    try:
        return main(["train", *map(str, arguments)])
    except SystemExit as stop:
        return stop.code


@pytest.fixture(scope="module")
def place(one_compilation, tmp_path_factory):
    """Recordings, and a run of six steps on them."""
    folder = tmp_path_factory.mktemp("place")
    for number in range(3):
        write(folder / "sounds" / f"{number}.wav", tone(700 + 100 * number))
    assert train(folder / "sounds", folder / "calm", *TINY, *SAVING) == 0
    return folder


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def before_step(monkeypatch):
    """Lets something happen before a step is taken."""

    def happen(step, event):
        make = loop.make_update

        def make_update(config):
            update = make(config)

            def wrapped(state, batch):
                if int(state.step) == step:
                    event()
                return update(state, batch)

            return wrapped

        monkeypatch.setattr(loop, "make_update", make_update)

    return happen


def failed(capsys, code):
    """The line that a failed training ends with."""
    assert code == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if not line.startswith(("reading", "training: "))]
    lines = [line for line in lines if "expected time" not in line]
    assert len(lines) == 1, lines
    return lines[0]


def assert_same(run, calm):
    weights = [named_weights(wd.load(folder)) for folder in (run, calm)]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[1])
    assert training_runs.lines(run) == training_runs.lines(calm)


# The step before which the disk fills, what is left of it, and the newest checkpoint then.
@pytest.mark.long
@pytest.mark.parametrize(
    ("step", "left", "saved"),
    [(0, 0, None), (3, 300_000, 2)],
)
def test_a_disk_that_fills_up_ends_training_in_a_line_and_room_resumes_it(
    capsys, monkeypatch, before_step, place, disk, step, left, saved
):
    run = disk.folder / "run"
    before_step(step, lambda: disk.fill(left))
    line = failed(capsys, train(place / "sounds", run, *TINY, *SAVING))
    monkeypatch.undo()
    assert "No space left on device" in line
    newest = "no checkpoint was saved" if saved is None else f"checkpoint of step {saved} is whole"
    assert newest in line and line.endswith("make room, and the same command resumes")
    if saved is not None:
        wd.load(run)
    disk.empty()
    assert train(run) == 0
    assert_same(run, place / "calm")


def test_a_disk_that_is_full_from_the_start_is_said_in_a_line(capsys, place, disk):
    disk.fill(0)
    line = failed(capsys, train(place / "sounds", disk.folder / "run", *TINY, *SAVING))
    assert "No space left on device" in line
    disk.empty()
    assert train(place / "sounds", disk.folder / "run", *TINY, *SAVING) == 0
    assert_same(disk.folder / "run", place / "calm")


def test_tensorboard_on_a_disk_that_fills_up_ends_in_a_line_too(capsys, before_step, place, disk):
    before_step(3, lambda: disk.fill(0))
    options = [*TINY, *SAVING, "--training.tensorboard"]
    line = failed(capsys, train(place / "sounds", disk.folder / "run", *options))
    assert "No space left on device" in line


def test_without_room_for_a_checkpoint_nothing_of_it_is_written(
    capsys, monkeypatch, before_step, place, tmp_path
):
    before_step(3, lambda: monkeypatch.setattr(os, "posix_fallocate", full_disk))
    line = failed(capsys, train(place / "sounds", tmp_path / "run", *TINY, *SAVING))
    assert (
        "checkpoints cannot be written: No space left on device; the checkpoint of step 2" in line
    )
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["2"]


def test_sound_that_does_not_fit_is_refused_before_it_is_drawn_and_leaves_no_file(
    capsys, place, disk
):
    out = disk.folder / "a.wav"
    disk.fill(8192)
    line = mistake(capsys, "generate", place / "calm", out, "--seconds=1")
    assert "a.wav cannot be written (No space left on device); free space on its disk" in line
    assert not list(disk.folder.iterdir())
    assert main(["generate", str(place / "calm"), str(out), "--seconds=0.1"]) == 0
    before = out.read_bytes()
    with pytest.raises(audio.AudioError, match="free space on its disk"):
        audio.save(out, tone(40_000), 8000)
    assert out.read_bytes() == before
    assert sorted(path.name for path in out.parent.iterdir()) == ["a.json", "a.wav"]
