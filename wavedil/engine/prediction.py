"""The linear prediction of the next sample, and what a table says of it."""

import math
from typing import Any

from wavedil.engine.products import address, kernel
from wavedil.engine.program import COUNT, FIRST, FUNCTION, NUMBERS, OUT, SIZE, STRIDE, A, B, C


@kernel
def predict(op: Any, buffers: Any, now: Any, arena: Any, origin: int, rows: int) -> None:
    """The operator `Predict` at one sample of so many signals; NaN where a dilation is out of range."""
    order, short, pitch, stride = op[SIZE], op[FIRST], op[COUNT], buffers[op[OUT], STRIDE]
    for row in range(rows):
        move = origin + row * stride
        weights = address(buffers, now, op[B], 0, 0) + move
        value = arena[weights] * 0.0
        for lag in range(order):
            value += arena[weights + lag] * arena[address(buffers, now, op[A], 0, lag) + move]
        guess = value
        if pitch >= 0:
            newest = arena[address(buffers, now, op[A], 0, 0) + move]
            before = arena[address(buffers, now, short, 0, 1) + move]
            arena[address(buffers, now, op[C], 0, 0) + move] = newest - before
            arena[address(buffers, now, short, 0, 0) + move] = value
            given = address(buffers, now, pitch, 0, 0) + move
            lag = int(arena[given])
            if 1 <= lag - 1 and lag + 1 <= op[FUNCTION]:
                earlier = arena[address(buffers, now, op[C], 0, lag + 1) + move]
                middle = arena[address(buffers, now, op[C], 0, lag) + move]
                later = arena[address(buffers, now, op[C], 0, lag - 1) + move]
                guess += arena[given + 1] * (earlier + 2.0 * middle + later) * 0.125
            else:
                guess = value * math.nan
        arena[address(buffers, now, op[OUT], 0, 0) + move] = guess


@kernel
def look(op: Any, buffers: Any, now: Any, numbers: Any, arena: Any, origin: int, rows: int) -> None:
    """The operator `Look` at one sample of so many signals."""
    points, size, stride = op[COUNT], op[SIZE], buffers[op[OUT], STRIDE]
    for row in range(rows):
        move = origin + row * stride
        value = arena[address(buffers, now, op[A], 0, 0) + move]
        out = address(buffers, now, op[OUT], 0, 0) + move
        known = value == value
        limited = min(max(value, -1.0), 1.0) if known else 0.0
        place = math.log1p(255.0 * abs(limited)) / math.log(256.0)
        place = ((place if limited > 0 else -place) + 1.0) * 0.5 * (points - 1)
        below = min(int(place), points - 2)
        share = place - below if known else value
        start = op[NUMBERS] + below * size
        for k in range(size):
            low, high = numbers[start + k], numbers[start + size + k]
            arena[out + k] = low + share * (high - low)
