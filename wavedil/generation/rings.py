"""Ring buffers: the past of a layer, one slot overwritten for each sample.

A layer with kernel size K and dilation d keeps its last `(K - 1) d` inputs. At position p the oldest is in
slot `p mod (K - 1) d`, where the newest replaces it; the taps in between lie d slots apart.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

Rings = Float[Array, "past batch channels"]


def rings_from_state(state: Float[Array, "batch past channels"]) -> Rings:
    """A layer's state (oldest sample first) as a ring at position 0."""
    return jnp.moveaxis(state, 1, 0)


def delayed_samples(
    ring: Rings, dilation: int, position: Int[Array, ""]
) -> Float[Array, "batch taps*channels"]:
    """The inputs of every tap but the newest, oldest first, side by side."""
    past, batch_size, _ = ring.shape
    if past == 0:
        return jnp.zeros((batch_size, 0), ring.dtype)
    slots = [(position + delay) % past for delay in range(0, past, dilation)]
    return jnp.concatenate(
        [lax.dynamic_index_in_dim(ring, slot, keepdims=False) for slot in slots], axis=-1
    )


def pitch_samples(
    ring: Rings,
    dilation: Int[Array, " batch"],
    taps: int,
    spread: int,
    position: Int[Array, ""],
) -> Float[Array, "batch taps*channels"]:
    """The inputs around one, two ... dilations ago, of each signal its own: the longest ago first, side by side."""
    past, batch_size, channels = ring.shape
    offsets = np.arange(-spread, spread + 1, dtype=np.int32)
    ago = dilation[:, None, None] * np.arange(taps, 0, -1, dtype=np.int32)[None, :, None]
    # At position p the sample of s positions ago is in slot (p - s) mod past.
    slots = (position - (ago - offsets[None, None])).reshape(batch_size, -1) % past
    samples = ring[slots, np.arange(batch_size)[:, None]]
    return samples.reshape(batch_size, slots.shape[1] * channels)


def write(ring: Rings, x: Float[Array, "batch channels"], position: Int[Array, ""]) -> Rings:
    """The ring with the newest sample in the place of the oldest."""
    past = ring.shape[0]
    return ring if past == 0 else lax.dynamic_update_index_in_dim(ring, x, position % past, 0)
