"""A plain description of a network: buffers that hold signals, and operators from buffer to buffer.

It says nothing of how a buffer lies in memory: a plan runs sample by sample or block by block.
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from wavedil.engine.functions import ACTIVATIONS
from wavedil.errors import UserError


class UnservedError(UserError):
    """What the engine cannot run, with the reason."""


class Part(NamedTuple):
    """One of the equal parts into which the channels of a buffer are divided: filter and gate, say."""

    buffer: int
    number: int = 0


@dataclasses.dataclass(frozen=True)
class Buffer:
    """A signal of `parts * size` channels, of which the last `past` samples are remembered."""

    size: int
    parts: int
    past: int
    section: int


@dataclasses.dataclass(frozen=True)
class Product:
    """out = bias + plus + sum of kernel.T @ x, over inputs x that may be delayed.

    It is a convolution of any number of taps, a layer of one tap, a condition that is added, or all of them at once.
    """

    out: int
    inputs: list[tuple[int, int, np.ndarray]]
    """Buffer of one part, delay in samples, kernel [channels, all outputs]."""
    bias: np.ndarray | Part
    """One for each output, or a part of a buffer from which on they lie."""
    plus: int | None = None
    """A buffer like out."""


@dataclasses.dataclass(frozen=True)
class Pointwise:
    """out = f(a, b, c) of each number by itself, channel by channel; f is one of `functions.POINTWISE`."""

    function: str
    out: Part
    a: Part
    b: Part = Part(0)
    c: Part = Part(0)
    numbers: np.ndarray | None = None
    """Of "bent", [4, channels]: slopes below and above, limits below and above."""


@dataclasses.dataclass(frozen=True)
class Follow:
    """out = v x[t - k d + j] side by side, for k from taps down to 1 and j from -spread to spread.

    The dilation d is a part of the one that comes with the sample, rounded, at least 1; v is how voiced the sound is.
    """

    out: int
    x: int
    pitch: int
    """A buffer of the two numbers that come with a sample, its dilation and its voicing."""
    taps: int
    spread: int
    part: int


@dataclasses.dataclass(frozen=True)
class Predict:
    """out = s[t] + v (r[t - d - 1] + 2 r[t - d] + r[t - d + 1]) / 8, or without pitch s[t].

    It is s[t] = sum of a_k x[t - k] and r[t] = x[t] - s[t - 1].
    """

    out: int
    x: int
    """A buffer of one channel, the amplitudes."""
    predictor: int
    """A buffer of the coefficients that come with the sample."""
    pitch: int = -1
    """As of `Follow`."""
    short: int = -1
    """A buffer for s that remembers one sample."""
    residual: int = -1
    """A buffer for r that remembers one sample more than the longest dilation."""


@dataclasses.dataclass(frozen=True)
class Look:
    """out = row x of a table, as a mu-law value; between two rows on a straight line."""

    out: int
    x: int
    table: np.ndarray
    """[points, size of out], from -1 to 1."""


Operator = Product | Pointwise | Follow | Predict | Look


class Plan:
    """Buffers, and sections of operators that run by themselves: at every sample, frame or change of a condition."""

    def __init__(self, num_sections: int = 1) -> None:
        self.buffers: list[Buffer] = []
        self.sections: list[list[Operator]] = [[] for _ in range(num_sections)]
        self.section = 0
        """The section that what is added belongs to."""

    def buffer(self, size: int, *, parts: int = 1, past: int = 0) -> int:
        """A new buffer."""
        self.buffers.append(Buffer(size, parts, past, self.section))
        return len(self.buffers) - 1

    def add(self, operator: Operator) -> None:
        """Appends an operator to the section."""
        self.sections[self.section].append(operator)

    def activate(self, function: str, a: Part, out: Part) -> None:
        """Appends an activation: f(a) becomes out.

        Raises:
          UnservedError: If there is no such function.
        """
        if function == "leaky_relu":
            self.bend(a, out, (0.01, 1.0, 0.0, np.inf))
        elif function not in ACTIVATIONS:
            raise UnservedError(
                f"the compiled engine has no activation {function}; use engine='scan', or one of "
                f"leaky_relu, {', '.join(ACTIVATIONS)}"
            )
        elif function != "identity" or a != out:
            self.add(Pointwise(function, out, a))

    def bend(self, a: Part, out: Part, numbers: Any) -> None:
        """Appends out = a between limits, straight on beyond them: slopes and limits of each channel, or of all."""
        size = self.buffers[out.buffer].size
        columns = [np.broadcast_to(np.asarray(number, np.float32), size) for number in numbers]
        self.add(Pointwise("bent", out, a, numbers=np.stack(columns)))

    def gate(self, z: int, out: int, activation: str, gate: str) -> None:
        """Appends a gate: the activation of the first part of z times the gate of the second becomes out."""
        first, second = Part(z, 0), Part(z, 1)
        if (activation, gate) == ("tanh", "sigmoid"):
            self.add(Pointwise("gate", Part(out), first, second))
        else:
            self.activate(activation, first, first)
            self.activate(gate, second, second)
            self.add(Pointwise("multiply", Part(out), first, second))


def taps_of(conv: Any) -> tuple[list[np.ndarray], np.ndarray]:
    """The kernels [in, out] of a convolution, the oldest tap first, without groups; and its bias, or zeros."""
    kernel = as_float32(conv.kernel[...])
    taps, of_group, outputs = kernel.shape
    groups = conv.in_channels // of_group
    dense = np.zeros((taps, conv.in_channels, outputs), np.float32)
    inside, outside = of_group, outputs // groups
    for group in range(groups):
        rows = slice(group * inside, (group + 1) * inside)
        columns = slice(group * outside, (group + 1) * outside)
        dense[:, rows, columns] = kernel[:, :, columns]
    bias = np.zeros(outputs, np.float32) if conv.bias is None else as_float32(conv.bias[...])
    return list(dense), bias


def convolution(conv: Any, x: int) -> tuple[list[tuple[int, int, np.ndarray]], np.ndarray]:
    """The inputs and the bias of a product that is a convolution of a buffer."""
    kernels, bias = taps_of(conv)
    count = len(kernels)
    inputs = [(x, (count - 1 - k) * conv.dilation, kernel) for k, kernel in enumerate(kernels)]
    return inputs, bias


def as_float32(x: Any) -> np.ndarray:
    """Weights of any type."""
    return np.asarray(x).astype(np.float32)
