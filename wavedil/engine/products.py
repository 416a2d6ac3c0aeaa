"""The product of a program, where nearly all of the time goes: y = bias + plus + sum of weights times inputs.

Sums stay in registers while the weights of a tile are read once, from one end to the other.
"""

from typing import Any

from numba import njit

from wavedil.engine.program import (
    A_AT,
    B_AT,
    COUNT,
    FIRST,
    FUNCTION,
    NUMBERS,
    OUT,
    SIZE,
    START,
    STEP,
    STRIDE,
    TOTAL,
    UNIT,
    WEIGHTS,
    A,
    B,
)
from wavedil.engine.vectors import (
    fma,
    load,
    plus,
    scaled,
    spread,
    store,
    tile,
    tile_entries,
    zeros,
)

kernel = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
inlined = njit(inline="always")


@inlined
def address(buffers: Any, now: Any, buffer: int, offset: int, delay: int) -> int:
    """Where a channel of a buffer lies, so many samples ago."""
    row = buffers[buffer]
    at = now[buffer] - delay * row[STEP]
    if at < row[START]:
        at += row[TOTAL]
    return at + offset * row[UNIT]


@inlined
def _inputs(op: Any, inputs: Any, buffers: Any, now: Any, scratch: Any) -> None:
    for i in range(op[COUNT]):
        row = inputs[op[FIRST] + i]
        scratch[i, 0] = address(buffers, now, row[0], row[1], row[2])
        scratch[i, 1] = row[3]
        scratch[i, 2] = buffers[row[0], UNIT]


@inlined
def _add(weights: Any, arena: Any, y: int, x: Any, numbers: Any, scales: int) -> None:
    """Adds 64 sums to outputs."""
    a, b, c, d = x
    store(arena, y, plus(load(arena, y), scaled(weights, a, numbers, scales)))
    store(arena, y + 16, plus(load(arena, y + 16), scaled(weights, b, numbers, scales + 16)))
    store(arena, y + 32, plus(load(arena, y + 32), scaled(weights, c, numbers, scales + 32)))
    store(arena, y + 48, plus(load(arena, y + 48), scaled(weights, d, numbers, scales + 48)))


@kernel
def samples(
    op: Any, inputs: Any, buffers: Any, now: Any, weights: Any, numbers: Any, arena: Any,
    scratch: Any, origin: int, rows: int, columns: int,
) -> None:  # fmt: skip
    """The product of one sample of each of so many signals, 64 outputs at a time.

    Four signals share what is read of the weights; each has the sums that it would have by itself.
    """
    _inputs(op, inputs, buffers, now, scratch)
    count, stride, entries = op[COUNT], buffers[op[OUT], STRIDE], tile_entries(weights)
    width = 64 * op[SIZE]
    y = address(buffers, now, op[OUT], 0, 0) + origin
    bias = op[NUMBERS] if op[A_AT] < 0 else address(buffers, now, op[A], op[A_AT], 0) + origin
    added = address(buffers, now, op[B], 0, 0) + origin
    for row in range(rows):
        for k in range(row * stride, row * stride + width, 16):
            x = load(numbers, bias + k - row * stride) if op[A_AT] < 0 else load(arena, bias + k)
            if op[B_AT] >= 0:
                x = plus(x, load(arena, added + k))
            store(arena, y + k, x)
    for column in range(0, width, 64):
        begin = (op[WEIGHTS] + column // 64 * op[FUNCTION]) * entries
        scales = op[NUMBERS] + width + column
        z = zeros()
        for row in range(0, rows - 3, 4):
            w, move = begin, origin + row * stride
            a0, a1, a2, a3, b0, b1, b2, b3 = z, z, z, z, z, z, z, z
            c0, c1, c2, c3, d0, d1, d2, d3 = z, z, z, z, z, z, z, z
            for i in range(count):
                for j in range(scratch[i, 0] + move, scratch[i, 0] + move + scratch[i, 1]):
                    w0, w1, w2, w3 = tile(weights, w)
                    w += entries
                    s = spread(arena, j)
                    a0, a1, a2, a3 = fma(s, w0, a0), fma(s, w1, a1), fma(s, w2, a2), fma(s, w3, a3)
                    s = spread(arena, j + stride)
                    b0, b1, b2, b3 = fma(s, w0, b0), fma(s, w1, b1), fma(s, w2, b2), fma(s, w3, b3)
                    s = spread(arena, j + 2 * stride)
                    c0, c1, c2, c3 = fma(s, w0, c0), fma(s, w1, c1), fma(s, w2, c2), fma(s, w3, c3)
                    s = spread(arena, j + 3 * stride)
                    d0, d1, d2, d3 = fma(s, w0, d0), fma(s, w1, d1), fma(s, w2, d2), fma(s, w3, d3)
            at = y + row * stride + column
            _add(weights, arena, at, (a0, a1, a2, a3), numbers, scales)
            _add(weights, arena, at + stride, (b0, b1, b2, b3), numbers, scales)
            _add(weights, arena, at + 2 * stride, (c0, c1, c2, c3), numbers, scales)
            _add(weights, arena, at + 3 * stride, (d0, d1, d2, d3), numbers, scales)
        for row in range(rows // 4 * 4, rows):
            w, move = begin, origin + row * stride
            a0, a1, a2, a3 = z, z, z, z
            for i in range(count):
                for j in range(scratch[i, 0] + move, scratch[i, 0] + move + scratch[i, 1]):
                    w0, w1, w2, w3 = tile(weights, w)
                    w += entries
                    s = spread(arena, j)
                    a0, a1, a2, a3 = fma(s, w0, a0), fma(s, w1, a1), fma(s, w2, a2), fma(s, w3, a3)
            at = y + row * stride + column
            _add(weights, arena, at, (a0, a1, a2, a3), numbers, scales)


@kernel
def blocks(
    op: Any, inputs: Any, buffers: Any, now: Any, weights: Any, numbers: Any, arena: Any,
    scratch: Any, origin: int, rows: int, columns: int,
) -> None:  # fmt: skip
    """The product of so many samples of one signal, 4 outputs and 32 samples at a time."""
    _inputs(op, inputs, buffers, now, scratch)
    count, size = op[COUNT], op[FUNCTION]
    stride, of_bias, of_plus = buffers[op[OUT], UNIT], buffers[op[A], UNIT], buffers[op[B], UNIT]
    y = address(buffers, now, op[OUT], 0, 0) + origin
    bias = address(buffers, now, op[A], max(op[A_AT], 0), 0) + origin
    added = address(buffers, now, op[B], 0, 0) + origin
    for row in range(4 * op[SIZE]):
        for k in range(0, columns, 16):
            x = spread(numbers, op[NUMBERS] + row)
            if op[A_AT] >= 0:
                x = load(arena, bias + row * of_bias + k)
            if op[B_AT] >= 0:
                x = plus(x, load(arena, added + row * of_plus + k))
            store(arena, y + row * stride + k, x)
    for four in range(op[SIZE]):
        begin, at = 4 * (op[WEIGHTS] + four * size), y + 4 * four * stride
        for column in range(0, columns, 32):
            w, k = begin, at + column
            a0, a1 = load(arena, k), load(arena, k + 16)
            k += stride
            b0, b1 = load(arena, k), load(arena, k + 16)
            k += stride
            c0, c1 = load(arena, k), load(arena, k + 16)
            k += stride
            d0, d1 = load(arena, k), load(arena, k + 16)
            for i in range(count):
                x, step = scratch[i, 0] + origin + column, scratch[i, 2]
                for _ in range(scratch[i, 1]):
                    x0, x1 = load(arena, x), load(arena, x + 16)
                    s = spread(weights, w)
                    a0, a1 = fma(s, x0, a0), fma(s, x1, a1)
                    s = spread(weights, w + 1)
                    b0, b1 = fma(s, x0, b0), fma(s, x1, b1)
                    s = spread(weights, w + 2)
                    c0, c1 = fma(s, x0, c0), fma(s, x1, c1)
                    s = spread(weights, w + 3)
                    d0, d1 = fma(s, x0, d0), fma(s, x1, d1)
                    w, x = w + 4, x + step
            store(arena, k, d0)
            store(arena, k + 16, d1)
            k -= stride
            store(arena, k, c0)
            store(arena, k + 16, c1)
            k -= stride
            store(arena, k, b0)
            store(arena, k + 16, b1)
            k -= stride
            store(arena, k, a0)
            store(arena, k + 16, a1)
