"""Operations that work on each element by itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.rules.relations import mask
from wavedil.receptive_field.tracing.value import Axes, Axis, Value, new_axes, union_of

_NAMES = """
abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp
clz complex conj convert_element_type copy cos cosh digamma div eq eq_to erf erf_inv erfc
exp exp2 expm1 floor ge gt igamma igamma_grad_a igammac imag integer_pow is_finite le le_to
lgamma log log1p log2 logistic lt lt_to max min mulhi name ne neg nextafter not
one_minus_square or philox2x32 philox4x32 polygamma polynomial population_count pow real
reduce_precision regularized_incomplete_beta rem round rsqrt
shift_left shift_right_arithmetic shift_right_logical sign sin sinh square sqrt stop_gradient sub
tan tanh threefry2x32 threefry4x32 xor zeta device_put sharding_constraint layout_constraint reshard pvary
pcast random_clone
""".split()


def elementwise(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Each output element sees what the input elements at its place see."""
    shape = eqn.outvars[0].aval.shape
    return together([value for value in inputs if isinstance(value, Value)], shape)


def together(values: Sequence[Value], shape: Sequence[int]) -> Value:
    """The union of arrays that are broadcast to a shape: of that rank, or scalars."""
    if len(values) == 1 and values[0].shape == tuple(shape):
        return values[0]
    # Along each axis the factors of an array that has some, so that its terms need no change; union_of
    # then renames those of the others.
    axes = list(new_axes(shape))
    for value in values:
        for i, axis in enumerate(value.axes):
            if axis:
                axes[i] = axis
    return union_of([Value(_repeated(value.axes, axes), value.terms) for value in values])


def _repeated(own: Axes, axes: Sequence[Axis]) -> Axes:
    """Axes of size 1, and those that a scalar lacks, repeated as the others have them."""
    return tuple(mine or axis for mine, axis in zip(own or [()] * len(axes), axes, strict=True))


def one_by_one(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
    """Output i is input i."""
    return inputs


def product(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """As of each element by itself, though where a known factor is zero, as at a window's end, nothing is seen."""
    for value, factor in (inputs, inputs[::-1]):
        known = factor.numpy if isinstance(factor, Constant) else None
        if isinstance(value, Value) and known is not None and known.size > 1 and not known.all():
            # Zeros of some channels hide nothing, for the others see the same times.
            moving = {id for term in value.terms for id, seen in term.maps.items() if seen.moves}
            if any(part.id in moving for axis in value.axes for part in axis):
                value = value.because("product with a known window or mask that has zeros")
                return elementwise(tracer, eqn, [value])
    return elementwise(tracer, eqn, inputs)


def select(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """An element of one case or the other; of the one that is chosen where a mask is known."""
    which, *cases = inputs
    shape = eqn.outvars[0].aval.shape
    chosen = which.numpy if isinstance(which, Constant) else None
    values = [which] if isinstance(which, Value) else []
    # A mask that depends on the signal is seen itself, and both cases; that is exact.
    for i, case in enumerate(cases):
        if isinstance(case, Value):
            kept = case if chosen is None else _where(case, chosen == i)
            if kept is None:
                kept = case.because("where by a mask of several dimensions")
            if chosen is None and not isinstance(which, Value):
                kept = kept.because("where by a mask that is not known here")
            values += [kept] if kept.terms else []
    return together(values, shape) if values else Constant(shape, None)


def _where(value: Value, chosen: np.ndarray) -> Value | None:
    """A value where a mask is true; None for a mask that varies along several axes at once."""
    if not chosen.any():
        return Value(value.axes, ())
    if chosen.all():
        return value
    # A mask that is the same along all axes but one cuts that axis.
    for axis in range(chosen.ndim):
        others = tuple(a for a in range(chosen.ndim) if a != axis)
        along = np.asarray(chosen.any(others))
        if (along == chosen.all(others)).all():
            return value.restricted(axis, mask(along)[0])
    return None


RULES: dict[str, Rule] = {
    **dict.fromkeys(_NAMES, elementwise),
    "mul": product,
    "select_n": select,
    "optimization_barrier": one_by_one,
    "reduced_vary_cast": one_by_one,
    "reduced_vary_cast_p": one_by_one,  # its name before JAX 0.12
}
