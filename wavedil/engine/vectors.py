"""Vectors of 16 float32 numbers in compiled kernels, which LLVM maps to whatever registers the processor has.

A loop over arrays may or may not be vectorised; these always are, and sums stay in registers:

    total = zeros()
    for i in range(count):
        total = fma(spread(arena, x + i), load(arena, w + 16 * i), total)
    store(arena, y, total)

Addresses are numbers of elements in an array, and not checked. What is defined here is inserted where it is called as
LLVM's own instructions: Numba compiles no function for it.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

WIDTH = 16
_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_FLOATS, _INTS = ir.VectorType(_FLOAT, WIDTH), ir.VectorType(_INT, WIDTH)
_BYTES = ir.VectorType(ir.IntType(8), WIDTH)


class _Vector(types.Type):
    def __init__(self) -> None:
        super().__init__("Vector")


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _FLOATS)


_VECTOR = _Vector()


class Value:
    """A vector while its instructions are written, with the arithmetic of Python."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def like(self, other: Any) -> Any:
        """The instructions' operand of a vector or a number."""
        return other.value if isinstance(other, Value) else ir.Constant(_FLOATS, [other] * WIDTH)

    def _of(self, value: Any) -> "Value":
        return Value(self.builder, value)

    def __add__(self, other: Any) -> "Value":
        return self._of(self.builder.fadd(self.value, self.like(other)))

    def __sub__(self, other: Any) -> "Value":
        return self._of(self.builder.fsub(self.value, self.like(other)))

    def __rsub__(self, other: Any) -> "Value":
        return self._of(self.builder.fsub(self.like(other), self.value))

    def __mul__(self, other: Any) -> "Value":
        return self._of(self.builder.fmul(self.value, self.like(other)))

    def __truediv__(self, other: Any) -> "Value":
        return self._of(self.builder.fdiv(self.value, self.like(other)))

    __radd__, __rmul__ = __add__, __mul__

    def times(self, factor: Any, plus: Any) -> "Value":
        """x factor + plus, rounded once where the processor can."""
        return self.call("fmuladd", factor, plus)

    def call(self, name: str, *others: Any) -> "Value":
        """A function of LLVM's: rint, fabs, ..."""
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * (1 + len(others)))
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.v16f32")
        return self._of(self.builder.call(function, [self.value, *map(self.like, others)]))

    def where_below(self, limit: Any, this: Any, other: Any) -> "Value":
        """`this` where x is below the limit, `other` elsewhere, where x is NaN too."""
        below = self.builder.fcmp_ordered("<", self.value, self.like(limit))
        return self._of(self.builder.select(below, self.like(this), self.like(other)))

    def clipped(self, low: Any, high: Any) -> "Value":
        """x between two limits; NaN where x is."""
        above = self.builder.fcmp_ordered(">", self.value, self.like(high))
        x = self._of(self.builder.select(above, self.like(high), self.value))
        return x.where_below(low, low, x)

    def power_of_two(self) -> "Value":
        """2^x of whole x from -126 to 127."""
        b, offset, shift = self.builder, [127] * WIDTH, [23] * WIDTH
        exponent = b.add(b.fptosi(self.value, _INTS), ir.Constant(_INTS, offset))
        return self._of(b.bitcast(b.shl(exponent, ir.Constant(_INTS, shift)), _FLOATS))


def element(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """A pointer to an entry of an array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [at])


def loaded(builder: Any, pointer: Any, kind: Any = _FLOATS) -> Any:
    """16 numbers."""
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)


def stored(builder: Any, pointer: Any, value: Any) -> None:
    """Writes 16 numbers."""
    builder.store(value, builder.bitcast(pointer, _FLOATS.as_pointer()), align=4)


def splat(builder: Any, number: Any) -> Any:
    """A number in every lane."""
    undefined = ir.Constant(_FLOATS, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_INTS, [0] * WIDTH))


@intrinsic
def load(_: Any, array: Any, at: Any) -> Any:
    """16 numbers of an array of float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return loaded(builder, element(context, builder, signature.args[0], *args))

    return _VECTOR(array, types.int64), generate


@intrinsic
def spread(_: Any, array: Any, at: Any) -> Any:
    """One number of an array of float32 in every lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return splat(builder, builder.load(element(context, builder, signature.args[0], *args)))

    return _VECTOR(array, types.int64), generate


@intrinsic
def store(_: Any, array: Any, at: Any, x: Any) -> Any:
    """Writes 16 numbers."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        stored(builder, element(context, builder, signature.args[0], args[0], args[1]), args[2])
        return context.get_dummy_value()

    return types.void(array, types.int64, x), generate


@intrinsic
def zeros(_: Any) -> Any:
    """0 in every lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(_FLOATS, [0.0] * WIDTH)

    return _VECTOR(), generate


@intrinsic
def fma(_: Any, x: Any, y: Any, z: Any) -> Any:
    """x y + z."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, y, z = (Value(builder, arg) for arg in args)
        return x.times(y, z).value

    return _VECTOR(x, y, z), generate


@intrinsic
def plus(_: Any, x: Any, y: Any) -> Any:
    """x + y."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*args)

    return _VECTOR(x, y), generate


@intrinsic
def tile(_: Any, weights: Any, at: Any) -> Any:
    """64 weights: of float32, of pairs of bfloat16 in uint32, or of int8."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def part(move: int) -> Any:
            place = builder.add(args[1], ir.Constant(ir.IntType(64), move))
            return element(context, builder, signature.args[0], args[0], place)

        return context.make_tuple(
            builder, signature.return_type, _WIDENED[weights.dtype](builder, part)
        )

    return types.UniTuple(_VECTOR, 4)(weights, types.int64), generate


def _of_float32(builder: Any, part: Callable[[int], Any]) -> list[Any]:
    return [loaded(builder, part(move)) for move in (0, 16, 32, 48)]


def _of_bfloat16(builder: Any, part: Callable[[int], Any]) -> list[Any]:
    halves = []
    for move in (0, 16):
        words = loaded(builder, part(move), _INTS)
        low = builder.shl(words, ir.Constant(_INTS, [16] * WIDTH))
        high = builder.and_(words, ir.Constant(_INTS, [0xFFFF0000] * WIDTH))
        halves += [builder.bitcast(low, _FLOATS), builder.bitcast(high, _FLOATS)]
    return halves


def _of_int8(builder: Any, part: Callable[[int], Any]) -> list[Any]:
    numbers = [loaded(builder, part(move), _BYTES) for move in (0, 16, 32, 48)]
    return [builder.sitofp(builder.sext(number, _INTS), _FLOATS) for number in numbers]


_WIDENED = {types.float32: _of_float32, types.uint32: _of_bfloat16, types.int8: _of_int8}


@intrinsic
def tile_entries(_: Any, weights: Any) -> Any:
    """Entries of the array that hold 64 weights."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(64), 32 if weights.dtype == types.uint32 else 64)

    return types.int64(weights), generate


@intrinsic
def scaled(_: Any, weights: Any, x: Any, numbers: Any, at: Any) -> Any:
    """Sums of int8 weights times their scales; sums of others."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if weights.dtype != types.int8:
            return args[1]
        scales = loaded(builder, element(context, builder, signature.args[2], args[2], args[3]))
        return builder.fmul(args[1], scales)

    return _VECTOR(weights, x, numbers, types.int64), generate
