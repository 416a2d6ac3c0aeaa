"""Training over several hosts: real processes on the loopback, and what they agree upon."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import training_runs as runs

from wavedil import UserError
from wavedil.cli.hosts import HostsConfig
from wavedil.data import TrainingWindows, write_plucked_strings
from wavedil.data.batching import Part
from wavedil.training import Hosts
from wavedil.training.hosts import own_part

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


def start(place, run, *options, **variables):
    """Trains, or resumes, in a process of its own; what it says goes to a file."""
    compiled = {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(place / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, "-m", "wavedil", "train", place / "corpus", place / run]
    said = place / f"{run}-{random.randrange(10**9)}.txt"
    with said.open("w") as file:
        process = subprocess.Popen(
            [*command, *TINY, *options],
            env=os.environ | compiled | variables,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    process.said = said
    return process


@contextlib.contextmanager
def two_hosts(place, run, *options, slurm=False):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hosts = []
    for index in range(2):
        if slurm:  # makes a port of the last bits of its job's number
            job = {"SLURM_JOB_ID": str(port), "SLURM_STEP_NODELIST": "127.0.0.1"}
            job |= {"SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2"}
            own = {"SLURM_PROCID": str(index), "SLURM_LOCALID": "0"}
            hosts.append(start(place, run, *options, **job, **own))
        else:
            coordinator = f"--hosts.coordinator=127.0.0.1:{port}"
            own = f"--hosts.index={index}"
            hosts.append(start(place, run, *options, coordinator, "--hosts.number=2", own))
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
    two, one = runs.lines(whole), runs.lines(place / "one")
    assert len(two) == len(one) > 300
    for line, other in zip(two, one, strict=True):
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
    for killed, further in (1, 15), (0, 120):
        with two_hosts(place, "cut") as hosts:
            wait_for_step(place, "cut", stopped + further, hosts[killed])
            hosts[killed].kill()
            begun = time.monotonic()
            code, said = ended(hosts[1 - killed], seconds=60)
            assert time.monotonic() - begun < 60
        assert code == 2, said
        errors = [line for line in said if "error" in line.lower()]
        assert len(errors) == 1 and "another host has ended" in errors[0], said
        assert "Traceback" not in "".join(said)
    with two_hosts(place, "cut") as hosts:
        assert [ended(host)[0] for host in hosts] == [0, 0], [ended(host) for host in hosts]
    weights = [(run / "model" / "model.safetensors").read_bytes() for run in (place / "cut", whole)]
    assert weights[0] == weights[1]
    assert runs.lines(place / "cut") == runs.lines(whole)


class Service:
    """JAX's service between hosts, for threads."""

    def __init__(self, number):
        self._values, self._barrier = {}, threading.Barrier(number)

    def key_value_set(self, key, value):
        self._values[key] = value

    def wait_at_barrier(self, name, timeout):
        self._barrier.wait(10)

    def key_value_dir_get(self, key):
        return [item for item in self._values.items() if item[0].startswith(key)]

    def blocking_key_value_get(self, key, timeout):
        while key not in self._values:
            time.sleep(0.001)
        return self._values[key]


@pytest.fixture
def three(monkeypatch):
    """Calls a function with each of three hosts, in threads, and gives what it returns or raises."""

    def call(function):
        monkeypatch.setattr(Hosts, "_client", Service(3))
        hosts = [Hosts() for _ in range(3)]
        for index, host in enumerate(hosts):
            host.index, host.number, host.first, host._place = index, 3, index == 0, "here"

        def caught(host):
            try:
                return function(host)
            except UserError as error:
                return str(error)

        with ThreadPoolExecutor(3) as threads:
            return list(threads.map(caught, hosts))

    return call


def test_hosts_stop_at_the_same_meeting_whichever_was_asked_to(three):
    def stops(host):
        asked = [None, "SIGINT" if host.index == 2 else None, None]
        return [host.meet(signal) for signal in asked]

    assert three(stops) == [[None, "SIGINT", None]] * 3


def test_hosts_that_differ_refuse_to_train_and_say_in_what(three):
    def differ(host):
        host.require_same(the_code="same", the_recordings=str(host.index // 2))

    said = "host 2 differs from host 0 in the recordings; start all hosts with the same"
    assert three(differ) == [said] * 3


def test_what_the_first_host_refuses_all_refuse(three):
    def refuse():
        raise UserError("another process is training in run")

    assert three(lambda host: host.from_first(refuse)) == ["another process is training in run"] * 3
    assert three(lambda host: host.from_first(lambda: {"of": host.index})) == [{"of": 0}] * 3


def test_the_parts_of_the_hosts_are_the_batch():
    recordings = runs.corpus().train
    windows = TrainingWindows(
        recordings, window_size=64, context_samples=3, batch_size=8, label_values={}, seed=0
    )
    batch = windows.batch(5)
    alone = SimpleNamespace(batch=lambda step: windows.batch(step))  # knows no parts
    for makes in windows, alone:
        parts = [own_part(makes, Part(host, 4))(5) for host in range(4)]
        joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        assert jax.tree.all(jax.tree.map(np.array_equal, joined, batch))
        assert {len(part.codes) for part in parts} == {2}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"number": 2}, "go together"),
        ({"coordinator": "node:4711", "number": 2, "index": 2}, "index is 2 of 2 hosts"),
        ({"coordinator": "node", "number": 2, "index": 0}, "must be HOST:PORT"),
    ],
)
def test_hosts_that_cannot_be_are_refused(options, said):
    with pytest.raises(UserError, match=said):
        HostsConfig(**options)
