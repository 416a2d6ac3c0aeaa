"""The dilated convolution, in one, two and three dimensions."""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, get_args

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Num

from wavedil.errors import Size, UserError, require_bool, require_known, require_size, require_sizes
from wavedil.ops.devices import on_each_device
from wavedil.ops.joined_taps import joined_taps
from wavedil.ops.promotion import promoted
from wavedil.receptive_field import Padding

# Past this many taps, laying the shifted signals side by side costs more memory than it saves time.
_MAX_JOINED_TAPS = 16
# Past this many taps, a sum of shifted signals takes long to compile.
_MAX_SUMMED_TAPS = 128


def dilated_conv(
    x: Num[Array, "batch *space in_channels"],
    kernel: Num[Array, "*kernel_size group_channels out_channels"],
    rate: Size | Sequence[Size] = 1,
    padding: Padding | Sequence[Padding] = "causal",
    flip: bool = False,
) -> Float[Array, "batch *out_space out_channels"]:
    """Convolution whose taps lie `rate` samples apart.

    For input F, filter k and rate l (Yu and Koltun 2016, equation 2):

        (F *_l k)(p) = sum over s + l t = p of F(s) k(t)

    With `flip=True` it is that convolution; by default it is the
    cross-correlation that deep-learning layers mean, which is the same with
    the filter reversed along every axis. Rate 1 is the ordinary operation.

    The filter spans `(kernel_size - 1) rate + 1` samples along each axis:

        kernel_size=3, rate=2     causal   x[p-4] . x[p-2] . x[p]          -> y[p]
                                  same     x[p-2] . x[p] . x[p+2]          -> y[p]
                                  valid    as causal, where no zero is met

    Args:
      x: Signal. Outside its samples it is zero ("causal", "same").
      kernel: Filter. Where it has 1/g of the signal's channels, the channels form g groups.
      rate: Samples between taps, at least 1: along every axis, or one for each.
      padding: "causal": output p sees inputs up to p. "same": centred, the longer half after p.
        "valid": only outputs that see no padding, `size - (kernel_size - 1) rate` of them. Along every axis, or one
        for each: ("causal", "same") for a spectrogram [batch, time, frequency, channels].
      flip: Convolution instead of cross-correlation.

    Returns:
      The outputs, in the type that standard promotion gives for signal and filter.

    Raises:
      UserError: If a rate is no whole number of at least 1, the padding is none of the three, the axes or channels
        do not fit, flip is not true or false, or the signal is shorter than what an output of "valid" sees before
        itself.

    Example:
      >>> dilated_conv(jnp.ones((1, 8, 1)), jnp.ones((2, 1, 1)), rate=4)[0, :, 0]
      Array([1., 1., 1., 1., 2., 2., 2., 2.], dtype=float32)

    Reference: Yu and Koltun 2016, arXiv:1511.07122; van den Oord et al. 2016, arXiv:1609.03499.
    """
    num_axes = kernel.ndim - 2
    _check(x, kernel, num_axes)
    rates = _rates(rate, num_axes)
    paddings = _paddings(padding, num_axes)
    flip = require_bool("flip", flip)
    x, kernel = promoted(x, kernel)
    spans = [(size - 1) * rate for size, rate in zip(kernel.shape, rates, strict=False)]
    for axis, (span, kind) in enumerate(zip(spans, paddings, strict=True)):
        if kind == "valid" and x.shape[1 + axis] < span:
            raise UserError(
                f"axis {1 + axis} has {x.shape[1 + axis]} samples, but the filter spans {span + 1}, so no valid "
                "output exists; use a longer signal, a smaller kernel or rate, or padding='causal'"
            )
    pads = [
        {"causal": (span, 0), "same": (span // 2, span - span // 2), "valid": (0, 0)}[kind]
        for span, kind in zip(spans, paddings, strict=True)
    ]
    if flip:
        # XLA correlates, so a convolution is the correlation with the reversed filter.
        kernel = jnp.flip(kernel, range(num_axes))
    # A kernel for a third of the channels is one kernel for each of three groups.
    groups = x.shape[-1] // kernel.shape[-2]
    depthwise = groups == x.shape[-1] == kernel.shape[-1]
    if depthwise and math.prod(kernel.shape[:-2]) <= _MAX_SUMMED_TAPS:
        return _sum_of_taps(jnp.pad(x, [(0, 0), *pads, (0, 0)]), kernel, rates)
    if num_axes == 1 and kernel.shape[0] <= _MAX_JOINED_TAPS:
        return joined_taps(x, kernel, rates[0], pads[0], groups)
    space = "DHW"[-num_axes:]
    convolution = functools.partial(
        lax.conv_general_dilated,
        window_strides=[1] * num_axes,
        padding=pads,
        rhs_dilation=rates,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=groups,
    )
    return on_each_device(convolution, (x, kernel), (True, False))


def _sum_of_taps(x: Array, kernel: Array, rates: tuple[int, ...]) -> Array:
    """The valid depthwise convolution, a filter for each channel: the sum of the shifted signals times their weights.

    On a CPU both a grouped convolution of XLA and a batch of matmuls of one channel each take many times longer.
    """
    sizes = kernel.shape[:-2]
    lengths = [
        length - (size - 1) * rate
        for length, size, rate in zip(x.shape[1:-1], sizes, rates, strict=True)
    ]
    y: Array | None = None
    for place in itertools.product(*map(range, sizes)):
        starts = [tap * rate for tap, rate in zip(place, rates, strict=True)]
        shifted = x[:, *(slice(start, start + n) for start, n in zip(starts, lengths, strict=True))]
        # Spread to every sample here, and not by the product: the gradient of a weight is then one sum over all axes.
        product = shifted * jnp.broadcast_to(kernel[(*place, 0)], shifted.shape)
        y = product if y is None else y + product
    assert y is not None
    return y


def _paddings(padding: Padding | Sequence[Padding], num_axes: int) -> tuple[Padding, ...]:
    """The padding of every space axis."""
    several = isinstance(padding, tuple | list)
    paddings: tuple[Any, ...] = tuple(padding) if several else (padding,) * num_axes
    for kind in paddings:
        require_known("padding", kind, get_args(Padding))
    if len(paddings) != num_axes:
        raise UserError(
            f"padding is {padding!r}, of {len(paddings)} axes, but the kernel has {num_axes} space axes; give a "
            "padding for each, or one for all"
        )
    return paddings


def _rates(rate: Size | Sequence[Size], num_axes: int) -> tuple[int, ...]:
    """The rate of every space axis."""
    if getattr(rate, "ndim", 0) == 0 and not isinstance(rate, tuple | list):
        return (require_size("rate", rate),) * num_axes
    rates = require_sizes("rate", rate)
    if len(rates) != num_axes:
        raise UserError(
            f"rate is {rate!r}, {len(rates)} numbers, but the kernel has {num_axes} space axes; give a rate for "
            "each, or one number for all"
        )
    return rates


def _check(x: Array, kernel: Array, num_axes: int) -> None:
    if not 1 <= num_axes <= 3 or x.ndim != kernel.ndim:
        raise UserError(
            f"x has shape {x.shape} and kernel {kernel.shape}; expected x [batch, *space, in] and kernel "
            "[*space, in, out] with one, two or three space axes"
        )
    if math.prod(kernel.shape) == 0:
        raise UserError(f"kernel has shape {kernel.shape}, but every size must be at least 1")
    groups, rest = divmod(x.shape[-1], kernel.shape[-2])
    if rest or groups < 1 or kernel.shape[-1] % groups:
        raise UserError(
            f"x has {x.shape[-1]} channels, kernel takes {kernel.shape[-2]} to {kernel.shape[-1]}; the kernel's "
            "input channels must divide the signal's, and the groups so made its output channels"
        )
