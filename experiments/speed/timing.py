"""How it is measured: everything compared takes its turn in each round, and ratios are taken round by round."""

import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Seconds = dict[str, list[float]]
_MODULES = {"PyWavelets": "pywt"}


def seconds(call: Callable[[], object]) -> float:
    """Wall time of a call that returns when its work is done."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def alternate(calls: dict[str, Callable[[], object]], rounds: int) -> Seconds:
    """Wall times of every call in every round, after one call of each that is not counted.

    The speed of a shared machine drifts; calls of one round meet much the same speed.
    """
    for call in calls.values():
        call()
    times: Seconds = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(call))
    return times


def rates(amount: float, times: Iterable[float]) -> dict[str, Any]:
    """Amounts a second, summed up."""
    return summary([amount / t for t in times])


def ratio(over: Iterable[float], under: Iterable[float], factor: float = 1.0) -> dict[str, Any]:
    """`factor * over / under` round by round, summed up."""
    return summary([factor * a / b for a, b in zip(over, under, strict=True)])


def summary(values: list[float]) -> dict[str, Any]:
    return {
        "median": statistics.median(values),
        "lowest": min(values),
        "highest": max(values),
        "count": len(values),
    }


def machine() -> dict[str, Any]:
    """The kind of machine, the versions, the day; the load says whether the machine was quiet."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "vector": _vector_width(),
        "load_average_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{
            name: version(name)
            for name in ("jax", "jaxlib", "flax", "numpy", "torch", "PyWavelets")
            if find_spec(_MODULES.get(name, name))
        },
        "date": datetime.date.today().isoformat(),
    }


def _vector_width() -> str:
    flags = Path("/proc/cpuinfo").read_text().split()
    names = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "asimd": "NEON"}
    return next((name for flag, name in names.items() if flag in flags), "unknown")
