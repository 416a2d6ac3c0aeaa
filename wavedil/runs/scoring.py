"""Scores of a trained model on recordings, by its own task."""

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wavedil.data.config import CorpusConfig
from wavedil.data.fingerprints import Fingerprint, num_trained
from wavedil.errors import UserError
from wavedil.evaluation.scores import Scores
from wavedil.models.registry import Model
from wavedil.report import say
from wavedil.training.task import Progress, RunConfig


def evaluate(
    model: Model,
    recordings: str | os.PathLike[str] | Sequence[Any],
    *,
    progress: Progress | None = None,
) -> Scores:
    """Scores a trained model on every recording of a folder: {metric: mean}, and `.by_label`.

    Args:
      model: As `train` returns it or `load` reads it.
      recordings: A folder or manifest, read as the training recordings were; or recordings that are read already.
      progress: Called with what is scored so far and in all.

    Raises:
      UserError: If the model does not know its task, the recordings cannot be used, or a score is nan.

    Example:
      evaluate(run.model, "recordings")            # {"bits": 2.47}
    """
    task = getattr(model, "task", None)
    if task is None:
        raise UserError(
            "the model does not say what task it was trained for; say it: model.task = wavedil.tasks.GeneratorTask()"
        )
    if isinstance(recordings, str | os.PathLike):
        recordings = read_all(model, recordings, progress)
    scores = Scores(task.evaluate(model, recordings, progress), recordings)
    for name, value in scores.items():
        if math.isnan(value):
            raise UserError(
                f"{name.replace('_', ' ')} of {scores.num_recordings} recordings is nan: the model's weights are not "
                "finite or far too large, or nothing was scored; use another model, or other recordings"
            )
    return scores


def held_out_apart(
    recordings: Sequence[Any], known: Sequence[Fingerprint]
) -> tuple[list[Any], list[bool]]:
    """The recordings, and which of them a model was trained on; says how many.

    Of one whose end alone was held out, that is scored, and no more.

    Args:
      recordings: As `read_all` gives them.
      known: Of the model's run: what it was trained on, and what it held out; none where that is not known.
    """
    if not known:
        say("which of the recordings were trained on is not known")
        return list(recordings), [False] * len(recordings)
    counts = num_trained(recordings, known)
    trained = [count == item.num_samples for count, item in zip(counts, recordings, strict=True)]
    apart = list(recordings)
    for index, (item, count) in enumerate(zip(recordings, counts, strict=True)):
        if count and not trained[index]:
            say(f"{item.path} was trained on up to sample {count:,}; what comes after it is scored")
            apart[index] = dataclasses.replace(item, scored=(count, item.num_samples))
    if any(trained):
        say(f"{sum(trained)} of {len(trained)} recordings were trained on; they are scored apart")
    return apart, trained


def read_all(
    model: Model, folder: str | os.PathLike[str], progress: Progress | None = None
) -> Sequence[Any]:
    """Every recording of a folder, read as those were that the model was trained on; says which cannot be used."""
    corpus = getattr(model, "corpus", None) or CorpusConfig(
        sample_rate=model.config.sample_rate, folder="."
    )
    # All of them are scored, whatever was held out in training.
    reading = dataclasses.replace(corpus, folder=str(Path(folder)), held_out=1.0)
    config = RunConfig(task=model.task, model=model.config, corpus=reading)
    read = model.task.read(config, progress)
    for skipped in getattr(read, "skipped", ()):
        say(f"skipped {skipped.path}: {skipped.reason}")
    for name, values in getattr(model.config, "labels", {}).items():
        found = [recording.labels[name] for recording in read.test if name in recording.labels]
        if not found:
            say(f"no recording has the label {name}; scored without it")
        unknown = [value for value in found if value not in values]
        if unknown:
            say(
                f"{len(unknown)} recordings are scored without the label {name}, whose value the model does not know: "
                f"{', '.join(sorted(set(unknown)))}"
            )
    target = getattr(model.config, "target", "")
    if target:
        _say_unknown(target, model.config.values, [item.labels.get(target) for item in read.test])
    return tuple(read.test)


def _say_unknown(target: str, values: Sequence[str], found: Sequence[str | None]) -> None:
    """Says which values of the predicted label a model cannot predict; refuses recordings that all lack the label."""
    labelled = [value for value in found if value is not None]
    if not labelled:
        raise UserError(
            f"none of {len(found)} recordings has the label {target}, which the model predicts; give recordings whose "
            "names or manifest say it"
        )
    if len(labelled) < len(found):
        say(f"{len(found) - len(labelled)} recordings lack the label {target} and are left out")
    unknown = [value for value in labelled if value not in values]
    if unknown:
        say(
            f"{len(unknown)} recordings count as wrong, for the model does not know their value of {target}: "
            f"{', '.join(sorted(set(unknown)))}"
        )
