"""The numbers of a run: JSON lines always, TensorBoard when asked, and a report to whoever watches."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

from wavedil.data.windows import Batch
from wavedil.errors import UserError
from wavedil.training.run_folder import RunFolder
from wavedil.training.settings import TrainingSettings
from wavedil.training.state import learning_rate
from wavedil.training.step import Metrics


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is."""

    step: int
    steps: int
    bits: float
    """Bits per sample of the batches since the last report."""
    gradient_norm: float
    samples_per_second: float
    held_out_bits: float | None = None
    """Of the newest evaluation."""


class MetricsLog:
    """Collects the steps between two reports and writes their mean.

    Args:
      run: Where the lines go.
      settings: How often, and whether to TensorBoard too.
      report: Called with the progress; None for nobody.
    """

    def __init__(
        self,
        run: RunFolder,
        settings: TrainingSettings,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self._run = run
        self._settings = settings
        self._report = report
        self._learning_rate = learning_rate(settings)
        self._writer = _open_tensorboard(run) if settings.tensorboard else None
        self._progress: Progress | None = None
        self._bits: list[float] = []
        self._num_samples = 0
        self._begun = time.perf_counter()
        self.held_out_bits = run.last_held_out_bits()

    def step(self, step: int, metrics: Metrics, batch: Batch) -> None:
        """Notes one step, and writes and reports every `log_every` steps and at the last."""
        self._bits.append(float(metrics.bits))
        self._num_samples += batch.mask.size
        if step % self._settings.log_every and step != self._settings.steps:
            return
        seconds = time.perf_counter() - self._begun
        self._progress = Progress(
            step=step,
            steps=self._settings.steps,
            bits=sum(self._bits) / len(self._bits),
            gradient_norm=float(metrics.gradient_norm),
            samples_per_second=self._num_samples / seconds,
            held_out_bits=self.held_out_bits,
        )
        self._write(
            step,
            bits=self._progress.bits,
            gradient_norm=self._progress.gradient_norm,
            learning_rate=float(self._learning_rate(step - 1)),  # updates are counted from 0
            samples_per_second=self._progress.samples_per_second,
            seconds=seconds,
        )
        self._bits, self._num_samples, self._begun = [], 0, time.perf_counter()
        if self._report is not None:
            self._report(self._progress)

    def held_out(self, step: int, bits: float) -> None:
        """Notes, writes and reports an evaluation."""
        self.held_out_bits = bits
        self._write(step, held_out_bits=bits)
        if self._report is not None and self._progress is not None:
            self._report(dataclasses.replace(self._progress, step=step, held_out_bits=bits))

    @contextlib.contextmanager
    def not_training(self) -> Iterator[None]:
        """Leaves the time spent inside out of the samples per second."""
        begun = time.perf_counter()
        yield
        self._begun += time.perf_counter() - begun

    def close(self) -> None:
        """Ends the TensorBoard file."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, step: int, **values: float) -> None:
        self._run.append_metrics({"step": step, **values})
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)


def _open_tensorboard(run: RunFolder) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError(
            "tensorboard is on, but tensorboardX is not installed; run: pip install tensorboardX"
        ) from error
    return SummaryWriter(str(run.tensorboard))
