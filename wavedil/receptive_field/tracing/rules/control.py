"""Functions inside of functions: jit, custom derivatives, cond; see `scan` and `while_loop` for loops."""

from collections.abc import Sequence
from typing import Any

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.jax_internals import CALLS, called
from wavedil.receptive_field.tracing.rules.elementwise import together
from wavedil.receptive_field.tracing.value import Value


def call(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """The reads of the function that is called."""
    return tracer.run_closed(called(eqn), inputs)


def sharded(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
    """On a mesh of one device a shard is all there is."""
    if eqn.params["mesh"].size != 1:
        return tracer.without_rule(eqn)
    return tracer.run_closed(eqn.params["jaxpr"], inputs)


def cond(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> list[Seen]:
    """The reads of any branch and of the choice. A choice that is known is made."""
    index, *operands = inputs
    branches = eqn.params["branches"]
    chosen = index.numpy if isinstance(index, Constant) else None
    if chosen is not None:
        branches = [branches[min(max(int(chosen), 0), len(branches) - 1)]]
    results = [tracer.run_closed(branch, operands) for branch in branches]
    if len(results) == 1:
        return results[0]
    deciding = [index] if isinstance(index, Value) else []
    joined = [either([*deciding, *outputs]) for outputs in zip(*results, strict=True)]
    if deciding:
        return joined
    return [because(value, "cond by a choice that is not known here") for value in joined]


def because(value: Seen, reason: str) -> Seen:
    """A value that is an upper bound, and why; a constant is none."""
    return value.because(reason) if isinstance(value, Value) else value


def either(outcomes: list[Seen]) -> Seen:
    """Any of several outcomes, the last of which has the shape of all but scalars."""
    shape = outcomes[-1].shape
    values = [value for value in outcomes if isinstance(value, Value)]
    return together(values, shape) if values else Constant(shape, None)


def nothing(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
    """Printing and checking read the signal and hand nothing on."""
    return []


def callback(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
    """A function outside of JAX may hand on anything, if it hands on something."""
    return tracer.without_rule(eqn) if eqn.outvars else []


RULES: dict[str, Rule] = {
    **dict.fromkeys(CALLS, call),
    "shard_map": sharded,
    "cond": cond,
    **dict.fromkeys(["debug_callback", "debug_print", "inspect_sharding", "check"], nothing),
    **dict.fromkeys(["io_callback", "pure_callback"], callback),
}
