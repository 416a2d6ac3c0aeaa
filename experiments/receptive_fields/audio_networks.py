"""Networks over sound, x [batch, time, 1] -> [batch, time or frames, channels]; `width` scales their channels."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from layers import Array, conv, dense, gated, norm


def wavenet(
    x: Array, width: int, *, kernel_size: int, cycles: int, layers: int = 10, input_kernel: int = 1
) -> Array:
    """arXiv:1609.03499: gated residual layers of doubling dilation, skip sum, two 1x1."""
    x = conv(x, width, input_kernel)
    skip = jnp.zeros_like(x)
    for dilation in [2**i for i in range(layers)] * cycles:
        z = gated(x, width, kernel_size, dilation)
        skip += dense(z, width)
        x += dense(z, width)
    return dense(jax.nn.relu(dense(jax.nn.relu(skip), width)), width)


def tcn(x: Array, width: int, *, kernel_size: int, levels: int) -> Array:
    """arXiv:1803.01271: two causal convolutions a level, and a residual path."""
    for level in range(levels):
        y = jax.nn.relu(conv(x, width, kernel_size, dilation=2**level))
        y = jax.nn.relu(conv(y, width, kernel_size, dilation=2**level))
        x = jax.nn.relu(y + dense(x, width))
    return x


def conv_tasnet(x: Array, width: int, *, global_norm: bool) -> Array:
    """arXiv:1809.07454: encoder of 16 samples every 8, and the separator: 3 x 8 blocks, kernel 3, centred.

    With `global_norm`, every block normalises over channels and all of time, as the best network of the paper.
    """

    def normalised(y: Array) -> Array:
        return norm(y, (1, 2) if global_norm else (2,))

    y = dense(norm(jax.nn.relu(conv(x, width, 16, stride=8, padding="valid")), (2,)), width)
    skip = jnp.zeros_like(y)
    for dilation in [2**i for i in range(8)] * 3:
        z = normalised(jax.nn.leaky_relu(dense(y, 2 * width)))
        z = conv(z, 2 * width, 3, dilation=dilation, padding="same", depthwise=True)
        z = normalised(jax.nn.leaky_relu(z))
        skip += dense(z, width)
        y += dense(z, width)
    return jax.nn.sigmoid(dense(skip, width))


def micro_tcn(x: Array, width: int, *, kernel_size: int, blocks: int) -> Array:
    """arXiv:2102.06200: no padding, dilations 1, 10, 100 ..., the residual cropped to the newest samples."""
    for block in range(blocks):
        y = conv(x, width, kernel_size, dilation=10**block, padding="valid")
        x = jnp.tanh(y) + dense(x, width)[:, -y.shape[1] :]
    return jnp.tanh(dense(x, 1))


def amp(x: Array, width: int, arrays: Sequence[Any], *, head_kernel: int = 1) -> Array:
    """A WaveNet of Neural Amp Modeler: arrays of layers (kernel size, dilation), each handing on its head sum."""
    signal, head = x, jnp.zeros((*x.shape[:-1], width))
    y = signal
    for layers in arrays:
        y = dense(y, width)
        for kernel_size, dilation in layers:
            a = jnp.tanh(conv(y, width, kernel_size, dilation=dilation) + dense(signal, width))
            head += a
            y += dense(a, width)
        head = conv(head, width, head_kernel)
    return 0.02 * dense(head, 1)


def mel_stem(x: Array, width: int) -> Array:
    """The front of Whisper, arXiv:2212.04356: log-Mel of 400 samples every 160, convolutions 3 and 3 by 2."""
    window, hop, num_mels = 400, 160, 80
    x = jnp.pad(x[..., 0], ((0, 0), (window // 2, window // 2)), mode="reflect")
    starts = jnp.arange(0, x.shape[1] - window + 1, hop)
    frames = x[:, starts[:, None] + jnp.arange(window)] * jnp.hanning(window)
    power = jnp.square(jnp.abs(jnp.fft.rfft(frames)))
    mel = jnp.log(dense(power, num_mels) + 1e-5)
    y = jax.nn.gelu(conv(mel, width, 3, padding="same"))
    return jax.nn.gelu(conv(y, width, 3, stride=2, padding="same"))


def strided_encoder(x: Array, width: int, layers: Sequence[Any], *, group_norm: bool) -> Array:
    """The encoders of wav2vec, (kernel size, stride) a layer, without padding.

    With `group_norm`, the first layer normalises each channel over all of time.
    """
    for i, (kernel_size, stride) in enumerate(layers):
        x = conv(x, width, kernel_size, stride=stride, padding="valid")
        x = jax.nn.gelu(norm(x, (1,)) if group_norm and i == 0 else x)
    return x


def wav2vec_context(x: Array, width: int) -> Array:
    """wav2vec, arXiv:1904.05862: five encoder layers, then nine causal ones of kernel 3; no normalisation."""
    layers = ((10, 5), (8, 4), (4, 2), (4, 2), (4, 2))
    x = strided_encoder(x, width, layers, group_norm=False)
    for _ in range(9):
        x = x + jax.nn.relu(conv(x, width, 3))
    return x
