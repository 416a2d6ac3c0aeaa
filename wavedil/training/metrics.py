"""The numbers of a run: JSON lines always, TensorBoard when asked (sounds too), and a report to whoever watches."""

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from wavedil.evaluation.scores import means
from wavedil.files import replacing, writing
from wavedil.training.config import TrainingConfig
from wavedil.training.finite import require_finite
from wavedil.training.state import learning_rate
from wavedil.training.tensorboard import TensorBoardFile
from wavedil.training.update import Metrics

HELD_OUT = "held_out_"
"""Begins the name of a metric of held-out recordings."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is."""

    step: int
    steps: int
    metrics: Mapping[str, float]
    """Means of the task's metrics over the batches since the last report."""
    gradient_norm: float
    targets_per_second: float
    """Counted targets of the loss: samples that were predicted."""
    seconds_elapsed: float
    """Since this process began to train."""
    seconds_left: float
    """To the last step, as long as steps, evaluations and saves take now; NaN before a step that was not compiled."""
    held_out: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Of the newest evaluation; empty before the first."""


Report = Callable[[Progress], None]

# Whoever watches sees after so long that it goes on, however many steps lie between two reports.
_SECONDS_TO_FIRST_REPORT = 2.0
_SECONDS_BETWEEN_REPORTS = 5.0


class MetricsFile:
    """The metrics of a run, one JSON object a line.

    Args:
      path: Made when the first line is added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, values: Mapping[str, Any]) -> None:
        """Adds a line."""
        with writing(self.path), self.path.open("a") as file:
            file.write(json.dumps(values) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """All lines; one that a crash cut short is left out."""
        if not self.path.exists():
            return []
        lines = []
        for line in self.path.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
        return lines

    def last_held_out(self) -> dict[str, float]:
        """The metrics of the newest evaluation; {} before the first."""
        for line in reversed(self.read()):
            found = {
                name.removeprefix(HELD_OUT): value
                for name, value in line.items()
                if name.startswith(HELD_OUT)
            }
            if found:
                return found
        return {}

    def has_held_out(self, step: int) -> bool:
        """Whether an evaluation after that step is there."""
        return any(
            line["step"] == step and any(name.startswith(HELD_OUT) for name in line)
            for line in self.read()
        )

    def forget_after(self, step: int) -> None:
        """Drops the lines of steps that will be taken again."""
        kept = [line for line in self.read() if line["step"] <= step]
        with replacing(self.path) as scratch:
            scratch.write_text("".join(json.dumps(line) + "\n" for line in kept))


@dataclasses.dataclass
class _Pace:
    """What steps have predicted, and in which time."""

    num_steps: int = 0
    num_targets: float = 0.0
    seconds: float = 0.0

    def add(self, num_steps: int, num_targets: float, seconds: float) -> None:
        self.num_steps += num_steps
        self.num_targets += num_targets
        self.seconds += seconds


class MetricsLog:
    """Collects the steps between two reports and writes their means.

    Args:
      file: Where the lines go.
      tensorboard: Folder of TensorBoard's files; None for none.
      settings: How often.
      report: Called with the progress; None for nobody.
    """

    def __init__(
        self,
        file: MetricsFile,
        tensorboard: Path | None,
        settings: TrainingConfig,
        report: Report | None,
    ) -> None:
        self._file = file
        self._settings = settings
        self._report = report
        self._learning_rate = learning_rate(settings)
        self._tensorboard = None if tensorboard is None else TensorBoardFile(tensorboard)
        self._progress: Progress | None = None
        self._taken, self._aside, self._ended = 0, 0.0, 0.0
        # Steps whose metrics are still on their way, or on the device.
        self._pending: list[tuple[int, Metrics]] = []
        self._gradient_norm = math.nan
        self._started = time.perf_counter()
        self._due = math.inf
        self._begin()
        self.last_held_out: Mapping[str, float] = file.last_held_out()

    def step(self, step: int, metrics: Metrics, *, compiled: bool = False) -> None:
        """Notes one step, and writes and reports every `log_every` steps and at the last; until then it waits for none.

        Where that takes long, it also reports in between, which leaves what is written alone. What a step that was
        compiled takes says nothing of the others: it does not count where there are others.

        Raises:
          NonFiniteError: At a report, if a loss or gradient since the last was not finite.
        """
        self._pending.append((step, metrics))
        if compiled or not self._taken:
            self.settle(compiled=compiled)
        left = self._settings.steps - step
        written = not (step % self._settings.log_every and left)
        if not written and time.perf_counter() < self._due:
            return
        self.settle()
        now = self._ended
        self._progress = self._now(step, now)
        if written:
            self._write(
                step,
                **self._progress.metrics,
                gradient_norm=self._progress.gradient_norm,
                learning_rate=float(self._learning_rate(step - 1)),  # updates are counted from 0
                targets_per_second=self._progress.targets_per_second,
                seconds=self._pace.seconds,
            )
            self._begin()
        self._due = now + _SECONDS_BETWEEN_REPORTS
        if self._report is not None:
            self._report(self._progress)

    def settle(self, *, compiled: bool = False) -> None:
        """Waits for the steps that are noted, and adds up their metrics.

        Raises:
          NonFiniteError: If one of their losses or gradients is not finite.
        """
        steps = jax.device_get(self._pending)
        if not steps:
            return
        self._pending.clear()
        for step, metrics in steps:
            require_finite(metrics, step)
            for name, (total, weight) in metrics.named.items():
                before = self._sums.get(name, (0.0, 0.0))
                self._sums[name] = before[0] + float(total), before[1] + float(weight)
        self._gradient_norm = float(metrics.gradient_norm)
        now = time.perf_counter()
        targets = sum(float(metrics.weight) for _, metrics in steps)
        pace = self._compiling if compiled else self._running
        pace.add(len(steps), targets, now - self._ended)
        self._ended = now
        if not self._taken:
            # The next step may take as long as this one.
            took = self._compiling.seconds + self._running.seconds
            self._due = now + (_SECONDS_TO_FIRST_REPORT if took < _SECONDS_TO_FIRST_REPORT else 0)
        self._taken += len(steps)

    def has_held_out(self, step: int) -> bool:
        """Whether an evaluation after that step was noted, by this process or one before."""
        return self._file.has_held_out(step)

    def held_out(self, step: int, metrics: Mapping[str, float]) -> None:
        """Notes, writes and reports an evaluation."""
        self.last_held_out = metrics
        self._write(step, **{HELD_OUT + name: value for name, value in metrics.items()})
        if self._report is not None and self._progress is not None:
            self._report(dataclasses.replace(self._progress, step=step, held_out=metrics))

    def sounds(self, step: int, sounds: Mapping[str, np.ndarray], sample_rate: int) -> None:
        """Hands sounds, by name, to TensorBoard where that is on."""
        if self._tensorboard is not None:
            self._tensorboard.write_sounds(step, sounds, sample_rate)

    @contextlib.contextmanager
    def not_training(self) -> Iterator[None]:
        """Leaves the time spent inside out of the targets per second."""
        self.settle()
        begun = time.perf_counter()
        yield
        seconds = time.perf_counter() - begun
        self._aside += seconds
        self._ended += seconds

    def close(self) -> None:
        """Ends the TensorBoard file."""
        if self._tensorboard is not None:
            self._tensorboard.close()

    @property
    def _pace(self) -> _Pace:
        return self._running if self._running.num_steps else self._compiling

    def _now(self, step: int, now: float) -> Progress:
        pace, left = self._pace, self._settings.steps - step
        seconds_a_step = pace.seconds / pace.num_steps + self._aside / self._taken
        return Progress(
            step=step,
            steps=self._settings.steps,
            metrics=means(self._sums),
            gradient_norm=self._gradient_norm,
            targets_per_second=pace.num_targets / pace.seconds,
            seconds_elapsed=now - self._started,
            seconds_left=left * seconds_a_step if pace is self._running or not left else math.nan,
            held_out=self.last_held_out,
        )

    def _begin(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {}
        self._running, self._compiling = _Pace(), _Pace()
        self._ended = time.perf_counter()

    def _write(self, step: int, **values: float) -> None:
        self._file.append({"step": step, **values})
        if self._tensorboard is not None:
            self._tensorboard.write(step, values)
