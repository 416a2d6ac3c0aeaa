"""All that is asked of JAX beyond its public names: what equations hold, and where its versions differ.

- 0.10: A jaxpr with constants is a ClosedJaxpr around a Jaxpr, one without may be a Jaxpr alone; scan counts its
  inputs by `num_consts` and `num_carry`; composite's function is `jaxpr`.
- 0.11: Jaxpr is the one class; scan counts its inputs by the tree `ft_in`; composite's function is `call_jaxpr`
  (0.11.2), and custom_root is a `call_hi_primitive`, which says what it is made of.
- 0.12: So are searchsorted, nonzero, frexp and ldexp.
"""

from collections.abc import Iterable
from types import TracebackType
from typing import Any

import jax
from jax.extend.core import jaxprs_in_params

# Primitives that call a function with all of their inputs, in order; one is wavedil's own (ops/own_backward.py).
CALLS = """
call call_hi_primitive closed_call composite custom_jvp_call custom_vjp_call custom_vmap_call
eval_jaxpr function_with_own_backward jit remat2
""".split()
# The parameter that holds the function.
_FUNCTIONS = ("jaxpr", "call_jaxpr", "call")


def called(eqn: Any) -> Any:
    """The jaxpr that an equation calls with its inputs, or None for an equation of another kind."""
    if eqn.primitive.name not in CALLS:
        return None
    if eqn.primitive.name == "call_hi_primitive":
        primitive = eqn.params["_prim"]
        return jax.make_jaxpr(primitive.expand)(*primitive.in_avals)
    return next(eqn.params[name] for name in _FUNCTIONS if name in eqn.params)


def inner_jaxprs(eqn: Any) -> Iterable[Any]:
    """The jaxprs that belong to an equation, whatever it does with them."""
    function = called(eqn)
    return jaxprs_in_params(eqn.params) if function is None else [opened(function)[0]]


def primitive_names(jaxpr: Any) -> set[str]:
    """The primitives of a function, and of all that it calls."""
    names = set()
    for eqn in opened(jaxpr)[0].eqns:
        names |= {eqn.primitive.name, *(n for j in inner_jaxprs(eqn) for n in primitive_names(j))}
    return names


def opened(jaxpr: Any) -> tuple[Any, list[Any]]:
    """A jaxpr and the values of its constants."""
    return getattr(jaxpr, "jaxpr", jaxpr), getattr(jaxpr, "consts", [])


def scan_inputs(eqn: Any, inputs: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """A scan's inputs by what they are: constants, what is carried into the first trip, what is scanned."""
    if "ft_in" in eqn.params:
        constants, carried, _ = map(len, eqn.params["ft_in"].unpack())
    else:
        constants, carried = eqn.params["num_consts"], eqn.params["num_carry"]
    end = constants + carried
    return inputs[:constants], inputs[constants:end], inputs[end:]


def traceback(eqn: Any) -> TracebackType | None:
    """The calls in Python that made an equation, or None where JAX does not say."""
    try:
        return eqn.source_info.traceback.as_python_traceback()
    except AttributeError:
        return None
