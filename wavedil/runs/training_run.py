"""Training runs in a folder: started, or taken up where they were."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from wavedil.data.config import CorpusConfig
from wavedil.errors import UserError, suggestion
from wavedil.models.registry import Model
from wavedil.report.terminal import escaped_output, progress, say, training_progress
from wavedil.runs.config import from_values, to_values
from wavedil.runs.description import describe
from wavedil.runs.keeping import (
    Kept,
    as_trained,
    kept,
    kept_elsewhere,
    same_on_all_hosts,
    windows_of,
)
from wavedil.runs.start import settings_of, settings_to_resume
from wavedil.tasks.registry import named_task
from wavedil.training.config import TrainingConfig
from wavedil.training.hosts import Hosts, naming_lost
from wavedil.training.loop import run_loop
from wavedil.training.metrics import Report
from wavedil.training.task import Corpus, RunConfig, Task


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A training run that has ended, or been stopped.

    Attributes:
      model: With the averaged weights.
      folder: Where everything is.
      step: Steps that were taken in all.
      config: The resolved configuration.
      stopped_by: Name of the signal that ended it early, or None.
      held_out: Metrics of the newest evaluation on held-out recordings.
      seconds: That this call took.
    """

    model: Model
    folder: Path
    step: int
    config: RunConfig
    stopped_by: str | None
    held_out: Mapping[str, float]
    seconds: float


def train(
    recordings: str | os.PathLike[str] | None,
    folder: str | os.PathLike[str],
    *,
    task: str | Task | None = None,
    config: RunConfig | None = None,
    start_from: str | os.PathLike[str] | None = None,
    report: Literal["auto"] | Report | None = "auto",
    labels: str | None = None,
    **options: Any,
) -> Run:
    r"""Trains a model on a folder of recordings, from the start or from where the run folder is.

    Ctrl-C ends the run after the step under way with everything saved; the same call resumes it. A run that is there
    goes on with its own settings, as long as none is given; `steps` may grow, and trains it further.

    Args:
      recordings: A folder, searched recursively, a manifest (.csv, .jsonl) or a single sound file; None: those of the
        run that is resumed.
      folder: Of the run: made, or resumed.
      task: Name of a task (`wavedil.tasks.TASKS`), or a task with its options; by default "generator".
      config: Everything else that decides what a run does; its folder is replaced by `recordings`. With it the task
        is the config's.
      start_from: A run or a saved model: a new run takes its weights, and its settings where no others are given.
      report: "auto" shows progress on stderr; None shows nothing; a function is called with `Progress`.
      labels: Pattern with named groups, searched in the path of each recording: `(?P<digit>\d)_(?P<speaker>\w+)_`.
      **options: Fields of `TrainingConfig`, such as steps=4000.

    Raises:
      UserError: If the recordings, the folder or an option cannot be used.
      NonFiniteError: If a loss or gradient is not finite.

    Example:
      run = train("recordings", "my-run", steps=4000)
      sound = synthesize(run.model, seconds=2)
    """
    if config is None:
        chosen = named_task(task) if isinstance(task, str) else task
        before = settings_to_resume(folder)
        if before is None and start_from is not None:
            before = settings_of(start_from)
        if before is not None and chosen in (None, before.task):
            config = before
        else:
            chosen = chosen or named_task("generator")
            config = RunConfig(task=chosen, corpus=CorpusConfig(folder="."))
    if start_from is not None:
        config = dataclasses.replace(config, start_from=str(Path(start_from).resolve()))
    fields = [field.name for field in dataclasses.fields(TrainingConfig)]
    for name in options:
        if name not in fields:
            raise UserError(f"train has no option {name!r}; {suggestion(name, fields)}")
    corpus = config.corpus
    if recordings is not None:
        corpus = dataclasses.replace(corpus, folder=str(Path(recordings).resolve()))
    if labels is not None:
        corpus = dataclasses.replace(corpus, labels=labels)
    training = dataclasses.replace(config.training, **options)
    config = dataclasses.replace(config, corpus=corpus, training=training)
    if report != "auto":
        return train_as(config, folder, report=report)
    return train_shown(config, folder)


def train_shown(
    config: RunConfig, folder: str | os.PathLike[str], corpus: Corpus | None = None
) -> Run:
    """`train_as` with progress on stderr, and what was read on stdout."""
    lines: list[str] = []
    if corpus is None:
        with progress("reading (s of sound)") as done:
            corpus = config.task.read(config, done)
        lines.extend(corpus.describe())
    config = config.task.resolve(config, corpus)  # refuses what does not fit before more is said
    lines.extend(describe(config))
    lines.extend(windows_of(config, corpus).describe(config.training.steps))
    if not Hosts().first:
        return train_as(config, folder, corpus=corpus, warn=say)
    with escaped_output():
        print("\n".join(lines))
    with training_progress() as report:
        return train_as(config, folder, corpus=corpus, report=report, warn=say)


def train_as(
    config: RunConfig,
    folder: str | os.PathLike[str],
    *,
    corpus: Corpus | None = None,
    report: Report | None = None,
    warn: Callable[[str], None] = say,
) -> Run:
    """Trains what a configuration says, from the start or from the newest complete checkpoint in the folder.

    After `jax.distributed.initialize`, called by each of several hosts with the same arguments, they train it together:
    the folder is that of host 0, which alone reads and writes it.

    Args:
      config: Task, corpus, model and training settings.
      folder: The run folder; see `runs.folder`.
      corpus: The corpus that `config.corpus` describes, if it is read already.
      report: Called every `log_every` steps and after each evaluation.
      warn: Called with a line about a checkpoint that cannot be read, or held-out recordings that are not new.

    Raises:
      UserError: If the folder belongs to another configuration, another process trains in it, or
        the corpus cannot be used.
      NonFiniteError: If a loss or gradient is not finite.
      LostHostError: If another host has ended, or is gone.
      TrainingError: If something cannot be saved, because the disk is full, say.
    """
    task, begun = config.task, time.perf_counter()
    hosts = Hosts()
    corpus = task.read(config) if corpus is None else corpus
    config = task.resolve(config, corpus)
    with naming_lost(), contextlib.ExitStack() as stack:
        if hosts.number > 1:
            hosts.require_same(**same_on_all_hosts(config, corpus))
        own: list[Kept] = []

        def begin() -> dict[str, Any]:
            own.append(stack.enter_context(kept(config, corpus, folder, report, warn)))
            return {"config": to_values(own[0].config), "newest": own[0].checkpoints.newest}

        begun_as = hosts.from_first(begin)
        if own:
            run = own[0]
        else:
            run = kept_elsewhere(from_values(begun_as["config"]), corpus, begun_as["newest"])
        run = run._replace(state=hosts.arrays_of_first(run.state))
        ended = run_loop(**run._asdict(), hosts=hosts)
        held_out = run.log.last_held_out
    model = as_trained(ended.model, run.config)
    seconds = time.perf_counter() - begun
    return Run(model, Path(folder), ended.step, run.config, ended.stopped_by, held_out, seconds)
