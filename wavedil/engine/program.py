"""A plan as arrays: operators as rows of numbers, weights packed in the order in which they are read, one arena.

Both ways to run a plan have the same program; what differs is how a buffer lies in the arena.

    sample by sample      a ring of past + 1 slots of all channels, signal after signal
                          | x[0] of channels 0 1 2 ... | x[1] ... |            weights [tile][input][64 outputs]

    block by block        a row for each channel, along which the newest block moves
                          | past ......... block ->            | row 0          weights [tile][input][4 outputs]
                          | past ......... block ->            | row 1
"""

import dataclasses
from typing import Any, Literal

import numpy as np

from wavedil.engine.functions import POINTWISE
from wavedil.engine.plan import (
    Buffer,
    Follow,
    Look,
    Operator,
    Part,
    Plan,
    Predict,
    Product,
    UnservedError,
)

Weights = Literal["float32", "bfloat16", "int8"]
# Columns of an operator's row; its kind is 0 for a product, 1 for what is done to each number by itself, 2 for what
# follows the pitch, whose taps, spread and part are FUNCTION, FIRST and COUNT, 3 for a linear prediction, whose order,
# longest lag, and buffers of s and pitch are SIZE, FUNCTION, FIRST and COUNT, and 4 for a table of COUNT points.
KIND, OUT, OUT_AT, A, A_AT, B, B_AT, C, C_AT, SIZE, FUNCTION, FIRST, COUNT, WEIGHTS, NUMBERS = (
    range(15)
)
# Columns of a buffer's row: where it begins, numbers from a sample to the next, numbers of the ring (samples) or rows
# (blocks), numbers from a signal (samples) or channel (blocks) to the next, from a channel to the next, samples that
# are remembered, section.
START, STEP, TOTAL, STRIDE, UNIT, PAST, SECTION = range(7)
SAMPLE_TILE, BLOCK_TILE = 64, 4
BLOCK = 128
"""Samples of a block that are computed at once: what lies between layers stays in the first-level cache."""


@dataclasses.dataclass
class Program:
    """A packed plan.

    Attributes:
      operators: [operators, 15].
      sections: Number of the first operator of each section, and of the end.
      inputs: [inputs, 4]: buffer, offset, delay and number of channels of every input of a product.
      buffers: [buffers, 7].
      weights: Of the products.
      numbers: Biases, scales of int8 weights, slopes and limits.
      signal_size: Numbers in the arena for each signal.
      scratch: Addresses of the inputs of one product.
    """

    plan: Plan
    blocks: bool
    operators: np.ndarray
    sections: np.ndarray
    inputs: np.ndarray
    buffers: np.ndarray
    weights: np.ndarray
    numbers: np.ndarray
    signal_size: int

    def arena(self, num_signals: int) -> np.ndarray:
        """Zeros for so many signals; some more, since whole vectors are read and written."""
        return aligned(num_signals * self.signal_size + 4 * SAMPLE_TILE, np.float32)

    def start(self, count: int) -> np.ndarray:
        """Where the newest sample of every buffer lies, [count, buffers], at the beginning."""
        first = self.buffers[:, START] + self.buffers[:, PAST] * self.buffers[:, STEP]
        return np.tile(first, (count, 1))

    def scratch(self) -> np.ndarray:
        """Room for the addresses of a product's inputs."""
        return np.zeros((max(1, int(self.operators[:, COUNT].max(initial=1))), 3), np.int64)


def pack(plan: Plan, *, blocks: bool = False, weights: Weights = "float32") -> Program:
    """The program of a plan.

    Args:
      plan: What is to run.
      blocks: Whether block by block; else sample by sample.
      weights: How the weights are kept; sums are float32.
    """
    layout = _Layout(plan, blocks)
    packed = _Packed(weights if not blocks else "float32", layout)
    rows = [packed.row(operator) for section in plan.sections for operator in section]
    ends = np.cumsum([0, *(len(section) for section in plan.sections)])
    return Program(
        plan,
        blocks,
        np.array(rows, np.int64).reshape(-1, 15),
        ends.astype(np.int64),
        np.array(packed.inputs, np.int64).reshape(-1, 4),
        layout.table,
        _joined(packed.weights, packed.dtype),
        _joined(packed.numbers, np.float32),
        layout.signal_size,
    )


class _Layout:
    """Where every buffer lies."""

    def __init__(self, plan: Plan, blocks: bool) -> None:
        self.blocks = blocks
        self.tile, self.quantum = (BLOCK_TILE, BLOCK_TILE) if blocks else (SAMPLE_TILE, 16)
        self.plan, end = plan, 0
        self.table = np.zeros((len(plan.buffers), 7), np.int64)
        for row, buffer in zip(self.table, plan.buffers, strict=True):
            width = _up(buffer.parts * self.width(buffer), self.tile)
            if blocks:
                # An odd number of cache lines, so that the rows of a block do not meet in the same places of the cache.
                length = _up(2 * buffer.past + 2 * BLOCK + 32, 32) + 16
                row[:] = end, 1, width, length, length, buffer.past, buffer.section
            else:
                length = buffer.past + 1
                row[:] = end, width, length * width, 0, 1, buffer.past, buffer.section
            # A tile more, since the last one of a product may reach beyond the bias that it reads.
            end += width * length + (0 if blocks else self.tile)
        self.signal_size = _up(end, 64)
        if not blocks:
            self.table[:, STRIDE] = self.signal_size

    def width(self, buffer: Buffer) -> int:
        """Places that a part takes."""
        return _up(buffer.size, self.quantum)

    def at(self, part: Part) -> int:
        """The place of the first channel of a part."""
        return part.number * self.width(self.plan.buffers[part.buffer])

    def places(self, number: int) -> np.ndarray:
        """The place of every channel of a buffer."""
        buffer = self.plan.buffers[number]
        firsts = np.arange(buffer.parts) * self.width(buffer)
        return (firsts[:, None] + np.arange(buffer.size)).ravel()


class _Packed:
    """Operators as rows, what they refer to gathered on the way."""

    def __init__(self, weights: Weights, layout: _Layout) -> None:
        self.kind, self.layout = weights, layout
        self.dtype = {"float32": np.float32, "bfloat16": np.uint32, "int8": np.int8}[weights]
        self.inputs: list[tuple[int, int, int, int]] = []
        self.weights: list[np.ndarray] = []
        self.numbers: list[np.ndarray] = []
        self._num_rows = self._num_numbers = 0

    def row(self, operator: Operator) -> list[int]:
        if isinstance(operator, Product):
            return self._product(operator)
        if isinstance(operator, Follow):
            size = self.layout.plan.buffers[operator.x].size
            taps, spread, part = operator.taps, operator.spread, operator.part
            of = operator.out, 0, operator.x, 0, operator.pitch, 0, 0, 0
            return [2, *of, size, taps, spread, part, 0, 0]
        if isinstance(operator, Predict):
            buffers, residual = self.layout.plan.buffers, max(operator.residual, 0)
            order, longest = buffers[operator.predictor].size, buffers[residual].past
            of = operator.out, 0, operator.x, 0, operator.predictor, 0, residual, 0
            return [3, *of, order, longest, operator.short, operator.pitch, 0, 0]
        if isinstance(operator, Look):
            points, size = operator.table.shape
            at = self._add_numbers(operator.table)
            return [4, operator.out, 0, operator.x, 0, 0, 0, 0, 0, size, 0, 0, points, 0, at]
        layout, size = self.layout, self.layout.plan.buffers[operator.out.buffer].size
        numbers = 0
        if operator.numbers is not None:
            numbers = self._add_numbers(operator.numbers.astype(np.float32))
        parts = [
            number
            for part in (operator.out, operator.a, operator.b, operator.c)
            for number in (part.buffer, layout.at(part))
        ]
        function = list(POINTWISE).index(operator.function)
        return [1, *parts, size, function, 0, 0, 0, numbers]

    def _product(self, operator: Product) -> list[int]:
        layout, tile = self.layout, self.layout.tile
        buffer = layout.plan.buffers[operator.out]
        places = layout.places(operator.out)
        width = _up(buffer.parts * layout.width(buffer), tile)
        kernel = np.zeros((sum(len(part) for _, _, part in operator.inputs), width), np.float32)
        first, start = len(self.inputs), 0
        for source, delay, part in operator.inputs:
            self.inputs.append((source, 0, delay, len(part)))
            kernel[start : start + len(part), places] = part
            start += len(part)
        bias = np.zeros(width, np.float32)
        of_bias = (0, -1)
        if isinstance(operator.bias, Part):
            of_bias = (operator.bias.buffer, layout.at(operator.bias))
        else:
            bias[places] = operator.bias
        weights, scales = _quantised(kernel, self.kind)
        numbers = self._add_numbers(np.concatenate([bias, scales]))
        plus = (0, -1) if operator.plus is None else (operator.plus, 0)
        at = self._num_rows
        tiles = width // tile
        # [inputs, tiles, tile] -> [tiles, inputs, tile], so that they are read in one go.
        tiled = np.moveaxis(weights.reshape(len(kernel), tiles, -1), 1, 0)
        self.weights.append(np.ascontiguousarray(tiled).ravel())
        self._num_rows += tiles * len(kernel)
        count = len(operator.inputs)
        return [
            0,
            operator.out,
            0,
            *of_bias,
            *plus,
            0,
            0,
            tiles,
            len(kernel),
            first,
            count,
            at,
            numbers,
        ]

    def _add_numbers(self, numbers: np.ndarray) -> int:
        at = self._num_numbers
        self.numbers.append(numbers.ravel())
        self._num_numbers += numbers.size
        return at


def _quantised(kernel: np.ndarray, kind: Weights) -> tuple[np.ndarray, np.ndarray]:
    """A kernel [inputs, outputs] as it is kept, and the scale of every output."""
    scales = np.ones(kernel.shape[1], np.float32)
    if kind == "float32":
        return kernel, scales
    if kind == "int8":
        if not np.isfinite(kernel).all():
            raise UnservedError(
                "the weights are not all finite, so int8 cannot hold them; use weights='float32'"
            )
        largest = np.abs(kernel).max(axis=0, initial=0.0)
        scales = np.where(largest > 0, largest / 127.0, 1.0).astype(np.float32)
        return np.rint(kernel / scales).clip(-127, 127).astype(np.int8), scales
    bits = np.ascontiguousarray(kernel).view(np.uint32)
    # To the nearest, and of two to the even one.
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    # Outputs i and i + 16 of every 32 share a word.
    halves = rounded.reshape(len(kernel), -1, 2, 16)
    return (halves[:, :, 0] | (halves[:, :, 1] << 16)).astype(np.uint32).reshape(
        len(kernel), -1
    ), scales


def aligned(size: int, dtype: Any) -> np.ndarray:
    """Zeros that begin with a cache line."""
    kind = np.dtype(dtype)
    raw = np.zeros(size + 64, kind)
    first = -raw.ctypes.data % 64 // kind.itemsize
    return raw[first : first + size]


def _joined(parts: list[np.ndarray], dtype: Any) -> np.ndarray:
    joined = aligned(sum(part.size for part in parts) + 4 * SAMPLE_TILE, dtype)
    at = 0
    for part in parts:
        joined[at : at + part.size] = part
        at += part.size
    return joined


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
