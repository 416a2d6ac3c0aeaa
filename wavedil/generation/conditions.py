"""Features that condition a sound: of recordings to make again, on the way between two, or the user's own."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from wavedil import features
from wavedil.errors import UserError
from wavedil.generation.latents import encode_sounds, interpolate
from wavedil.models.autoencoder import Autoencoder
from wavedil.models.registry import Model, wavenet_of

Samples = Float[np.ndarray, " time"]


class Condition(NamedTuple):
    """The features of one sound, and its length."""

    features: Float32[np.ndarray, "frames features"]
    num_samples: int


def of_sound(
    model: Model, sounds: Sequence[Samples], names: Sequence[str] | None = None
) -> list[Condition]:
    """The features that a model resynthesises each sound from: an autoencoder's latents, a vocoder's mel spectra.

    Args:
      model: An autoencoder, or a vocoder of mel spectra.
      sounds: Samples in [-1, 1], at the model's rate.
      names: Of the sounds, for people.

    Raises:
      UserError: If the model takes no features that can be computed, or a sound is silent or too short.
    """
    names = names or [f"sound {number}" for number in range(len(sounds))]
    if isinstance(model, Autoencoder):
        latents = encode_sounds(model, [model.config.quantizer.encode(sound) for sound in sounds])
        return [Condition(frames, len(x)) for frames, x in zip(latents, sounds, strict=True)]
    local = getattr(model.config, "local_conditioning", None)
    if local is None:
        raise UserError(
            "the model is no vocoder, so a recording or features say nothing to it; leave them out, or give the folder "
            "of a vocoder or an autoencoder"
        )
    if local.mel is None:
        raise UserError(
            f"the model was trained on features that wavedil cannot compute of {names[0]}; compute them, and give "
            "the features themselves (--features x.npy)"
        )
    conditions = []
    for name, sound in zip(names, sounds, strict=True):
        try:
            frames = features.of_sound(sound, local.mel, local.pitch)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        if not frames[:, : local.mel.num_mels].max() > 0:
            raise UserError(
                f"{name} is silent, so there is nothing to make again; give another recording"
            )
        conditions.append(Condition(frames, len(sound)))
    return conditions


def of_features(
    model: Model, arrays: Sequence[Float[np.ndarray, "frames features"]], names: Sequence[str]
) -> list[Condition]:
    """Features of the user's own, for a vocoder.

    Raises:
      UserError: If the model is no vocoder, or they are not its features.
    """
    if isinstance(model, Autoencoder):
        raise UserError(
            "features are for a vocoder, but the model is an autoencoder, which makes its latents itself; give it "
            "recordings (--like recording.wav, or --between a.wav b.wav)"
        )
    local = getattr(model.config, "local_conditioning", None)
    if local is None:
        raise UserError(
            "the model is no vocoder, so features say nothing to it; leave them out, or give the folder of a vocoder"
        )
    for array, name in zip(arrays, names, strict=True):
        local.require(array, name)
    return [Condition(np.asarray(array), len(array) * local.sizes[1]) for array in arrays]


def with_pitch(
    model: Model,
    wanted: Sequence[Condition],
    *,
    factor: float | None = None,
    flat_hz: float | None = None,
) -> list[Condition]:
    """The features with another pitch: so many times as high, or the same at every moment.

    Args:
      model: A vocoder whose features carry pitch.
      wanted: Its features.
      factor: Times the pitch that they have; 2 is an octave up.
      flat_hz: The pitch (Hz) instead of theirs.

    Raises:
      UserError: If the model's features carry none, or the pitch leaves what the model knows.
    """
    local = getattr(wavenet_of(model).config, "local_conditioning", None)
    if local is None or local.pitch is None:
        raise UserError(
            "the model's features carry no pitch that could be changed; leave --pitch-factor and --flat-pitch out, or "
            "train a vocoder with --pitch"
        )
    changed = []
    for number, (frames, num_samples) in enumerate(wanted):
        frames = frames.copy()
        frames[:, -2] = (
            frames[:, -2] / factor if flat_hz is None else local.pitch.sample_rate / flat_hz
        )
        local.require(frames, f"features of sound {number} with the pitch asked for")
        changed.append(Condition(frames, num_samples))
    return changed


def require_voicing(model: Model, temperature: float | None) -> None:
    """Refuses a temperature of voiced samples where nothing says which these are.

    Raises:
      UserError: With the remedy.
    """
    local = getattr(wavenet_of(model).config, "local_conditioning", None)
    if temperature is not None and (local is None or local.pitch is None):
        raise UserError(
            f"a temperature of voiced samples, {temperature:g}, is given, but the model's features carry no pitch that "
            "would say which are voiced; use --temperature alone, or train a vocoder with --pitch"
        )


def require_autoencoder(model: Model) -> None:
    """Refuses a model without latents, which has nothing between two recordings.

    Raises:
      UserError: With the remedy.
    """
    if not isinstance(model, Autoencoder):
        raise UserError(
            "the model is no autoencoder, so there is nothing between two recordings to it; leave --between out, or "
            "give the folder of an autoencoder"
        )


def between(model: Model, first: Samples, second: Samples, count: int) -> list[Condition]:
    """Sounds on the way from one to another through their latents, both ends included, as long as the shorter one.

    Raises:
      UserError: If the model is no autoencoder, or count is less than 2.
    """
    require_autoencoder(model)
    one, other = of_sound(model, [first, second])
    num_samples = min(one.num_samples, other.num_samples)
    latents = interpolate(one.features, other.features, count)
    return [Condition(frames, num_samples) for frames in latents]
