"""Two processes of one core each that train one model together, beside one process with both cores."""

import dataclasses
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import folders
from sizes import Recordings, Sizes
from timing import ratio, summary

TOGETHER, ALONE = "2 processes, a core each", "1 process, 2 cores"
_RATE = 16000


def measure(sizes: Sizes) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folders.write(folder / "recordings", Recordings(_RATE, (_RATE,) * 20))
        rates: dict[str, list[float]] = {ALONE: [], TOGETHER: []}
        for number in range(sizes.host_rounds):
            for name, options in ((ALONE, []), (TOGETHER, ["--training.devices=2"])):
                run = folder / f"run {name} {number}"
                command = [sys.executable, "-m", "wavedil", "train", folder / "recordings", run]
                command += [*_settings(sizes), *options]
                _train(folder, command, together=name == TOGETHER)
                rates[name].append(_rate(run))
    return {
        "batch": f"2 x {sizes.host_window:,}",
        "targets_per_second": {name: summary(values) for name, values in rates.items()},
        "over_one_process": ratio(rates[TOGETHER], rates[ALONE]),
    }


def _settings(sizes: Sizes) -> list[str]:
    model = dataclasses.asdict(sizes.model)
    chosen = {
        "model.dilations": ",".join(map(str, model["dilations"])),
        "model.cycles": model["cycles"],
        "model.residual-channels": model["residual_channels"],
        "model.skip-channels": model["skip_channels"],
        "training.batch-size": 2,
        "training.window-size": sizes.host_window,
        "training.steps": sizes.host_steps,
        "training.log-every": 1,
        "training.evaluate-every": 10 * sizes.host_steps,
        "held-out": 0,
    }
    return [f"--{name}={value}" for name, value in chosen.items()]


def _train(folder: Path, command: list[Any], *, together: bool) -> None:
    """Trains, in one process with two cores or in two with one; both compile but once for all rounds."""
    cache = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cores = sorted(os.sched_getaffinity(0))[:2]
    processes = []
    for host in range(1 + together):
        own = [str(cores[host])] if together else map(str, cores)
        hosts = [
            *(f"--hosts.coordinator=127.0.0.1:{port}", "--hosts.number=2"),
            f"--hosts.index={host}",
        ]
        processes.append(
            subprocess.Popen(
                ["taskset", "-c", ",".join(own), *command, *(hosts if together else [])],
                env=os.environ | cache,
                stdout=subprocess.DEVNULL,
            )
        )
    for process in processes:
        if process.wait():
            raise RuntimeError(f"a training ended with exit code {process.returncode}")


def _rate(run: Path) -> float:
    """Targets a second in the second half of the steps."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    rates = [line["targets_per_second"] for line in lines if "targets_per_second" in line]
    return statistics.median(rates[len(rates) // 2 :])


def table(results: dict[str, Any]) -> list[str]:
    over = results["over_one_process"]
    rows = [
        f"| {name} | {rate['median']:,.0f} |"
        for name, rate in results["targets_per_second"].items()
    ]
    return [
        f"| batches of {results['batch']} samples | targets a second |",
        "|---|---|",
        *rows,
        "",
        f"2 processes against 1: {over['median']:.2f} ({over['lowest']:.2f} to {over['highest']:.2f}; aim 0.8).",
    ]
