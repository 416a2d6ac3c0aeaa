"""A model in a folder: `config.json` says what it is, `model.safetensors` holds its weights. No code runs on load."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from wavedil.errors import UserError
from wavedil.models.kinds import CONFIGS, Model, ModelConfig, abstract_model
from wavedil.models.weights import named_weights, with_weights

FORMAT = "wavedil"
FORMAT_VERSION = 1
_WEIGHTS = "model.safetensors"
_CONFIG = "config.json"


def save(model: Model, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Writes the model's settings and weights into a folder.

    Each file is written beside its place and renamed into it, and the weights name the settings they
    belong to, so that a crash leaves a whole model or one that `load` refuses.

    Args:
      model: A WaveNet or an Autoencoder.
      folder: Made if it is not there.
      overwrite: Whether a model that is already in the folder may be replaced.

    Raises:
      UserError: If the folder holds either file and overwrite is False.

    Example:
      >>> save(model, "my-model")
      >>> model = load("my-model")
    """
    folder = Path(folder)
    taken = [name for name in (_WEIGHTS, _CONFIG) if (folder / name).exists()]
    if not overwrite and taken:
        raise UserError(
            f"{folder} already holds a model or a run ({taken[0]}); choose another folder, or pass overwrite=True"
        )
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: np.asarray(value) for name, value in named_weights(model).items()}
    scratch = folder / f".{_WEIGHTS}.new"
    save_file(weights, scratch, metadata={"config": json.dumps(model.config.to_dict())})
    os.replace(scratch, folder / _WEIGHTS)
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "architecture": type(model).__name__,
    }
    write_json(folder / _CONFIG, header | {"config": model.config.to_dict()})


def load(folder: str | os.PathLike[str]) -> Model:
    """The model that `save` or a training run left in a folder.

    Raises:
      UserError: If there is no model, or its files are truncated, foreign, or of a future version.
    """
    folder = Path(folder)
    if (folder / "model" / _WEIGHTS).exists():  # a run folder
        folder = folder / "model"
    for name in (_CONFIG, _WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder} holds no model: {name} is missing; give a folder that wavedil.save or "
                "'wavedil train' wrote"
            )
    config = _read_config(folder / _CONFIG)
    try:
        weights = load_file(folder / _WEIGHTS)
        with safe_open(folder / _WEIGHTS, framework="numpy") as file:
            written_for = (file.metadata() or {}).get("config")
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(
            f"{folder / _WEIGHTS} is truncated or not a safetensors file ({error}); save or copy it again"
        ) from error
    if written_for is not None and type(config).from_dict(json.loads(written_for)) != config:
        raise UserError(
            f"{folder / _WEIGHTS} and {_CONFIG} beside it are of two different models; save or copy both again"
        )
    return with_weights(abstract_model(config), weights, str(folder / _WEIGHTS))


def write_json(path: Path, value: Any) -> None:
    """JSON beside its place, then renamed into it."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(json.dumps(value, indent=2) + "\n")
    os.replace(scratch, path)


def _read_config(path: Path) -> ModelConfig:
    try:
        header = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(
            f"{path} is truncated or not JSON ({error}); save or copy it again"
        ) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UserError(f"{path} is not a wavedil model's; its 'format' must be {FORMAT!r}")
    version = header.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version!r}, but this wavedil reads up to {FORMAT_VERSION}; "
            "install a newer wavedil"
        )
    kind = header.get("architecture", "WaveNet")
    if kind not in CONFIGS:
        known = ", ".join(CONFIGS)
        raise UserError(
            f"{path} holds a {kind!r}, but this wavedil knows {known}; install a newer wavedil"
        )
    config = header.get("config")
    if not isinstance(config, dict):
        raise UserError(f"{path} has no 'config' object; save or copy it again")
    return CONFIGS[kind].from_dict(config)
