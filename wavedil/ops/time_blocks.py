"""Signals as blocks of time, channels first: [channels, batch, time], and the matmuls over them.

Channels first, a slice or a join of channels is a run of whole rows, which a CPU copies and vectorises over;
channels last, it is a few numbers out of every sample.
"""

import jax
import jax.numpy as jnp
from jax import Array

# Samples of a block, over all signals of the batch together. On a CPU: as many as keep a layer's signals in the
# cache. An accelerator wants long blocks, and has the memory for them.
_SAMPLES_ON_CPU = 2048
_SAMPLES_ON_ACCELERATOR = 65536


def to_blocks(x: Array) -> Array:
    """[batch, time, channels] -> [blocks, channels, batch, block], zeros after the last sample."""
    batch_size, num_samples, num_channels = x.shape
    on_cpu = jax.default_backend() == "cpu"
    limit = max(1, (_SAMPLES_ON_CPU if on_cpu else _SAMPLES_ON_ACCELERATOR) // max(1, batch_size))
    num_blocks = max(1, -(-num_samples // limit))  # one without samples, of an empty signal
    # As few blocks as the limit allows, and then as short as that number allows.
    block = -(-num_samples // num_blocks)
    x = jnp.pad(x, ((0, 0), (0, num_blocks * block - num_samples), (0, 0)))
    return x.reshape(batch_size, num_blocks, block, num_channels).transpose(1, 3, 0, 2)


def from_blocks(blocks: Array, num_samples: int) -> Array:
    """The inverse of `to_blocks`, cut to the signal's own length."""
    num_blocks, num_channels, batch_size, block = blocks.shape
    x = blocks.transpose(2, 0, 3, 1).reshape(batch_size, num_blocks * block, num_channels)
    return x[:, :num_samples]


def channels_first(x: Array) -> Array:
    """[batch, time, channels] -> [channels, batch, time]."""
    return x.transpose(2, 0, 1)


def channels_last(x: Array) -> Array:
    """[channels, batch, time] -> [batch, time, channels]."""
    return x.transpose(1, 2, 0)


def matmul(kernel: Array, x: Array) -> Array:
    """kernel [out, in] on every sample of x [in, batch, time]."""
    return (kernel @ _flat(x)).reshape(kernel.shape[0], *x.shape[1:])


def outer(x: Array, y: Array) -> Array:
    """Sum over batch and time of x y^T: the gradient of a kernel [in, out]."""
    return _flat(x) @ _flat(y).T


def sum_over_time(x: Array) -> Array:
    """[channels, batch, time] -> [channels, batch], as a matmul, which is faster than a reduction."""
    return x @ jnp.ones((x.shape[2],), x.dtype)


def _flat(x: Array) -> Array:
    """[channels, batch, time] -> [channels, batch time]; a context's last layer has no samples at all."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2])
