"""The arguments of trace, probe and effective: a function, and the axes of time of its input and outputs."""

import functools
import operator
import sys
from collections.abc import Callable
from typing import Any

import jax

from wavedil.errors import UserError

Function = Callable[[Any], Any]


def pure(fn: Function) -> Function:
    """A function of its input alone, and a new one each time, because JAX remembers what it knows of an old one.

    A Flax NNX module, its method or a partial of either changes in a copy what it would change in itself.

    Raises:
      UserError: If it cannot be called.
    """
    if not callable(fn):
        raise UserError(
            f"the function is {type(fn).__name__}, which cannot be called; give a model, or a function of one array"
        )
    return _checked(_on_a_copy(fn))


def _on_a_copy(fn: Function) -> Function:
    # Nothing can be a Flax module unless the caller has loaded Flax; to look it up does not load it.
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return fn
    if isinstance(fn, functools.partial):
        return functools.partial(_on_a_copy(fn.func), *fn.args, **fn.keywords)
    module, name = getattr(fn, "__self__", fn), getattr(fn, "__name__", "__call__")
    if not isinstance(module, nnx.Module):
        return fn
    # A module that counts or keeps statistics would leak tracers into itself; a merged copy takes them instead.
    graph, variables = nnx.split(module)
    return lambda *args, **settings: getattr(nnx.merge(graph, variables, copy=True), name)(
        *args, **settings
    )


def _checked(fn: Function) -> Function:
    def run(x: Any) -> Any:
        try:
            return fn(x)
        except Exception as error:
            flax = sys.modules.get("flax")
            if flax is None or not isinstance(error, flax.errors.TraceContextError):
                raise
            raise UserError(
                "the function changes variables of a Flax module while it runs (batch statistics, counters of "
                "random numbers); give the module itself as the function, or use a copy of it inside: "
                "lambda x: nnx.clone(model)(x)"
            ) from error

    return run


def require_axis(axis: int, shape: tuple[int, ...], name: str, what: str) -> int:
    """The axis counted from the front.

    Raises:
      UserError: If the shape has no such axis.
    """
    try:
        number = operator.index(axis)
    except TypeError:
        number = len(shape)
    if not -len(shape) <= number < len(shape):
        known = f"0 to {len(shape) - 1}" if shape else "none, it is a single number"
        raise UserError(
            f"{name} is {axis!r}, but {what} has shape {shape} (axes: {known}); name its axis of time"
        )
    return number % len(shape)


def output_axes(outputs: Any, axis: int) -> list[int]:
    """The axis of time of each output array.

    Raises:
      UserError: If there is no output, or they have no common time.
    """
    leaves = jax.tree.leaves(outputs)
    if not leaves:
        raise UserError("the function returns no array; return the output whose field you want")
    described = ", ".join(str(leaf.shape) for leaf in leaves)
    remedy = "give output_time_axis, or lambda x: fn(x)[0] for one of several outputs"
    try:
        # The words of this error are not shown: the one below names all outputs at once.
        axes = [require_axis(axis, leaf.shape, "", "") for leaf in leaves]
    except UserError:
        raise UserError(
            f"the output has no axis {axis!r} (shapes: {described}), so it has no time there; {remedy}"
        ) from None
    lengths = {leaf.shape[a] for leaf, a in zip(leaves, axes, strict=True)}
    if len(lengths) > 1 or 0 in lengths:
        raise UserError(
            f"the outputs have {sorted(lengths)} samples along axis {axis} (shapes: {described}), but a field "
            f"needs one number of at least 1; {remedy}"
        )
    return axes


def require_output(t: int, num_outputs: int) -> int:
    """The number of an output.

    Raises:
      UserError: If there is no such output.
    """
    try:
        number = operator.index(t)
    except TypeError:
        number = -1
    if not 0 <= number < num_outputs:
        raise UserError(
            f"output {t} does not exist; there are {num_outputs}, so use 0 to {num_outputs - 1}"
        )
    return number
