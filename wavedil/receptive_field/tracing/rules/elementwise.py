"""Operations that work on each element by itself."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.diagonals import Numbers
from wavedil.receptive_field.tracing.domain.axes import Axes, Axis, new_axes, new_axis
from wavedil.receptive_field.tracing.domain.known import Known, mask
from wavedil.receptive_field.tracing.domain.value import Value, union_of
from wavedil.receptive_field.tracing.evaluation import compact
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen, released
from wavedil.receptive_field.tracing.rules import hidden_axes, intervals, masking

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
_KEEPING_SPECTRA = {"convert_element_type", "copy", "neg", "stop_gradient"}


def elementwise(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Each output element sees what the input elements at its place see."""
    between = intervals.of_result(eqn, inputs)
    out = eqn.outvars[0].aval
    if between is not None and out.dtype == bool and between[0] == between[1]:
        return Constant.holding(np.broadcast_to(between[0], out.shape))
    known = masking.of_result(eqn, inputs)
    values = [value for value in inputs if isinstance(value, Value)]
    values = [v if masking.covers(known, v) else v.released() for v in values]
    # Only what leaves a spectrum as it is, but for a factor, keeps the filter that it has been multiplied with.
    spectrum = values[0].spectrum if eqn.primitive.name in _KEEPING_SPECTRA else None
    joined = together(values, out.shape)
    return replace(joined, known=known, spectrum=spectrum, between=between)


def together(values: Sequence[Value], shape: Sequence[int]) -> Value:
    """The union of arrays that are broadcast to a shape: of that rank, or scalars."""
    if len(values) == 1 and values[0].shape == tuple(shape):
        return replace(values[0], spectrum=None, between=None)
    # Along each axis as many factors as an array that has some: then union_of need not join them.
    axes = list(new_axes(shape))
    for value in values:
        for i, axis in enumerate(value.axes):
            if axis:
                axes[i] = axis
    return union_of([Value(_repeated(value.axes, axes), value.terms) for value in values])


def either(outcomes: Iterable[Seen], shape: Sequence[int]) -> Seen:
    """Any of several arrays that are broadcast to a shape; a constant where none of them depends on the signal."""
    values = [value for value in outcomes if isinstance(value, Value)]
    return together(values, shape) if values else Constant(shape, None)


def _repeated(own: Axes, axes: Sequence[Axis]) -> Axes:
    """Axes of size 1, and those that a scalar lacks, repeated as the others have them, under new names.

    In x[:, None] * x[None] both axes have the factors of x; under one name they would be the same index.
    """
    return tuple(
        mine or tuple(part for old in axis for part in new_axis(old.size))
        for mine, axis in zip(own or [()] * len(axes), axes, strict=True)
    )


def one_by_one(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
    """Output i is input i."""
    return inputs


def multiplied(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """As of each element by itself, though where a known factor is zero, as at a window's end, nothing is seen."""
    if masking.of_result(eqn, inputs) is not None:
        return elementwise(tracer, eqn, inputs)
    for value, factor in (inputs, inputs[::-1]):
        if isinstance(value, Value) and value.spectrum is not None:
            values = [each for each in inputs if isinstance(each, Value)]
            product = together(values, eqn.outvars[0].aval.shape)
            return masking.filtered_by(value, factor, product)
    for value, factor in (inputs, inputs[::-1]):
        if not isinstance(value, Value) or not isinstance(factor, Constant):
            continue
        if masking.hides_too_much(value, factor):
            return elementwise(tracer, eqn, [value.because(masking.TOO_LARGE)])
        known = factor.numbers
        if known is not None and known.size > 1 and not compact(known).all():
            # Zeros of some channels hide nothing, for the others see the same times.
            if masking.moving_axes(value):
                value = value.because("product with a known window or mask that has zeros")
                return together([value], eqn.outvars[0].aval.shape)
    return elementwise(tracer, eqn, inputs)


def sum_of(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """As of each element by itself, though a known term may be minus infinity."""
    for value, term in (inputs, inputs[::-1]):
        if isinstance(value, Value) and masking.hides_too_much(value, term):
            return elementwise(tracer, eqn, [value.because(masking.TOO_LARGE), term])
    return elementwise(tracer, eqn, inputs)


def select(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """An element of one case or the other; of the one that is chosen where a mask is known."""
    masked = _masked(eqn, inputs)
    if masked is not None:
        return masked
    which, *cases = map(released, inputs)
    shape = eqn.outvars[0].aval.shape
    chosen = which.numbers if isinstance(which, Constant) else None
    if chosen is not None and chosen.size and compact(chosen).min() == compact(chosen).max():
        return cases[int(compact(chosen).min())]
    if isinstance(which, Constant) and which.by_trip is not None:
        numbers = which.by_trip.reshape(len(which.by_trip), -1)
        if (numbers == numbers[:, :1]).all():
            trips = which.trips
            return either(
                (
                    hidden_axes.in_trips(tracer, v, trips, numbers[:, 0] == i)
                    for i, v in enumerate(cases)
                ),
                shape,
            )
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
    return either(values, shape)


def _masked(eqn: Any, inputs: list[Seen]) -> Seen | None:
    """An array under a known mask, with constants in place of what it hides; None for other choices."""
    which, *cases = inputs
    chosen = which.numbers if isinstance(which, Constant) else None
    places = [i for i, case in enumerate(cases) if isinstance(case, Value)]
    if chosen is None or len(places) != 1 or len(cases) != 2:
        return None
    value, other = cases[places[0]], cases[1 - places[0]]
    assert isinstance(value, Value)
    live: Numbers = compact(chosen) == places[0]
    if live.all():
        return value
    if not live.any():
        return Constant(value.shape, None)
    fill = other.number if isinstance(other, Constant) else None
    number = float("nan") if fill is None else float(fill)
    filled = Known(live, number)
    if value.known is not None and bool((live & ~value.known.live).any()):
        both = masking.joined([filled, value.known])
        if both is None:
            value = value.released()
        filled = both or filled
    return replace(value, known=filled, between=None)


def _where(value: Value, chosen: Numbers) -> Value | None:
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
            return value.restricted(axis, mask(along))
    return None


RULES: dict[str, Rule] = {
    **dict.fromkeys(_NAMES, elementwise),
    "mul": multiplied,
    **dict.fromkeys(["add", "sub", "add_any"], sum_of),
    "select_n": select,
    "optimization_barrier": one_by_one,
    "reduced_vary_cast": one_by_one,
    "reduced_vary_cast_p": one_by_one,  # its name before JAX 0.12
}
