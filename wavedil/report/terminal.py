"""Progress on stderr: bars on a terminal, now and then a plain line elsewhere."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Protocol

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
def progress(title: str) -> Iterator[Work]:
    """Show the progress of one piece of work.

    Example:
      with progress("reading") as done:
          read_corpus(config, progress=done)
    """
    if sys.stderr.isatty():
        with _bar(title) as work:
            yield work
    else:
        yield _Lines(title)


@contextlib.contextmanager
def training_progress() -> Iterator[Report]:
    """Show the progress of a training: metrics of the batches, of held-out recordings, and the rate."""
    with progress("training") as work:

        def report(now: Progress) -> None:
            held_out = f"  held out {_values(now.held_out)}" if now.held_out else ""
            rate = f"{now.targets_per_second:,.0f} targets/s"
            left = f"  {duration(now.seconds_left)} left" if now.step < now.steps else ""
            work(now.step, now.steps, f"{_named(now.metrics)}{held_out}  {rate}{left}")

        yield report


def duration(seconds: float) -> str:
    """A duration as people say it, such as "40 s", "12 min" or "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


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
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task(title, total=None, note="")

        def work(done: int, total: int, note: str = "") -> None:
            bars.update(bar, completed=done, total=total, note=note)

        yield work


class _Lines:
    """At most a line every few seconds, and one at the end."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.begun = self.last_time = time.monotonic()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if done < total and now - self.last_time < _SECONDS_BETWEEN_LINES:
            return
        self.last_time = now
        if not note and 0 < done < total:
            note = f"{duration((now - self.begun) * (total - done) / done)} left"
        line = f"{self.title}: {done}/{total}" + (f"  {note}" if note else "")
        print(line, file=sys.stderr, flush=True)
