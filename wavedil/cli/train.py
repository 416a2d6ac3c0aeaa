"""`wavedil train`: a folder of recordings becomes a run folder with a trained model."""

import dataclasses
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import tyro

from wavedil.cli.tables import unit
from wavedil.config import undecided
from wavedil.data import CorpusConfig
from wavedil.tasks import named_task
from wavedil.training import RunConfig, TrainingConfig

if TYPE_CHECKING:
    from wavedil.runs import Run
    from wavedil.training import Corpus


@dataclass(frozen=True, kw_only=True)
class Train:
    r"""Train a model on a folder of recordings.

    The run folder holds config.json, metrics.jsonl, checkpoints/ and model/.
    The same command again resumes from the newest checkpoint; Ctrl-C saves and stops.

    Example: wavedil train recordings run --labels '(?P<digit>\d)_(?P<speaker>\w+)_' --training.steps 4000

    Example: wavedil train --task vocoder --help
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Recordings (searched recursively), or a manifest (.csv, .jsonl)."""
    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of the run: made, or resumed."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Take settings from the config.json of another run, or those of a published result by name (sc09, youtubemix,
    beethoven: ready, not run here); other options change them."""
    task: Annotated[str, tyro.conf.arg(metavar="generator|vocoder|autoencoder")] = "generator"
    """A generator draws sound by itself; a vocoder is conditioned on features, such as mel spectra; an autoencoder
    learns latents, resynthesises sound from them, and mixes two. Each task has options of its own, which --task NAME
    --help shows."""
    corpus: Annotated[CorpusConfig, tyro.conf.arg(name="")]
    task_options: Annotated[Any, tyro.conf.arg(name="")]
    model: Any
    training: TrainingConfig

    @classmethod
    def start_from(cls, value_of: Callable[[str], str | None]) -> Self:
        """Options of one task, with their defaults: the task's own, or those of a configuration.

        Args:
          value_of: Option -> the word after it, or None.
        """
        name, path = value_of("--task"), value_of("--config")
        given = None if path is None else _read_config(path)
        if given is None or name not in (None, given.task.name):
            chosen = named_task(name or "generator")
            corpus = CorpusConfig(folder=".") if given is None else given.corpus
            training = TrainingConfig() if given is None else given.training
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
            run=tyro.MISSING,
            task=config.task.name,
            corpus=config.corpus,
            task_options=config.task,
            model=config.model,
            training=config.training,
        )

    @property
    def run_config(self) -> RunConfig:
        """The configuration that the options give."""
        corpus = dataclasses.replace(self.corpus, folder=str(self.folder.resolve()))
        return RunConfig(
            task=self.task_options, corpus=corpus, model=self.model, training=self.training
        )


def _read_config(path: str) -> RunConfig:
    """The configuration of a run or of a published result, without what its recordings decided."""
    from wavedil.runs import PUBLISHED, read_config

    config = PUBLISHED.get(path) or read_config(Path(path))
    return dataclasses.replace(
        config,
        task=undecided(config.task),
        model=undecided(config.model),
        recordings_fingerprint="",
    )


def train(args: Train) -> int:
    """Trains and says where the model is; returns the exit code.

    Raises:
      UserError: If the recordings or the run folder cannot be used.
    """
    run = run_training(args.run_config, args.run)
    if run.stopped_by is not None:
        return stopped(run)
    scores = ", ".join(f"{value:.3f} {unit(name)}" for name, value in run.held_out.items())
    print(f"held out: {scores} after {run.step} steps")
    local = getattr(run.model.config, "local_conditioning", None)
    resynthesizes = local is not None and (
        local.mel is not None or run.config.task.name == "autoencoder"
    )
    like = (
        " --like recording.wav" if resynthesizes else "" if local is None else " --features x.npy"
    )
    print(
        f"the model is in {args.run / 'model'}; hear it: wavedil generate {args.run} sound.wav{like}"
    )
    return 0


def read(config: RunConfig) -> "Corpus":
    """The corpus, with progress."""
    from wavedil.report import progress

    with progress("reading (s of sound)") as done:
        return config.task.read(config, done)


def run_training(config: RunConfig, folder: Path, corpus: "Corpus | None" = None) -> "Run":
    """Trains, or resumes, with progress; exits with 1 where the loss is no longer finite."""
    from wavedil.runs import train_shown
    from wavedil.training import NonFiniteError

    try:
        return train_shown(config, folder, corpus)
    except NonFiniteError as error:
        print(f"wavedil: error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def stopped(run: "Run") -> int:
    """Says that a signal stopped the run and how it goes on; returns the signal's exit code."""
    print(
        f"stopped by {run.stopped_by} at step {run.step} of {run.config.training.steps}; the model is "
        f"saved in {run.folder / 'model'}; the same command resumes",
        file=sys.stderr,
    )
    return 128 + signal.Signals[str(run.stopped_by)]
