"""Embeddings: of the levels of a sample, and of the values of a label; their initial rows, and looking them up."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from wavedil.mu_law import in_range
from wavedil.nn.layer import normal
from wavedil.ops.devices import rows_of


def look_up(
    table: Float[Array, "rows channels"], rows: Int[Array, "*any"]
) -> Float[Array, "*any channels"]:
    """Rows of a table, and NaN for those that it lacks: an index out of range is no other row."""
    known = in_range(rows, len(table))[..., None]
    return jnp.where(known, rows_of(table, jnp.asarray(rows, jnp.int32)), jnp.nan)


def label_embedding(
    num_values: int, channels: int, rngs: nnx.Rngs
) -> Float[Array, "rows channels"]:
    """Row 0, unlabelled, starts at zero: where no recording lacks the label, it stays the middle of the others."""
    rows = normal(rngs, (num_values, channels))
    return jnp.concatenate([jnp.zeros((1, channels), jnp.float32), rows])


def smooth_embedding(levels: int, channels: int, rngs: nnx.Rngs) -> Float[Array, "levels channels"]:
    """An embedding in which neighbouring levels start as neighbours.

    Random mixtures of sines and cosines of the level, from half a period to 32 over all levels: the network
    starts with what makes a code a number, and learns in fewer steps than from unrelated rows.
    """
    level = jnp.linspace(-1.0, 1.0, levels, dtype=jnp.float32)[:, None]
    angles = jnp.pi * level * 2.0 ** jnp.arange(-1.0, 7.0, dtype=jnp.float32)[None]
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    mixture = normal(rngs, (waves.shape[-1], channels))
    return 1.4 * waves.shape[-1] ** -0.5 * (waves @ mixture)
