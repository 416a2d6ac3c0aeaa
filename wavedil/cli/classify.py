"""`wavedil classify`: what a trained classifier says of sound files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from wavedil.cli.tables import table
from wavedil.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from wavedil.models import TCN

_BLOCK_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Classify:
    """Predict the value of a label of sound files, with its probability.

    Example: wavedil classify run a.wav b.wav

    Example: wavedil classify run a.wav --follow
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder of a classifier."""
    files: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FILE ...")]
    """Sound files."""
    follow: bool = False
    """Also print the answer so far after every 0.1 s of a file, given block by block as a stream gives it; the last is
    that to the whole."""
    json: bool = False
    """Print one JSON object: file -> value -> probability. A file that is given twice is in it once."""


def classify(args: Classify) -> None:
    """Prints a line for each file, as often as it is given.

    Raises:
      UserError: If the run is of another task, or a file cannot be read, is silent or is shorter than a frame.
    """
    if not args.files:
        raise UserError(
            "there is no file to classify; give at least one: wavedil classify RUN a.wav"
        )
    if args.follow and args.json:
        raise UserError(
            "--follow prints lines as they come, and --json one object at the end; choose one"
        )
    from wavedil.evaluation import classify as probabilities
    from wavedil.evaluation import require_classifier
    from wavedil.formats import load
    from wavedil.generation import read_recording

    model = load(args.run)
    require_classifier(model)
    found: list[tuple[Path, np.ndarray]] = []
    faults = []
    for file in args.files:
        try:
            sound = read_recording(file, model)
            found.append((file, probabilities(model, [sound])[0]))
        except UserError as error:
            # Each reading names its file, and what a model says of a sound does not.
            faults.append(str(error) if str(file) in str(error) else f"{file}: {error}")
            continue
        if args.follow:
            _follow(model, file, sound)
    values = model.config.values
    if args.json:
        answers = {
            str(file): dict(zip(values, map(float, row), strict=True)) for file, row in found
        }
        print(json.dumps(answers))
    elif found and not args.follow:
        rows = [(str(file), *_answer(model, row)) for file, row in found]
        print("\n".join(table([("file", model.config.target, "probability"), *rows])))
    if faults:
        raise UserError("; ".join(faults))


def _follow(model: "TCN", file: Path, sound: "np.ndarray") -> None:
    """Prints the answer after each block of a sound, as it comes."""
    from wavedil.evaluation import Follower

    follower, rate = Follower(model), model.config.sample_rate
    size = max(1, round(_BLOCK_SECONDS * rate))
    for start in range(0, len(sound), size):
        block = sound[start : start + size]
        last = start + size >= len(sound)
        so_far = follower.push(block)
        if last:
            so_far = follower.end()
        if so_far is not None:
            seconds = (start + len(block)) / rate
            value, probability = _answer(model, so_far)
            print(f"{file}  {seconds:6.2f} s  {value}  {probability}", flush=True)


def _answer(model: "TCN", row: "np.ndarray") -> tuple[str, str]:
    """The likeliest value, and its probability."""
    best = int(row.argmax())
    return model.config.values[best], f"{row[best]:.3f}"
