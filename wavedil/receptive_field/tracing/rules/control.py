"""Functions inside of functions: jit, custom derivatives, cond, other libraries' and declared ones; see `loops`."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from wavedil.errors import UserError
from wavedil.receptive_field.arithmetic import ReceptiveField
from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.value import Value
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen, because
from wavedil.receptive_field.tracing.jax_internals import CALLS, called, opened
from wavedil.receptive_field.tracing.rules import hidden_axes
from wavedil.receptive_field.tracing.rules.elementwise import either
from wavedil.receptive_field.tracing.rules.masking import moving_axes
from wavedil.receptive_field.tracing.rules.relations import window


def call(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """The reads of the function that is called."""
    return tracer.call(called(eqn), inputs)


def expanded(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """A primitive of another library that says by JAX's own what it does."""
    if eqn not in tracer.expansions:  # a loop may come here at every trip
        function = functools.partial(eqn.primitive.impl, **eqn.params)
        tracer.expansions[eqn] = jax.make_jaxpr(function)(*(v.aval for v in eqn.invars))
    return tracer.run_closed(tracer.expansions[eqn], inputs)


def declared(field: ReceptiveField) -> Rule:
    """The rule of a primitive whose field is given: along every axis along which its inputs see different times."""
    if not isinstance(field, ReceptiveField):
        raise UserError(
            f"declared holds {field!r}, but a field must be a ReceptiveField; use ReceptiveField(past=3, future=0)"
        )
    if field.stride != 1:
        raise UserError(
            f"a declared field has stride {field.stride}, but only stride 1 can be declared"
        )

    def rule(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
        outputs: list[Seen] = []
        for var in eqn.outvars:
            shape, parts = var.aval.shape, []
            for value in (v for v in inputs if isinstance(v, Value)):
                if value.shape != shape:
                    raise UserError(
                        f"a field is declared for {eqn.primitive.name!r}, which makes {shape} of {value.shape}; "
                        "it can be declared where the shapes are equal"
                    )
                for axis in moving_axes(value):
                    value = value.read(axis, window(shape[axis], field.taps, 1))
                parts.append(value)
            outputs.append(either(parts, shape))
        return outputs

    return rule


def cond(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """The reads of any branch and of the choice. A choice that is known is made."""
    index, *operands = inputs
    # A branch that does nothing but raise hands nothing on, and neither does the choice of it.
    branches = [branch for branch in eqn.params["branches"] if not _raises(branch)]
    if len(branches) < len(eqn.params["branches"]) and len(branches) == 1:
        return tracer.run_closed(branches[0], operands)
    branches = eqn.params["branches"]
    chosen = index.numpy if isinstance(index, Constant) else None
    if chosen is not None:
        branches = [branches[min(max(int(chosen), 0), len(branches) - 1)]]
    results = [tracer.run_closed(branch, operands) for branch in branches]
    if len(results) == 1:
        return results[0]
    if isinstance(index, Constant) and index.by_trip is not None:
        # Known of every trip of a loop.
        numbers = np.clip(index.by_trip, 0, len(branches) - 1)
        results = [
            [hidden_axes.in_trips(tracer, v, index.trips, numbers == i) for v in outputs]
            for i, outputs in enumerate(results)
        ]
        return [either(outputs, outputs[0].shape) for outputs in zip(*results, strict=True)]
    deciding = [index] if isinstance(index, Value) else []
    joined = [
        either([*deciding, *outputs], outputs[0].shape) for outputs in zip(*results, strict=True)
    ]
    if deciding:
        return joined
    return [because(value, "cond by a choice that is not known here") for value in joined]


def _raises(branch: Any) -> bool:
    """Whether a branch is Equinox's, which raises an error from a callback."""
    callbacks = [e for e in opened(branch)[0].eqns if e.primitive.name == "pure_callback"]
    functions = [getattr(e.params["callback"], "callback_func", None) for e in callbacks]
    return any(getattr(f, "__module__", "") == "equinox._errors" for f in functions)


def nothing(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
    """Printing and checking read the signal and hand nothing on."""
    return []


def callback(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
    """A function outside of JAX may hand on anything, if it hands on something."""
    return tracer.without_rule(eqn) if eqn.outvars else []


RULES: dict[str, Rule] = {
    **dict.fromkeys(CALLS, call),
    **dict.fromkeys(
        "maybe_set nonbatchable select_if_vmap unvmap_all unvmap_any unvmap_max".split(), expanded
    ),
    "cond": cond,
    **dict.fromkeys(["debug_callback", "debug_print", "inspect_sharding", "check"], nothing),
    **dict.fromkeys(["io_callback", "pure_callback"], callback),
}
