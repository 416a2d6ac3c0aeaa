"""Synthesis: sound from a trained model."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from wavedil import audio
from wavedil.engine import Weights
from wavedil.errors import UserError, with_article
from wavedil.full_scale import within_full_scale
from wavedil.generation import conditions
from wavedil.generation.diffusion import FAST_STEPS, diffuse, require_diffusion
from wavedil.generation.engines import EngineName
from wavedil.generation.frames import conditions_drawn, known_labels
from wavedil.generation.sampler import generate
from wavedil.labels import num_labelled
from wavedil.models.feature_net import FeatureNet
from wavedil.models.registry import Model

_SECONDS = 2.0


def synthesize(
    model: Model,
    *,
    seconds: float | None = None,
    seed: int = 0,
    labels: Mapping[str, Any] | None = None,
    like: Any = None,
    features: Any = None,
    vocoder: Model | None = None,
    temperature: float = 1.0,
    voiced_temperature: float | None = None,
    steps: int | None = None,
    engine: EngineName = "auto",
    weights: Weights = "float32",
    guidance: float = 1.0,
) -> Float32[np.ndarray, "sounds time"]:
    """Sound that a model draws: from nothing, from labels, from a recording, or from features.

    Args:
      model: A WaveNet, an autoencoder, a DiffWave or a FeatureNet, as `train` returns it or `load` reads it.
      seconds: Length, 2 by default; left out where a recording or features say it. Of a FeatureNet, which draws the
        length itself, the longest; 10 by default.
      seed: The same seed gives the same sound.
      labels: Name -> a value for all sounds, or a list with one for each: {"digit": "7"}.
      like: A recording to make again, a file or samples at the model's rate, or a list of them: for a vocoder of
        mel spectra, or an autoencoder.
      features: [frames, features] of a sound, or a list of them, for a vocoder.
      vocoder: Of a FeatureNet: the vocoder that makes sound of the frames that it draws, of the same features.
      temperature: Below 1 likely samples become likelier; of a FeatureNet likely frames.
      voiced_temperature: As of `generate`; of a FeatureNet that of its vocoder.
      steps: In which a DiffWave turns noise into sound, 6 by default; more take longer and come nearer.
      engine: As of `generate`.
      weights: As of `generate`.
      guidance: As of `generate`; of a DiffWave too.

    Returns:
      Samples in [-1, 1] at `model.config.sample_rate`; a sound that is shorter than the longest is silent after its
      end.

    Raises:
      UserError: If something is out of range, or does not suit the model.

    Example:
      sound = synthesize(model, seconds=2, labels={"digit": "7"})
      audio.save("seven.wav", sound[0], model.config.sample_rate)
    """
    config = model.config
    if vocoder is not None and not isinstance(model, FeatureNet):
        raise UserError(
            f"a vocoder is given, but the model is {with_article(config.name)}, which draws sound itself; leave "
            "vocoder out, or give a model of features (task features)"
        )
    painter = model if vocoder is None else vocoder
    conditions.require_voicing(painter, voiced_temperature)
    drawing: dict[str, Any] = {"engine": engine, "weights": weights}
    drawing["voiced_temperature"] = voiced_temperature
    if require_diffusion(model, steps, temperature):
        if like is not None or features is not None:
            raise UserError(
                "a diffusion model takes neither a recording nor features; leave like and features out"
            )
        return diffuse(
            model,
            seed,
            num_samples=num_samples_of(seconds, config.sample_rate),
            batch_size=num_labelled(labels) or 1,
            labels=labels,
            steps=FAST_STEPS if steps is None else steps,
            guidance=guidance,
        )
    if isinstance(model, FeatureNet):
        if like is not None or features is not None:
            raise UserError(
                "a model of features draws them itself, so it takes neither a recording nor features; leave like and "
                "features out"
            )
        options: dict[str, Any] = {"labels": labels, "temperature": temperature}
        options |= {"seconds": seconds, "batch_size": num_labelled(labels) or 1}
        wanted = conditions_drawn(model, vocoder, seed, guidance=guidance, **options)
        known = known_labels(vocoder, labels)
        return _of_conditions(vocoder, wanted, seed, labels=known, **drawing)
    drawing["guidance"] = guidance
    if like is not None and features is not None:
        raise UserError("like and features both say what the sound is; leave one of them out")
    if like is not None:
        recordings = [_samples(one, model) for one in _listed(like)]
        wanted = conditions.of_sound(model, recordings)
    elif features is not None:
        arrays = _listed(features)
        names = [f"features of sound {number}" for number in range(len(arrays))]
        wanted = conditions.of_features(model, arrays, names)
    else:
        return _unconditional(model, seconds, seed, labels, temperature, **drawing)
    if seconds is not None:
        raise UserError("a recording or features say how long the sound is; leave seconds out")
    return _of_conditions(model, wanted, seed, labels=labels, temperature=temperature, **drawing)


def num_samples_of(seconds: float | None, sample_rate: int) -> int:
    """The samples of a sound of that length; of 2 seconds where it is not said.

    Raises:
      UserError: If it is not above 0 and finite.
    """
    seconds = _SECONDS if seconds is None else seconds
    if isinstance(seconds, str | bool) or not 0 < seconds < np.inf:
        raise UserError(
            f"seconds is {seconds!r}, but it must be a number above 0 and finite; 2, say"
        )
    return max(1, round(seconds * sample_rate))


def read_recording(path: str | os.PathLike[str], model: Model) -> Float32[np.ndarray, " time"]:
    """A recording as the model takes it: at its rate, and the channel of it that the model was trained on.

    Raises:
      AudioError: If it cannot be read.
    """
    corpus = getattr(model, "corpus", None)
    channel = audio.MIX if corpus is None else corpus.channel
    return audio.load(path, model.config.sample_rate, channel=channel)[0]


def _of_conditions(
    model: Model, wanted: Sequence[conditions.Condition], seed: int, **drawing: Any
) -> Float32[np.ndarray, "sounds time"]:
    codes = generate(model, seed, features=[item.features for item in wanted], **drawing)
    sounds = np.zeros((len(wanted), max(item.num_samples for item in wanted)), np.float32)
    decode = model.config.quantizer.decode
    for row, item in enumerate(wanted):
        sounds[row, : item.num_samples] = decode(codes[row, : item.num_samples])
    return sounds


def _unconditional(
    model: Model,
    seconds: float | None,
    seed: int,
    labels: Mapping[str, Any] | None,
    temperature: float,
    **drawing: Any,
) -> Float32[np.ndarray, "sounds time"]:
    codes = generate(
        model,
        seed,
        num_samples=num_samples_of(seconds, model.config.sample_rate),
        batch_size=num_labelled(labels),
        labels=labels,
        temperature=temperature,
        **drawing,
    )
    sounds: np.ndarray = model.config.quantizer.decode(codes)
    return sounds


def _listed(given: Any) -> Sequence[Any]:
    """One file or array as a list of one."""
    one = isinstance(given, str | os.PathLike) or hasattr(given, "dtype")
    return [given] if one else list(given)


def _samples(given: Any, model: Model) -> np.ndarray:
    if isinstance(given, str | os.PathLike):
        return read_recording(given, model)
    return within_full_scale(given).astype(np.float32, copy=False)
