"""What several hosts that train together agree upon."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import training_runs as runs
from jax._src import distributed
from jax._src.lib import _jax

from wavedil import UserError
from wavedil.cli.hosts import HostsConfig
from wavedil.data import TrainingWindows
from wavedil.data.batching import Part
from wavedil.training import Hosts, TrainingError, hosts
from wavedil.training.hosts import own_part


class Service:
    """JAX's service between hosts, for threads."""

    def __init__(self, number):
        self._values, self._barrier = {}, threading.Barrier(number)
        self.names = set()

    def key_value_set(self, key, value):
        self._values[key] = value

    def wait_at_barrier(self, name, timeout):
        self.names.add(name)
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
    assert len(Hosts._client.names) == 1  # the service would remember every one


def test_jax_has_the_service_that_hosts_meet_by():
    assert hasattr(distributed.global_state, "client")
    for name in ("key_value_set", "wait_at_barrier", "key_value_dir_get", "blocking_key_value_get"):
        assert hasattr(_jax.DistributedRuntimeClient, name)


def test_sums_that_are_wrong_are_found_before_the_first_step(monkeypatch):
    hosts._require_known_sums()

    def wrong(values, right=hosts._sum_over_hosts):
        total = np.array(right(values))
        total[1000:] += 1  # from some size on
        return total

    monkeypatch.setattr(hosts, "_sum_over_hosts", wrong)
    with pytest.raises(TrainingError, match=r"a sum of 1048576 .* is wrong in 1047576 places"):
        hosts._require_known_sums()


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
