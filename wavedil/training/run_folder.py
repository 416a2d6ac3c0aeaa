"""What a training run leaves on disk.

RUN/
    config.json     the resolved configuration
    metrics.jsonl   one JSON object a line
    checkpoints/    the training state
    model/          the averaged weights, for wavedil.load
    tensorboard/    when asked for
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wavedil.errors import UserError
from wavedil.formats.saved_model import write_json
from wavedil.training.settings import RunConfig


class RunFolder:
    """The folder of one training run.

    Args:
      path: Made by `claim` if it is not there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"
        self.tensorboard = self.path / "tensorboard"

    def read_config(self) -> RunConfig:
        """The resolved configuration of the run.

        Raises:
          UserError: If the folder holds no run.
        """
        if not self.config.is_file():
            raise UserError(
                f"{self.path} holds no training run (config.json is missing); give the folder that "
                "'wavedil train' wrote"
            )
        try:
            values = json.loads(self.config.read_text())
        except ValueError as error:
            raise UserError(f"{self.config} is not JSON ({error}); restore or delete it") from error
        if not isinstance(values, dict) or "corpus" not in values:
            raise UserError(f"{self.config} is not the configuration of a training run")
        return RunConfig.from_dict(values)

    def claim(self, config: RunConfig) -> None:
        """Takes the folder for a run, new or to be continued.

        Raises:
          UserError: If the folder holds a run of another configuration, or files that are no run's.
        """
        if self.config.exists():
            there = self.read_config()
            differences = there.differences(config.with_reports_of(there))
            if differences:
                raise UserError(
                    f"{self.path} holds a run of another configuration (there -> here): "
                    f"{'; '.join(differences)}; choose another folder, or the same settings to resume"
                )
            return
        # A crash while the configuration was written leaves its scratch file, which is the run's own.
        scratch = self.config.with_name(f".{self.config.name}.new")
        if self.path.is_dir() and any(path != scratch for path in self.path.iterdir()):
            raise UserError(f"{self.path} is not empty and holds no run; choose a new folder")
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.config, config.to_dict())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training in the folder; the lock goes with the process, however it ends.

        Raises:
          UserError: If another process holds it.
        """
        with self.config.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another process is training in {self.path}; wait for it, stop it, or choose another folder"
                ) from None
            yield

    def append_metrics(self, values: dict[str, Any]) -> None:
        """Adds one line to the metrics."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(values) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """All lines of the metrics; one that a crash cut short is left out."""
        if not self.metrics.exists():
            return []
        lines = []
        for line in self.metrics.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
        return lines

    def last_held_out_bits(self) -> float | None:
        """Held-out bits per sample of the newest evaluation, or None before the first."""
        found = [line["held_out_bits"] for line in self.read_metrics() if "held_out_bits" in line]
        return found[-1] if found else None

    def forget_metrics_after(self, step: int) -> None:
        """Drops the lines of steps that will be taken again."""
        kept = [line for line in self.read_metrics() if line["step"] <= step]
        scratch = self.metrics.with_name(".metrics.jsonl.new")
        scratch.write_text("".join(json.dumps(line) + "\n" for line in kept))
        os.replace(scratch, self.metrics)
