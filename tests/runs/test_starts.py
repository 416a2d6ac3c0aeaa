"""Starts in one run folder: of several at once one trains, and the lock is there for as long as the folder."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recordings import tone, write

from wavedil import UserError, load
from wavedil.runs import RunFolder

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(3):
        write(folder / f"{number}.wav", tone(700 + 100 * number))
    return folder


@contextlib.contextmanager
def racers(recordings, count):
    """Processes that are about to train."""
    places = [str(SUPPORT.parents[1]), str(SUPPORT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(SUPPORT / "racing.py"), str(recordings)]
    with contextlib.ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        yield [
            stack.enter_context(subprocess.Popen(command, env=environment, **pipes))
            for _ in range(count)
        ]


def assert_one_trains(processes, run):
    for process in processes:
        tell(process, str(run))
    ((winner, _), (_, (code, said))) = sorted(
        ((process, answer(process)) for process in processes), key=lambda item: item[1] is not None
    )
    assert code == 2
    (error,) = (line for line in said if "error" in line)
    assert f"another process is training in {run}; wait for it" in error
    tell(winner, "go on")
    assert answer(winner)[0] == 0
    assert RunFolder(run).read_config().training.steps == 4
    load(run)
    assert not [path for path in run.rglob("*") if path.name.startswith(".new-")]


def tell(process, line):
    print(json.dumps(line), file=process.stdin, flush=True)


def answer(process):
    return json.loads(process.stdout.readline())


@pytest.mark.long
def test_of_two_processes_that_start_in_a_new_folder_at_once_exactly_one_trains(
    tmp_path, recordings
):
    with racers(recordings, 2) as processes:
        for trial in range(2):
            assert_one_trains(processes, tmp_path / f"run {trial}")


@pytest.mark.long
def test_of_two_processes_exactly_one_trains_in_each_of_a_hundred_trials(tmp_path, recordings):
    with racers(recordings, 2) as processes:
        for trial in range(100):
            assert_one_trains(processes, tmp_path / f"run {trial}")


def test_the_lock_is_never_replaced_and_does_not_outlive_its_process(tmp_path):
    folder = RunFolder(tmp_path / "run")
    hold = (
        "import os, sys; from wavedil.runs import RunFolder\n"
        "with RunFolder(sys.argv[1]).locked(): os.kill(os.getpid(), 9)"
    )
    with folder.locked():
        inode = (folder.path / ".lock").stat().st_ino
        with pytest.raises(UserError, match="another process is training"), folder.locked():
            pass
    subprocess.run([sys.executable, "-c", hold, str(folder.path)], check=False)
    with folder.locked():
        assert (folder.path / ".lock").stat().st_ino == inode
