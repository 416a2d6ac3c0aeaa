"""One frame for a whole signal."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from wavedil.errors import UserError
from wavedil.nn.mask import masked, require_mask


def last_step(
    y: Float[Array, "batch time channels"], mask: Bool[Array, "batch time"] | None = None
) -> Float[Array, "batch channels"]:
    """Of each signal the output at its last sample, which is the last True of its mask; zeros where there is none.

    Raises:
      UserError: If the mask does not fit, or there is no sample.
    """
    _require_samples(y, mask)
    if mask is None:
        return y[:, -1]
    last = mask & (jnp.cumsum(mask[:, ::-1], axis=1)[:, ::-1] == 1)
    return jnp.sum(masked(y, last), axis=1)


def mean_step(
    y: Float[Array, "batch time channels"], mask: Bool[Array, "batch time"] | None = None
) -> Float[Array, "batch channels"]:
    """Of each signal the mean output over its samples; zeros where there is none.

    Raises:
      UserError: If the mask does not fit, or there is no sample.
    """
    _require_samples(y, mask)
    if mask is None:
        return jnp.mean(y, axis=1)
    # In float32 at least, as `jnp.mean` is: in float16 a sum, or a number of samples, soon is infinite.
    dtype = y.dtype if jnp.finfo(y.dtype).bits > 32 else jnp.float32
    num_samples = jnp.maximum(1, jnp.sum(mask, axis=1, keepdims=True)).astype(dtype)
    return (jnp.sum(masked(y, mask), axis=1, dtype=dtype) / num_samples).astype(y.dtype)


def _require_samples(y: Array, mask: Array | None) -> None:
    require_mask("pooling over time", mask, y)
    if y.shape[1] == 0:
        raise UserError("the signal has no sample, so none is its last; give at least one")
