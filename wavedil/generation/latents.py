"""Latents of whole recordings, and what lies between two of them."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, UInt

from wavedil.data.recording import Recording
from wavedil.errors import UserError
from wavedil.frames import BEYOND, num_frames, sound_frames
from wavedil.models.autoencoder import Autoencoder
from wavedil.models.compilation import compiled
from wavedil.models.registry import Model
from wavedil.models.wavenet import WaveNet

# Samples that are encoded at once; a power of two of frames, so that few lengths are compiled.
_BLOCK_SAMPLES = 1 << 15
# Blocks side by side.
_ROWS = 4


def as_vocoder(
    model: Model, recordings: Sequence[Recording]
) -> tuple[WaveNet, Sequence[Recording]]:
    """An autoencoder as a vocoder: its decoder, and the recordings with their latents for features.

    A WaveNet and its recordings are what they are.
    """
    if isinstance(model, WaveNet):
        return model, recordings
    latents = encode_sounds(model, [item.codes for item in recordings])
    with_latents = [
        dataclasses.replace(item, features=frames)
        for item, frames in zip(recordings, latents, strict=True)
    ]
    return model.decoder, with_latents


def encode_sounds(
    model: Autoencoder, sounds: Sequence[UInt[np.ndarray, " time"]]
) -> list[Float32[np.ndarray, "frames latent_size"]]:
    """The latents of each sound, as `model.encode` gives them.

    In blocks of frames that come with what the encoder sees around them, so that the memory is bounded and sounds of
    all lengths share one compilation.

    Args:
      model: An autoencoder.
      sounds: Levels of the samples of each, at the model's rate.
    """
    num_features, hop = model.config.local_conditioning.sizes
    context = model.config.encoder.lookaround_frames
    counts = [num_frames(len(sound), hop) for sound in sounds]
    most = 1 << (max(counts, default=1) - 1).bit_length()
    size = min(most, max(1, _BLOCK_SAMPLES // hop))
    blocks = [
        (number, first) for number, count in enumerate(counts) for first in range(0, count, size)
    ]
    encoded = [np.zeros((count, num_features), np.float32) for count in counts]
    encode = compiled(Autoencoder.encode_frames, model)
    for start in range(0, len(blocks), _ROWS):
        group = blocks[start : start + _ROWS]
        frames = np.full((_ROWS, size + 2 * context, hop), BEYOND, np.int32)
        for row, (number, first) in enumerate(group):
            frames[row] = sound_frames(sounds[number], first - context, size + 2 * context, hop)
        latents = np.asarray(encode(frames))
        for row, (number, first) in enumerate(group):
            count = min(size, counts[number] - first)
            encoded[number][first : first + count] = latents[row, :count]
    return encoded


def interpolate(
    first: Float[np.ndarray, "frames latent_size"],
    second: Float[np.ndarray, "frames latent_size"],
    count: int,
) -> list[Float[np.ndarray, "frames latent_size"]]:
    """Latents on the way from one sound to another: `(1 - s) first + s second`, s from 0 to 1 in equal steps.

    They are as long as the shorter one; the end of the other is left out.

    Args:
      first: Latents of one sound.
      second: Latents of the other, of the same model.
      count: How many, both ends included; at least 2.

    Raises:
      UserError: If count is less than 2.

    Reference: Engel et al. 2017, arXiv:1704.01279, section 4.2.
    """
    if count < 2:
        raise UserError(
            f"count is {count}, but from one sound to another there are at least 2; 5, say"
        )
    length = min(len(first), len(second))
    return [
        (1 - share) * first[:length] + share * second[:length]
        for share in np.linspace(0.0, 1.0, count, dtype=np.float32)
    ]
