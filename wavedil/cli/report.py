"""`wavedil report`: a page to listen on, in one HTML file."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from wavedil.cli.info import flat_rows
from wavedil.cli.tables import number, unit
from wavedil.errors import UserError
from wavedil.files import require_writable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wavedil.report import Column, RunFacts
    from wavedil.runs import RunFolder
    from wavedil.training import RunConfig


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write a page to listen on, in one HTML file: what runs have generated beside held-out recordings.

    With players, spectrograms, scores, curves of training and settings. It shows the sound files that lie in the run's
    folder, and in samples/ inside it; and those that the training drew, step by step.

    Example: wavedil report run

    Example: wavedil report small large --out small-and-large.html
    """

    runs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Run folders, shown side by side."""
    out: Annotated[Path | None, tyro.conf.arg(help_behavior_hint="(default: RUN.html)")] = None
    """The page: by default beside the first run, under its name."""
    overwrite: bool = False
    """Replace a page that exists."""


def report(args: Report) -> None:
    """Writes the page and says where.

    Raises:
      UserError: If a folder holds no run, or the page exists or cannot be written.
    """
    if not args.runs:
        raise UserError("no run is given; give the folder of one, or of several")
    out = _require_free(args)
    from wavedil.runs import short_names

    write_page(out, args.runs, short_names(list(args.runs)))


def write_page(
    out: Path,
    runs: "Sequence[Path]",
    names: "Sequence[str]",
    scores: "Mapping[str, str]" = MappingProxyType({}),
) -> None:
    """Writes the page of runs, under names that people call them by, and says where.

    Args:
      out: The page.
      runs: Folders.
      names: Of the runs.
      scores: Of the first of them, in words, beside those that its folder holds.

    Raises:
      UserError: If a folder holds no run, or the page cannot be written.
    """
    from wavedil.report import progress, write_listening_page
    from wavedil.runs import RunFolder, generated_sounds, sounds_by_step

    folders = [RunFolder(path) for path in runs]
    configs = [folder.read_config() for folder in folders]
    facts, columns, by_step = [], [], []
    with progress("reading runs") as done:
        for index, (name, folder, config) in enumerate(zip(names, folders, configs, strict=True)):
            facts.append(_facts(name, folder, config))
            columns.append(generated_sounds(folder, config, name))
            by_step += sounds_by_step(folder, name if len(names) > 1 else "")
            done(index + 1, len(folders))
        columns[:0] = _recordings(names, folders, configs)
    facts[0] = dataclasses.replace(facts[0], scores={**facts[0].scores, **scores})
    write_listening_page(out, facts, columns, by_step)
    count = sum(len(column.sounds) for column in (*columns, *by_step))
    print(f"{out}: a page of {count} sounds, {out.stat().st_size / 1e6:.1f} MB")


def _require_free(args: Report) -> Path:
    first = args.runs[0]
    out = first.parent / f"{first.resolve().name}.html" if args.out is None else args.out
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"cannot write {out}: its suffix must be .html or .htm")
    if out.exists() and not args.overwrite:
        raise UserError(f"{out} exists; give another name, or --overwrite")
    require_writable(out)
    return out


def _facts(name: str, run: "RunFolder", config: "RunConfig") -> "RunFacts":
    from wavedil.models import abstract_model
    from wavedil.report import RunFacts
    from wavedil.runs import model_facts

    facts = model_facts(abstract_model(config.model))
    lines = run.metrics.read()
    model = {
        "task": config.task.name,
        "architecture": str(facts["architecture"]),
        "parameters": f"{facts['parameters']:,}",
        "receptive field": f"{facts['receptive_field_samples']:,} samples "
        f"({facts['receptive_field_ms']:.3g} ms)",
        "sample rate": f"{config.model.sample_rate} Hz",
        "steps": f"{max((line['step'] for line in lines), default=0):,} of {config.training.steps:,}",
    }
    scores = {unit(metric): number(value) for metric, value in run.metrics.last_held_out().items()}
    settings: dict[str, Any] = dict(flat_rows(config.to_dict()))
    return RunFacts(name=name, model=model, scores=scores, settings=settings, metrics=lines)


def _recordings(
    names: "Sequence[str]", runs: "list[RunFolder]", configs: "list[RunConfig]"
) -> "list[Column]":
    """A column of held-out recordings for each run; of runs that hold out the same ones, a single one."""
    import numpy as np

    from wavedil.runs import held_out_recordings

    found: dict[Any, list[tuple[Column, str]]] = {}
    for name, run, config in zip(names, runs, configs, strict=True):
        column = held_out_recordings(run, config)
        heard = (
            (
                it.title,
                it.sample_rate,
                hashlib.sha256(np.ascontiguousarray(it.samples).data).digest(),
            )
            for it in column.sounds
        )
        found.setdefault((*heard, *column.remarks), []).append((column, name))
    columns = []
    for members in found.values():
        # A run without labels hears the same as one with them.
        column = max(
            (it for it, _ in members), key=lambda it: sum(bool(s.about) for s in it.sounds)
        )
        if len(found) > 1:
            title = f"{column.title} of {', '.join(name for _, name in members)}"
            column = dataclasses.replace(column, title=title)
        columns.append(column)
    return columns
