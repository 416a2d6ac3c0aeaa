"""The folder of a training run.

RUN/
    config.json     the resolved configuration
    metrics.jsonl   one JSON object a line
    checkpoints/    the training state
    model/          the averaged weights, for wavedil.load
    tensorboard/    when asked for
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from wavedil.errors import UserError
from wavedil.files import read_json, scratch_of, write_json
from wavedil.formats import version_1
from wavedil.runs.config import read_config, to_values
from wavedil.training.metrics import MetricsFile
from wavedil.training.task import RunConfig


class RunFolder:
    """The folder of one training run.

    Args:
      path: Made by `claim` if it is not there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = MetricsFile(self.path / "metrics.jsonl")
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
        return read_config(self.config)

    @property
    def stored_name(self) -> Callable[[str], str]:
        """Weight's name -> its name in the checkpoints: a run that an older version began keeps its names."""
        version = read_json(self.config, "restore or delete it").get("format_version", 1)
        return version_1.stored_name if version == 1 else str

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
        scratch = scratch_of(self.config)
        if self.path.is_dir() and any(path != scratch for path in self.path.iterdir()):
            raise UserError(f"{self.path} is not empty and holds no run; choose a new folder")
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.config, to_values(config))

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
