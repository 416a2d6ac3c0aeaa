"""Operations that move elements: reshape, transpose, broadcast, slice, pad, concatenate."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import new_axes, new_axis
from wavedil.receptive_field.tracing.domain.known import mask
from wavedil.receptive_field.tracing.domain.value import Value, union_of
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.rules.elementwise import either
from wavedil.receptive_field.tracing.rules.relations import affine


def _operand(inputs: Sequence[Seen]) -> Value:
    """The array that is moved; other inputs can only be sizes."""
    assert isinstance(inputs[0], Value)
    return inputs[0]


def reshape(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """The same elements in the same order."""
    value = _operand(inputs)
    if eqn.params.get("dimensions") is not None:
        value = value.released()
        value = Value(tuple(value.axes[i] for i in eqn.params["dimensions"]), value.terms)
    shape = eqn.outvars[0].aval.shape
    if value.known is None:
        return replace(value.reshaped(shape), between=value.between)
    old = [size for size in value.shape if size > 1]
    if old != [size for size in shape if size > 1]:
        return value.released().reshaped(shape)
    # Only axes of size 1 come and go: the mask has its sizes along the others.
    sizes = iter(n for n, size in zip(value.known.live.shape, value.shape, strict=True) if size > 1)
    live = value.known.live.reshape([next(sizes) if size > 1 else 1 for size in shape])
    return replace(value.reshaped(shape), known=replace(value.known, live=live))


def transpose(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Axes in another order."""
    value = _operand(inputs)
    order = eqn.params["permutation"]
    known = value.known and replace(value.known, live=value.known.live.transpose(order))
    spectrum = value.spectrum
    if spectrum is not None:
        signal = Value(tuple(spectrum.signal.axes[i] for i in order), spectrum.signal.terms)
        response = spectrum.response
        response = response.transpose(order) if response is not None else None
        spectrum = replace(
            spectrum, signal=signal, axis=order.index(spectrum.axis), response=response
        )
    return Value(tuple(value.axes[i] for i in order), value.terms, known, spectrum)


def squeeze(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Without axes of size 1, which have no factors."""
    value = _operand(inputs)
    gone = {i % len(value.axes) for i in eqn.params["dimensions"]}
    known = value.known and replace(value.known, live=value.known.live.squeeze(tuple(gone)))
    axes = tuple(a for i, a in enumerate(value.axes) if i not in gone)
    return Value(axes, value.terms, known, between=value.between)


def broadcast(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """New axes, and axes of size 1 repeated, matter to no term."""
    value = _operand(inputs)
    shape = eqn.params["shape"]
    source = dict(zip(eqn.params["broadcast_dimensions"], value.axes, strict=True))
    axes = [source.get(i) or new_axis(size) for i, size in enumerate(shape)]
    if value.known is None:
        return Value(tuple(axes), value.terms, between=value.between)
    sizes = dict(zip(eqn.params["broadcast_dimensions"], value.known.live.shape, strict=True))
    live = value.known.live.reshape([sizes.get(i, 1) for i in range(len(shape))])
    return Value(tuple(axes), value.terms, replace(value.known, live=live))


def reverse(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Output j reads size - 1 - j."""
    value = _operand(inputs)
    for i in eqn.params["dimensions"]:
        size = value.shape[i]
        value = value.read(i, affine(size, -1, size - 1))
    return value


def cut(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Output j reads start + stride j."""
    value = _operand(inputs).released()
    between = value.between
    starts = eqn.params["start_indices"]
    strides = eqn.params["strides"] or (1,) * len(starts)
    shape = eqn.outvars[0].aval.shape
    for i, (start, stride, size) in enumerate(zip(starts, strides, shape, strict=True)):
        if size != value.shape[i] or start:
            value = value.read(i, affine(size, int(stride), int(start)))
    return replace(value, between=between)


def split(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """Consecutive runs of an axis."""
    value = _operand(inputs)
    sizes = [int(size) for size in eqn.params["sizes"]]
    starts = itertools.accumulate(sizes, initial=0)
    return [
        value.read(eqn.params["axis"], affine(size, 1, start))
        for size, start in zip(sizes, starts, strict=False)
    ]


def unstack(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """Every index of an axis as an array of its own."""
    value = _operand(inputs)
    axis = eqn.params["axis"]
    reads = [value.read(axis, affine(1, 1, i)) for i in range(value.shape[axis])]
    return [Value((*v.axes[:axis], *v.axes[axis + 1 :]), v.terms) for v in reads]


def pad(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Output j reads (j - low) / (interior + 1); the padding is one number."""
    value, filler = inputs
    shape = eqn.outvars[0].aval.shape
    fillers = _filled(eqn, filler, value.shape) if isinstance(filler, Value) else []
    if isinstance(value, Value):
        for i, (low, high, interior) in enumerate(eqn.params["padding_config"]):
            # In the padding (j - low) lies outside of the axis, where nothing is seen; a negative padding cuts.
            if low or high or interior:
                value = value.read(i, affine(shape[i], 1, -int(low), int(interior) + 1))
    return either([value, *fillers], shape) if fillers else value


def _filled(eqn: Any, filler: Value, sizes: Sequence[int]) -> list[Value]:
    """The filler, where an index along one axis or another is none of the operand's."""
    shape = eqn.outvars[0].aval.shape
    everywhere = Value(new_axes(shape), filler.terms)
    parts = []
    for i, (low, _, interior) in enumerate(eqn.params["padding_config"]):
        place, between = np.divmod(np.arange(shape[i]) - low, interior + 1)
        outside = (place < 0) | (place >= sizes[i]) | (between > 0)
        if outside.any():
            parts.append(everywhere.restricted(i, mask(outside)))
    return parts


def concatenate(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Output j reads j - start of the part that it lies in."""
    axis = eqn.params["dimension"]
    size = eqn.outvars[0].aval.shape[axis]
    # Outside of its own part each array is read beyond its ends, and adds nothing to the union.
    starts = itertools.accumulate((v.shape[axis] for v in inputs), initial=0)
    parts = [
        value.read(axis, affine(size, 1, -start))
        for value, start in zip(inputs, starts, strict=False)
        if isinstance(value, Value)
    ]
    return union_of(parts)


def bitcast(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """The same bits as another type: a number is an axis of smaller ones, the last."""
    value = _operand(inputs)
    shape = eqn.outvars[0].aval.shape
    if len(shape) < len(value.axes):
        return value.over(len(shape))
    return Value((*value.axes, *map(new_axis, shape[len(value.axes) :])), value.terms)


def stack(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Arrays as the indices of a new axis."""
    return stacked(inputs, eqn.params["axis"])


def stacked(arrays: Sequence[Seen], axis: int) -> Seen:
    """Arrays as the indices of a new axis."""
    parts = []
    for i, value in enumerate(arrays):
        if isinstance(value, Value):
            # An axis of size 1, read at index i alone.
            axes = (*value.axes[:axis], (), *value.axes[axis:])
            parts.append(Value(axes, value.terms).read(axis, affine(len(arrays), 1, -i)))
    shape = arrays[0].shape
    return union_of(parts) if parts else Constant((*shape[:axis], len(arrays), *shape[axis:]), None)


def tile(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """The array repeated along every axis."""
    value = _operand(inputs)
    shape = value.shape
    reps = eqn.params["reps"]
    # (rep, size) for every axis: repeated as a new outer axis, and folded into the old one.
    axes = [
        axis for rep, own in zip(reps, value.axes, strict=True) for axis in (new_axis(rep), own)
    ]
    return Value(tuple(axes), value.terms).reshaped(np.multiply(reps, shape).tolist())


RULES: dict[str, Rule] = {
    "reshape": reshape,
    "transpose": transpose,
    "squeeze": squeeze,
    "broadcast_in_dim": broadcast,
    "rev": reverse,
    "slice": cut,
    "split": split,
    "unstack": unstack,
    "pad": pad,
    "concatenate": concatenate,
    "bitcast_convert_type": bitcast,
    "stack": stack,
    "tile": tile,
}
