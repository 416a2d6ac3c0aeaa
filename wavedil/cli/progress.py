"""Progress on stderr: bars on a terminal, now and then a plain line elsewhere."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol

_SECONDS_BETWEEN_LINES = 5.0


class Task(Protocol):
    """Something that is `done` of `total` steps along; `note` says how it goes."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show it."""


@contextlib.contextmanager
def progress(title: str) -> Iterator[Task]:
    """Show the progress of one piece of work.

    Example:
      with progress("reading") as task:
          read_corpus(settings, progress=task)
    """
    if sys.stderr.isatty():
        with _bar(title) as task:
            yield task
    else:
        yield _Lines(title)


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Task]:
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

        def task(done: int, total: int, note: str = "") -> None:
            bars.update(bar, completed=done, total=total, note=note)

        yield task


class _Lines:
    """At most a line every few seconds, and one at the end."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.last_time = time.monotonic()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if done < total and now - self.last_time < _SECONDS_BETWEEN_LINES:
            return
        self.last_time = now
        line = f"{self.title}: {done}/{total}" + (f"  {note}" if note else "")
        print(line, file=sys.stderr, flush=True)
