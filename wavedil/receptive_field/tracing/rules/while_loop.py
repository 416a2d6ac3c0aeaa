"""while: any number of trips."""

from collections.abc import Sequence
from typing import Any

from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.rules.control import either
from wavedil.receptive_field.tracing.rules.trips import (
    MAX_EQUATIONS,
    MAX_ROUNDS,
    equal,
    like,
    num_equations,
)
from wavedil.receptive_field.tracing.value import Value


def while_loop(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Sequence[Seen]:
    """The union over any number of trips; every output also sees what decides on the next trip."""
    params = eqn.params
    split = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    deciding, constants, first = inputs[: split[0]], inputs[split[0] : split[1]], inputs[split[1] :]
    ahead, ended = _run_ahead(tracer, params, deciding, constants, first)
    if ended:
        return ahead
    carried: list[Seen] = [
        value if isinstance(value, Value) else Constant(value.shape, None) for value in ahead
    ]
    tracer.note("while with as many rounds as there may be", eqn)
    for _ in range(MAX_ROUNDS):
        handed_on = tracer.run_closed(params["body_jaxpr"], [*constants, *carried])
        (going_on,) = tracer.run_closed(params["cond_jaxpr"], [*deciding, *carried])
        choice = [going_on] if isinstance(going_on, Value) else []
        renewed = [
            like(old, either([*choice, old, new]))
            for old, new in zip(carried, handed_on, strict=True)
        ]
        if all(map(equal, renewed, carried)):
            return carried
        carried = renewed
    return [tracer.everything(value.shape) for value in carried]


def _run_ahead(
    tracer: Interpreter,
    params: Any,
    deciding: Sequence[Seen],
    constants: Sequence[Seen],
    carried: Sequence[Seen],
) -> tuple[Sequence[Seen], bool]:
    """Trips whose decision is known without the signal, as of a counter; and whether they were all."""
    trips = MAX_EQUATIONS // (1 + num_equations(params["body_jaxpr"]))
    for _ in range(trips):
        (going_on,) = tracer.run_closed(params["cond_jaxpr"], [*deciding, *carried])
        decision = going_on.numpy if isinstance(going_on, Constant) else None
        if decision is None or not decision.all():
            return carried, decision is not None
        carried = tracer.run_closed(params["body_jaxpr"], [*constants, *carried])
    return carried, False


RULES: dict[str, Rule] = {"while": while_loop}
