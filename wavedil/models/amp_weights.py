"""The weights of an amp model in the order in which `.nam` files list them."""

import math
from collections.abc import Iterator

from wavedil.models.amp_array_config import AmpArrayConfig
from wavedil.models.amp_config import AmpModelConfig

Shape = tuple[int, ...]


def num_weights(config: AmpModelConfig) -> int:
    """How many numbers a `.nam` file holds of the model itself: all weights, and head_scale."""
    return 1 + sum(math.prod(shape) for _, shape in weights_in_order(config))


def weights_in_order(config: AmpModelConfig) -> Iterator[tuple[str, Shape]]:
    """The name and the shape of every weight, without those of the condition and the knobs.

    A kernel [taps, in, out] is the transpose of that in the file, [out, in, taps].
    """
    in_channels = config.in_channels
    for i, array in enumerate(config.arrays):
        yield f"arrays.{i}.rechannel.kernel", (1, in_channels, array.channels)
        for j in range(array.num_layers):
            for name, shape in _of_layer(array, j, config.condition_size):
                yield f"arrays.{i}.layers.{j}.{name}", shape
        kernel = (array.head_kernel_size, array.head_width, array.head_channels)
        yield from _conv(f"arrays.{i}.head", kernel, array.head_bias)
        in_channels = array.channels
    if config.head is not None:
        channels, sizes = config.arrays[-1].head_channels, config.head.kernel_sizes
        for number, size in enumerate(sizes):
            last = number == len(sizes) - 1
            outputs = config.head.out_channels if last else config.head.channels
            yield from _conv(f"head.{number}", (size, channels, outputs))
            channels = outputs


def _of_layer(
    array: AmpArrayConfig, layer: int, condition_size: int
) -> Iterator[tuple[str, Shape]]:
    inner, width = array.inner_width(layer), array.width
    taps = array.kernel_sizes[layer]
    yield from _conv("conv", (taps, array.channels // array.conv_groups, inner))
    yield from _conv("mixin", (1, condition_size // array.mixin_groups, inner), bias=False)
    if array.layer1x1_groups is not None:
        yield from _conv("layer1x1", (1, width // array.layer1x1_groups, array.channels))
    if array.head1x1_channels is not None:
        yield from _conv("head1x1", (1, width // array.head1x1_groups, array.head1x1_channels))
    for name, (film, size) in array.films(layer, condition_size).items():
        outputs = size * (2 if film.shift else 1)
        yield from _conv(name, (1, condition_size // film.groups, outputs))


def _conv(name: str, kernel: Shape, bias: bool = True) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.kernel", kernel
    if bias:
        yield f"{name}.bias", kernel[-1:]
