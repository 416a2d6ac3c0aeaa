"""A training that several hosts share, from the command line: how each joins the others, and how it ends."""

import atexit
import contextlib
import ctypes
import dataclasses
import os
import signal
import sys
import tempfile
from collections.abc import Iterator

from wavedil.config import Config
from wavedil.errors import UserError

LOST = 2
"""Exit code of a host that another one left."""
_START_SECONDS = 300
_HEARTBEAT_SECONDS = 30
_GOODBYE_SECONDS = 10
# Hosts compile for different times; XLA's own patience is 30 s.
_XLA_FLAGS = (
    "--xla_cpu_collective_timeout_seconds=1800",
    "--xla_cpu_collective_call_terminate_timeout_seconds=1800",
)
_SLURM = "SLURM_STEP_NODELIST", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_JOB_ID"


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostsConfig(Config):
    """Several processes, on as many machines, that train one model together; under SLURM srun says all of this."""

    coordinator: str | None = None
    """HOST:PORT of the first, where the others find it; the same for all. Leave it out to train on one machine."""
    number: int | None = None
    """How many there are."""
    index: int | None = None
    """Which of them this is, from 0; the first writes the run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        values = self.coordinator, self.number, self.index
        if any(value is None for value in values) and any(value is not None for value in values):
            raise UserError(
                "--hosts.coordinator, --hosts.number and --hosts.index go together; give all three, or none"
            )
        if self.number is None or self.index is None or self.coordinator is None:
            return
        if self.number < 1 or not 0 <= self.index < self.number:
            raise UserError(
                f"index is {self.index} of {self.number} hosts, but it must be at least 0 and below their number"
            )
        host, _, port = self.coordinator.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise UserError(
                f"coordinator is {self.coordinator!r}, but it must be HOST:PORT, as in node-0:4711"
            )


@contextlib.contextmanager
def joined(hosts: HostsConfig) -> Iterator[None]:
    """Inside, `jax.process_count()` hosts train together, as the options say or SLURM does; or one, by itself.

    Where another host is gone for good, killed or without network, this process ends within a minute: with one line,
    and the exit code LOST.

    Raises:
      UserError: If the others are not found.
    """
    in_slurm = all(name in os.environ for name in _SLURM) and int(os.environ[_SLURM[1]]) > 1
    if hosts.number is None and not in_slurm:
        yield
        return
    os.environ["XLA_FLAGS"] = " ".join([*_XLA_FLAGS, os.environ.get("XLA_FLAGS", "")]).strip()
    import jax

    # It would take SIGTERM for itself.
    jax.config.update("jax_enable_preemption_service", False)
    say = _Last(
        f"the hosts have not come together at {hosts.coordinator or 'the first of the job'} within "
        f"{_START_SECONDS} s; start all of them, and see that each reaches it"
    )
    say.instead_of_aborting()
    try:
        jax.distributed.initialize(
            hosts.coordinator,
            hosts.number,
            hosts.index,
            cluster_detection_method="slurm" if in_slurm else "deactivate",
            initialization_timeout=_START_SECONDS,
            heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=_GOODBYE_SECONDS,
        )
        say.line = "another host has ended, or cannot be reached; what was saved is whole, and the same commands, on "
        say.line += "all hosts, resume"
        yield
        jax.distributed.shutdown()
    except BaseException as error:
        say.line = ""  # this one says itself why it ends
        code = error.code if isinstance(error, SystemExit) else LOST
        # After the message that is still to come; the goodbye would wait for hosts that wait for this one.
        atexit.register(_leave, code if isinstance(code, int) else 1)
        raise


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Last:
    """The last line of a process that JAX aborts, wherever it is, because its coordinator or another host is gone.

    Attributes:
      line: Instead of the many that JAX says; empty for none.
    """

    def __init__(self, line: str) -> None:
        self.line = line

    def instead_of_aborting(self) -> None:
        """From now on what the compiled libraries say goes to a file, and what Python says where it went."""
        self._terminal, self._said = os.dup(2), tempfile.TemporaryFile()
        os.dup2(self._said.fileno(), 2)
        sys.stderr = os.fdopen(self._terminal, "w", buffering=1, errors="backslashreplace")
        self._handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(self._aborted)
        ctypes.CDLL(None).signal(signal.SIGABRT, self._handler)

    def _aborted(self, number: int) -> None:
        said = os.pread(self._said.fileno(), 1 << 20, 0)
        if b"JAX distributed service" not in said:  # a crash of another kind
            os.write(self._terminal, said[-10000:])
            os._exit(128 + number)
        if self.line:
            os.write(self._terminal, f"wavedil: error: {self.line}\n".encode())
        os._exit(LOST)
