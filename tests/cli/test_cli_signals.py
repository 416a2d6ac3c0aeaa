"""Ctrl-C and SIGTERM, in real processes: the step ends, the model is saved, the exit code says why."""

import signal
import subprocess
import sys
import time

import pytest

from wavedil.data import write_plucked_strings

MANY_STEPS = [
    "--model.dilations=1:8", "--model.cycles=1", "--model.residual-channels=4", "--model.skip-channels=4",
    "--training.steps=1000000", "--training.batch-size=1", "--training.window-size=64",
    "--training.log-every=1",
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_usable_model_and_its_exit_code(tmp_path, number, code):
    write_plucked_strings(tmp_path / "corpus")
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "wavedil.cli.main",
        "train",
        tmp_path / "corpus",
        run,
        *MANY_STEPS,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_steps(run / "metrics.jsonl", process)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    last = err.splitlines()[-1]
    assert f"stopped by {signal.Signals(number).name} at step" in last
    assert "the same command resumes" in last
    assert "Traceback" not in err
    assert (run / "model" / "model.safetensors").is_file()


def wait_for_steps(metrics, process):
    deadline = time.monotonic() + 300
    while not (metrics.exists() and metrics.stat().st_size):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "no step in five minutes"
        time.sleep(0.05)
