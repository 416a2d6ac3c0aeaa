"""Training over two hosts: real processes on the loopback."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import training_runs as runs

import wavedil
from wavedil.data import write_plucked_strings

TINY = [
    "--model.dilations=1,2", "--model.cycles=1", "--model.residual-channels=4", "--model.skip-channels=4",
    "--training.devices=2", "--training.batch-size=4", "--training.window-size=64", "--training.steps=300",
    "--training.log-every=1", "--training.save-every=100",
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("hosts")
    write_plucked_strings(place / "corpus")
    return place


def start(place, run, *options, corpus="corpus", cwd=None, **variables):
    """Trains, or resumes, in a process of its own; what it says goes to a file."""
    compiled = {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(place / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, "-m", "wavedil", "train", place / corpus, place / run]
    said = place / f"{run}-{random.randrange(10**9)}.txt"
    with said.open("w") as file:
        process = subprocess.Popen(
            [*command, *TINY, *options],
            env=os.environ | compiled | variables,
            cwd=cwd,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    process.said = said
    return process


@contextlib.contextmanager
def two_hosts(place, run, *options, slurm=False, host_1=None, **variables):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hosts = []
    for index in range(2):
        differs = host_1 if index and host_1 else {}
        if slurm:  # makes a port of the last bits of its job's number
            job = {"SLURM_JOB_ID": str(port), "SLURM_STEP_NODELIST": "127.0.0.1"}
            job |= {"SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2"}
            own = {"SLURM_PROCID": str(index), "SLURM_LOCALID": "0"}
            hosts.append(start(place, run, *options, **variables, **job, **own))
        else:
            coordinator = f"--hosts.coordinator=127.0.0.1:{port}"
            own = coordinator, "--hosts.number=2", f"--hosts.index={index}"
            hosts.append(start(place, run, *options, *own, **variables, **differs))
    try:
        yield hosts
    finally:
        for host in hosts:
            host.kill()
            host.wait()


def ended(host, seconds=400):
    """The exit code and the lines."""
    code = host.wait(timeout=seconds)
    return code, host.said.read_text().splitlines()


def wait_for_step(place, run, step, host):
    def is_there():
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
            return runs.lines(place / run)[-1]["step"] >= step
        return False

    assert runs.wait_until(is_there, host, seconds=400, pause=0.05), ended(host)


@pytest.fixture(scope="module")
def whole(place):
    """A run over two hosts that nothing disturbs."""
    with two_hosts(place, "whole", slurm=True) as hosts:
        assert [ended(host)[0] for host in hosts] == [0, 0], [ended(host) for host in hosts]
    return place / "whole"


@pytest.mark.long
def test_two_hosts_take_the_steps_of_two_devices_of_one(place, whole):
    code, said = ended(start(place, "one", JAX_NUM_CPU_DEVICES="2"))
    assert code == 0, said
    assert len(runs.lines(whole)) > 300
    assert_same_metrics(whole, place / "one")


@pytest.mark.long
def test_two_hosts_with_two_devices_each_take_the_steps_of_four_devices_of_one(place):
    options = "--training.devices=4", "--training.steps=10"
    with two_hosts(place, "two-by-two", *options, JAX_NUM_CPU_DEVICES="2") as hosts:
        assert [ended(host)[0] for host in hosts] == [0, 0], [ended(host) for host in hosts]
    code, said = ended(start(place, "four", *options, JAX_NUM_CPU_DEVICES="4"))
    assert code == 0, said
    assert_same_metrics(place / "two-by-two", place / "four")


def assert_same_metrics(run, expected):
    for line, other in zip(runs.lines(run), runs.lines(expected), strict=True):
        assert line.keys() == other.keys()
        np.testing.assert_allclose(list(line.values()), list(other.values()), rtol=1e-3)


@pytest.mark.long
def test_a_signal_to_one_host_stops_both_and_a_killed_one_ends_the_other_and_nothing_is_lost(
    place, whole
):
    with two_hosts(place, "cut") as hosts:
        wait_for_step(place, "cut", 5, hosts[1])
        hosts[1].send_signal(signal.SIGTERM)
        both = [ended(host) for host in hosts]
    stopped = runs.lines(place / "cut")[-1]["step"]
    for code, said in both:
        assert code == 128 + signal.SIGTERM, said
        assert f"stopped by SIGTERM at step {stopped} of 300" in said[-1]
    assert (place / "cut" / "checkpoints" / str(stopped)).is_dir()
    for killed, further in (0, 15), (1, 120):
        with two_hosts(place, "cut") as hosts:
            wait_for_step(place, "cut", stopped + further, hosts[killed])
            hosts[killed].kill()
            begun = time.monotonic()
            code, said = ended(hosts[1 - killed], seconds=60)
            assert time.monotonic() - begun < 60
        assert code == 2, said
        errors = [line for line in said if "error" in line.lower()]
        assert len(errors) == 1 and "another host has ended" in errors[0], said
        assert "no checkpoint" not in errors[0] and "Traceback" not in "".join(said)
    with two_hosts(place, "cut") as hosts:
        assert [ended(host)[0] for host in hosts] == [0, 0], [ended(host) for host in hosts]
    weights = [(run / "model" / "model.safetensors").read_bytes() for run in (place / "cut", whole)]
    assert weights[0] == weights[1]
    assert runs.lines(place / "cut") == runs.lines(whole)


@pytest.mark.long
def test_hosts_with_other_recordings_or_code_are_refused_before_the_first_step(place):
    shutil.copytree(place / "corpus", place / "fewer")
    next((place / "fewer").rglob("*.wav")).unlink()
    shutil.copytree(Path(wavedil.__file__).parent, place / "changed" / "wavedil")
    with (place / "changed" / "wavedil" / "errors.py").open("a") as file:
        file.write("# a line more")
    for differs, what in (
        ({"corpus": "fewer"}, "the recordings"),
        ({"cwd": place / "changed"}, "the code of wavedil or jax"),
    ):
        with two_hosts(place, "refused", host_1=differs) as both:
            for code, said in map(ended, both):
                assert code == 2, said
                assert f"host 1 differs from host 0 in {what};" in said[-1], said
    assert not (place / "refused").exists()
