"""`wavedil train`: a folder of recordings becomes a run folder with a trained model."""

import dataclasses
import shlex
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import tyro

from wavedil.cli.hosts import LOST, HostsConfig, joined
from wavedil.cli.tables import number, unit
from wavedil.data import CorpusConfig
from wavedil.errors import UserError
from wavedil.tasks import named_task
from wavedil.training import RunConfig, TrainingConfig

if TYPE_CHECKING:
    from wavedil.runs import Run
    from wavedil.training import Corpus


@dataclass(frozen=True, kw_only=True)
class Train:
    r"""Train a model on a folder of recordings.

    The run folder holds config.json, metrics.jsonl, checkpoints/ and model/. Ctrl-C saves and stops; wavedil train RUN
    resumes from the newest checkpoint, with the run's own settings. --training.steps may grow then: a run is trained
    further so. wavedil train FOLDER RUN does the same where the recordings were moved.

    Example: wavedil train recordings run --labels '(?P<digit>\d)_(?P<speaker>\w+)_' --training.steps 4000

    Example: wavedil train run --training.steps 8000

    Example: wavedil train --task vocoder --help
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Recordings (searched recursively), a manifest (.csv, .jsonl), a single sound file, or shards that wavedil
    prepare wrote. A run alone is resumed."""
    run: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="RUN")] = None
    """Folder of the run: made, or resumed."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Take settings from another run, or those of a published result by name (sc09, youtubemix, beethoven: ready, not
    run here); other options change them."""
    start_from: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Fine-tune: start a new run from the weights of another, and with its settings unless --config gives them."""
    task: Annotated[
        str,
        tyro.conf.arg(metavar="generator|vocoder|autoencoder|classifier|diffusion|effect|features"),
    ] = "generator"
    """A generator draws sound by itself; a vocoder is conditioned on features, such as mel spectra; an autoencoder
    learns latents, resynthesises sound from them, and mixes two; a classifier predicts the value of a label, --target
    NAME; a diffusion model draws whole sounds from noise; an effect plays what an amp makes of a dry signal, learnt
    from pairs: NAME-dry.wav beside NAME-wet.wav, or a manifest with columns dry and wet; a model of features draws mel
    spectra, and how long a sound is, for a vocoder. Each task has options of its
    own, which --task NAME --help shows."""
    corpus: Annotated[CorpusConfig, tyro.conf.arg(name="")]
    task_options: Annotated[Any, tyro.conf.arg(name="")]
    model: Any
    training: TrainingConfig
    hosts: HostsConfig = HostsConfig()

    @classmethod
    def defaults(
        cls, value_of: Callable[[str], str | None], parsed: "Train | None" = None
    ) -> "Train | None":
        """Options of one task, with their defaults: the task's own, those of a configuration, or of the run resumed.

        Args:
          value_of: Option -> the word after it, or None.
          parsed: The options that these defaults gave. The run among them decides again: None where there is none.
        """
        name, path = value_of("--task"), value_of("--config") or value_of("--start-from")
        if parsed is None:
            return cls._of(name, None if path is None else _settings_of(path))
        before = None if path is not None else parsed.resumed
        return None if before is None else cls._of(name, before)

    @classmethod
    def _of(cls, name: str | None, given: RunConfig | None) -> Self:
        """Options with the defaults of a configuration, if that is of the named task; else with the task's own."""
        if given is None or name not in (None, given.task.name):
            chosen = named_task(name or "generator")
            corpus = CorpusConfig(folder=".") if given is None else given.corpus
            training = chosen.training() if given is None else given.training
            config = RunConfig(task=chosen, corpus=corpus, training=training)
        else:
            config = given
        options = dataclasses.make_dataclass(
            cls.__name__,
            [
                ("task_options", Annotated[type(config.task), tyro.conf.arg(name="")]),
                ("model", type(config.model)),
            ],
            bases=(cls,),
            frozen=True,
            kw_only=True,
        )
        options.__doc__ = cls.__doc__
        return options(
            folder=tyro.MISSING,
            task=config.task.name,
            corpus=config.corpus,
            task_options=config.task,
            model=config.model,
            training=config.training,
        )

    @property
    def run_folder(self) -> Path:
        """The run, also where it is all that is given."""
        return self.folder if self.run is None else self.run

    @property
    def resumed(self) -> RunConfig | None:
        """The settings of the run, if it is there."""
        from wavedil.runs import settings_to_resume

        return settings_to_resume(self.run_folder)

    @property
    def run_config(self) -> RunConfig:
        """The configuration that the options give.

        Raises:
          UserError: If only one place is given, and it is no run, or its recordings have gone.
        """
        before = self.resumed
        if self.run is not None:
            folder = str(self.folder.resolve())
        elif before is None:
            raise UserError(
                f"missing RUN; see wavedil train --help ({self.folder} holds no run to resume)"
            )
        else:
            folder = before.corpus.folder
            if not Path(folder).exists():
                raise UserError(
                    f"the recordings of {self.folder} are no longer in {folder}; if they were moved, say where: "
                    f"wavedil train NEW_PLACE {self.folder}"
                )
        start_from = "" if before is None else before.start_from
        if self.start_from is not None:
            start_from = str(self.start_from.resolve())
        return RunConfig(
            task=self.task_options,
            corpus=dataclasses.replace(self.corpus, folder=folder),
            model=self.model,
            training=self.training,
            start_from=start_from,
        )


def _settings_of(source: str) -> RunConfig:
    from wavedil.runs import settings_of

    return settings_of(source)


def train(args: Train) -> int:
    """Trains and says where the model is; returns the exit code.

    Raises:
      UserError: If the recordings or the run folder cannot be used.
    """
    with joined(args.hosts):
        run = run_training(args.run_config, args.run_folder)
        is_first = _is_first()
    if run.stopped_by is not None:
        return stopped(run)
    if not is_first:
        return 0
    scores = ", ".join(f"{number(value)} {unit(name)}" for name, value in run.held_out.items())
    print(f"held out: {scores or 'nothing'} after {run.step} steps")
    from wavedil.runs import what_next

    print(f"the model is in {run.folder / 'model'}; {what_next(run.config, run.folder)}")
    return 0


def _is_first() -> bool:
    """Whether this host has the run's folder."""
    import jax

    return jax.process_index() == 0


def read(config: RunConfig) -> "Corpus":
    """The corpus, with progress."""
    from wavedil.report import progress

    with progress("reading (s of sound)") as done:
        return config.task.read(config, done)


def run_training(config: RunConfig, folder: Path, corpus: "Corpus | None" = None) -> "Run":
    """Trains, or resumes, with progress; exits with 1 where the loss is no longer finite, or the disk is full."""
    from wavedil.files import WriteError
    from wavedil.runs import train_shown
    from wavedil.training import LostHostError, TrainingError

    code = 1
    try:
        return train_shown(config, folder, corpus)
    except TrainingError as error:
        problem, code = str(error), LOST if isinstance(error, LostHostError) else 1
    except WriteError as error:  # before the first step
        problem = f"{error.filename} cannot be written: {error.strerror}"
    print(f"wavedil: error: {problem}", file=sys.stderr)
    raise SystemExit(code)


def stopped(run: "Run") -> int:
    """Says that a signal stopped the run and how it goes on; returns the signal's exit code."""
    print(
        f"stopped by {run.stopped_by} at step {run.step} of {run.config.training.steps}; the model is "
        f"saved in {run.folder / 'model'}; the same command resumes, or wavedil train {shlex.quote(str(run.folder))}",
        file=sys.stderr,
    )
    return 128 + signal.Signals[str(run.stopped_by)]
