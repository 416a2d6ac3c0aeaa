"""What follows the pitch: samples gathered around one, two ... dilations ago, of each signal its own."""

from typing import Any

import numpy as np

from wavedil.engine.products import address, kernel
from wavedil.engine.program import COUNT, FIRST, FUNCTION, OUT, PAST, SIZE, STRIDE, A, B


@kernel
def follow(op: Any, buffers: Any, now: Any, arena: Any, origin: int, rows: int) -> None:
    """The operator `Follow` at one sample of so many signals; NaN where a dilation is out of range."""
    x, stride = op[A], buffers[op[OUT], STRIDE]
    size, taps, spread, part = op[SIZE], op[FUNCTION], op[FIRST], op[COUNT]
    for row in range(rows):
        move = origin + row * stride
        pitch = address(buffers, now, op[B], 0, 0) + move
        dilation, voicing = max((int(arena[pitch]) + part // 2) // part, 1), arena[pitch + 1]
        out = address(buffers, now, op[OUT], 0, 0) + move
        for tap in range(taps, 0, -1):
            for offset in range(-spread, spread + 1):
                delay = tap * dilation - offset
                known = 0 <= delay <= buffers[x, PAST]
                start = address(buffers, now, x, 0, delay if known else 0) + move
                for k in range(size):
                    arena[out + k] = voicing * arena[start + k] if known else np.nan
                out += size
