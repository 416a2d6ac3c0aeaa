"""The linear prediction of the next sample, and what a table says of it."""

import math
from typing import Any

from wavedil.engine.products import address, kernel
from wavedil.engine.program import COUNT, FUNCTION, NUMBERS, OUT, SIZE, STRIDE, A, B


@kernel
def guess(
    op: Any, buffers: Any, now: Any, numbers: Any, arena: Any, origin: int, rows: int
) -> None:
    """The operator `Guess` at one sample of so many signals."""
    order, points, size, stride = op[FUNCTION], op[COUNT], op[SIZE], buffers[op[OUT], STRIDE]
    for row in range(rows):
        move = origin + row * stride
        weights = address(buffers, now, op[B], 0, 0) + move
        out = address(buffers, now, op[OUT], 0, 0) + move
        value = arena[weights] * 0.0
        for lag in range(order):
            value += arena[weights + lag] * arena[address(buffers, now, op[A], 0, lag) + move]
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
