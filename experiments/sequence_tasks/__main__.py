"""Published results of temporal convolutional networks, once more.

From the repository's root, a row a command:

    python -m experiments.sequence_tasks adding                 the sum of two marked numbers out of 600
    python -m experiments.sequence_tasks copy                   ten symbols after 1,000 blanks
    python -m experiments.sequence_tasks jsb --data FILE.mat    chorales, or other piano rolls in such a file

The settings are the published ones, and each is an option. A row goes into results.json when it ends. The test set is
scored where --test is given, and read for nothing else.
"""

import argparse
import dataclasses
import json
import os
import platform
import signal
import sys
import time
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jax
import numpy as np

from experiments.sequence_tasks.networks import network_of
from experiments.sequence_tasks.tasks import TASKS, Settings
from experiments.sequence_tasks.training import train
from wavedil.errors import UserError, require_whole

HERE = Path(__file__).parent
DATA = Path(os.environ.get("WAVEDIL_DATA", HERE.parents[2] / "shared" / "data"))
CHORALES = str(DATA / "jsb" / "JSB_Chorales.mat")
Row = dict[str, Any]


def main(words: list[str] | None = None) -> int:
    """The exit code."""
    options = parser().parse_args(words)
    path = Path(options.results)
    try:
        read_rows(path)
        name, row = measure(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    path.write_text(json.dumps({**read_rows(path), name: row}, indent=1) + "\n")
    print(f"{name}: {json.dumps(row)}\nwrote {path}")
    return 0


def read_rows(path: Path) -> dict[str, Row]:
    """The rows of a file, which need not be there."""
    if not path.parent.is_dir():
        raise UserError(f"{str(path)!r} is in no folder that is there; give --results another file")
    try:
        rows = json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise UserError(f"{str(path)!r} cannot be read as JSON; give another --results") from error
    return rows


def parser() -> argparse.ArgumentParser:
    """A command a task, with the settings as options."""
    whole = argparse.ArgumentParser(
        prog="python -m experiments.sequence_tasks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(dest="task", required=True)
    for name, task in TASKS.items():
        shown = argparse.ArgumentDefaultsHelpFormatter
        command = commands.add_parser(name, help=task.what, formatter_class=shown)
        if task.length is None:
            command.add_argument("--data", default=CHORALES, help="MATLAB file of piano rolls")
        else:
            command.add_argument("--length", type=int, default=task.length, help="steps or blanks")
        command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the runs")
        command.add_argument("--test", action="store_true", help="score the test set at the end")
        command.add_argument("--results", default=str(HERE / "results.json"), help="file of rows")
        for setting, kind in get_type_hints(Settings).items():
            command.add_argument(
                f"--{setting.replace('_', '-')}",
                type=kind if isinstance(kind, type) else str,
                choices=get_args(kind) or None,
                default=getattr(task.settings, setting),
                help="a setting",
            )
    return whole


def measure(options: argparse.Namespace) -> tuple[str, Row]:
    """Trains and scores; the row and its name."""
    task, given = TASKS[options.task], vars(options)
    settings = Settings(**{field.name: given[field.name] for field in dataclasses.fields(Settings)})
    settings.check()
    for seed in options.seeds:
        require_whole("seed", seed, least=0)
    begun = time.perf_counter()
    splits = task.read(options.data if task.length is None else options.length)
    make, num_parameters = network_of(
        settings, splits.train.inputs.shape[-1], task.out_channels(splits)
    )
    name = name_of(options, settings)
    print(f"{name}: {num_parameters:,} parameters, seeds {options.seeds}", flush=True)
    # A machine that takes its time back gets the row so far, at the end of an epoch.
    asked: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    trained = train(
        make,
        task.loss,
        splits,
        settings,
        options.seeds,
        report=print_line,
        stop=lambda: bool(asked),
    )
    signal.signal(signal.SIGTERM, before)
    row = {
        "published": task.published,
        "unit": task.unit,
        **({"test": spread(trained.score(splits.test))} if options.test else {}),
        "valid": spread(trained.valid),
        "best_epochs": trained.epochs.tolist(),
        "seeds": options.seeds,
        "steps": trained.num_steps,
        "parameters": num_parameters,
        "settings": dataclasses.asdict(settings),
        "seconds": round(time.perf_counter() - begun),
        "hardware": f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores of {platform.machine()}",
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    return name, row


def name_of(options: argparse.Namespace, settings: Settings) -> str:
    """The task, the network, and what is set otherwise than published."""
    task = TASKS[options.task]
    name = options.task if task.length else Path(options.data).stem
    if task.length and options.length != task.length:
        name += f" {options.length}"
    published = dataclasses.asdict(task.settings)
    others = [
        f"{setting} {value:g}" if isinstance(value, float) else f"{setting} {value}"
        for setting, value in dataclasses.asdict(settings).items()
        if setting != "network" and value != published[setting]
    ]
    return ", ".join([name, settings.network, *others])


def spread(values: np.ndarray) -> Row:
    """Mean and standard deviation over seeds, and the values."""
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    figures = {"mean": values.mean(), "deviation": deviation}
    rounded = {name: float(f"{value:.4g}") for name, value in figures.items()}
    return {**rounded, "each": [float(f"{value:.4g}") for value in values]}


def print_line(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
