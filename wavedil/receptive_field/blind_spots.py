"""Where a NaN on its way through a function may be lost: the probe's blind spots, read off the jaxpr."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from wavedil.receptive_field.disturbance import keeps_nan_in_maxima
from wavedil.receptive_field.tracing.jax_internals import inner_jaxprs, opened

# NaN goes in and comes out, but at the end and not wherever there is a dependence.
_SORTING = {"sort", "top_k", "approx_top_k"}
# The larger of NaN and a number may be the number, if XLA has no option against it.
_COMPARING = {"reduce_max", "reduce_min", "reduce_window_max", "reduce_window_min"}
# Their outputs are their inputs in the next round, so that all of these may depend on the input.
_LOOPS = {"scan", "while"}


def blind_spots(fn: Callable[[Any], Any], x: Any) -> tuple[str, ...]:
    """The operations of `fn` on numbers that depend on the float array `x` through which a NaN may be lost.

    - Those that make integers or truth values of floats, which cannot be NaN: comparisons (and so every `where`
      that chooses by the signal), casts, argmax.
    - Sorting, which moves a NaN to the end.

    NaN may come through all the same: `leaky_relu` compares to choose between x and 0.01 x, and both are NaN.
    """
    # A new function: of one that it knows JAX would hand out the jaxpr of before.
    jaxpr, _ = opened(jax.make_jaxpr(lambda x: fn(x))(x))
    found: dict[str, None] = {}
    _walk(jaxpr, [True] * len(jaxpr.invars), found)
    return tuple(found)


def _walk(jaxpr: Any, depends: list[bool], found: dict[str, None]) -> None:
    """Notes the blind spots of a jaxpr, given which of its arguments depend on the input."""
    dependent = {var for var, does in zip(jaxpr.invars, depends, strict=True) if does}
    for equation in jaxpr.eqns:
        # Literals have a value and no hash, and depend on nothing.
        given = [not hasattr(atom, "val") and atom in dependent for atom in equation.invars]
        if not any(given):
            continue
        dependent.update(equation.outvars)
        inner = list(inner_jaxprs(equation))
        for part in inner:
            known = len(part.invars) == len(given) and equation.primitive.name not in _LOOPS
            _walk(part, given if known else [True] * len(part.invars), found)
        if not inner:
            _note(equation, given, found)


def _note(equation: Any, given: list[bool], found: dict[str, None]) -> None:
    name = equation.primitive.name
    sources = [atom.aval for atom, does in zip(equation.invars, given, strict=True) if does]
    if name in _SORTING or (name in _COMPARING and not keeps_nan_in_maxima()):
        found[name] = None
    for source in filter(_can_be_nan, sources):
        for result in equation.outvars:
            if not _can_be_nan(result.aval):
                found[f"{name} ({source.dtype} to {result.aval.dtype})"] = None


def _can_be_nan(aval: Any) -> bool:
    return hasattr(aval, "dtype") and jnp.issubdtype(aval.dtype, jnp.inexact)
