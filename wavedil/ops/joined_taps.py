"""The 1-D convolution as one matmul over shifted signals laid side by side.

On CPU XLA's own dilated convolution, and its gradient above all, takes several times as long.
"""

import functools

import jax.numpy as jnp
from jaxtyping import Array

from wavedil.ops.devices import on_each_device
from wavedil.ops.own_backward import own_backward


def joined_taps(x: Array, kernel: Array, rate: int, padding: tuple[int, int], groups: int) -> Array:
    """The convolution of x [batch, time, in] with zeros before and after it, so many of each."""
    if groups > 1:
        return _of_groups(x, kernel, rate, padding, groups)
    convolve = functools.partial(_convolve, (rate, padding))
    return on_each_device(convolve, (x, kernel), (True, False))


def _side_by_side(x: Array, starts: range, num_samples: int) -> Array:
    """Stretches of x from each start on, as channels."""
    # x         0 1 2 3 4 5          kernel_size 2, rate 2
    # start 0   0 1 2 3
    # start 2   2 3 4 5
    # y         . . . .              a matmul from 2 in_channels to out_channels at each
    return jnp.concatenate([x[:, start : start + num_samples] for start in starts], axis=-1)


def _definition(rate: int, padding: tuple[int, int], x: Array, kernel: Array) -> Array:
    kernel_size, in_channels, out_channels = kernel.shape
    num_samples = x.shape[1] + sum(padding) - (kernel_size - 1) * rate
    padded = jnp.pad(x, ((0, 0), padding, (0, 0)))
    taps = _side_by_side(padded, range(0, kernel_size * rate, rate), num_samples)
    return taps @ kernel.reshape(kernel_size * in_channels, out_channels)


def _forward(
    rate: int, padding: tuple[int, int], x: Array, kernel: Array
) -> tuple[Array, tuple[Array, Array]]:
    # The signals side by side are not kept: they are as many times larger as there are taps.
    return _definition(rate, padding, x, kernel), (x, kernel)


def _backward(
    rate: int, padding: tuple[int, int], residuals: tuple[Array, Array], dy: Array
) -> tuple[Array, Array]:
    """Both gradients, from one signal: those of the outputs that each sample of x is in, side by side.

    dx[t] = sum_k kernel[k] dy[t + padding - k rate]        dkernel[k] = sum_t x[t] dy[t + padding - k rate]^T
    """
    x, kernel = residuals
    kernel_size, in_channels, out_channels = kernel.shape
    span = (kernel_size - 1) * rate
    padded = jnp.pad(dy, ((0, 0), (span - padding[0], span - padding[1]), (0, 0)))
    seen = _side_by_side(padded, range(span, -1, -rate), x.shape[1])
    dx = seen @ kernel.transpose(0, 2, 1).reshape(kernel_size * out_channels, in_channels)
    dkernel = jnp.tensordot(seen, x, ((0, 1), (0, 1)))
    return dx, dkernel.reshape(kernel_size, out_channels, in_channels).transpose(0, 2, 1)


_convolve = own_backward(_definition, _forward, _backward)


def _of_groups(x: Array, kernel: Array, rate: int, padding: tuple[int, int], groups: int) -> Array:
    """A matmul for each group of channels."""
    kernel_size, group_channels, out_channels = kernel.shape
    num_samples = x.shape[1] + sum(padding) - (kernel_size - 1) * rate
    padded = jnp.pad(x, ((0, 0), padding, (0, 0)))
    padded = padded.reshape(*padded.shape[:2], groups, group_channels)
    taps = _side_by_side(padded, range(0, kernel_size * rate, rate), num_samples)
    kernel = kernel.reshape(kernel_size * group_channels, groups, out_channels // groups)
    y = jnp.einsum("btgi,igo->btgo", taps, kernel)
    return y.reshape(*y.shape[:2], out_channels)
