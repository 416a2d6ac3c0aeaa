"""Files of format version 1, read as if they were of this version: one table, old -> new.

Version 1 had no task: what was trained followed from which of mel, features_hop and encoder was set.
"""

from collections.abc import Mapping
from typing import Any

WAVENET = {"scale": "companding", "local": "local_conditioning", "context": "context_stack"}
"""Settings of a WaveNet."""
LOCAL_CONDITIONING = {"context_frames": "lookaround_frames"}
"""Settings of a WaveNet's local conditioning."""
ENCODER = {"code_size": "latent_size"}
"""Settings of an autoencoder's encoder."""
CORPUS = {"min_max": "min_max_normalisation"}
"""Settings of a corpus; levels, scale, mel and features_hop are the model's and the task's now."""
WEIGHTS = {
    "label_embeddings.": "conditioning.label_embeddings.",
    "label_projection.": "conditioning.label_projection.",
    "upsampler.": "conditioning.upsampler.",
    "context.": "conditioning.context_stack.",
}
"""Beginnings of the names of weights; an autoencoder has those of its WaveNet behind "decoder."."""

_Values = Mapping[str, Any]


def run_config(values: _Values) -> dict[str, Any]:
    """The configuration of a run."""
    corpus = dict(values["corpus"])
    encoder = values.get("encoder")
    task = _task(encoder, corpus.get("mel"), corpus.get("features_hop"))
    for name in ("levels", "scale", "mel", "features_hop"):
        corpus.pop(name, None)
    model = values.get("model", {})
    return {
        "task": task,
        "corpus": _renamed(corpus, CORPUS),
        "model": wavenet(model) if encoder is None else _autoencoder(model, encoder),
        "training": values.get("training", {}),
        "recordings_fingerprint": values.get("recordings_fingerprint", ""),
    }


def model_config(architecture: str, values: _Values) -> dict[str, Any]:
    """The config of a saved model."""
    if architecture == "Autoencoder":
        return _autoencoder(values["decoder"], values["encoder"])
    return wavenet(values)


def task_of(architecture: str, values: _Values) -> dict[str, Any]:
    """The task of a saved model, which its config tells."""
    local = values.get("local") or {}
    encoder = architecture == "Autoencoder" or None
    return _task(encoder, local.get("mel"), local.get("hop"))


def wavenet(values: _Values) -> dict[str, Any]:
    """The config of a WaveNet."""
    config = {"name": "WaveNet"} | _renamed(values, WAVENET)
    if config.get("local_conditioning"):
        config["local_conditioning"] = _renamed(config["local_conditioning"], LOCAL_CONDITIONING)
    return config


def own_name(weight: str) -> str:
    """The name that a weight of version 1 has now."""
    return _with_beginnings(weight, WEIGHTS)


def stored_name(weight: str) -> str:
    """The name that a weight had in version 1."""
    return _with_beginnings(weight, {new: old for old, new in WEIGHTS.items()})


def _task(encoder: Any, mel: Any, hop: int | None) -> dict[str, Any]:
    if encoder is not None:
        return {"name": "autoencoder"}
    if mel is not None:
        return {"name": "vocoder", "mel": mel, "pitch": False}
    if hop is not None:
        return {"name": "vocoder", "features_hop": hop}
    return {"name": "generator"}


def _autoencoder(decoder: _Values, encoder: _Values) -> dict[str, Any]:
    return {
        "name": "Autoencoder",
        "decoder": wavenet(decoder),
        "encoder": _renamed(encoder, ENCODER),
    }


def _renamed(values: _Values, table: Mapping[str, str]) -> dict[str, Any]:
    return {table.get(name, name): value for name, value in values.items()}


def _with_beginnings(weight: str, table: Mapping[str, str]) -> str:
    decoder = "decoder." if weight.startswith("decoder.") else ""
    rest = weight.removeprefix(decoder)
    for old, new in table.items():
        if rest.startswith(old):
            return decoder + new + rest.removeprefix(old)
    return weight
