"""Folders of sound files of all lengths: whole `wavedil` commands, and how soon they stop.

The recordings are made here: decaying tones with a little noise, as long and at the rates that `sizes.py` says.
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from memory import MIB, resident
from sizes import Recordings, Sizes
from timing import seconds

WAVEDIL = [sys.executable, "-m", "wavedil"]
STEPS = ["--training.log-every=5", "--training.evaluate-every=20"]
# What is shown before Ctrl-C, and seconds from then on: some of them fall into an evaluation.
STOPS = {"reading": ("reading", (0.1,)), "training": ("training", (1, 4, 7, 10))}


def measure(sizes: Sizes) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        own = _demo(folder / "demo of its own", None, sizes)
        rows = {}
        for number, (name, recordings) in enumerate(sizes.corpora.items()):
            if len(recordings.lengths) == 1:
                continue  # there would be none to hold out
            corpus = folder / f"corpus {number}"
            write(corpus, recordings)
            demo = _demo(folder / f"demo {number}", corpus, sizes)
            rows[name] = {
                "demo_seconds": demo,
                "over_own_demo": demo / own,
                **_train_and_stop(corpus, folder / f"run {number}"),
            }
        return {"own_demo_seconds": own, "rows": rows}


def write(folder: Path, recordings: Recordings) -> None:
    """The sound files of a corpus, FLAC of 16 bits."""
    folder.mkdir()
    rate = recordings.sample_rate
    for number, length in enumerate(recordings.lengths):
        rng = np.random.default_rng(number)
        file = folder / f"{number:04d}.flac"
        with soundfile.SoundFile(file, "w", rate, recordings.num_channels) as out:
            for samples in _notes(rng, length, rate):
                out.write(np.repeat(samples[:, None], recordings.num_channels, axis=1))


def _notes(rng: np.random.Generator, length: int, rate: int) -> Iterator[np.ndarray]:
    for start in range(0, length, rate // 2):
        t = np.arange(min(rate // 2, length - start)) / rate
        frequency = 110.0 * 2.0 ** (rng.integers(0, 36) / 12.0)
        tone = 0.4 * np.exp(-3.0 * t) * np.sin(2.0 * np.pi * frequency * t)
        yield tone + 0.002 * rng.normal(size=t.size)


def _demo(out: Path, corpus: Path | None, sizes: Sizes) -> float:
    """Seconds of a whole `wavedil demo`."""
    command = WAVEDIL if sizes.demo_steps is None else [sys.executable, str(_few_steps(out, sizes))]
    command = [*command, "demo", *([] if corpus is None else [str(corpus)]), "--out", str(out)]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def _few_steps(out: Path, sizes: Sizes) -> Path:
    script = out.with_suffix(".py")
    steps = f"steps={sizes.demo_steps}, evaluate_every={sizes.demo_steps}"
    script.write_text(
        "import dataclasses, sys\nfrom wavedil.cli import demo, main\n"
        f"demo._TRAINING = dataclasses.replace(demo._TRAINING, {steps})\nsys.exit(main.main())\n"
    )
    return script


def _train_and_stop(corpus: Path, run: Path) -> dict[str, Any]:
    """Seconds from Ctrl-C to the end of `wavedil train` at default settings, at most, and the most memory before it."""
    stopped, peak = {}, 0
    for what, (shown, delays) in STOPS.items():
        command = ["train", str(corpus), str(run), *STEPS]
        taken, memory = zip(*(_stop_at(command, shown, delay) for delay in delays), strict=True)
        stopped[what], peak = max(taken), max(peak, *memory)
    return {"seconds_to_stop": stopped, "peak_mib": peak / MIB}


def _stop_at(arguments: list[str], shown: str, delay: float) -> tuple[float, int]:
    process = subprocess.Popen(
        [*WAVEDIL, *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    lines = []
    while not lines or shown not in lines[-1]:
        lines.append(process.stderr.readline())
        if not lines[-1]:
            raise RuntimeError(f"ended before {shown!r} was shown: {''.join(lines)}")
    time.sleep(delay)
    peak = resident("VmHWM", process.pid)
    process.send_signal(signal.SIGINT)
    return seconds(process.communicate), peak


def table(results: dict[str, Any]) -> list[str]:
    lines = [
        f"`wavedil demo` on its own strings takes {results['own_demo_seconds']:.0f} s.",
        "",
        "recordings | `wavedil demo FOLDER` | times its own (aim 1.5) | "
        "Ctrl-C to exit: reading or compiling (aim 10 s), "
        "training, evaluating or compiling either (aim 2 s; compiling 10 s) | peak memory of `wavedil train`",
        "---|---|---|---|---",
    ]
    for name, row in results["rows"].items():
        stops = ", ".join(f"{row['seconds_to_stop'][what]:.1f}" for what in STOPS)
        lines.append(
            f"{name} | {row['demo_seconds']:.0f} s | {row['over_own_demo']:.2f} | {stops} s | "
            f"{row['peak_mib']:,.0f} MiB"
        )
    return lines
