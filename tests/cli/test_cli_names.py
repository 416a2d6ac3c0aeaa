"""Names with any character that the file system allows: of runs, recordings and labels, through every verb."""

import json
import os
import subprocess
import sys

import pytest
from command_line import TINY
from recordings import tone, write

from wavedil.cli.main import main

# A Latin-1 byte, which is no UTF-8; characters of globs, addresses, shells, markup and mathematics; blanks at the ends.
LATIN_1 = os.fsdecode(b"caf\xe9")
HARD = f" {LATIN_1} \u4e2d [a-z]*{{b}}?#%20\\$x_1$ 'q' \"gs:\n "
NAMES = (
    *("two words ", "[brackets]", "glob*?", "back\\slash", "gs:", "a%20b#c?d=e&f", "it's \"so\"", LATIN_1),
    *("\u00e9\u4e2d\U0001f3bb $x$", "n" * 240),
)  # fmt: skip


def recordings(folder, name):
    for number in range(3):
        # Of each sound its own content, and the name as its label.
        write(folder / name / f"{number}{name[:200]}.wav", tone(700 + 100 * number))
    return folder


def verbs(place, name):
    """Every verb on a run, recordings and labels of that name, as arguments."""
    run, sounds = place / name, recordings(place / "sounds", name)
    training = ["--training.tensorboard", "--labels=(?s)^(?P<who>[^/]+)/", *TINY]
    yield ["train", str(sounds), str(run), *training]
    yield ["train", str(run), "--training.steps=6"]
    yield ["evaluate", str(run), "--json"]
    yield ["evaluate", str(run), str(sounds), "--json"]
    out = str(place / f"{name[:235]}.wav")
    picture = f"--picture={out.removesuffix('.wav')}.png"
    yield ["generate", str(run), out, "--seconds=0.02", "--label", f"who={name}", picture]
    yield ["info", str(run), "--json"]


def assert_complete(run):
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["4", "6"]
    assert list((run / "tensorboard").iterdir())
    assert (run / "model" / "model.safetensors").exists()
    lines = (run / "recordings.jsonl").read_text().splitlines()
    assert {json.loads(line)["path"].split("/")[0] for line in lines} == {run.name}


@pytest.mark.long
def test_the_hardest_name_goes_through_every_verb(tmp_path, capsys):
    for arguments in verbs(tmp_path, HARD):
        assert main(arguments) == 0, (arguments[0], capsys.readouterr().err)
    assert_complete(tmp_path / HARD)
    assert (tmp_path / f"{HARD}.wav").exists()


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_each_name_goes_through_every_verb_in_processes_of_their_own(tmp_path, name):
    for arguments in verbs(tmp_path, name):
        command = [sys.executable, "-m", "wavedil.cli.main", *arguments]
        strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}  # as most locales have it
        done = subprocess.run(
            command, env=strict, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert_complete(tmp_path / name)
