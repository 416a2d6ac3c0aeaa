"""The layers of an amp model, as functions of how its convolutions see what came before."""

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from wavedil.models.amp_array_config import (
    FILMS,
    AmpActivationConfig,
    AmpArrayConfig,
    AmpFiLMConfig,
)
from wavedil.nn import Conv1d
from wavedil.ops import dilated_conv

Convolve = Callable[[Conv1d, Array], Array]
"""The products of a causal convolution's kernel with a signal and its past; the bias comes after it."""


class AmpLayer(nnx.Module):
    """A layer: weights alone, each a Conv1d with `kernel` [taps, in, out] and perhaps `bias` [out], or None.

    conv        [kernel_size, channels / groups, inner], bias    inner = width, or twice that where there is a gate
    mixin       [1, condition_size / groups, inner]
    knobs       [1, knobs, inner]                                of a model with knobs
    layer1x1    [1, width / groups, channels], bias
    head1x1     [1, width / groups, head1x1_channels], bias
    *_film      [1, condition_size / groups, channels or twice], bias: scales, then offsets
    """

    def __init__(
        self,
        config: AmpArrayConfig,
        number: int,
        condition_size: int,
        num_knobs: int,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        inner, width = config.inner_width(number), config.width
        self.gating, self.width = config.gating[number], width
        self.activation = config.activations[number]
        self.secondary_activation = config.secondary_activations[number]
        self.conv = Conv1d(
            config.channels,
            inner,
            kernel_size=config.kernel_sizes[number],
            dilation=config.dilations[number],
            groups=config.conv_groups,
            rngs=rngs,
        )
        self.mixin = pointwise(condition_size, inner, config.mixin_groups, rngs, use_bias=False)
        self.layer1x1 = pointwise(width, config.channels, config.layer1x1_groups, rngs)
        groups = None if config.head1x1_channels is None else config.head1x1_groups
        self.head1x1 = pointwise(width, config.head_width, groups, rngs)
        films = config.films(number, condition_size)
        for name in FILMS:
            setattr(
                self,
                name,
                _modulation(condition_size, *films[name], rngs) if name in films else None,
            )
        # Drawn last, so that the other weights are those of a model without knobs.
        self.knobs = pointwise(num_knobs, inner, num_knobs and 1, rngs, use_bias=False)

    def __call__(
        self,
        y: Array,
        condition: Array,
        heads: Array | None,
        knobs: Array | None,
        convolve: Convolve,
    ) -> tuple[Array, Array]:
        """The residual signal and the head sum after the layer; signals of several lengths have one end."""
        z = convolve(self.conv, self._film("conv_pre_film", y, condition))
        z = z + self.shifted_bias(knobs).astype(z.dtype)
        z = self._film("conv_post_film", z, condition)
        z, condition = same_end(z, condition)
        added = self._film("input_mixin_pre_film", condition, condition)
        added = self._film("input_mixin_post_film", linear(self.mixin, added), condition)
        z = self._film("activation_pre_film", summed(z, added), condition)
        a = self._film("activation_post_film", self._activate(z), condition)
        if self.layer1x1 is not None:
            more = linear(self.layer1x1, a)
            # The player applies this one nowhere else.
            blended = self.gating == "blended"
            more = self._film("layer1x1_post_film", more, condition) if blended else more
            y = summed(y, more)
        if self.head1x1 is not None:
            a = self._film("head1x1_post_film", linear(self.head1x1, a), condition)
        return y, a if heads is None else summed(heads, a)

    def shifted_bias(self, knobs: Array | None) -> Array:
        """The bias of the convolution at a setting of the knobs, [1 or batch, 1, inner]."""
        bias = self.conv.bias_or_zeros()[None, None]
        return bias if knobs is None else bias + linear(self.knobs, knobs).astype(bias.dtype)

    def _activate(self, z: Array) -> Array:
        if self.gating == "none":
            return activate(self.activation, z)
        straight, gate = z[..., : self.width], z[..., self.width :]
        a, gate = activate(self.activation, straight), activate(self.secondary_activation, gate)
        return gate * a if self.gating == "gated" else gate * a + (1 - gate) * straight

    def _film(self, name: str, x: Array, condition: Array) -> Array:
        layer = getattr(self, name)
        if layer is None:
            return x
        x, modulation = same_end(x, linear(layer, condition))
        size = x.shape[-1]
        scaled = x * modulation[..., :size]
        return scaled + modulation[..., size:] if modulation.shape[-1] > size else scaled


class AmpArray(nnx.Module):
    """An array: `rechannel` [1, in, channels], `layers`, and `head` [taps, head width, head channels] and its bias."""

    def __init__(
        self,
        config: AmpArrayConfig,
        in_channels: int,
        condition_size: int,
        num_knobs: int,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.rechannel = pointwise(in_channels, config.channels, 1, rngs, use_bias=False)
        self.layers = nnx.List(
            AmpLayer(config, number, condition_size, num_knobs, rngs=rngs)
            for number in range(config.num_layers)
        )
        self.head = Conv1d(
            config.head_width,
            config.head_channels,
            kernel_size=config.head_kernel_size,
            dilation=config.head_dilation,
            use_bias=config.head_bias,
            rngs=rngs,
        )

    def __call__(
        self,
        y: Array,
        condition: Array,
        heads: Array | None,
        knobs: Array | None,
        convolve: Convolve,
    ) -> tuple[Array, Array]:
        """The residual signal after the layers, and the output of the head."""
        y = linear(self.rechannel, y)
        for layer in self.layers:
            y, heads = layer(y, condition, heads, knobs, convolve)
        assert heads is not None
        return y, with_bias(self.head, convolve(self.head, heads))


def pointwise(
    in_channels: int, out_channels: int, groups: int | None, rngs: nnx.Rngs, use_bias: bool = True
) -> Conv1d | None:
    """A convolution of one tap; None where there are no groups."""
    if not groups:
        return None
    return Conv1d(
        in_channels, out_channels, kernel_size=1, groups=groups, use_bias=use_bias, rngs=rngs
    )


def _modulation(condition_size: int, film: AmpFiLMConfig, size: int, rngs: nnx.Rngs) -> Conv1d:
    outputs = size * (2 if film.shift else 1)
    layer = Conv1d(condition_size, outputs, kernel_size=1, groups=film.groups, rngs=rngs)
    assert layer.bias is not None
    # The identity, about which it varies.
    layer.bias[...] = layer.bias[...].at[:size].set(1.0)
    return layer


def linear(layer: Conv1d | None, x: Array) -> Array:
    """A convolution of one tap, of a signal that has been through the door."""
    layer = cast(Conv1d, layer)
    return with_bias(layer, dilated_conv(x, layer.kernel[...]))


def with_bias(layer: Conv1d, y: Array) -> Array:
    """The outputs of a convolution, of its products."""
    return y if layer.bias is None else y + layer.bias[...][None, None].astype(y.dtype)


def same_end(*signals: Array) -> tuple[Array, ...]:
    """The ends of signals that end together, as long as the shortest."""
    count = min(signal.shape[1] for signal in signals)
    return tuple(signal[:, signal.shape[1] - count :] for signal in signals)


def summed(*signals: Array) -> Array:
    """The sum of signals that end together, as long as the shortest."""
    first, second = same_end(*signals)
    return first + second


def activate(config: AmpActivationConfig, x: Array) -> Array:
    """An activation."""
    slopes = [jnp.asarray(slope, x.dtype) for slope in config.slopes]
    match config.function:
        case "leaky_relu":
            return jnp.where(x > 0, x, slopes[0] * x)
        case "prelu":
            return jnp.where(x > 0, x, jnp.stack(slopes)[None, None] * x)
        case "leaky_hardtanh":
            (low, high), (below, above) = config.limits, slopes
            beyond = jnp.where(x < low, (x - low) * below + low, (x - high) * above + high)
            return jnp.where((x < low) | (x > high), beyond, x)
    return _PLAIN[config.function](x)


def _fast_tanh(x: Array) -> Array:
    size, square = jnp.abs(x), x * x
    above = 2.45550750702956 + 2.45550750702956 * size
    above = x * (above + (0.893229853513558 + 0.821226666969744 * size) * square)
    below = (2.44506634652299 + square) * jnp.abs(x + 0.814642734961073 * x * size)
    return above / (2.44506634652299 + below)


_PLAIN: dict[str, Callable[[Any], Array]] = {
    "tanh": jnp.tanh,
    "hardtanh": lambda x: jnp.clip(x, -1, 1),
    "fast_tanh": _fast_tanh,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "hardswish": lambda x: x * jnp.clip(x + 3, 0, 6) / 6,
    "softsign": jax.nn.soft_sign,
}
