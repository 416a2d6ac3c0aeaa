"""The few layers that the networks are made of.

A signal is [batch, time, channels], an image [batch, rows, columns, channels].
Weights are constants, for a field is a matter of structure.
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

Array = Any
Padding = Literal["causal", "same", "valid"]


def conv(
    x: Array,
    channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = "causal",
    depthwise: bool = False,
) -> Array:
    """A convolution with a kernel of equal sides over all axes between the first and the last."""
    num_axes = x.ndim - 2
    span = (kernel_size - 1) * dilation
    pads = {"causal": (span, 0), "same": (span // 2, span - span // 2), "valid": (0, 0)}[padding]
    groups = x.shape[-1] if depthwise else 1
    shape = (kernel_size,) * num_axes + (x.shape[-1] // groups, channels)
    space = "HW"[:num_axes]
    return lax.conv_general_dilated(
        x,
        jnp.full(shape, 1 / kernel_size**num_axes / shape[-2]),
        window_strides=[stride] * num_axes,
        padding=[pads] * num_axes,
        rhs_dilation=[dilation] * num_axes,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=groups,
    )


def dense(x: Array, channels: int) -> Array:
    """A 1x1 convolution."""
    return x @ jnp.full((x.shape[-1], channels), 1 / x.shape[-1])


def max_pool(x: Array, window: int, stride: int) -> Array:
    """The largest of windows of equal sides, padded as "same"."""
    sides = (window,) * (x.ndim - 2)
    strides = (stride,) * (x.ndim - 2)
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *sides, 1), (1, *strides, 1), "SAME")


def norm(x: Array, axes: Sequence[int]) -> Array:
    """Mean 0 and variance 1 over the axes."""
    mean = x.mean(axes, keepdims=True)
    return (x - mean) * lax.rsqrt(jnp.square(x - mean).mean(axes, keepdims=True) + 1e-5)


def gated(x: Array, channels: int, kernel_size: int, dilation: int) -> Array:
    """tanh x sigmoid of a causal convolution."""
    filtered, gate = jnp.split(conv(x, 2 * channels, kernel_size, dilation=dilation), 2, axis=-1)
    return jnp.tanh(filtered) * jax.nn.sigmoid(gate)
