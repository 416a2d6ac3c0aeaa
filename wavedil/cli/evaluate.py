"""`wavedil evaluate`: held-out bits per sample, beside two baselines."""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from wavedil.cli.progress import progress
from wavedil.cli.train import read
from wavedil.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wavedil.data.corpus import Corpus, Recording
    from wavedil.data.settings import CorpusSettings
    from wavedil.models.wavenet import WaveNet
    from wavedil.training.evaluation import Evaluation


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Held-out bits per sample of a trained model, beside baselines fitted on the same training data.

    Example: wavedil evaluate run
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    folder: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[FOLDER]")] = None
    """Score every recording of this folder or manifest, rather than the run's held-out recordings."""
    json: bool = False
    """Print one JSON object."""


def evaluate(args: Evaluate) -> None:
    """Prints the scores.

    Raises:
      UserError: If the run or the recordings cannot be used.
    """
    from wavedil.data.corpus import read_recordings
    from wavedil.formats.saved_model import load
    from wavedil.training.run_folder import RunFolder

    config = RunFolder(args.run).read_config()
    model = load(args.run)
    settings = dataclasses.replace(config.corpus, sample_rate=config.model.sample_rate)
    corpus: Corpus | None
    if args.folder is None:
        corpus = whole = read(settings)
        recordings = whole.test
    else:
        recordings = read_recordings(dataclasses.replace(settings, folder=str(args.folder)))
        corpus = _read_if_there(settings)
    evaluation = score(model, recordings)
    baselines = {} if corpus is None else baseline_bits(corpus, recordings, config.model.levels)
    if args.json:
        print(
            json.dumps(
                {
                    "bits_per_sample": evaluation.bits_per_sample,
                    "levels": model.config.levels,
                    "scale": model.config.scale,
                    "num_samples": evaluation.num_samples,
                    "num_files": evaluation.num_files,
                    "baselines": baselines,
                }
            )
        )
        return
    grid = f"{model.config.levels:,} {model.config.scale.replace('_', '-')} levels"
    print(f"{evaluation.num_files} recordings, {evaluation.num_samples:,} samples of {grid}")
    print("\n".join(bits_table(evaluation.bits_per_sample, baselines)))


def _read_if_there(settings: "CorpusSettings") -> "Corpus | None":
    """The corpus that the baselines are fitted on; None, and a line that says so, where it cannot be read."""
    try:
        return read(settings)
    except UserError as error:
        print(f"wavedil: no baselines, for they need the training data: {error}", file=sys.stderr)
        return None


def score(model: "WaveNet", recordings: "Sequence[Recording]") -> "Evaluation":
    """Bits per sample over the recordings, with progress."""
    from wavedil.training.evaluation import evaluate

    with progress("evaluating") as task:
        return evaluate(model, recordings, progress=task)


def baseline_bits(
    corpus: "Corpus", recordings: "Sequence[Recording]", levels: int
) -> dict[str, float]:
    """Bits per sample of the baselines, fitted on the training data, by name."""
    from wavedil.data.baselines import MOST_BIGRAM_LEVELS, bigram_bits, histogram_bits

    bits = {"histogram": histogram_bits(corpus.train, recordings, levels)}
    if levels <= MOST_BIGRAM_LEVELS:
        bits["bigram"] = bigram_bits(corpus.train, recordings, levels)
    return bits


def bits_table(model_bits: float, baselines: dict[str, float]) -> list[str]:
    """The model beside the baselines, a line each, in bits per sample."""
    rows = {"this model": model_bits, **baselines}
    return [f"{name:<12}{bits:7.3f} bits per sample" for name, bits in rows.items()]
