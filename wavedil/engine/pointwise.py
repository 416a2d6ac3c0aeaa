"""Operators on each number by itself: rows of signals or channels, along each of which vectors run."""

import inspect
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from wavedil.engine.functions import POINTWISE, exp
from wavedil.engine.vectors import WIDTH, Value, element, loaded, splat, stored


@intrinsic
def pointwise(
    _: Any, number: Any, arena: Any, at: Any, strides: Any, rows: Any, columns: Any, numbers: Any,
    first: Any, size: Any,
) -> Any:  # fmt: skip
    """out = f(a, b, c), f by its number in `POINTWISE`.

    `at` and `strides` are of out, a, b and c: where they begin, and numbers from a row to the next. "bent" has four
    numbers for each channel in place of b and c, which lie `size` apart from `first` on; where rows are signals, those
    of the first channel.
    """
    whole = types.int64
    signature = types.void(whole, arena, at, strides, whole, whole, numbers, whole, whole)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number, arena, at, strides, rows, columns, numbers, first, size = args
        done = builder.append_basic_block("done")
        choice = builder.switch(number, done)
        for code, (name, function) in enumerate(POINTWISE.items()):
            case = builder.append_basic_block(name)
            choice.add_case(ir.Constant(number.type, code), case)
            builder.position_at_end(case)
            operands = 1 if name == "bent" else len(inspect.signature(function).parameters)
            with cgutils.for_range(builder, rows) as row:
                starts = [
                    builder.add(
                        builder.extract_value(at, n),
                        builder.mul(row.index, builder.extract_value(strides, n)),
                    )
                    for n in range(1 + operands)
                ]
                more = []
                if name == "bent":
                    of_channels = builder.icmp_signed("==", rows, size)
                    channel = builder.select(of_channels, row.index, ir.Constant(row.index.type, 0))
                    for n in range(4):
                        place = builder.add(first, builder.mul(size, ir.Constant(size.type, n)))
                        place = builder.add(place, channel)
                        entry = element(context, builder, signature.args[6], numbers, place)
                        more.append(Value(builder, splat(builder, builder.load(entry))))
                step = ir.Constant(columns.type, WIDTH)
                with cgutils.for_range_slice(
                    builder, ir.Constant(columns.type, 0), columns, step, inc=True
                ) as (column, _):
                    places = [
                        element(
                            context, builder, signature.args[1], arena, builder.add(start, column)
                        )
                        for start in starts
                    ]
                    values = [Value(builder, loaded(builder, place)) for place in places[1:]]
                    stored(builder, places[0], function(*values, *more).value)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def exponentials(_: Any, out: Any, y: Any, array: Any, x: Any, shift: Any, factor: Any) -> Any:
    """exp((x - shift) factor) of 16 numbers."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, y, array, x, shift, factor = args
        value = loaded(builder, element(context, builder, signature.args[2], array, x))
        shift, factor = (
            Value(builder, splat(builder, shift)),
            Value(builder, splat(builder, factor)),
        )
        place = element(context, builder, signature.args[0], out, y)
        stored(builder, place, exp((Value(builder, value) - shift) * factor).value)
        return context.get_dummy_value()

    whole, real = types.int64, types.float32
    return types.void(out, whole, array, whole, real, real), generate
