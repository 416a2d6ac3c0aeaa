"""Functions that run on several devices at once, each on its shard, and what the devices exchange.

The devices along an axis of a mesh are a hidden axis:

    array [batch, time], time over 4 devices     time = (device, place)
    on each device [batch, place]                device is hidden
    psum                                         the union over all devices
    ppermute                                     what another device has
    all_gather                                   device and place are an axis again
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import Axis, new_axis, size_of
from wavedil.receptive_field.tracing.domain.value import Value
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.jax_internals import opened
from wavedil.receptive_field.tracing.rules.gathering import read_any
from wavedil.receptive_field.tracing.rules.hidden_axes import hide, show
from wavedil.receptive_field.tracing.rules.relations import listed


def sharded(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
    """The function of each device, on its shard of every array."""
    params, outside = eqn.params, tracer.devices
    own = {name: new_axis(n) for name, n in params["mesh"].shape.items() if name not in outside}
    tracer.devices = {**outside, **own}

    def along(spec: Any) -> list[tuple[int, Axis]]:
        return [(i, _devices(tracer, names)) for i, names in enumerate(spec) if names]

    ins, outs = map(along, params["in_specs"]), [*map(along, params["out_specs"])]
    shards: list[Seen] = []
    for value, places, var in zip(inputs, ins, opened(params["jaxpr"])[0].invars, strict=True):
        if isinstance(value, Value):
            for i, devices in places:
                value = _in_blocks(value, i, devices)
        elif places:
            value = Constant(var.aval.shape, None)
        shards.append(value)
    outputs = tracer.run_closed(params["jaxpr"], shards)
    tracer.devices = outside
    given: list[Seen] = []
    for value, places, var in zip(outputs, outs, eqn.outvars, strict=True):
        if not isinstance(value, Value):
            given.append(Constant(var.aval.shape, None) if places else value)
            continue
        for i, devices in places:
            value = _one_after_the_other(value, i, devices)
        # What is not put together is the same on all devices.
        terms = value.terms_over(factor for axis in own.values() for factor in axis)
        given.append(Value(value.axes, terms))
    return given


def _devices(tracer: Interpreter, names: Any) -> Axis:
    """The hidden axis of all devices along one axis of the mesh, or several."""
    names = (names,) if isinstance(names, str) else names
    return tuple(factor for name in names for factor in tracer.devices[name])


def _in_blocks(value: Value, i: int, devices: Axis) -> Value:
    """Axis i in as many blocks as there are devices, each on its own one."""
    shape, count = value.shape, size_of(devices)
    own = (*shape[:i], shape[i] // count, *shape[i + 1 :])
    folded = value.reshaped((*own[:i], count, *own[i:]))
    axes = (folded.axes[i], *folded.axes[:i], *folded.axes[i + 1 :])
    return hide(Value(axes, folded.terms), devices)


def _one_after_the_other(value: Value, i: int, devices: Axis, tiled: bool = True) -> Value:
    """Axis i of all devices as one, or a new axis i of the devices."""
    shown = show(value, devices)
    first, *axes = shown.axes
    axes[i : i + tiled] = [(*first, *axes[i])] if tiled else [first]
    return Value(tuple(axes), shown.terms)


def _exchange(change: Callable[[Value, Axis, Any], Value]) -> Rule:
    """The rule of an exchange between the devices along named axes of the mesh."""

    def rule(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
        params = eqn.params
        names = params.get("axes", params.get("axis_name"))
        names = (names,) if isinstance(names, str) else names
        if params.get("axis_index_groups") or not {*names} <= {*tracer.devices}:
            return tracer.without_rule(eqn)
        devices = _devices(tracer, names)
        return [
            change(value, devices, params)
            if isinstance(value, Value)
            else Constant(var.aval.shape, None)
            for value, var in zip(inputs, eqn.outvars, strict=True)
        ]

    return rule


def _over_all(value: Value, devices: Axis, params: Any) -> Value:
    """Sums and extremes: all devices have the same."""
    return Value(value.axes, value.terms_over(devices))


def _permuted(value: Value, devices: Axis, params: Any) -> Value:
    """Each device has what another one sends, or zeros."""
    source = np.full(size_of(devices), -1)
    for sender, receiver in params["perm"]:
        source[receiver] = sender
    received = read_any(show(value, devices), 0, listed(source, source >= 0), len(source))
    return hide(received, devices)


def _gathered(value: Value, devices: Axis, params: Any) -> Value:
    """Every device has what all have."""
    return _one_after_the_other(value, params["all_gather_dimension"], devices, params["tiled"])


def _scattered(value: Value, devices: Axis, params: Any) -> Value:
    """Each device has its block of the sum."""
    i = params["scatter_dimension"]
    block = _in_blocks(_over_all(value, devices, params), i, devices)
    return block if params["tiled"] else Value((*block.axes[:i], *block.axes[i + 1 :]), block.terms)


def _all_to_all(value: Value, devices: Axis, params: Any) -> Value:
    """Each device has its block of one axis from all devices, one after the other along another axis."""
    shown = show(value, devices)
    apart = _in_blocks(shown, params["split_axis"] + 1, devices)
    first, *axes = apart.axes
    axes[params["concat_axis"]] = (*first, *axes[params["concat_axis"]])
    return Value(tuple(axes), apart.terms)


RULES: dict[str, Rule] = {
    "shard_map": sharded,
    **dict.fromkeys("pmax pmin psum psum_invariant".split(), _exchange(_over_all)),
    **dict.fromkeys(
        "all_gather all_gather_invariant all_gather_reduced".split(), _exchange(_gathered)
    ),
    "all_to_all": _exchange(_all_to_all),
    "ppermute": _exchange(_permuted),
    "reduce_scatter": _exchange(_scattered),
}
