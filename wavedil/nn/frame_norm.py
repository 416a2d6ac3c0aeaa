"""Normalisation of every frame by itself."""

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from wavedil.errors import UserError
from wavedil.ops.devices import reshaped
from wavedil.ops.promotion import promoted


class FrameNorm(nnx.Module):
    r"""Mean 0 and variance 1 over groups of the channels of one frame, then a scale and an offset a channel.

        y[t, c] = a[c] (x[t, c] - mean) / sqrt(variance + 1e-5) + b[c]

    with mean and variance over the channels of c's group at t. No frame sees another, so it is causal. One group is
    layer normalisation, more are group normalisation.

    Reference: Ba et al. 2016, arXiv:1607.06450; Wu and He 2018, arXiv:1803.08494.
    """

    def __init__(self, channels: int, groups: int = 1) -> None:
        if channels // groups < 2:
            raise UserError(
                "a norm over 1 channel of a frame is always 0; use at least 2 channels, or norm='weight' or None where "
                "there is a norm to choose"
            )
        self.groups = groups
        self.scale = nnx.Param(jnp.ones(channels, jnp.float32))
        self.offset = nnx.Param(jnp.zeros(channels, jnp.float32))

    def __call__(
        self, x: Float[Array, "batch time channels"]
    ) -> Float[Array, "batch time channels"]:
        x, scale, offset = promoted(x, self.scale[...], self.offset[...])
        grouped = reshaped(x, x.shape[1], self.groups, x.shape[2] // self.groups)
        centred = grouped - jnp.mean(grouped, axis=-1, keepdims=True)
        variance = jnp.mean(centred * centred, axis=-1, keepdims=True)
        y = reshaped(centred * lax.rsqrt(variance + 1e-5), *x.shape[1:])
        return y * scale[None, None] + offset[None, None]
