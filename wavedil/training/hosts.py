"""Several hosts that train together: what they agree upon, and when they wait for each other.

Each is a process of its own, joined by `jax.distributed.initialize`. All take the same steps; host 0 alone keeps the
run's folder, scores and draws, and what only it knows it tells the others.

    host 0    part of a batch | meet | step | meet | step | save, evaluate ... | meet | step
    host 1    part of a batch | meet | step | meet | step |                    | meet | step

Between two steps they meet, however long one of them takes: on the devices, a sum ends with an error when a host
comes to it late. With one host nothing waits.
"""

import contextlib
import functools
import hashlib
import inspect
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from wavedil.data.batching import Part
from wavedil.errors import UserError
from wavedil.training.finite import TrainingError

# A host that has gone ends the waiting, by its heartbeats; one that works may take its time.
_PATIENCE_MS = 7 * 24 * 3600 * 1000
_ANSWER_SIZES = 1, 1000, 1 << 20
_numbers = itertools.count()


class LostHostError(TrainingError):
    """Another host has ended, or is gone."""


class Hosts:
    """The hosts of one training; made by all of them in the same order."""

    def __init__(self) -> None:
        self.index, self.number = jax.process_index(), jax.process_count()
        self.first = self.index == 0
        """Whether this one keeps the run's folder."""
        self.part = Part(self.index, self.number)
        """Of every batch, the windows that this one makes."""
        self._place = f"wavedil/{next(_numbers)}"
        self._meetings = itertools.count()

    def meet(self, stopped: str | None = None) -> str | None:
        """Waits for all; gives the name of the signal by which one of them, or more, was asked to stop."""
        if self.number == 1:
            return stopped
        place = f"{self._place}/{next(self._meetings)}"
        if stopped is not None:
            self._client.key_value_set(f"{place}/{self.index}", stopped)
        # Of one name, always: the service remembers all names that it ever heard.
        self._client.wait_at_barrier(f"{self._place}/meet", _PATIENCE_MS)
        # Who is asked now sets it at the next meeting: all see the same.
        return max((name for _, name in self._client.key_value_dir_get(f"{place}/")), default=None)

    def require_same(self, **what: str) -> None:
        """Refuses to train where hosts differ.

        Args:
          **what: By its name for people, with `_` for blanks, text that is the same on all hosts.

        Raises:
          UserError: On all of them, with what differs, and on which host.
        """
        digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in what.items()}
        self._client.key_value_set(f"{self._place}/same/{self.index}", json.dumps(digests))
        all_digests = [json.loads(self._get(f"same/{host}")) for host in range(self.number)]
        self.meet()  # or the first to refuse would be gone before the others have read
        for host, others in enumerate(all_digests):
            different = [
                name.replace("_", " ") for name in what if others[name] != all_digests[0][name]
            ]
            if different:
                raise UserError(
                    f"host {host} differs from host 0 in {' and '.join(different)}; start all hosts with the same"
                )

    def from_first(self, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What host 0 makes, JSON values, on all hosts.

        Raises:
          UserError: On all of them, if it does so.
        """
        if self.number == 1:
            return dict(make())
        if self.first:
            try:
                answer: dict[str, Any] = {"made": make()}
            except UserError as error:
                answer = {"refused": str(error)}
            self._client.key_value_set(f"{self._place}/answer", json.dumps(answer))
        answer = json.loads(self._get("answer"))
        self.meet()
        if "refused" in answer:
            raise UserError(str(answer["refused"]))
        made: dict[str, Any] = answer["made"]
        return made

    def arrays_of_first(self, tree: Any) -> Any:
        """The arrays of host 0 on all hosts, bit for bit; those of the others say types and shapes alone.

        Raises:
          TrainingError: If known numbers are summed wrongly over the hosts.
        """
        if self.number == 1:
            return tree
        _require_known_sums()
        leaves, structure = jax.tree.flatten(tree)
        sizes = [leaf.size * leaf.dtype.itemsize for leaf in leaves]
        words = np.zeros(-(-sum(sizes) // 4), np.uint32)
        if self.first:
            joined = b"".join(np.asarray(leaf).tobytes() for leaf in leaves)
            words.view(np.uint8)[: len(joined)] = np.frombuffer(joined, np.uint8)
        rest = np.asarray(_sum_over_hosts(words)).tobytes()
        places = itertools.accumulate(sizes, initial=0)
        arrays = [
            jnp.asarray(np.frombuffer(rest, leaf.dtype, leaf.size, place).reshape(leaf.shape))
            for leaf, place in zip(leaves, places, strict=False)
        ]
        return jax.tree.unflatten(structure, arrays)

    @property
    def _client(self) -> Any:
        """Of the service that `jax.distributed.initialize` starts, to which JAX has no public door."""
        from jax._src import distributed

        return distributed.global_state.client

    def _get(self, name: str) -> str:
        return str(self._client.blocking_key_value_get(f"{self._place}/{name}", _PATIENCE_MS))


def own_part(windows: Any, part: Part) -> Callable[[int], Any]:
    """The part of the batch of a step that one host makes; windows that know no parts make the whole batch for it."""
    if part.num_hosts == 1:
        made: Callable[[int], Any] = windows.batch
        return made
    if "part" in inspect.signature(windows.batch).parameters:
        return functools.partial(windows.batch, part=part)
    return lambda step: jax.tree.map(part.of, windows.batch(step))


def _sum_over_hosts(values: np.ndarray) -> Any:
    """The sum of an array of each host, by the collective of the training step."""
    devices = [
        next(one for one in jax.devices() if one.process_index == host)
        for host in range(jax.process_count())
    ]
    mesh = Mesh(np.array(devices), ("host",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, P("host"))
    total = jax.jit(
        jax.shard_map(
            lambda rows: lax.psum(rows[0], "host"),
            mesh=mesh,
            in_specs=P("host"),
            out_specs=P(),
            check_vma=False,
        )
    )(jax.make_array_from_process_local_data(split, values[None]))
    return total.addressable_data(0)


def _require_known_sums() -> None:
    """Refuses collectives whose answers are wrong: some were, silently, on one host and from some size on."""
    hosts = np.arange(jax.process_count())
    for size in _ANSWER_SIZES:
        # Whole numbers below 2^24 hosts, so that float32 holds their sum exactly in any order.
        known = [((np.arange(size) * (host + 1)) % 251).astype(np.float32) for host in hosts]
        wrong = np.flatnonzero(
            np.asarray(_sum_over_hosts(known[jax.process_index()])) != sum(known)
        )
        if len(wrong):
            raise TrainingError(
                f"a sum of {size} known numbers over {len(hosts)} hosts is wrong in {len(wrong)} places on host "
                f"{jax.process_index()}; update jaxlib and the driver, or train on one host"
            )


@contextlib.contextmanager
def naming_lost() -> Iterator[None]:
    """Errors of JAX that say that another host is gone become a LostHostError."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not lost(error):
            raise
        raise LostHostError(
            "another host has ended; the same commands, on all hosts, resume"
        ) from error


def lost(error: Exception) -> bool:
    """Whether an error of JAX says that another host has ended, or is gone."""
    text = str(error)
    signs = "Gloo", "NCCL", "Barrier failed", "coordination service", "CoordinationService"
    return any(sign in text for sign in signs)
