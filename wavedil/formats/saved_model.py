"""A model in a folder: `config.json` says what it is, `model.safetensors` holds its weights. No code runs on load."""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from wavedil.data.config import CorpusConfig
from wavedil.errors import UserError, suggestion
from wavedil.files import read_json, replacing, write_json
from wavedil.formats import version_1
from wavedil.models.registry import MODELS, Model, abstract_model, model_config
from wavedil.models.weights import named_weights, with_weights
from wavedil.tasks.registry import task_config

FORMAT = "wavedil"
FORMAT_VERSION = 2
_WEIGHTS = "model.safetensors"
_CONFIG = "config.json"


def save(model: Model, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Writes the model's config and weights into a folder, and the task and corpus settings it was trained with.

    Each file is written beside its place and renamed into it, and the weights name the config they
    belong to, so that a crash leaves a complete model or one that `load` refuses. A checksum over the weights is
    stored with them.

    Args:
      model: A WaveNet, an Autoencoder, or a model of your own in `wavedil.models.MODELS`.
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
            f"{folder} already holds a model or a run ({taken[0]}); choose another folder "
            "(wavedil.save(..., overwrite=True) replaces it)"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(
            f"{folder} is a file, but a model is saved in a folder; choose another name"
        )
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: np.asarray(value) for name, value in named_weights(model).items()}
    config = model.config.to_dict()
    with replacing(folder / _WEIGHTS) as scratch:
        about = {"config": config, "checksum": _checksum(weights)}
        # Under one name: several would stand in the file in an order of chance.
        save_file(weights, scratch, metadata={FORMAT: json.dumps(about)})
    task, corpus = getattr(model, "task", None), getattr(model, "corpus", None)
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": config,
        "task": None if task is None else task.to_dict(),
        "corpus": None if corpus is None else corpus.to_dict(),
    }
    write_json(folder / _CONFIG, header)


def load(folder: str | os.PathLike[str]) -> Model:
    """The model that `save` or a training run left in a folder.

    It has the `task` and the `corpus` settings that it was trained with, or None.

    Raises:
      UserError: If there is no model, or its files are truncated, changed, foreign, or of a future version, or a
        weight is not finite.
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
    header = _read_header(folder / _CONFIG)
    weights, about = _read_weights(folder / _WEIGHTS)
    if header["format_version"] == 1 and "checksum" not in about:
        weights = {version_1.own_name(name): weight for name, weight in weights.items()}
        warnings.warn(
            f"{folder} is a model of format version 1, which has no checksum; save it again to give it one",
            stacklevel=2,
        )
    elif about.get("checksum") != _checksum(weights):
        raise UserError(
            f"{folder / _WEIGHTS} is damaged: its weights are not those that were saved; copy it again"
        )
    if about.get("config", header["written_for"]) != header["written_for"]:
        raise UserError(
            f"{folder / _WEIGHTS} and {_CONFIG} beside it are of two different models; save or copy both again"
        )
    _require_finite(weights, folder / _WEIGHTS)
    config = model_config(header["model"])
    model = with_weights(abstract_model(config), weights, str(folder / _WEIGHTS))
    task, corpus = header.get("task"), header.get("corpus")
    model.task = None if task is None else task_config(task)
    model.corpus = None if corpus is None else CorpusConfig.from_dict(corpus)
    return model


def _read_weights(path: Path) -> tuple[dict[str, np.ndarray], Mapping[str, Any]]:
    """The weights, and what is written about them: the config they belong to, and from version 2 on their checksum."""
    try:
        weights = load_file(path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
        about = (
            json.loads(metadata[FORMAT])
            if FORMAT in metadata
            else {name: json.loads(value) for name, value in metadata.items()}
        )
        if not isinstance(about, dict):
            raise ValueError(f"its metadata is {about!r}")
        return weights, about
    # Also what a type that NumPy does not have raises, and numbers nested too deep to read.
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path} is truncated or not a safetensors file ({error}); save or copy it again"
        ) from error


def _require_finite(weights: Mapping[str, np.ndarray], path: Path) -> None:
    for name, weight in sorted(weights.items()):
        bad = weight.size - np.count_nonzero(np.isfinite(weight))
        if bad:
            raise UserError(
                f"weight {name} in {path} has {bad} of {weight.size} numbers that are NaN or infinite, so the model "
                "computes nothing; use another model, or an earlier copy of this one"
            )


def _checksum(weights: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the name, type, shape and numbers of every weight, in the order of their names."""
    digest = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        digest.update(f"{name} {weight.dtype} {weight.shape}\n".encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _read_header(path: Path) -> dict[str, Any]:
    """The content of config.json in the words of this version; "written_for" is the config as it stands in the file."""
    header = read_json(path, "save or copy it again")
    if header.get("format") != FORMAT:
        raise UserError(f"{path} is not a wavedil model's; its 'format' must be {FORMAT!r}")
    version = header.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version!r}, but this wavedil reads up to {FORMAT_VERSION}; "
            "install a newer wavedil"
        )
    config = header.get("config" if version == 1 else "model")
    if not isinstance(config, dict):
        raise UserError(f"{path} has no settings of a model; save or copy it again")
    kind = str(header.get("architecture", "WaveNet") if version == 1 else config.get("name"))
    if kind not in MODELS:
        raise UserError(
            f"{path} holds a {kind!r}, but this wavedil does not know it; {suggestion(kind, MODELS)}; install a "
            "newer wavedil"
        )
    header["written_for"] = config
    if version == 1:
        header["model"] = version_1.model_config(kind, config)
        header["task"] = version_1.task_of(kind, config)
    return header
