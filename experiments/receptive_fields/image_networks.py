"""Networks over images, x [batch, rows, columns, channels], whose rows are taken as time."""

from typing import Literal

import jax
import jax.numpy as jnp
from layers import Array, conv, dense, max_pool

_BLOCKS = ((3, 1), (4, 2), (6, 2), (3, 2))


def resnet50(x: Array, width: int, *, stride_in: Literal["1x1", "3x3"]) -> Array:
    """arXiv:1512.03385, up to the last feature map. The first block of a stage strides.

    In the paper the stride is in its first 1x1; most code of today ("v1.5") has it in the 3x3.
    """
    x = max_pool(jax.nn.relu(conv(x, width, 7, stride=2, padding="same")), 3, 2)
    for stage, (blocks, stage_stride) in enumerate(_BLOCKS):
        channels = width * 2**stage
        for block in range(blocks):
            stride = stage_stride if block == 0 else 1
            first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
            y = jax.nn.relu(dense(x[:, ::first, ::first], channels))
            y = jax.nn.relu(conv(y, channels, 3, stride=second, padding="same"))
            x = jax.nn.relu(dense(y, 4 * channels) + dense(x[:, ::stride, ::stride], 4 * channels))
    return x


def context_module(x: Array, width: int) -> Array:
    """arXiv:1511.07122: 3x3 convolutions of dilations 1, 1, 2, 4, 8, 16, 1, then 1x1."""
    for dilation in (1, 1, 2, 4, 8, 16, 1):
        x = jax.nn.relu(conv(x, width, 3, dilation=dilation, padding="same"))
    return dense(x, width)


def aspp(x: Array, width: int, *, image_pooling: bool) -> Array:
    """DeepLabv3, arXiv:1706.05587: 1x1 and three 3x3 side by side, and the mean of the image."""
    branches = [dense(x, width)]
    branches += [conv(x, width, 3, dilation=rate, padding="same") for rate in (6, 12, 18)]
    if image_pooling:
        mean = dense(x.mean((1, 2), keepdims=True), width)
        branches.append(jnp.broadcast_to(mean, branches[0].shape))
    return dense(jnp.concatenate(branches, axis=-1), width)
