"""Generation: codes drawn from a model, each given all before it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from wavedil.engine import Weights
from wavedil.errors import UserError, require_positive
from wavedil.generation.chunk import Sounds
from wavedil.generation.conditions import require_voicing
from wavedil.generation.drawing import draw
from wavedil.generation.engines import EngineName, choose_engine, require_wavenet
from wavedil.generation.guidance import guidance_of
from wavedil.generation.keys import signal_keys
from wavedil.generation.remarks import remark
from wavedil.generation.slots import fitting_slots
from wavedil.models.registry import Model
from wavedil.models.wavenet_config import INPUT_SPREAD, WaveNetConfig
from wavedil.quantizer import Quantizer


def generate(
    model: Model,
    key: PRNGKeyArray | int,
    *,
    num_samples: int | None = None,
    batch_size: int | None = None,
    prompt: Int[np.ndarray, "batch time"] | Int[np.ndarray, " time"] | None = None,
    temperature: float = 1.0,
    voiced_temperature: float | None = None,
    labels: Mapping[str, Any] | None = None,
    features: Float[np.ndarray, "frames features"]
    | Sequence[Float[np.ndarray, "frames features"]]
    | None = None,
    progress: Callable[[int, int], None] | None = None,
    engine: EngineName = "auto",
    weights: Weights = "float32",
    guidance: float = 1.0,
) -> Int[np.ndarray, "batch num_samples"]:
    """Codes drawn one after the other, each from the model's distribution given all before it.

    The work and the time for a sample do not depend on how many came before.
    Sample t of signal b is drawn with `fold_in(split(key, batch_size)[b], t)`,
    so a signal does not depend on the others in its batch.

    A model that takes features draws a sound for each array of them, `hop` samples for each frame. They may be
    of different lengths, and are drawn a few at once: where one ends, the next begins.

    Args:
      model: A WaveNet, or an autoencoder, whose features are latents (`Autoencoder.encode`).
      key: Random key, or an int as its seed; the same key gives the same codes. An array of keys: one for each
        signal.
      num_samples: Samples to draw, at least 1; left out where features say it.
      batch_size: Signals drawn at once, 1 by default; with features as many as suit their lengths. By the scan the
        devices of this process share them, as many as divide their number.
      prompt: Codes that come before, absorbed in one parallel pass; one for all signals, or one each. They
        are not part of the result.
      temperature: Above 0; below 1 likely samples become likelier.
      voiced_temperature: That of voiced samples, for a model whose features carry pitch; by default as the others.
      labels: A value for all signals, or one for each (`Vocabulary.rows`); unlabelled by default.
      features: Those of each sound; of one sound, or a list.
      progress: Called with the samples drawn so far and in all.
      engine: "compiled", loops of our own for the processor; "scan", JAX's; "auto", the compiled one on a CPU where it
        serves the model (`generation.choose_engine`). A seed repeats on the same engine and machine; the draws of both
        are from the same noise, and differ where rounding decides.
      weights: How the compiled engine keeps them: "float32", "bfloat16" or "int8"; fewer bits are read faster.
      guidance: At 1 sounds are drawn as the model predicts them; above, they come nearer to their labels, and vary
        less. It takes a model trained with `label_dropout`, and twice the work.

    Returns:
      Codes; `model.config.quantizer.decode` makes them sound. With features, as many as the longest sound has; a
      shorter one is silent after its end.

    Warns where a sound came out constant or silent (below -60 dBFS).

    Raises:
      UserError: If a number is out of range, a prompt holds codes the model does not know, or features are missing,
        of another kind than the model's, or given to a model that takes none; if the model cannot be guided; if the
        compiled engine is asked for and does not serve the model, with the reason; or if the model gives NaN.
      Interrupted: On Ctrl-C, a KeyboardInterrupt with the codes of each sound as far as drawn.

    Example:
      >>> decode = model.config.quantizer.decode
      >>> sound = decode(generate(model, 0, num_samples=16000))
      >>> again = decode(generate(vocoder, 0, features=mel(sound, vocoder.config.local_conditioning.mel)))

    Reference: Le Paine et al. 2016, "Fast WaveNet generation algorithm", arXiv:1611.09482.
    """
    for name, value in (
        ("temperature", temperature),
        ("voiced_temperature", voiced_temperature),
    ):
        if value is not None and not 0 < value < np.inf:
            raise UserError(
                f"{name} is {value}, but it must be above 0 and finite; use 1, or 0.01 for the likeliest"
            )
    given, model = model, require_wavenet(model)
    require_voicing(model, voiced_temperature)
    scale = guidance_of(given, guidance, labels)
    config = model.config
    model.conditioning.require_features(features is not None)
    require_positive(batch_size=batch_size)
    if features is None:
        if num_samples is None:
            raise UserError("num_samples is missing; say how many samples to draw, at least 1")
        require_positive(num_samples=num_samples)
        frames, counts = None, [num_samples] * (batch_size or 1)
    else:
        if num_samples is not None or prompt is not None:
            raise UserError(
                "features say how long a sound is and how it begins; leave num_samples and prompt out"
            )
        frames = feature_arrays(features, config)
        counts = [len(array) * config.local_conditioning.sizes[1] for array in frames]
    rows = config.label_indices(labels, len(counts))
    sounds = Sounds(
        num_samples=counts,
        keys=signal_keys(key, len(counts)),
        labels={name: np.asarray(row, np.int32) for name, row in rows.items()},
        features=frames,
        before=_codes_before(prompt, len(counts), config.quantizer),
        temperature=temperature,
        voiced_temperature=temperature if voiced_temperature is None else voiced_temperature,
    )
    chosen = choose_engine(model, engine, weights)
    num_devices = jax.local_device_count() if chosen.name == "scan" else 1
    num_slots = (
        len(counts)
        if frames is None
        else batch_size or fitting_slots(list(map(len, frames)), num_devices)
    )
    drawn = draw(model, sounds, num_slots, progress, chosen, scale)
    remark(
        [config.quantizer.decode(codes) for codes in drawn],
        f"raise the temperature, which is {temperature:g}"
        if temperature < 1
        else "try another seed, a prompt or another model",
    )
    codes = np.full((len(counts), max(counts)), config.quantizer.silence)
    for row, sound in zip(codes, drawn, strict=True):
        row[: len(sound)] = sound
    return codes


def feature_arrays(features: Any, config: WaveNetConfig) -> list[np.ndarray]:
    """The features of each sound.

    Raises:
      UserError: If there are none, or they are not the model's.
    """
    assert config.local_conditioning is not None
    one = hasattr(features, "ndim") and features.ndim < 3
    sounds = [np.asarray(frames) for frames in ([features] if one else features)]
    if not sounds:
        raise UserError("there are features of 0 sounds; give those of at least 1")
    for number, frames in enumerate(sounds):
        config.local_conditioning.require(
            frames, "features" if one else f"features of sound {number}"
        )
    return sounds


def state_bytes(config: WaveNetConfig, batch_size: int = 1) -> int:
    """Bytes that the past takes between samples: `4 sum of past * channels` for each signal.

    Of a context stack: the samples of the frame under way, what is held of the last one, and the frames before it.
    """
    in_channels = config.input_channels
    stack = (config.kernel_size - 1) * sum(config.layer_dilations) * config.residual_channels
    numbers = (config.input_kernel_size - 1) * in_channels + stack
    numbers += sum(field.past for field in config.pitch_fields) * config.residual_channels
    if config.follows_pitch == "input":
        numbers += (config.longest_lag + INPUT_SPREAD) * config.pitch_channels
    numbers += max(0, config.prediction_order - 1)
    if config.predicted_lag is not None:
        numbers += config.predicted_lag + 2
    if config.context_stack is not None:
        far = config.context_stack
        frames = (far.kernel_size - 1) * sum(far.layer_dilations) * far.channels
        held = (config.local_conditioning or far).channels
        numbers += (far.factor - 1) * in_channels + held + frames
    return 4 * batch_size * numbers


def _codes_before(
    prompt: Any, batch_size: int, quantizer: Quantizer
) -> Int[np.ndarray, "batch time"]:
    """Silence, then the prompt: [batch, 1 + prompt samples]."""
    silence, encode = (
        np.full((batch_size, 1), quantizer.silence),
        "model.config.quantizer.encode",
    )
    if prompt is None:
        return silence.astype(np.int32)
    prompt = np.atleast_2d(np.asarray(prompt))
    if not np.issubdtype(prompt.dtype, np.integer):
        raise UserError(
            f"the prompt holds {prompt.dtype} numbers, but it must be codes; encode a sound with {encode}"
        )
    if prompt.size and not 0 <= prompt.min() <= prompt.max() < quantizer.levels:
        raise UserError(
            f"the prompt holds codes {prompt.min()} to {prompt.max()}, but the model knows 0 to "
            f"{quantizer.levels - 1}; encode it with {encode}"
        )
    if prompt.shape[0] not in (1, batch_size):
        raise UserError(
            f"the prompt holds {prompt.shape[0]} signals, but batch_size is {batch_size}; give one, or one each"
        )
    prompt = np.broadcast_to(prompt, (batch_size, prompt.shape[1]))
    return np.concatenate([silence, prompt], axis=1, dtype=np.int32)
