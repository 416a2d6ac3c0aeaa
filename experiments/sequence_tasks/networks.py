"""The networks: the layers under test between an input and a linear output, which is the same for both."""

import bisect
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from experiments.sequence_tasks.tasks import Settings
from wavedil import nn


class TCN(nnx.Module):
    """A temporal convolutional network and a linear output."""

    def __init__(self, in_channels: int, out_channels: int, settings: Settings, rngs: nnx.Rngs):
        channels = settings.channels
        self.body = nn.TemporalConvNet(
            in_channels,
            [channels] * settings.levels,
            kernel_size=settings.kernel_size,
            dropout=settings.dropout,
            rngs=rngs,
        )
        self.output = nn.Conv1d(channels, out_channels, kernel_size=1, rngs=rngs)

    def __call__(self, x: Any, *, mask: Any = None, dropout_key: Any = None) -> Any:
        y = self.body(x, mask=mask, dropout_key=dropout_key)
        return self.output(y, mask=mask)


class Gated(nnx.Module):
    """A WaveNet's gated blocks, one for each block of the TCN and with the same dilations, and a linear output."""

    def __init__(self, in_channels: int, out_channels: int, settings: Settings, rngs: nnx.Rngs):
        channels = settings.channels
        self.input = nn.Conv1d(in_channels, channels, kernel_size=1, rngs=rngs)
        self.body = nn.DilatedStack(
            channels,
            channels,
            kernel_size=settings.kernel_size,
            dilations=[2**level for level in range(settings.levels)],
            dropout=settings.dropout,
            rngs=rngs,
        )
        self.output = nn.Conv1d(channels, out_channels, kernel_size=1, rngs=rngs)

    def __call__(self, x: Any, *, mask: Any = None, dropout_key: Any = None) -> Any:
        _, skip = self.body(self.input(x, mask=mask), mask=mask, dropout_key=dropout_key)
        return self.output(nnx.relu(skip), mask=mask)


NETWORKS = {"tcn": TCN, "gated": Gated}


def network_of(
    settings: Settings, in_channels: int, out_channels: int
) -> tuple[Callable[[nnx.Rngs], nnx.Module], int]:
    """What makes the network, and how many parameters it has.

    The gated one is as wide as lets it have no more parameters than the TCN of these settings.
    """

    def make(network: str, channels: int) -> Callable[[nnx.Rngs], nnx.Module]:
        sized = dataclasses.replace(settings, channels=channels)
        return lambda rngs: NETWORKS[network](in_channels, out_channels, sized, rngs)

    channels = settings.channels
    if settings.network == "gated":
        most = num_parameters(make("tcn", channels))
        widths = range(1, 4 * channels)
        channels = bisect.bisect(widths, most, key=lambda c: num_parameters(make("gated", c)))
    chosen = make(settings.network, max(1, channels))
    return chosen, num_parameters(chosen)


def num_parameters(make: Callable[[nnx.Rngs], nnx.Module]) -> int:
    """Of a network that is not made for it."""
    weights = nnx.state(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    return sum(leaf.size for leaf in jax.tree.leaves(weights))
