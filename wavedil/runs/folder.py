"""The folder of a training run.

RUN/
    config.json         the resolved configuration
    recordings.jsonl    which recordings it is trained on and scored on, and what they are like
    metrics.jsonl       one JSON object a line
    checkpoints/        the training state
    model/              the averaged weights, for wavedil.load
    tensorboard/        when asked for
    samples/            sounds, for the page to listen on: those of a step in a folder of their own (runs.samples),
                        your own beside them; those in the run's folder itself are shown there too
    .lock               held by the process that trains; never replaced, or two processes would hold two of them
"""

import contextlib
import dataclasses
import fcntl
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from wavedil.data.fingerprints import Fingerprint, changes
from wavedil.errors import UserError
from wavedil.files import is_scratch, read_json, replacing, write_json
from wavedil.formats import version_1
from wavedil.runs.config import read_config, to_values
from wavedil.training.metrics import MetricsFile
from wavedil.training.task import RunConfig


class RunFolder:
    """The folder of one training run.

    Args:
      path: Made by `locked` if it is not there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.recordings = self.path / "recordings.jsonl"
        self.metrics = MetricsFile(self.path / "metrics.jsonl")
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"
        self.tensorboard = self.path / "tensorboard"
        self.samples = self.path / "samples"
        self._lock = self.path / ".lock"

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

    def read_recordings(self) -> list[Fingerprint]:
        """The recordings of the run, and of those before it; [] where an older version began it, or its task lists
        none.
        """
        if not self.recordings.exists():
            return []
        try:
            lines = self.recordings.read_text().splitlines()
            return [Fingerprint(**json.loads(line)) for line in lines]
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{self.recordings} is damaged ({error}); delete it, and the next start writes it anew"
            ) from None

    @property
    def stored_name(self) -> Callable[[str], str]:
        """Weight's name -> its name in the checkpoints: a run that an older version began keeps its names."""
        version = read_json(self.config, "restore or delete it").get("format_version", 1)
        return version_1.stored_name if version == 1 else str

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training in the folder; the lock goes with the process, however it ends.

        Raises:
          UserError: If another process holds it, or the folder holds files that are no run's.
        """
        self._require_own()  # what is someone else's is not even given a lock file
        self.path.mkdir(parents=True, exist_ok=True)
        with self._lock.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another process is training in {self.path}; wait for it, stop it, or choose another folder"
                ) from None
            self._require_own()
            yield

    def claim(
        self,
        config: RunConfig,
        recordings: Sequence[Fingerprint] = (),
        before: Sequence[Fingerprint] = (),
    ) -> None:
        """Takes the folder, which is locked, for a run, new or to be continued.

        Args:
          config: A resolved configuration.
          recordings: What it is trained on and scored on.
          before: Those of the run whose weights a new one starts from.

        Raises:
          UserError: If the folder holds a run of another configuration, or of other recordings.
        """
        places = self.path.iterdir(), self.path.glob("*/*"), self.samples.glob("*/*")
        for left in itertools.chain(*places):
            if is_scratch(left):
                left.unlink()
        if self.config.exists():
            there = self.read_recordings()
            own = [item for item in there if not item.before]
            before = [item for item in there if item.before]
            self._require_same(config, own, recordings)
        else:
            own = []
            write_json(self.config, to_values(config))
        if recordings and list(recordings) != own:  # new, or under new names
            lines = [json.dumps(vars(item)) + "\n" for item in (*recordings, *before)]
            with replacing(self.recordings) as scratch:
                scratch.write_text("".join(lines))

    def go_on(self, config: RunConfig, step: int) -> RunConfig:
        """The configuration with which a claimed run goes on from a step, and which the folder holds from then on.

        That is where the recordings are now, how often the run reports, and how many steps it takes: more steps than
        before change the learning rate from this step on, and the run remembers it.
        """
        there = self.read_config()
        training = config.training.continuing(there.training, step)
        config = dataclasses.replace(config, training=training)
        if config != there:
            # The form stays that of the version that began the run, which its checkpoints are in too.
            values = read_json(self.config, "restore or delete it")
            places = {name: getattr(config.corpus, name) for name in ("folder", "strict")}
            values["corpus"] |= places
            values["recordings_fingerprint"] = config.recordings_fingerprint
            values["training"] = training.to_dict()
            write_json(self.config, values)
        return config

    def _require_own(self) -> None:
        # A start that crashed leaves its lock and scratch files, which are the run's own. They are listed before the
        # configuration is looked for, which another process may be about to write.
        files = self.path.iterdir() if self.path.is_dir() else ()
        others = [path for path in files if path != self._lock and not is_scratch(path)]
        if self.config.exists():
            self.read_config()
        elif others:
            raise UserError(f"{self.path} is not empty and holds no run; choose a new folder")

    def _require_same(
        self, config: RunConfig, before: Sequence[Fingerprint], recordings: Sequence[Fingerprint]
    ) -> None:
        there = self.read_config()
        same = config.with_reports_of(there)
        if before and [item.content for item in before] == [item.content for item in recordings]:
            same = dataclasses.replace(same, recordings_fingerprint=there.recordings_fingerprint)
        if config.training.steps > there.training.steps:
            training = dataclasses.replace(same.training, steps=there.training.steps)
            same = dataclasses.replace(same, training=training)
        if (
            same.recordings_fingerprint != there.recordings_fingerprint
            and same.corpus == there.corpus
        ):
            unknown = ["which of them is not known"]
            other = changes(before, recordings) if before and recordings else unknown
            raise UserError(
                f"{self.path} was trained on other recordings: {'; '.join(other)}; restore them, or start a new run "
                f"from its weights: wavedil train RECORDINGS NEW_RUN --start-from {self.path}"
            )
        same = dataclasses.replace(same, recordings_fingerprint=there.recordings_fingerprint)
        differences = there.differences(same)
        if differences:
            raise UserError(
                f"{self.path} holds a run of another configuration (there -> here): "
                f"{'; '.join(differences)}; choose another folder, or the same settings to resume (steps alone may "
                "grow)"
            )
