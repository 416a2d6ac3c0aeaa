"""`wavedil info`: what a run, a saved model, a folder of shards or a sound file holds."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from wavedil.errors import UserError
from wavedil.receptive_field import format_dilations


@dataclass(frozen=True, kw_only=True)
class Info:
    """Shows the content of a run, a model, a folder of shards or a sound file.

    Example: wavedil info run
    """

    path: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PATH")]
    """Run folder, folder of a saved model, folder of shards, or sound file."""
    json: bool = False
    """Print one JSON object."""


def info(args: Info) -> None:
    """Prints what is there.

    Raises:
      UserError: If the path is none of these, or cannot be read.
    """
    facts = _facts(args.path)
    if args.json:
        print(json.dumps(facts))
        return
    # Config keep the names under which they are set.
    rows = [
        (name if "." in name else name.replace("_", " "), value) for name, value in flat_rows(facts)
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def _facts(path: Path) -> dict[str, Any]:
    if path.is_file():
        return _of_sound(path)
    if not path.is_dir():
        raise UserError(
            f"{path} does not exist; give a run folder, a model folder, a folder of shards or a sound file"
        )
    from wavedil.data import is_prepared, shard_facts

    if (path / "model.safetensors").is_file():
        return {"kind": "model", **_of_model(path)}
    if is_prepared(path):
        return {"kind": "shards", **shard_facts(path)}
    return _of_run(path)


def _of_sound(path: Path) -> dict[str, Any]:
    from wavedil import audio

    header = audio.read_info(path)
    return {"kind": "sound", "seconds": header.seconds, **dataclasses.asdict(header)}


def _of_run(path: Path) -> dict[str, Any]:
    from wavedil.runs import RunFolder

    run = RunFolder(path)
    config = run.read_config()
    names = [item.name for item in run.checkpoints.iterdir()] if run.checkpoints.is_dir() else []
    facts: dict[str, Any] = {
        "kind": "run",
        "task": config.task.name,
        "checkpoints": sorted(int(name) for name in names if name.isdigit()),
        "steps": config.training.steps,
    }
    if run.model.is_dir():
        facts |= _of_model(run.model)
    else:
        facts |= {"model": "none saved yet"}
    return facts | {"corpus": config.corpus.to_dict(), "training": config.training.to_dict()}


def _of_model(path: Path) -> dict[str, Any]:
    from wavedil.formats import load
    from wavedil.models import WaveNet, wavenet_of
    from wavedil.runs import model_facts

    model = load(path)
    facts, wavenet = model_facts(model), wavenet_of(model)
    if isinstance(wavenet, WaveNet):
        facts["distribution"] = repr(wavenet.distribution)
    return facts | {"model": model.config.to_dict()}


def flat_rows(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Rows for people: nested settings dotted, lists short."""
    rows: list[tuple[str, str]] = []
    for name, value in facts.items():
        if isinstance(value, dict) and name != "labels":
            rows += flat_rows(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, _text(name, value)))
    return rows


def _text(name: str, value: Any) -> str:
    if name == "dilations":
        return format_dilations(value)
    if name == "labels" and isinstance(value, dict):
        return (
            "; ".join(f"{label} = {', '.join(values)}" for label, values in value.items()) or "none"
        )
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)
