"""Progress on stderr: bars on a terminal, now and then a plain line elsewhere."""

import contextlib
import io
import math
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wavedil.training.metrics import Progress, Report

_SECONDS_BETWEEN_LINES = 5.0


class Work(Protocol):
    """Something that is `done` of `total` steps along; `note` says how it goes."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show it."""


def say(line: str) -> None:
    """A line about the work, beside its results."""
    print(f"wavedil: {line}", file=sys.stderr)


@contextlib.contextmanager
def escaped_output() -> Iterator[None]:
    """Characters that the encoding of stdout lacks, as names of files may hold, are printed as escapes.

    That is what Python does on stderr by itself; on stdout it raises.
    """
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper):  # in a notebook
        yield
        return
    errors = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stream.reconfigure(errors=errors)


@contextlib.contextmanager
def progress(title: str, *, at_once: bool = False) -> Iterator[Work]:
    """Show the progress of one piece of work.

    Args:
      title: What it is.
      at_once: Whether the first line elsewhere than on a terminal comes at the first call, however early that is.

    Example:
      with progress("reading") as done:
          read_corpus(config, progress=done)
    """
    if sys.stderr.isatty():
        with _bar(title) as work:
            yield work
    else:
        yield _Lines(title, at_once)


@contextlib.contextmanager
def training_progress() -> "Iterator[Report]":
    """Show the progress of a training: metrics of the batches, of held-out recordings, and the rate."""
    with progress("training", at_once=True) as work:
        first = True

        def report(now: "Progress") -> None:
            nonlocal first
            steps_left = now.steps - now.step
            if first and not math.isnan(now.seconds_left):
                if steps_left:
                    say(f"expected time: {duration(now.seconds_left)} for {steps_left:,} steps")
                first = False
            held_out = f"  held out {_values(now.held_out)}" if now.held_out else ""
            rate = f"{now.targets_per_second:,.0f} targets/s"
            left = (
                now.seconds_left if now.seconds_left > 0 else None
            )  # neither at the end nor unknown
            times = _times(now.seconds_elapsed, left)
            work(now.step, now.steps, f"{_named(now.metrics)}{held_out}  {rate}  {times}")

        yield report


def duration(seconds: float) -> str:
    """A duration as people say it, such as "40 s", "12 min" or "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _times(elapsed: float, left: float | None) -> str:
    return f"{duration(elapsed)} elapsed" + ("" if left is None else f", {duration(left)} left")


def _times_of(begun: float, done: int, total: int) -> str:
    """The time since `begun`, and what is left if the rest goes on as it did."""
    elapsed = time.monotonic() - begun
    return _times(elapsed, elapsed * (total - done) / done if 0 < done < total else None)


def _named(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{value:.3f} {name.replace('_', ' ')}" for name, value in metrics.items())


def _values(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{value:.3f}" for value in metrics.values())


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Work]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar, begun = bars.add_task(title, total=None, note=""), time.monotonic()

        def work(done: int, total: int, note: str = "") -> None:
            note = note or _times_of(begun, done, total)
            bars.update(bar, completed=done, total=total, note=note)

        yield work


class _Lines:
    """At most a line every few seconds, and one at the end."""

    def __init__(self, title: str, at_once: bool) -> None:
        self.title = title
        self.begun = time.monotonic()
        self.last_time = -math.inf if at_once else self.begun

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if done < total and now - self.last_time < _SECONDS_BETWEEN_LINES:
            return
        self.last_time = now
        note = note or _times_of(self.begun, done, total)
        print(f"{self.title}: {done}/{total}  {note}", file=sys.stderr, flush=True)
