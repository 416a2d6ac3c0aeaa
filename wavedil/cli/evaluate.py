"""`wavedil evaluate`: the task's metrics on held-out recordings, of all and per label, and resynthesis."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from wavedil.cli.resynthesis import require_resynthesis, resynthesis_scores
from wavedil.cli.tables import number, table, unit
from wavedil.cli.train import read
from wavedil.errors import UserError, with_article

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wavedil.evaluation import Scores
    from wavedil.models import Model
    from wavedil.training import Corpus, RunConfig


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Scores of a trained model on held-out recordings, beside baselines fitted on the same training data.

    Of generators, vocoders and autoencoders the score is bits per sample, of classifiers accuracy, of effects the
    error-to-signal ratio (ESR), and of models of features nats per frame.

    Example: wavedil evaluate run

    Example: wavedil evaluate vocoder --resynthesize 20
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    folder: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[FOLDER]")] = None
    """Score every recording of this folder or manifest, rather than the run's held-out recordings; those that were
    trained on are scored apart."""
    resynthesize: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Make so many of the recordings again with a vocoder, from their features, or with an autoencoder, from their
    latents, and say how far that is from them, beside Griffin-Lim's and the levels alone."""
    picture: Annotated[Path | None, tyro.conf.arg(metavar="PNG")] = None
    """Draw what a classifier takes for what."""
    json: bool = False
    """Print one JSON object."""


def evaluate(args: Evaluate) -> None:
    """Prints the scores.

    Raises:
      UserError: If the run or the recordings cannot be used.
    """
    from wavedil.formats import load
    from wavedil.models import wavenet_of
    from wavedil.report import say
    from wavedil.runs import RunFolder, held_out_apart, read_all

    run = RunFolder(args.run)
    config = run.read_config()
    model = load(args.run)
    model.task, model.corpus = config.task, config.corpus
    if args.picture is not None and config.task.name != "classifier":
        raise UserError(
            f"{args.run} is {with_article(config.task.name)}; --picture is of what a classifier takes for what"
        )
    if args.resynthesize:
        require_resynthesis(args.resynthesize, wavenet_of(model), config.corpus)
    corpus: Corpus | None
    recordings: Sequence[Any]
    trained: Sequence[bool] = ()
    if args.folder is None:
        corpus, reading = read(config), config.corpus
        recordings = corpus.test
        for skipped in getattr(corpus, "skipped", ()):
            say(f"skipped {skipped.path}: {skipped.reason}")
        if not recordings:
            raise UserError(
                f"{args.run} held nothing out, so that nothing of its own is left to score; give recordings that it "
                f"was not trained on: wavedil evaluate {args.run} FOLDER"
            )
    else:
        reading = dataclasses.replace(config.corpus, folder=str(args.folder))
        recordings = read_all(model, args.folder)
        corpus = _read_if_there(config)
        known = run.read_recordings() or list(getattr(corpus, "fingerprints", ()))
        recordings, trained = held_out_apart(recordings, known)
    again = None
    if args.resynthesize:
        again = resynthesis_scores(model, reading, recordings, args.resynthesize)
    scores = score(model, recordings)
    apart = _apart(scores, trained)
    if args.picture is not None:
        _draw(model, recordings, args.picture)
    baselines = {} if corpus is None else config.task.baselines(config, corpus, recordings)
    if args.json:
        facts = _facts(model, scores, baselines)
        facts |= {name.replace(" ", "_"): _share_facts(share) for name, share in apart.items()}
        if again is not None:
            facts["resynthesis"] = again.facts()
        print(json.dumps(facts))
        return
    levels = _levels(model)
    kind = (
        f" of {levels['levels']:,} {levels['companding'].replace('_', '-')} levels"
        if levels
        else ""
    )
    print(f"{scores.num_recordings} recordings, {scores.num_samples:,} samples{kind}")
    print("\n".join(score_table(scores, baselines)))
    for name, values in {**({"": apart} if apart else {}), **scores.by_label}.items():
        print("\n".join(["", *label_table(name, values)]))
    if again is not None:
        print("\n".join(["", *again.lines()]))


def _draw(model: "Model", recordings: "Sequence[Any]", picture: Path) -> None:
    from wavedil.evaluation import confusion, probabilities
    from wavedil.report import draw_confusion, say

    counts = confusion(model, recordings, probabilities(model, recordings))
    draw_confusion(counts, model.config.values, picture, target=model.config.target)
    say(f"{picture}: what is taken for what")


def _facts(
    model: "Model", scores: "Scores", baselines: "Mapping[str, Mapping[str, float]]"
) -> dict[str, Any]:
    return {
        **scores,
        **_levels(model),
        "num_samples": scores.num_samples,
        "num_files": scores.num_recordings,
        "baselines": baselines,
        "labels": {
            name: {value: _share_facts(share) for value, share in values.items()}
            for name, values in scores.by_label.items()
        },
    }


def _levels(model: "Model") -> dict[str, Any]:
    """Of the samples that are scored; an effect is scored on samples as they are."""
    quantizer = getattr(model.config, "quantizer", None)
    if quantizer is None:
        return {}
    return {"levels": quantizer.levels, "companding": quantizer.companding}


def _share_facts(share: "Scores") -> dict[str, Any]:
    return {**share, "num_samples": share.num_samples, "num_files": share.num_recordings}


def _apart(scores: "Scores", trained: "Sequence[bool]") -> "dict[str, Scores]":
    """The scores of the recordings that were trained on and of the others; {} where none was."""
    if not any(trained):
        return {}
    shares = {
        "trained on": scores.share([i for i, seen in enumerate(trained) if seen]),
        "not trained on": scores.share([i for i, seen in enumerate(trained) if not seen]),
    }
    return {name: share for name, share in shares.items() if share and share.num_recordings}


def _read_if_there(config: "RunConfig") -> "Corpus | None":
    """The corpus that the baselines are fitted on; None, and a line that says so, where it cannot be read."""
    from wavedil.report import say

    try:
        return read(config)
    except UserError as error:
        say(f"no baselines, for they need the training data: {error}")
        return None


def score(model: "Model", recordings: "Sequence[Any]") -> "Scores":
    """The model's scores on recordings, with progress."""
    from wavedil.report import progress
    from wavedil.runs import evaluate

    with progress("evaluating") as done:
        return evaluate(model, recordings, progress=done)


def score_table(
    scores: "Mapping[str, float]", baselines: "Mapping[str, Mapping[str, float]]"
) -> list[str]:
    """The model beside the baselines, a line for each metric of each."""
    rows = {"this model": scores, **baselines}
    return [
        f"{name:<12}{number(value):>7} {unit(metric)}"
        for name, metrics in rows.items()
        for metric, value in metrics.items()
    ]


def label_table(name: str, values: "Mapping[str, Scores]") -> list[str]:
    """The recordings of each value of one label, a line each."""
    metrics = list(next(iter(values.values())))
    rows = [
        (
            value,
            *(number(share[metric]) for metric in metrics),
            f"{share.num_samples:,}",
            f"{share.num_recordings:,}",
        )
        for value, share in values.items()
    ]
    return table([(name, *map(unit, metrics), "samples", "recordings"), *rows])
