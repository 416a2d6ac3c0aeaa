"""Convolutions, windows, matrix products."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.diagonals import Numbers
from wavedil.receptive_field.tracing.domain.axes import Axis, new_axes, new_axis
from wavedil.receptive_field.tracing.domain.axis_map import overlaid
from wavedil.receptive_field.tracing.domain.formula import Piece
from wavedil.receptive_field.tracing.domain.known import Known
from wavedil.receptive_field.tracing.domain.value import Value, union_of
from wavedil.receptive_field.tracing.evaluation import compact
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.rules import masking
from wavedil.receptive_field.tracing.rules.elementwise import together
from wavedil.receptive_field.tracing.rules.relations import affine, constant, groups, window


def convolution(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Output t reads `(stride t + rhs_dilation k - padding) / lhs_dilation` of every tap k."""
    signal, kernel = inputs
    parts = []
    if isinstance(signal, Value):
        parts.append(_of_signal(eqn, signal, kernel.shape))
    if isinstance(kernel, Value):
        parts.append(_of_kernel(eqn, signal.shape, kernel))
    return union_of(parts)


def _of_signal(eqn: Any, signal: Value, kernel_shape: Sequence[int]) -> Value:
    params, shape = eqn.params, eqn.outvars[0].aval.shape
    lhs, rhs, out = params["dimension_numbers"]
    for i, (axis, size) in enumerate(_space(eqn)):
        dilation, padding = int(params["rhs_dilation"][i]), int(params["padding"][i][0])
        offsets = tuple(dilation * k - padding for k in range(kernel_shape[rhs[2 + i]]))
        stride, base = int(params["window_strides"][i]), int(params["lhs_dilation"][i])
        signal = _in_windows(signal, axis, size, offsets, stride, base)
    batches, features = shape[out[0]], shape[out[1]]
    num_groups = params["feature_group_count"]
    if params["batch_group_count"] > 1:
        return _batch_groups(eqn, signal, batches, features)
    axes: dict[int, Axis] = {out[0]: signal.axes[lhs[0]]}
    axes.update({o: signal.axes[i] for i, o in zip(lhs[2:], out[2:], strict=True)})
    # Without groups every output channel reads all input channels; with them, those of its group.
    if num_groups == 1:
        terms = signal.terms_over(signal.axes[lhs[1]])
        axes[out[1]] = new_axis(features)
    else:
        per_group = kernel_shape[rhs[1]]
        signal = signal.read(lhs[1], groups(features, num_groups, per_group))
        terms, axes[out[1]] = signal.terms, signal.axes[lhs[1]]
        axes[out[0]] = signal.axes[lhs[0]]
    return Value(tuple(axes[i] for i in range(len(shape))), terms)


def _in_windows(
    value: Value, axis: int, size: int, offsets: tuple[int, ...], stride: int, base_dilation: int
) -> Value:
    """Index j of an axis reads `(stride j + offset) / base_dilation` of every offset."""
    # A window of one sample moves nothing, and reading would join folded axes.
    if (offsets, stride, base_dilation) == ((0,), 1, 1) and size == value.shape[axis]:
        return value
    return value.read(axis, window(size, offsets, stride, base_dilation))


def _space(eqn: Any) -> list[tuple[int, int]]:
    """The signal's axis and the output's size of every axis of the window."""
    lhs, _, out = eqn.params["dimension_numbers"]
    shape = eqn.outvars[0].aval.shape
    return [(i, shape[o]) for i, o in zip(lhs[2:], out[2:], strict=True)]


def _batch_groups(eqn: Any, signal: Value, batches: int, features: int) -> Value:
    """Output feature j of group g reads the batch entries of group g alone."""
    lhs, _, out = eqn.params["dimension_numbers"]
    count = eqn.params["batch_group_count"]
    order = (lhs[0], lhs[1], *lhs[2:])
    moved = Value(tuple(signal.axes[i] for i in order), signal.terms)
    sizes = moved.shape
    # The batch split into (group, entry of the group): output features of group g read that group alone.
    folded = moved.reshaped((count, batches, *sizes[1:])).over(2)
    folded = folded.read(0, groups(features, count, 1))
    # Now (features, batches, *space), to be laid out as the output is.
    place = {out[1]: 0, out[0]: 1, **{o: 2 + i for i, o in enumerate(out[2:])}}
    return Value(tuple(folded.axes[place[i]] for i in range(len(out))), folded.terms)


def _of_kernel(eqn: Any, signal_shape: Sequence[int], kernel: Value) -> Value:
    """Output t reads tap k where the sample that the tap meets lies in the signal."""
    params, shape = eqn.params, eqn.outvars[0].aval.shape
    _, rhs, out = params["dimension_numbers"]
    for i, (axis, size) in enumerate(_space(eqn)):
        num_taps = kernel.shape[rhs[2 + i]]
        num_read = signal_shape[axis]
        pieces: list[Piece] = []
        for k in range(num_taps):
            offset = int(params["rhs_dilation"][i]) * k - int(params["padding"][i][0])
            reads = affine(
                size, int(params["window_strides"][i]), offset, int(params["lhs_dilation"][i])
            )
            # A map from samples to the one tap k, read by every output at the sample that its tap k meets.
            inside = constant(num_read, k)
            pieces += [p for m in inside.then_read_by(reads) for p in m.pieces]
        kernel = union_of([kernel.read(rhs[2 + i], m) for m in overlaid(size, pieces)])
    axes = {o: kernel.axes[i] for i, o in zip(rhs[2:], out[2:], strict=True)}
    axes[out[0]], axes[out[1]] = new_axis(shape[out[0]]), kernel.axes[rhs[0]]
    terms = kernel.terms_over(kernel.axes[rhs[1]])
    return Value(tuple(axes[i] for i in range(len(shape))), terms)


def dot(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """An output reads all indices of contracted axes; batch axes come first, then the left's, then the right's."""
    inputs = [v.exactly_known if isinstance(v, Value) else v for v in inputs]
    contracted, batch = eqn.params["dimension_numbers"]
    num_outputs, num_batch = len(eqn.outvars[0].aval.shape), len(batch[0])
    # Where each axis of an operand lies among the output's, and then the contracted ones:
    #
    #     batch | free of the left | free of the right | contracted
    orders: list[dict[int, int]] = []
    free_from = num_batch
    for own, shared, operand in zip(contracted, batch, inputs, strict=True):
        free = [i for i in range(len(operand.shape)) if i not in own and i not in shared]
        order = {axis: place for place, axis in enumerate(shared)}
        order.update({axis: free_from + place for place, axis in enumerate(free)})
        order.update({axis: num_outputs + place for place, axis in enumerate(own)})
        free_from += len(free)
        orders.append(order)
    sizes = {}
    for order, operand in zip(orders, inputs, strict=True):
        sizes.update({place: operand.shape[axis] for axis, place in order.items()})
    axes = new_axes([sizes[place] for place in range(len(sizes))])
    parts = []
    for side, value in enumerate(inputs):
        if isinstance(value, Value):
            placed = list(axes)
            for axis, place in orders[side].items():
                placed[place] = value.axes[axis]
            whole = Value(tuple(placed), value.terms)
            gone = range(num_outputs, len(placed))
            live = _live(value.known, orders[side], len(placed))
            zeros, looked_at = _zeros(value, contracted[side], inputs[1 - side])
            live = live & _live(zeros, orders[1 - side], len(placed))
            part = masking.over_live(whole, gone, live)
            parts.append(part if looked_at else part.because(masking.TOO_LARGE))
    return union_of(parts)


def ragged_dot(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen | Sequence[Seen]:
    """Rows in groups, each by the matrix of its group: a row reads itself, all matrices, and the groups' sizes."""
    rows, matrices, *sizes = inputs
    numbers = eqn.params["ragged_dot_dimension_numbers"]
    (contracted, of_matrices), (batch, _) = numbers.dot_dimension_numbers
    ragged, grouped = numbers.lhs_ragged_dimensions, numbers.rhs_group_dimensions
    if batch or ragged[0] in contracted:
        return tracer.without_rule(eqn)
    axes = new_axes(eqn.outvars[0].aval.shape)
    parts = []
    if isinstance(rows, Value):
        read = rows.over(*contracted)
        parts.append(Value((*read.axes, axes[-1]), read.terms))
    if isinstance(matrices, Value):
        read = matrices.over(*of_matrices, *grouped)
        parts.append(Value((*axes[:-1], *read.axes), read.terms))
    for value in sizes:
        if isinstance(value, Value):
            parts.append(value.over(*range(len(value.axes))))
    return together(parts, eqn.outvars[0].aval.shape)


def _live(known: Known | None, order: dict[int, int], ndim: int) -> Numbers:
    """What is live of an operand, with its axes at their places among those of output and contraction."""
    if known is None:
        return np.ones((1,) * ndim, bool)
    axes = sorted(order, key=lambda axis: order[axis])
    shape = [1] * ndim
    for axis in axes:
        shape[order[axis]] = known.live.shape[axis]
    return known.live.transpose(axes).reshape(shape)


def _zeros(value: Value, contracted: Sequence[int], other: Seen) -> tuple[Known | None, bool]:
    """Where the other operand is known to be zero, and whether that could be looked at."""
    if isinstance(other, Value):
        return (other.known if other.known and other.known.number == 0 else None), True
    # Only where contracted indices see different times may a zero hide one; channels that are masked see
    # the same times as those that are not.
    if not masking.moving_axes(value) & {*contracted}:
        return None, True
    array = other.numbers
    if array is None:
        return None, False
    live = compact(array) != 0
    return (None if live.all() else Known(live, 0)), True


def reduce_window(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Output t reads `(stride t + window_dilation k - padding) / base_dilation` of every k."""
    shape = eqn.outvars[0].aval.shape
    # The scalars are what reductions start from.
    values = [value for value in inputs if isinstance(value, Value)]
    read = [_windows(value, eqn.params, shape) if value.shape else value for value in values]
    return together(read, shape)


def _windows(value: Value, params: Any, shape: Sequence[int]) -> Value:
    ones = (1,) * len(shape)
    for i, size in enumerate(shape):
        taps, stride = params["window_dimensions"][i], params["window_strides"][i]
        padding = int(params["padding"][i][0])
        dilation = (params.get("window_dilation") or ones)[i]
        base = (params.get("base_dilation") or ones)[i]
        offsets = tuple(int(dilation) * k - padding for k in range(taps))
        value = _in_windows(value, i, size, offsets, int(stride), int(base))
    return value


def scatter_to_selected(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """The gradient of a maximum over windows: an input gets what the windows that hold it send.

    Input i lies in window j where `i = stride j + k - padding`, so it reads every such j, and
    through j's choice all inputs of that window.
    """
    source, operand = inputs[:2]
    params = eqn.params
    shape = eqn.outvars[0].aval.shape
    sent_shape = source.shape
    parts = [source] if isinstance(source, Value) else []
    if isinstance(operand, Value):
        parts.append(_windows(operand, params, sent_shape))
    sent = union_of(parts)
    for i, size in enumerate(shape):
        taps, stride = params["window_dimensions"][i], int(params["window_strides"][i])
        padding = int(params["padding"][i][0])
        offsets = tuple(padding - k for k in range(taps))
        # The window turned round: base dilation is the stride, as in a transposed convolution.
        sent = _in_windows(sent, i, size, offsets, 1, stride)
    return sent


RULES: dict[str, Rule] = {
    "conv_general_dilated": convolution,
    "dot_general": dot,
    "ragged_dot_general": ragged_dot,
    "reduce_window": reduce_window,
    "reduce_window_sum": reduce_window,
    "reduce_window_max": reduce_window,
    "reduce_window_min": reduce_window,
    "select_and_gather_add": reduce_window,
    "select_and_scatter_add": scatter_to_selected,
}
