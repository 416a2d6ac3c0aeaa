"""Spectra as other recordings of the same might have them: louder or softer, with bands and moments missing."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

# Of the scaled logarithm that `features.mel` gives: 0.05 are 5 dB.
_LARGEST_GAIN = 0.05
# Most that a gap takes of all bands, or of a signal's frames, and how many gaps there are.
_WIDEST, _GAPS = 0.2, 2


def augmented(
    spectra: Float[Array, "batch time bands"],
    mask: Bool[Array, "batch time"],
    key: PRNGKeyArray,
) -> Float[Array, "batch time bands"]:
    """Spectra with a gain of their own, and zeros in two stretches of bands and two of frames.

    Args:
      spectra: As `features.mel` gives them; 0 is silence, and stays so.
      mask: True where there is signal.
      key: Of the gains and gaps.

    Reference: Park et al. 2019 (SpecAugment), arXiv:1904.08779, without its warping of time.
    """
    batch_size, num_frames, num_bands = spectra.shape
    gain_key, band_key, frame_key = jax.random.split(key, 3)
    gain = jax.random.uniform(
        gain_key, (batch_size, 1, 1), spectra.dtype, -_LARGEST_GAIN, _LARGEST_GAIN
    )
    louder = jnp.where(spectra > 0, jnp.maximum(spectra + gain, 0), 0)
    bands = _gaps(band_key, num_bands, jnp.full(batch_size, num_bands))
    frames = _gaps(frame_key, num_frames, jnp.sum(mask, axis=1))
    return jnp.where(bands[:, None, :] | frames[:, :, None], 0, louder)


def _gaps(key: PRNGKeyArray, size: int, lengths: Array) -> Bool[Array, "batch size"]:
    """True in gaps within the first so many places of each row."""
    shape = (_GAPS, lengths.shape[0], 1)
    width_key, begin_key = jax.random.split(key)
    length = lengths.astype(jnp.float32)[None, :, None]
    width = _WIDEST * length * jax.random.uniform(width_key, shape)
    begin = (length - width) * jax.random.uniform(begin_key, shape)
    place = jnp.arange(size, dtype=jnp.float32)[None, None]
    return jnp.any((place >= begin) & (place < begin + width), axis=0)
