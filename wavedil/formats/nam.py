"""Neural Amp Modeler files (`.nam`): amp models in and out, sample for sample as the reference player plays them.

A file is JSON: version, architecture, config (the settings), weights (one flat list), sample_rate, and metadata for
people. `wavedil.models.weights_in_order` has the order of the weights.
"""

import dataclasses
import itertools
import json
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from wavedil.errors import UserError, with_article
from wavedil.files import open_regular, read_json, replacing
from wavedil.formats.nam_keys import Keys
from wavedil.formats.nam_settings import is_flat, read_config, write_config
from wavedil.models.amp import AmpModel
from wavedil.models.amp_config import AmpModelConfig
from wavedil.models.amp_weights import num_weights, weights_in_order
from wavedil.models.weights import named_weights, with_weights

SAMPLE_RATE = 48000
"""Of files that do not say theirs (Hz)."""
_FLAT_VERSION, _VERSION = "0.5.4", "0.7.0"
_FIRST, _NEXT = (0, 5, 0), (0, 8, 0)
_REMEDY = "export or copy it again"
_MOST_BYTES = 32 * 2**20
_MOST_NESTED = 4

_Weights = Iterator[tuple[str, np.ndarray]]


def load(path: str | os.PathLike[str], *, size: float | None = None) -> AmpModel:
    """The amp model in a `.nam` file.

    It plays what the reference player plays, from the first sample on. What the file says of the amp, such as its
    gear and levels, is in `model.config.metadata`.

    Args:
      path: The file: a WaveNet, or a SlimmableContainer of several.
      size: Of a container, the size from 0, the smallest, to 1, the largest, which is opened by default.

    Raises:
      UserError: If the file is no JSON, of an unsupported version or architecture, has a feature that is not known, too
        few or too many weights, or one that is not finite.

    Example:
      >>> model = wd.formats.nam.load("amp.nam")
      >>> wet = model(dry[None, :, None])
    """
    path = Path(path)
    spec = _read(path)
    try:
        if spec.get("architecture") == "SlimmableContainer":
            spec = _of_size(_root(spec, "file"), size)
        elif size is not None:
            raise UserError(f"size is {size}, but the file holds one model alone; leave it out")
        config, weights = _model(spec, "file", _MOST_NESTED)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    abstract = nnx.eval_shape(lambda: AmpModel(config, rngs=nnx.Rngs(0)))
    return with_weights(abstract, dict(weights), str(path))


def save(model: AmpModel, path: str | os.PathLike[str]) -> None:
    """Writes an amp model as a `.nam` file that the reference player reads, and `load` as the same model.

    It is of version 0.5.4 where that says all of the model, which older players read too, and of 0.7.0 otherwise.

    Args:
      model: An AmpModel, float32.
      path: The file; it is replaced where it is there.

    Raises:
      UserError: If the model has knobs, which a file cannot hold: `model.at(knobs)` has none. Or if it is no AmpModel,
        or a weight is not finite.

    Example:
      >>> wd.formats.nam.save(model.at({"gain": 0.5}), "amp.nam")
    """
    if not isinstance(model, AmpModel):
        raise UserError(
            f"the model is {with_article(type(model).__name__)}, but a .nam file holds an AmpModel; "
            "use wavedil.save(model, folder)"
        )
    if model.config.knobs:
        knobs = ", ".join(f"{k.knob} ({k.least:g} to {k.most:g})" for k in model.config.knobs)
        raise UserError(
            f"the model has the knobs {knobs}, which a .nam file cannot hold; export it at a setting of each: "
            f"--knob {model.config.knobs[0].knob}={model.config.knobs[0].most:g}, or model.at(...)"
        )
    text = json.dumps(_spec(model))
    with replacing(Path(path)) as scratch:
        scratch.write_text(text)


def _read(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as file:
            num_bytes = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {_REMEDY}") from None
    if num_bytes > _MOST_BYTES:
        raise UserError(
            f"{path} has {num_bytes} bytes, more than the {_MOST_BYTES} of any .nam file; {_REMEDY}"
        )
    return read_json(path, _REMEDY)


def _root(spec: Any, where: str) -> Keys:
    """The keys of a file, whose version is checked."""
    keys = Keys(spec, where)
    text = keys.take("version", str)
    parts = re.fullmatch(r"([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})", text)
    version = (-1,) if parts is None else tuple(map(int, parts.groups()))
    if not _FIRST <= version < _NEXT:
        raise UserError(
            f"version {text[:40]!r} is not supported, but 0.5.0 to 0.7.x are; export the model again with a trainer "
            "of one of these"
        )
    if version > (0, 7, 0):
        warnings.warn(
            f"{where} is of version {text}, newer than {_VERSION}, which is known here; it is read as that one",
            stacklevel=4,
        )
    return keys


def _of_size(keys: Keys, size: float | None) -> Any:
    """The model of a size in a container, as the player chooses it: the first that is above it, or the last."""
    for name in ("architecture", "weights", "metadata", "sample_rate"):
        keys.take(name, object, None)  # each model has its own
    inner = keys.object("config")
    submodels = inner.objects("submodels")
    limits = [submodel.take("max_value", float) for submodel in submodels]
    specs = [submodel.take("model", dict) for submodel in submodels]
    for read in (*submodels, inner, keys):
        read.end()
    ascending = all(low < high for low, high in itertools.pairwise(limits))
    if not limits or not ascending or limits[-1] < 1:
        raise UserError(f"the max_value of its submodels are {limits}, but they must rise to 1")
    if size is not None and not 0 <= size <= 1:
        raise UserError(f"size is {size}, but it must be from 0 to 1; the models end at {limits}")
    chosen = next(
        (i for i, limit in enumerate(limits) if size is not None and size < limit), len(limits) - 1
    )
    architectures = [str(spec.get("architecture"))[:40] for spec in specs]
    if architectures[chosen] != "WaveNet":
        listed = zip(limits, architectures, strict=True)
        others = [f"{limit:g}" for limit, kind in listed if kind == "WaveNet"]
        raise UserError(
            f"the model up to size {limits[chosen]:g} is of architecture {architectures[chosen]!r}, not WaveNet; "
            f"those up to {', '.join(others) or 'none'} are WaveNets, so choose a size just below one of these"
        )
    return specs[chosen]


def _model(
    spec: Any, where: str, depth: int
) -> tuple[AmpModelConfig, list[tuple[str, np.ndarray]]]:
    """The config and the weights, by name, of a file or of one that is nested in it."""
    keys = _root(spec, where)
    architecture = keys.take("architecture", str)
    if architecture != "WaveNet":
        raise UserError(
            f"architecture of the {where} is {architecture[:40]!r}, but only WaveNet, and a SlimmableContainer of "
            "them, are known here"
        )
    rate = keys.take("sample_rate", float, None)
    metadata = keys.take("metadata", object, None)
    inner = keys.object("config")
    nested, condition = inner.take("condition_dsp", object, None), None
    weights: list[tuple[str, np.ndarray]] = []
    if nested is not None:
        if not depth:
            raise UserError(f"condition_dsp is nested deeper than {_MOST_NESTED} times")
        condition, weights = _model(nested, f"{where}.condition_dsp", depth - 1)
        weights = [(f"condition.{name}", weight) for name, weight in weights]
    about = {"sample_rate": _rate(rate), "metadata": _text(metadata)}
    config = read_config(inner, condition, **about)
    numbers = _numbers(keys.take("weights", object), where)
    keys.end()
    needed = num_weights(config)
    if len(numbers) != needed:
        much = "few" if len(numbers) < needed else "many"
        raise UserError(
            f"the {where} has {len(numbers)} weights, but its settings need {needed}: "
            f"{abs(len(numbers) - needed)} too {much}; {_REMEDY}"
        )
    if numbers[-1] != np.float32(config.head_scale):  # the weight counts, not the setting
        config = dataclasses.replace(config, head_scale=float(numbers[-1]))
    return config, [*weights, *_cut(config, numbers)]


def _cut(config: AmpModelConfig, numbers: np.ndarray) -> _Weights:
    start = 0
    for name, shape in weights_in_order(config):
        end = start + math.prod(shape)
        yield name, numbers[start:end].reshape(shape[::-1]).T.copy()
        start = end


def _numbers(values: Any, where: str) -> np.ndarray:
    kinds = set(map(type, values)) if isinstance(values, list) else {type(values)}
    if not isinstance(values, list) or kinds - {int, float}:
        raise UserError(f"weights of the {where} are not a list of numbers; {_REMEDY}")
    try:
        with np.errstate(over="ignore"):
            numbers = np.array(values, np.float64).astype(np.float32)
    except OverflowError:
        raise UserError(f"weights of the {where} hold an integer without end; {_REMEDY}") from None
    bad = numbers.size - np.count_nonzero(np.isfinite(numbers))
    if bad:
        raise UserError(
            f"weights of the {where} hold {bad} of {numbers.size} numbers that are NaN or infinite; {_REMEDY}"
        )
    return numbers


def _rate(rate: float | None) -> int:
    if rate is None or rate == -1:
        return SAMPLE_RATE
    if rate != int(rate) or not 1 <= rate < 2**31:
        raise UserError(f"sample_rate is {rate:g} Hz, but it must be a whole number above 0")
    return int(rate)


def _text(metadata: Any) -> str:
    if metadata is None:
        return ""
    if not isinstance(metadata, dict):
        raise UserError("metadata is not an object; leave it out")
    try:
        return json.dumps(metadata, allow_nan=False)
    except ValueError:
        raise UserError("metadata holds a number that is NaN or infinite; leave it out") from None


def _spec(model: AmpModel) -> dict[str, Any]:
    config, named = model.config, named_weights(model)
    flat = is_flat(config)
    settings = write_config(config, flat)
    if model.condition is not None:
        settings["condition_dsp"] = _spec(model.condition)
    metadata: Mapping[str, Any] = json.loads(config.metadata) if config.metadata else {}
    return {
        "version": _FLAT_VERSION if flat else _VERSION,
        **({"metadata": metadata} if metadata else {}),
        "architecture": "WaveNet",
        "config": settings,
        "weights": [*_flattened(config, named), float(np.float32(config.head_scale))],
        "sample_rate": config.sample_rate,
    }


def _flattened(config: AmpModelConfig, named: Mapping[str, Any]) -> Iterator[float]:
    for name, _ in weights_in_order(config):
        weight = np.asarray(named[name], np.float32)
        if not np.isfinite(weight).all():
            raise UserError(f"weight {name} is NaN or infinite, so the model cannot be exported")
        yield from weight.T.ravel().tolist()
