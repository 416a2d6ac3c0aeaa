"""What a run starts from where it is not from nothing: the settings of another, and its weights."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wavedil.config import undecided
from wavedil.errors import UserError
from wavedil.formats.saved_model import load
from wavedil.models.amp_config import KnobConfig
from wavedil.models.registry import make_model, wavenet_of
from wavedil.models.weights import named_weights
from wavedil.runs.config import read_config
from wavedil.runs.published import PUBLISHED
from wavedil.training.task import RunConfig

_TABLES = "label_embeddings."


def settings_of(source: str | os.PathLike[str]) -> RunConfig:
    """The settings of another run or of a published result, for a new run.

    Args:
      source: A run folder, its config.json, or a name in `PUBLISHED`.

    Raises:
      UserError: If it is none of them.
    """
    config = PUBLISHED.get(os.fspath(source)) or read_config(Path(source))
    return dataclasses.replace(_undecided(config), start_from="")


def settings_to_resume(folder: str | os.PathLike[str]) -> RunConfig | None:
    """The settings of the run in a folder, for more of it; None where there is none."""
    path = Path(folder, "config.json")
    return _undecided(read_config(path)) if path.is_file() else None


def with_scales(config: RunConfig, folder: str | os.PathLike[str]) -> RunConfig:
    """A resolved configuration with the scales that the weights it starts from were trained at.

    They are those of `config.start_from`; a run that has begun has them itself.

    Args:
      config: It decided them from its own recordings.
      folder: The run folder.

    Raises:
      UserError: If there is no such model, or the recordings are at settings of a knob that its weights do not know.
    """
    if not config.start_from:
        return config
    begun = Path(folder, "config.json")
    trained = read_config(begun).model if begun.is_file() else load(config.start_from).config
    model = config.model
    if type(trained) is not type(model):
        return config
    if hasattr(model, "knobs"):
        _require_known_settings(model.knobs, trained.knobs, config.start_from)
    scales = [field.name for field in dataclasses.fields(model) if field.metadata.get("is_scale")]
    kept = {name: getattr(trained, name) for name in scales}
    return dataclasses.replace(config, model=dataclasses.replace(model, **kept))


def weights_from(config: RunConfig) -> dict[str, Any]:
    """The initial weights of a run that starts from those of a trained model, `config.start_from`.

    A label may have other values, one that is predicted too: those that both know keep their weights, and those of
    new ones are drawn. Where another label is predicted, all of its are drawn.

    Raises:
      UserError: If there is no such model, or one of another shape.
    """
    source = Path(config.start_from)
    trained, drawn = load(source), make_model(config.model, config.training.seed)
    found = {name: np.asarray(weight) for name, weight in named_weights(trained).items()}
    known, needed = (getattr(wavenet_of(model).config, "labels", {}) for model in (trained, drawn))
    predicted = [_predicted(model.config) for model in (trained, drawn)]
    weights = {}
    for name, own in named_weights(drawn).items():
        weight, label = found.get(name), name.rpartition(_TABLES)[2]
        if weight is not None and label in needed and label in known:
            weight = _embeddings(weight, np.asarray(own), known[label], needed[label])
        if weight is not None and name.startswith("output.") and predicted[0] != predicted[1]:
            weight = _outputs(weight, np.asarray(own), *predicted)
        if weight is None or weight.shape != own.shape:
            has = "is missing" if weight is None else f"has shape {weight.shape}"
            raise UserError(
                f"weight {name} {has} in {source}, but the model of the new run needs {own.shape}; leave out the "
                "options that make the model another, or start without its weights"
            )
        weights[name] = weight
    return weights


def _require_known_settings(
    settings: Sequence[KnobConfig], known: Sequence[KnobConfig], source: str
) -> None:
    """Refuses recordings at settings of knobs that trained weights do not know."""
    names, known_names = ([knob.knob for knob in knobs] for knobs in (settings, known))
    if names != known_names:
        raise UserError(
            f"the recordings have the knobs {', '.join(names) or 'none'}, but the weights of {source} those of "
            f"{', '.join(known_names) or 'none'}; give --knobs the same, or start without its weights"
        )
    for own, trained in zip(settings, known, strict=True):
        if not trained.least <= own.least <= own.most <= trained.most:
            raise UserError(
                f"the recordings are at settings of {own.knob} from {own.least:g} to {own.most:g}, but the weights of "
                f"{source} were trained from {trained.least:g} to {trained.most:g}; leave out those beyond, or start "
                "without its weights"
            )


def _predicted(config: Any) -> list[tuple[str, str]]:
    """The label and the value that each output of a classifier stands for."""
    return [(config.target, value) for value in getattr(config, "values", ())]


def _outputs(
    found: np.ndarray, drawn: np.ndarray, known: Sequence[Any], needed: Sequence[Any]
) -> np.ndarray:
    """Weights [..., values] of the needed values."""
    if found.shape[:-1] != drawn.shape[:-1]:
        return found
    columns = [
        found[..., known.index(value)] if value in known else drawn[..., number]
        for number, value in enumerate(needed)
    ]
    return np.stack(columns, axis=-1)


def _undecided(config: RunConfig) -> RunConfig:
    """Without what the recordings, and the run so far, decided."""
    groups = {name: getattr(config, name) for name in ("task", "model", "training")}
    changes: Mapping[str, Any] = {name: undecided(group) for name, group in groups.items()}
    return dataclasses.replace(config, **changes, recordings_fingerprint="")


def _embeddings(
    found: np.ndarray, drawn: np.ndarray, known: Sequence[str], needed: Sequence[str]
) -> np.ndarray:
    """A table of the needed values; row 0 is that of signals without the label."""
    if found.shape[1:] != drawn.shape[1:]:
        return found
    rows = [
        found[known.index(value) + 1] if value in known else row
        for value, row in zip(needed, drawn[1:], strict=True)
    ]
    return np.stack([found[0], *rows])
