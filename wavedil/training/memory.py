"""The memory that a training step takes: estimated before anything is compiled, and given back after it was."""

import ctypes
import os
from pathlib import Path
from typing import Any

from wavedil.errors import UserError
from wavedil.training.config import TrainingConfig

_GIB = 2**30
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def require_memory(
    window_size: int, batch_size: int, context_samples: int, bytes_per_sample: int
) -> None:
    """Refuses a window that does not fit in memory.

    Args:
      window_size: Targets in a window.
      batch_size: Windows that are computed at once, as `at_once` says.
      context_samples: Of each; trimmed layer by layer, it counts half.
      bytes_per_sample: Of what the backward pass needs, as the function of that name says.

    Raises:
      UserError: With the size that would fit.
    """
    available = _available_bytes()
    needed = batch_size * (window_size + context_samples // 2) * bytes_per_sample
    if needed <= available:
        return
    fits = available // (batch_size * bytes_per_sample) - context_samples // 2
    remedy = (
        f"use --training.window-size {fits // 1024 * 1024} or less"
        if fits >= 1024
        else "use a smaller batch or a smaller model"
    )
    raise UserError(
        f"a training step on {batch_size} x {window_size:,} samples takes about {needed / _GIB:.1f} GiB, but there "
        f"are {available / _GIB:.1f} GiB of memory; {remedy}"
    )


def bytes_per_sample(model: Any, settings: TrainingConfig) -> int:
    """What a training step takes for each sample of a window.

    Args:
      model: Config of the model.
      settings: Say whether activations are computed again.

    Raises:
      UserError: If they cannot be.
    """
    if not settings.remat:
        return int(model.training_bytes_per_sample)
    if not hasattr(model, "remat_bytes_per_sample"):
        raise UserError(
            f"remat is asked for, but a {model.name} keeps its activations: WaveNets compute them again (of the tasks "
            "generator, vocoder and autoencoder), and so do FeatureNets; leave out --training.remat, and use a shorter "
            "--training.window-size or a larger --training.accumulate to save memory"
        )
    return int(model.remat_bytes_per_sample)


def at_once(batch_size: int, settings: TrainingConfig) -> int:
    """The windows of a batch that are in one memory at a time."""
    import jax

    # Devices on a CPU share its memory.
    devices = jax.process_count() if jax.default_backend() == "cpu" else settings.devices
    return max(1, batch_size // (settings.accumulate * devices))


def give_back_freed() -> None:
    """Gives the system the memory that was freed and that the C library keeps for later, where it is glibc.

    Compiling a step of 30 layers takes 400 MiB more than the step itself needs afterwards.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def _available_bytes() -> int:
    """The memory of the device, or of this machine as far as this process may use it."""
    import jax

    device = jax.local_devices()[0]
    if device.platform != "cpu":
        return int((device.memory_stats() or {}).get("bytes_limit", 2**62))
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.exists() else "max"
    return min(physical, int(limit)) if limit.isdecimal() else physical
