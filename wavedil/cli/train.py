"""`wavedil train`: a folder of recordings becomes a run folder with a trained model."""

import dataclasses
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import tyro

from wavedil.cli.progress import progress
from wavedil.data.settings import CorpusSettings
from wavedil.errors import UserError
from wavedil.features import MelSettings
from wavedil.models.autoencoder_config import EncoderConfig
from wavedil.models.config import WaveNetConfig
from wavedil.models.context import ContextConfig
from wavedil.models.local import LocalConfig
from wavedil.training.published import PUBLISHED
from wavedil.training.settings import RunConfig, TrainingSettings

if TYPE_CHECKING:
    from wavedil.data.corpus import Corpus
    from wavedil.training.loop import TrainingResult
    from wavedil.training.metrics import Progress

Task = Literal["generator", "vocoder", "autoencoder"]
# Its folder is the first argument of the command, and so stands in for it here.
_ANY_CORPUS = CorpusSettings(folder=".")
# Its factor is an option of its own, which says whether there is a context at all.
_ANY_CONTEXT = ContextConfig(factor=1)
# The corpus or the encoder says what a frame is.
_ANY_LOCAL = LocalConfig(num_features=1, hop=1)


@dataclass(frozen=True, kw_only=True)
class Train:
    r"""Train a WaveNet on a folder of recordings.

    The run folder holds config.json, metrics.jsonl, checkpoints/ and model/.
    The same command again resumes from the newest checkpoint; Ctrl-C saves and stops.

    Example: wavedil train recordings run --labels '(?P<digit>\d)_(?P<speaker>\w+)_' --training.steps 4000
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Recordings (searched recursively), or a manifest (.csv, .jsonl)."""
    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of the run: made, or resumed."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Take settings from the config.json of another run, or those of a published result by name (sc09, youtubemix,
    beethoven: ready, not run here); other options change them."""
    task: Task = "generator"
    """A vocoder is told by features, from moment to moment, what the sound is: mel spectra of the recordings, or
    with --features-hop features of your own. An autoencoder learns by itself what to be told: a code every so many
    samples, of which it makes the sound again, and sounds between two."""
    corpus: Annotated[CorpusSettings, tyro.conf.arg(name="")] = _ANY_CORPUS
    model: WaveNetConfig = dataclasses.field(default_factory=WaveNetConfig)
    training: TrainingSettings = dataclasses.field(default_factory=TrainingSettings)
    mel: MelSettings = dataclasses.field(default_factory=MelSettings)
    context_factor: Annotated[int | None, tyro.conf.arg(name="context.factor")] = None
    """Condition the model on a second stack that sees far and runs once every so many samples, such as 64."""
    context: ContextConfig = _ANY_CONTEXT
    encoder: EncoderConfig = dataclasses.field(default_factory=EncoderConfig)
    local: LocalConfig = _ANY_LOCAL

    @classmethod
    def from_config(cls, path: str) -> Self:
        """Options whose defaults are those of the run that wrote `path`, or of a published result."""
        config = PUBLISHED.get(path) or _read_config(path)
        corpus = config.corpus
        mel = corpus.mel or MelSettings()
        vocoder = corpus.mel is not None or corpus.features_hop is not None
        task: Task = "vocoder" if vocoder else "autoencoder" if config.encoder else "generator"
        return cls(
            folder=tyro.MISSING,
            run=tyro.MISSING,
            task=task,
            corpus=dataclasses.replace(corpus, mel=None),
            model=config.model,
            training=config.training,
            mel=dataclasses.replace(mel, sample_rate=None),  # the corpus decides it again
            context_factor=config.model.context.factor if config.model.context else None,
            context=dataclasses.replace(config.model.context or _ANY_CONTEXT, factor=1),
            encoder=config.encoder or EncoderConfig(),
            local=dataclasses.replace(
                config.model.local or _ANY_LOCAL, num_features=1, hop=1, mel=None
            ),
        )

    @property
    def corpus_settings(self) -> CorpusSettings:
        """What to read, features included.

        Raises:
          UserError: If options for features or an encoder are given without the task that uses them; those of a
            configuration with another task are let go.
        """
        vocoder, hop = self.task == "vocoder", self.corpus.features_hop
        start = self.from_config(str(self.config)) if self.config else _BARE
        mel_given = self.mel != start.mel
        if self.task != "autoencoder" and self.encoder != start.encoder:
            raise UserError(
                "--encoder options are for an autoencoder; add --task autoencoder, or leave them out"
            )
        if not vocoder and (hop != start.corpus.features_hop or mel_given):
            raise UserError(
                f"--features-hop and --mel options are for a vocoder, and this is the task {self.task}; add "
                "--task vocoder, or leave them out"
            )
        if hop is not None and mel_given:
            raise UserError(
                f"--features-hop is {hop}, and --mel options are given too; read features of your own, or compute "
                "mel spectra"
            )
        return dataclasses.replace(
            self.corpus,
            folder=str(self.folder.resolve()),
            levels=self.model.levels,
            scale=self.model.scale,
            mel=self.mel if vocoder and hop is None else None,
            features_hop=hop if vocoder else None,
        )

    @property
    def model_config(self) -> WaveNetConfig:
        """The model, its context stack and what brings features to the sample rate included.

        Raises:
          UserError: If options for a context are given without its factor, or for features without a task with any.
        """
        told = self.task != "generator"
        start = self.from_config(str(self.config)) if self.config else _BARE
        if not told and self.local != start.local:
            raise UserError(
                "--local options are for a vocoder or an autoencoder; add --task vocoder, or leave them out"
            )
        model = dataclasses.replace(self.model, local=self.local if told else None)
        if self.context_factor is None:
            if self.context != _ANY_CONTEXT:
                raise UserError(
                    "--context options are for a context stack; add --context.factor 64, or leave them out"
                )
            return dataclasses.replace(model, context=None)
        context = dataclasses.replace(self.context, factor=self.context_factor)
        return dataclasses.replace(model, context=context)


# What options are where none is given.
_BARE = Train(folder=Path(), run=Path())


def _read_config(path: str) -> RunConfig:
    try:
        return RunConfig.from_dict(json.loads(Path(path).read_text()))
    except UserError:
        raise
    except ValueError as error:  # not JSON, or not even text
        raise UserError(f"{path} is not JSON ({error}); give the config.json of a run") from None


def train(args: Train) -> int:
    """Trains and says where the model is; returns the exit code.

    Raises:
      UserError: If the recordings or the run folder cannot be used.
    """
    corpus_settings, model = args.corpus_settings, args.model_config
    corpus = read(corpus_settings)
    print("\n".join(corpus.describe()))
    encoder = args.encoder if args.task == "autoencoder" else None
    config = RunConfig(corpus=corpus_settings, model=model, encoder=encoder, training=args.training)
    result = run_training(config, args.run, corpus)
    if result.stopped_by is not None:
        return stopped(result, config, args.run)
    print(f"held out: {result.held_out_bits:.3f} bits per sample after {result.step} steps")
    copies = corpus.mel is not None or encoder is not None
    like = " --like recording.wav" if copies else " --features x.npy" if corpus.hop else ""
    print(
        f"the model is in {args.run / 'model'}; hear it: wavedil generate {args.run} sound.wav{like}"
    )
    return 0


def read(settings: CorpusSettings) -> "Corpus":
    """The corpus, with progress."""
    from wavedil.data.corpus import read_corpus

    with progress("reading") as task:
        return read_corpus(settings, progress=task)


def run_training(config: RunConfig, folder: Path, corpus: "Corpus") -> "TrainingResult":
    """Trains, or resumes, with progress; exits with 1 where the loss is no longer finite."""
    from wavedil.training.loop import NonFiniteError, train

    held_out = ""
    with progress("training") as task:

        def report(now: "Progress") -> None:
            nonlocal held_out
            if now.held_out_bits is not None:
                held_out = f"  held out {now.held_out_bits:.3f}"
            rate = f"{now.samples_per_second:,.0f} samples/s"
            task(now.step, now.steps, f"{now.bits:.3f} bits{held_out}  {rate}")

        try:
            return train(config, folder, corpus=corpus, report=report, warn=_warn)
        except NonFiniteError as error:
            print(f"wavedil: error: {error}", file=sys.stderr)
            raise SystemExit(1) from None


def stopped(result: "TrainingResult", config: RunConfig, folder: Path) -> int:
    """Says that a signal stopped the run and how it goes on; returns the signal's exit code."""
    print(
        f"stopped by {result.stopped_by} at step {result.step} of {config.training.steps}; the model is "
        f"saved in {folder / 'model'}; the same command resumes",
        file=sys.stderr,
    )
    return 128 + signal.Signals[str(result.stopped_by)]


def _warn(line: str) -> None:
    print(f"wavedil: {line}", file=sys.stderr)
