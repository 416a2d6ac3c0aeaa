"""Equations on numbers, in NumPy: a thousand small ones cost milliseconds, where XLA would compile each of them.

An axis along which an array only repeats itself has stride 0, as `np.broadcast_to` makes it. Nothing is computed or
stored along it, so that a constant broadcast to a signal of an hour costs as much as the constant.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal as JaxprLiteral

from wavedil.receptive_field.limits import TooLargeError, is_small, require_small
from wavedil.receptive_field.tracing.diagonals import (
    Diagonals,
    Numbers,
    by_diagonals,
    of_difference,
)
from wavedil.receptive_field.tracing.jax_internals import called, opened


def evaluate(eqn: Any, values: Sequence[Any]) -> list[Any]:
    """The outputs of an equation.

    Raises:
      TooLargeError: If one of them, or of what it is computed from, has more than `MAX_ELEMENTS`.
    """
    inner = called(eqn)
    if inner is not None:
        return _run(inner, values)
    name, params = eqn.primitive.name, eqn.params
    arrays = [array for value in values if (array := _numbers(value)) is not None]
    if len(arrays) == len(values):
        if name in ELEMENTWISE:
            return [_elementwise(eqn, arrays)]
        if name in _OF_DIAGONALS and isinstance(arrays[0], Diagonals):
            return [_OF_DIAGONALS[name](params, arrays[0])]
        arrays = [np.asarray(array) for array in arrays]
        shape = eqn.outvars[0].aval.shape if eqn.outvars else ()
        if name in _VIEWS:
            return [_VIEWS[name](params, *arrays)]
        if name in _OTHERS:
            require_small(shape)
            return [_OTHERS[name](params, *arrays)]
    for var in eqn.outvars:
        require_small(getattr(var.aval, "shape", ()))
    return _in_jax(eqn, values)


def of_all_trips(eqn: Any, values: Sequence[Any], mapped: Sequence[int | None]) -> list[Any]:
    """The outputs of an equation in all trips of a loop: mapped over the first axis of some of its inputs.

    Raises:
      TooLargeError: If one of them, or of what it is computed from, has more than `MAX_ELEMENTS`.
    """
    return _run(jax.make_jaxpr(jax.vmap(function_of(eqn), mapped))(*values), values)


def function_of(eqn: Any) -> Callable[..., Any]:
    """An equation as a function of arrays."""

    def function(*arrays: Any) -> list[Any]:
        outputs = eqn.primitive.bind(*arrays, **eqn.params)
        return list(outputs) if eqn.primitive.multiple_results else [outputs]

    return function


def _run(closed: Any, values: Sequence[Any]) -> list[Any]:
    jaxpr, constants = opened(closed)
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, constants, strict=True))
    known.update(zip(jaxpr.invars, values, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, JaxprLiteral) else known[atom]

    for eqn in jaxpr.eqns:
        outputs = evaluate(eqn, [read(atom) for atom in eqn.invars])
        known.update(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _in_jax(eqn: Any, values: Sequence[Any]) -> list[Any]:
    with jax.ensure_compile_time_eval(), jax.debug_nans(False):
        arrays = [v if isinstance(v, jax.Array) else jnp.asarray(np.asarray(v)) for v in values]
        outputs = eqn.primitive.bind(*arrays, **eqn.params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def as_numpy(value: Any) -> np.ndarray | None:
    """An array as NumPy's, or None where it is traced, not made of numbers, or larger than is computed."""
    if isinstance(value, jax.core.Tracer):
        return None
    if isinstance(value, Diagonals) and not is_small(value.shape):
        return None
    try:
        return np.asarray(value)
    except TypeError:  # keys of random numbers
        return None


def _numbers(value: Any) -> Numbers | None:
    return value if isinstance(value, Diagonals) else as_numpy(value)


def compact(array: Any) -> Any:
    """The array with size 1 along every axis along which it only repeats itself."""
    if isinstance(array, Diagonals):
        return array.compact
    return array[tuple(slice(0, 1) if s == 0 else slice(None) for s in array.strides)]


def _elementwise(eqn: Any, arrays: Sequence[Numbers]) -> Numbers:
    name, params, out = eqn.primitive.name, eqn.params, eqn.outvars[0].aval
    ndim = len(out.shape)

    def function(*numbers: Any) -> np.ndarray:
        return np.asarray(ELEMENTWISE[name](params, *numbers)).astype(out.dtype, copy=False)

    # Scalars go with any shape; of the others an axis counts if one of them varies along it.
    parts = [array if array.ndim == 0 else compact(array) for array in arrays]
    with np.errstate(all="ignore"):
        diagonals = by_diagonals(function, parts) or of_difference(name, function, parts)
        if diagonals is not None:
            return diagonals.broadcast(out.shape, range(ndim))
        require_small(np.broadcast_shapes(*(part.shape for part in parts)))
        result = function(*map(np.asarray, parts))
    return np.broadcast_to(result.reshape((1,) * (ndim - result.ndim) + result.shape), out.shape)


def _divide(params: Any, a: Any, b: Any) -> Any:
    if a.dtype.kind not in "iu":
        return a / b
    # Towards zero; a division by zero has no number to show.
    safe = np.where(b == 0, 1, b)
    return (a - np.fmod(a, safe)) // safe


def _unary(function: Any) -> Callable[..., Any]:
    return lambda params, a: function(a)


def _binary(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda params, a, b: function(a, b)


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{
        name: _unary(function)
        for name, function in {
            "neg": np.negative, "abs": np.abs, "sign": np.sign, "exp": np.exp, "exp2": np.exp2,
            "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sin": np.sin, "cos": np.cos,
            "tan": np.tan, "tanh": np.tanh, "sqrt": np.sqrt, "rsqrt": lambda a: 1 / np.sqrt(a),
            "logistic": lambda a: 1 / (1 + np.exp(-a)), "floor": np.floor, "ceil": np.ceil,
            "square": np.square, "not": np.invert, "is_finite": np.isfinite, "real": np.real,
            "imag": np.imag, "copy": np.asarray, "stop_gradient": np.asarray,
        }.items()
    },
    **{
        name: _binary(function)
        for name, function in {
            "add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum,
            "min": np.minimum, "pow": np.power, "rem": np.fmod, "eq": np.equal, "ne": np.not_equal,
            "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
            "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "atan2": np.arctan2,
        }.items()
    },
    "div": _divide,
    "integer_pow": lambda params, a: a ** np.asarray(params["y"]).astype(a.dtype)
    if params["y"] >= 0
    else 1 / a ** -params["y"],
    "convert_element_type": lambda params, a: a.astype(params["new_dtype"]),
    "clamp": lambda params, low, a, high: np.minimum(np.maximum(a, low), high),
    "select_n": lambda params, which, *cases: np.choose(which.astype(int), cases),
}  # fmt: skip


def _iota(params: Any) -> np.ndarray:
    shape, axis = params["shape"], params["dimension"]
    along = [size if i == axis else 1 for i, size in enumerate(shape)]
    return np.broadcast_to(np.arange(shape[axis], dtype=params["dtype"]).reshape(along), shape)


def _broadcast(params: Any, array: np.ndarray) -> np.ndarray:
    shape = [1] * len(params["shape"])
    for i, size in zip(params["broadcast_dimensions"], array.shape, strict=True):
        shape[i] = size
    # Reshaping could copy what only repeats itself, so it is done to the compact array.
    small = compact(array)
    for i, size in zip(params["broadcast_dimensions"], small.shape, strict=True):
        shape[i] = size
    return np.broadcast_to(small.reshape(shape), params["shape"])


def _reshape(params: Any, array: np.ndarray) -> np.ndarray:
    new = tuple(params["new_sizes"])
    if array.size and compact(array).size == 1:
        return np.broadcast_to(compact(array).reshape(()), new)
    if [n for n in new if n != 1] == [n for n in array.shape if n != 1]:
        kept = array[tuple(slice(None) if n != 1 else 0 for n in array.shape)]
        return kept[tuple(slice(None) if n != 1 else None for n in new)]
    require_small(new)
    return array.reshape(new)


def _pad(params: Any, array: np.ndarray, filler: np.ndarray) -> np.ndarray:
    if any(interior or low < 0 or high < 0 for low, high, interior in params["padding_config"]):
        raise TooLargeError
    pads = [(low, high) for low, high, _ in params["padding_config"]]
    return np.pad(array, pads, constant_values=filler)


def _fft(params: Any, array: np.ndarray) -> np.ndarray:
    function = {"FFT": np.fft.fftn, "IFFT": np.fft.ifftn, "RFFT": np.fft.rfftn}.get(
        params["fft_type"].name, np.fft.irfftn
    )
    lengths = params["fft_lengths"]
    # In double precision, and left so: it tells small taps of a filter from rounding.
    array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    return function(array, lengths, tuple(range(array.ndim - len(lengths), array.ndim)))


# What makes nothing new: an array seen in another way.
_VIEWS: dict[str, Callable[..., np.ndarray]] = {
    "iota": _iota,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "transpose": lambda params, a: a.transpose(params["permutation"]),
    "squeeze": lambda params, a: a.squeeze(tuple(params["dimensions"])),
    "rev": lambda params, a: np.flip(a, params["dimensions"]),
    "slice": lambda params, a: a[
        tuple(
            slice(start, stop, step)
            for start, stop, step in zip(
                params["start_indices"],
                params["limit_indices"],
                params["strides"] or (1,) * a.ndim,
                strict=True,
            )
        )
    ],
}
_OF_DIAGONALS: dict[str, Callable[..., Numbers]] = {
    "broadcast_in_dim": lambda params, a: a.broadcast(
        params["shape"], params["broadcast_dimensions"]
    ),
    "reshape": lambda params, a: a.reshape(params["new_sizes"]),
    "transpose": lambda params, a: a.transpose(params["permutation"]),
    "squeeze": lambda params, a: a.squeeze(params["dimensions"]),
    "slice": lambda params, a: a.cut(
        params["start_indices"], params["limit_indices"], params["strides"]
    ),
}
_OTHERS: dict[str, Callable[..., np.ndarray]] = {
    "fft": _fft,
    "concatenate": lambda params, *arrays: np.concatenate(arrays, params["dimension"]),
    "pad": _pad,
    "reduce_max": lambda params, a: a.max(params["axes"]),
    "reduce_min": lambda params, a: a.min(params["axes"]),
    "reduce_or": lambda params, a: a.any(params["axes"]),
    "reduce_and": lambda params, a: a.all(params["axes"]),
    "reduce_sum": lambda params, a: a.sum(params["axes"], dtype=a.dtype),
    "reduce_prod": lambda params, a: a.prod(params["axes"], dtype=a.dtype),
}
