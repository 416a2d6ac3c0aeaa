"""`wavedil evaluate`: held-out bits per sample, of all and per label, and how near copies of recordings come."""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from wavedil.cli.copies import copy_scores, require_copyable
from wavedil.cli.progress import progress
from wavedil.cli.tables import table
from wavedil.cli.train import read
from wavedil.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wavedil.data.corpus import Corpus, Recording, Skipped
    from wavedil.data.settings import CorpusSettings
    from wavedil.models.wavenet import WaveNet
    from wavedil.training.evaluation import Evaluation, Share


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Held-out bits per sample of a trained model, beside baselines fitted on the same training data.

    Example: wavedil evaluate run

    Example: wavedil evaluate vocoder --copy 20
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    folder: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[FOLDER]")] = None
    """Score every recording of this folder or manifest, rather than the run's held-out recordings."""
    copy: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Copy so many of the recordings with a vocoder, from their features, or with an autoencoder, from their codes,
    and say how far the copies are from them, beside Griffin-Lim's and the levels alone."""
    json: bool = False
    """Print one JSON object."""


def evaluate(args: Evaluate) -> None:
    """Prints the scores.

    Raises:
      UserError: If the run or the recordings cannot be used.
    """
    from wavedil.data.corpus import read_recordings
    from wavedil.formats.saved_model import load
    from wavedil.generation.encoding import as_vocoder
    from wavedil.models.kinds import wavenet_of
    from wavedil.training.evaluation import bits_per_label
    from wavedil.training.run_folder import RunFolder

    config = RunFolder(args.run).read_config()
    trained = load(args.run)
    model = wavenet_of(trained)
    settings = dataclasses.replace(config.corpus, sample_rate=config.model.sample_rate)
    require_copyable(args.copy, model, settings)
    corpus: Corpus | None
    recordings: Sequence[Recording]
    if args.folder is None:
        scored, corpus = settings, read(settings)
        recordings = corpus.test
        for skipped in corpus.skipped:
            _say_skipped(skipped)
    else:
        scored = dataclasses.replace(settings, folder=str(args.folder))
        recordings = read_recordings(scored, skip=_say_skipped)
        _say_unlabelled(model.config.labels, recordings)
        corpus = _read_if_there(settings)
    _, recordings = as_vocoder(trained, recordings)
    copies = copy_scores(model, scored, recordings, args.copy) if args.copy else None
    evaluation = score(model, recordings)
    shares = bits_per_label(evaluation, recordings)
    baselines = {} if corpus is None else baseline_bits(corpus, recordings, config.model.levels)
    if args.json:
        facts = {
            "bits_per_sample": evaluation.bits_per_sample,
            "levels": model.config.levels,
            "scale": model.config.scale,
            "num_samples": evaluation.num_samples,
            "num_files": evaluation.num_files,
            "baselines": baselines,
            "labels": {
                name: {value: dataclasses.asdict(share) for value, share in values.items()}
                for name, values in shares.items()
            },
        }
        if copies is not None:
            facts["copies"] = copies.facts()
        print(json.dumps(facts))
        return
    grid = f"{model.config.levels:,} {model.config.scale.replace('_', '-')} levels"
    print(f"{evaluation.num_files} recordings, {evaluation.num_samples:,} samples of {grid}")
    print("\n".join(bits_table(evaluation.bits_per_sample, baselines)))
    for name, values in shares.items():
        print("\n".join(["", *share_table(name, values)]))
    if copies is not None:
        print("\n".join(["", *copies.lines()]))


def _say_skipped(skipped: "Skipped") -> None:
    print(f"wavedil: skipped {skipped.path}: {skipped.reason}", file=sys.stderr)


def _say_unlabelled(names: "Iterable[str]", recordings: "Sequence[Recording]") -> None:
    """Says which labels of the model no recording has: it then predicts worse than it can."""
    for name in names:
        if not any(name in recording.labels for recording in recordings):
            print(f"wavedil: no recording has the label {name}; scored without it", file=sys.stderr)


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


def share_table(name: str, shares: "dict[str, Share]") -> list[str]:
    """The recordings of each value of one label, a line each."""
    rows = [
        (value, f"{share.bits_per_sample:.3f}", f"{share.num_samples:,}", f"{share.num_files:,}")
        for value, share in shares.items()
    ]
    return table([(name, "bits per sample", "samples", "recordings"), *rows])
