"""Spectra as other recordings of the same might have them: slower, from another throat, louder, with parts missing."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

# Logarithms of the largest factors of time and of frequency.
_LARGEST_STRETCH, _LARGEST_SHIFT = 0.15, 0.08
# Of the scaled logarithm that `mel.mel` gives: 0.05 are 5 dB.
_LARGEST_GAIN = 0.05
# Most that a gap takes of all bands, or of a signal's frames, and how many gaps there are.
_WIDEST, _GAPS = 0.2, 2


def augmented(
    spectra: Float[Array, "batch time bands"],
    mask: Bool[Array, "batch time"],
    key: PRNGKeyArray,
) -> tuple[Float[Array, "batch time bands"], Bool[Array, "batch time"]]:
    """Each signal faster or slower by up to 16 %, its bands moved by up to 8 %, with a gain of its own and four gaps.

    Args:
      spectra: As `mel.mel` gives them; 0 is silence, and stays so.
      mask: True where there is signal, from the first frame on.
      key: Of all that is drawn.

    Returns:
      The spectra, and where there is signal in them: a slower one ends where its row ends.

    References: Park et al. 2019 (SpecAugment), arXiv:1904.08779; Ko et al. 2015, "Audio augmentation for speech
    recognition" (tempo); Jaitly and Hinton 2013, "Vocal tract length perturbation improves speech recognition".
    """
    batch_size, num_frames, num_bands = spectra.shape
    stretch_key, shift_key, gain_key, band_key, frame_key = jax.random.split(key, 5)
    pace = _factors(stretch_key, batch_size, _LARGEST_STRETCH)
    lengths = jnp.sum(mask, axis=1).astype(jnp.float32) / pace[:, 0]
    lengths = jnp.minimum(lengths.astype(jnp.int32), num_frames)
    spectra = jnp.where(mask[..., None], spectra, 0)
    spectra = _read_at(spectra, pace * jnp.arange(num_frames, dtype=jnp.float32)[None])
    throat = _factors(shift_key, batch_size, _LARGEST_SHIFT)
    places = throat * jnp.arange(num_bands, dtype=jnp.float32)[None]
    spectra = _read_at(spectra.swapaxes(1, 2), places).swapaxes(1, 2)
    gain = jax.random.uniform(
        gain_key, (batch_size, 1, 1), spectra.dtype, -_LARGEST_GAIN, _LARGEST_GAIN
    )
    louder = jnp.where(spectra > 0, jnp.maximum(spectra + gain, 0), 0)
    bands = _gaps(band_key, num_bands, jnp.full(batch_size, num_bands))
    frames = _gaps(frame_key, num_frames, lengths)
    there = jnp.arange(num_frames)[None] < lengths[:, None]
    missing = bands[:, None, :] | (frames | ~there)[:, :, None]
    return jnp.where(missing, 0, louder), there


def _factors(key: PRNGKeyArray, batch_size: int, largest: float) -> Float[Array, "batch 1"]:
    """As often below 1 as above it."""
    return jnp.exp(jax.random.uniform(key, (batch_size, 1), minval=-largest, maxval=largest))


def _read_at(
    x: Float[Array, "batch rows columns"], places: Float[Array, "batch rows"]
) -> Float[Array, "batch rows columns"]:
    """The rows between those of x, by linear interpolation; beyond the last, the last."""
    last = x.shape[1] - 1
    places = jnp.minimum(places, float(last))
    before = places.astype(jnp.int32)
    share = (places - before.astype(places.dtype))[..., None].astype(x.dtype)
    after = jnp.minimum(before + 1, last)
    rows = [jnp.take_along_axis(x, index[..., None], axis=1) for index in (before, after)]
    return (1 - share) * rows[0] + share * rows[1]


def _gaps(key: PRNGKeyArray, size: int, lengths: Array) -> Bool[Array, "batch size"]:
    """True in gaps within the first so many places of each row."""
    shape = (_GAPS, lengths.shape[0], 1)
    width_key, begin_key = jax.random.split(key)
    length = lengths.astype(jnp.float32)[None, :, None]
    width = _WIDEST * length * jax.random.uniform(width_key, shape)
    begin = (length - width) * jax.random.uniform(begin_key, shape)
    place = jnp.arange(size, dtype=jnp.float32)[None, None]
    return jnp.any((place >= begin) & (place < begin + width), axis=0)
