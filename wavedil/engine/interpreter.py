"""The interpreter: runs a section of a program, one compiled kernel for each kind of operator."""

from typing import Any

from wavedil.engine import products
from wavedil.engine.following import follow
from wavedil.engine.pointwise import pointwise
from wavedil.engine.prediction import look, predict
from wavedil.engine.products import address, inlined, kernel
from wavedil.engine.program import (
    A_AT,
    B_AT,
    C_AT,
    FUNCTION,
    KIND,
    NUMBERS,
    OUT,
    OUT_AT,
    PAST,
    SECTION,
    SIZE,
    START,
    STEP,
    STRIDE,
    TOTAL,
    A,
    B,
    C,
)


def _interpreter(product: Any, blocks: bool) -> Any:
    @kernel
    def run(
        section: int, sections: Any, operators: Any, inputs: Any, buffers: Any, now: Any,
        weights: Any, numbers: Any, arena: Any, scratch: Any, origin: int, rows: int, columns: int,
    ) -> None:  # fmt: skip
        """Runs a section for `rows` signals from `origin` on, or for so many columns, samples, of one."""
        for n in range(sections[section], sections[section + 1]):
            op = operators[n]
            if op[KIND] == 0:
                product(
                    op,
                    inputs,
                    buffers,
                    now,
                    weights,
                    numbers,
                    arena,
                    scratch,
                    origin,
                    rows,
                    columns,
                )
                continue
            if op[KIND] == 2:
                follow(op, buffers, now, arena, origin, rows)
                continue
            if op[KIND] == 3:
                predict(op, buffers, now, arena, origin, rows)
                continue
            if op[KIND] == 4:
                look(op, buffers, now, numbers, arena, origin, rows)
                continue
            at = (
                address(buffers, now, op[OUT], op[OUT_AT], 0) + origin,
                address(buffers, now, op[A], op[A_AT], 0) + origin,
                address(buffers, now, op[B], op[B_AT], 0) + origin,
                address(buffers, now, op[C], op[C_AT], 0) + origin,
            )
            strides = (
                buffers[op[OUT], STRIDE],
                buffers[op[A], STRIDE],
                buffers[op[B], STRIDE],
                buffers[op[C], STRIDE],
            )
            size = op[SIZE]
            long, wide = (size, columns) if blocks else (rows, size)
            pointwise(op[FUNCTION], arena, at, strides, long, wide, numbers, op[NUMBERS], size)

    return run


run_samples = _interpreter(products.samples, False)
run_blocks = _interpreter(products.blocks, True)


@inlined
def next_sample(section: int, buffers: Any, now: Any) -> None:
    """Every ring of a section moves on by a slot."""
    for n in range(len(buffers)):
        if buffers[n, PAST] > 0 and buffers[n, SECTION] == section:
            now[n] += buffers[n, STEP]
            if now[n] == buffers[n, START] + buffers[n, TOTAL]:
                now[n] = buffers[n, START]


@inlined
def next_block(
    buffers: Any, now: Any, arena: Any, columns: int, reach: int, size: int, signals: int
) -> None:
    """Every block moves on along its rows; where the next one would not fit, the past moves back to their beginning.

    Args:
      buffers: As in a program.
      now: Where the blocks begin.
      arena: The arena.
      columns: Samples of the block that is done.
      reach: Samples of the longest block.
      size: Numbers of a signal.
      signals: Signals.
    """
    for n in range(len(buffers)):
        row = buffers[n]
        past, length = row[PAST], row[STRIDE]
        if past == 0:
            continue
        now[n] += columns
        if now[n] - row[START] + reach <= length:
            continue
        for signal in range(signals):
            for channel in range(row[TOTAL]):
                start = row[START] + signal * size + channel * length
                begin = now[n] - row[START] - past
                for k in range(past):
                    arena[start + k] = arena[start + begin + k]
        now[n] = row[START] + past
