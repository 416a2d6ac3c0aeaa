"""Operations over complete axes: reductions, running sums, sorting, Fourier transforms, factorizations."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.diagonals import Numbers
from wavedil.receptive_field.tracing.domain.axes import Factor, new_axes, new_axis
from wavedil.receptive_field.tracing.domain.known import varying_axes
from wavedil.receptive_field.tracing.domain.running import running_union
from wavedil.receptive_field.tracing.domain.sets import ZERO
from wavedil.receptive_field.tracing.domain.terms import Term, tidied
from wavedil.receptive_field.tracing.domain.value import Interval, Value, union_of
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen, because
from wavedil.receptive_field.tracing.rules import intervals
from wavedil.receptive_field.tracing.rules.elementwise import either, together
from wavedil.receptive_field.tracing.rules.masking import moving_axes, over_live
from wavedil.receptive_field.tracing.rules.relations import affine

_REDUCTIONS = {"reduce_max", "reduce_min", "reduce_and", "reduce_or", "reduce_sum"}


def reduce(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Sums, products, extremes and their places: an output reads all indices of the reduced axes."""
    axes = eqn.params["dimensions" if "dimensions" in eqn.params else "axes"]
    largest = eqn.primitive.name in ("reduce_max", "argmax")
    values, known = [], None
    for value in inputs:
        if not isinstance(value, Value):
            continue
        value = value if largest else value.exactly_known
        if value.known is None:
            values.append(value.over(*axes) if value.shape else value)
            continue
        some: Any = value.known.live.any(tuple(axes))
        if eqn.primitive.name in _REDUCTIONS and not {*varying_axes(value.known.live)} & {*axes}:
            # Of elements that are joined all are known or none is, as of several heads under one mask.
            known = replace(value.known, live=some, number=_of_equals(eqn, value, axes))
            values.append(Value(value.axes, value.terms).over(*axes))
            continue
        # A maximum passes low numbers over, but where there are no others.
        if largest and value.known.low and np.isfinite(value.known.number) and not some.all():
            known = replace(value.known, live=some)
            value = value.exactly_known
        live: Numbers = np.ones((), bool) if value.known is None else value.known.live
        values.append(over_live(value, axes, live))
    joined = together(values, eqn.outvars[0].aval.shape)
    if eqn.primitive.name not in ("argmax", "argmin"):
        return replace(joined, known=known)
    # Any of elements that the signal sets one by one may be the largest.
    first = inputs[0]
    free = isinstance(first, Value) and first.known is None and intervals.is_free(first)
    every = free and set(axes) <= moving_axes(first)  # type: ignore[arg-type]
    return replace(joined, between=Interval(0, first.shape[axes[0]] - 1, every))


def _of_equals(eqn: Any, value: Value, axes: Sequence[int]) -> float:
    """What a reduction makes of elements that all are the number that is known."""
    assert value.known is not None
    number, dtype = value.known.number, eqn.outvars[0].aval.dtype
    if eqn.primitive.name != "reduce_sum" or np.isnan(number):
        return number
    # In the array's own numbers, where a sum may wrap or be infinite.
    count = math.prod(value.shape[i] for i in axes)
    with np.errstate(all="ignore"):
        return float(np.asarray(number).astype(dtype) * np.asarray(count).astype(dtype))


def cumulative(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Output j sees what inputs up to j see; those from j on where it runs in reverse."""
    value = inputs[0]
    assert isinstance(value, Value)
    return running(value, eqn.params["axis"], eqn.params["reverse"])


def running(value: Value, axis: int, reverse: bool = False) -> Value:
    """The running union along an axis."""
    if reverse:
        value = _reversed(value, axis)
    value = each_along(value, axis, running_term)
    return _reversed(value, axis) if reverse else value


def _reversed(value: Value, axis: int) -> Value:
    size = value.shape[axis]
    return value.read(axis, affine(size, -1, size - 1))


def each_along(
    value: Value, axis: int, change: Callable[[Term, Factor], Iterable[Term | None]]
) -> Value:
    """What every term becomes, given the one factor of an axis."""
    value = value.single(axis)
    if not value.axes[axis]:
        return value
    return value.each(lambda term: change(term, value.axes[axis][0]))


def running_term(term: Term, factor: Factor, cut: bool = True) -> Iterable[Term | None]:
    """The running union along a factor of a term; without `cut` its window stays as it is."""
    if factor.id not in term.maps:
        yield term
        return
    maps = term.without(factor.id)
    # A smaller window (see `running_union`) hides inputs from all of the term, so it may be set only where no
    # other map of the term moves inputs about.
    alone = all(seen.bounds == (0, 0) for seen in maps.values())
    own = term.maps[factor.id].plus_set(term.base)
    for part in running_union(own, term.window if cut and alone else None):
        window = part.window or term.window
        joined = replace(term, maps={**maps, factor.id: part.seen}, base=ZERO, window=window)
        joined = joined.growing(past=part.grows < 0, future=part.grows > 0)
        yield tidied(joined if part.exact else joined.because("running sum of an irregular signal"))


def mixed(value: Value, axes: Sequence[int], shape: Sequence[int]) -> Value:
    """Every index of these axes sees all of them."""
    inside = [factor for i in axes for factor in value.axes[i]]
    new = [new_axis(size) if i in axes else value.axes[i] for i, size in enumerate(shape)]
    return Value(tuple(new), value.terms_over(inside))


def sort(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """Every place sees all keys along the axis, and all of its own operand."""
    axis = eqn.params["dimension"]
    shape = eqn.outvars[0].aval.shape
    all_along = [mixed(v, [axis], shape) if isinstance(v, Value) else v for v in inputs]
    # The order depends on the keys, so every output does.
    keys = [v for v in all_along[: eqn.params["num_keys"]] if isinstance(v, Value)]
    outputs = [either([*keys, value], shape) for value in all_along]
    if len(keys) == eqn.params["num_keys"]:
        return outputs
    # Keys that no signal changes leave elements fewer places, which are not looked up.
    return [because(value, "a sort by keys that are known") for value in outputs]


def top(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """The largest along an axis, and their places."""
    value = inputs[0]
    assert isinstance(value, Value)
    last = len(value.axes) - 1
    axis = eqn.params.get("axis", eqn.params.get("reduction_dimension", last)) % (last + 1)
    return mixed(value, [axis], eqn.outvars[0].aval.shape)


def matrices(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """Factorizations and solutions: all of the matrices of the last two axes, each batch entry by itself."""
    outputs: list[Seen] = []
    for var in eqn.outvars:
        shape = var.aval.shape
        parts = []
        for value in inputs:
            if isinstance(value, Value):
                batch = value.axes[: len(value.axes) - 2]
                inside = [factor for axis in value.axes[len(batch) :] for factor in axis]
                new = tuple(new_axis(size) for size in shape[len(batch) :])
                part = Value((*batch, *new), value.terms_over(inside))
                parts.append(
                    part.because(f"{eqn.primitive.name}, of which every element is said to see all")
                )
        outputs.append(together(parts, shape))
    return outputs


def triangular(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Row t of the solution of a lower triangular system sees rows 0 to t of both sides, as a recurrence does."""
    matrix, right = inputs
    params, shape = eqn.params, eqn.outvars[0].aval.shape
    axis = len(shape) - (2 if params["left_side"] else 1)
    forward = params["lower"] ^ bool(params["transpose_a"]) ^ (not params["left_side"])
    parts = []
    if isinstance(right, Value):
        part = running(right, axis, reverse=not forward)
        # A matrix with zeros may have an inverse with zeros.
        known = matrix.numpy if isinstance(matrix, Constant) else None
        below = None if known is None else np.tril if params["lower"] else np.triu
        if below is None or not (below(np.ones(known.shape, bool)) <= (known != 0)).all():  # type: ignore[union-attr]
            part = part.because("triangular_solve by a matrix that may have zeros")
        parts.append(part)
    if isinstance(matrix, Value):
        # Row t needs rows of the matrix up to t, of which each sees its own elements.
        rows = len(shape) - (1 if params["transpose_a"] ^ (not params["left_side"]) else 2)
        other = 2 * len(shape) - 3 - rows
        seen = running(matrix.over(other), min(rows, other), reverse=not forward)
        axes = list(new_axes(shape))
        axes[: len(shape) - 2] = seen.axes[:-1]
        axes[axis] = seen.axes[-1]
        reason = "triangular_solve by a matrix that depends on the signal"
        parts.append(Value(tuple(axes), seen.terms).because(reason))
    return union_of(parts)


def solution(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """The solution of linear equations, as the function that solves them reads its inputs."""
    lengths = eqn.params["const_lengths"]
    # The inputs are the constants of four functions in this order, and then the right-hand sides.
    before = lengths.matvec + lengths.vecmat
    used = inputs[before : before + lengths.solve]
    right = inputs[before + lengths.solve + lengths.transpose_solve :]
    return tracer.run_closed(eqn.params["jaxprs"].solve, [*used, *right])


def permutation(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """The order that pivots along the last axis make."""
    value = inputs[0]
    assert isinstance(value, Value)
    return mixed(value, [len(value.axes) - 1], eqn.outvars[0].aval.shape)


def random_numbers(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """Random numbers from keys that depend on the signal: each sees all that any key sees."""
    outputs: list[Seen] = []
    for var in eqn.outvars:
        shape = var.aval.shape
        scalars = [v.over(*range(len(v.axes))) for v in inputs if isinstance(v, Value)]
        outputs.append(together(scalars, shape))
    return outputs


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        """reduce reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or reduce_xor
        argmax argmin""".split(),
        reduce,
    ),
    **dict.fromkeys("cumsum cumprod cummax cummin cumlogsumexp".split(), cumulative),
    "sort": sort,
    "top_k": top,
    "approx_top_k": top,
    "triangular_solve": triangular,
    "custom_linear_solve": solution,
    "lu_pivots_to_permutation": permutation,
    **dict.fromkeys(
        """cholesky cholesky_update eig eigh geqrf hessenberg householder_product lu ormqr qr schur
        svd symmetric_product tridiagonal tridiagonal_solve""".split(),
        matrices,
    ),
    **dict.fromkeys(
        """random_bits random_fold_in random_gamma random_seed random_split random_unwrap random_wrap
        rng_bit_generator rng_uniform""".split(),
        random_numbers,
    ),
}
