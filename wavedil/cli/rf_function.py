"""`wavedil rf mypackage.model:apply --input 1,16000,1`: the field of any function or module that can be imported."""

import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavedil.errors import UserError
from wavedil.report.receptive_field_text import comparison_text
from wavedil.report.receptive_field_values import comparison_values, field_values

# A probe runs the function once for each input; of more than these it takes some from the middle.
_MOST_PROBED = 512
_NOT_CAUSAL = 1
_DTYPES = """
bool int8 int16 int32 uint8 uint16 uint32 float16 bfloat16 float32 complex64
""".split()
_WIDE_DTYPES = "int64 uint64 float64 complex128".split()  # with jax_enable_x64 alone


@dataclass(frozen=True, kw_only=True)
class FunctionOptions:
    """What is asked of a function."""

    name: str
    shape: str
    dtype: str
    time_axis: int
    sample_rate: int
    probe: bool
    check_causal: bool
    json: bool
    picture: Path | None


def report(options: FunctionOptions) -> int:
    """Prints the traced field, beside the probed one if asked; the exit code is 1 where causality fails.

    Raises:
      UserError: If the function cannot be imported or traced, or the shape cannot be read.
    """
    import jax

    from wavedil.receptive_field import trace

    function = _imported(options.name)
    x = jax.ShapeDtypeStruct(_shape(options.shape), _dtype(options.dtype))
    _require_taken(function, x, options)
    traced = trace(function, x, time_axis=options.time_axis)
    fields = {"traced": traced}
    if options.probe:
        fields["probed"] = _probed(function, x, options.time_axis, traced)
    finite = {name: _finite(field) for name, field in fields.items()}
    rate = options.sample_rate
    if options.picture is not None:
        from wavedil.report.traced_field_picture import draw_traced_field

        draw_traced_field(traced, options.picture, title=options.name)
    if options.json:
        print(json.dumps(_values(traced, finite, rate)))
    else:
        known = {name: field for name, field in finite.items() if field is not None}
        parts = [*(f"{name}: {field}" for name, field in fields.items())]
        print("\n\n".join(parts + ([comparison_text(known, rate)] if known else [])))
    return _causality(function, x, options.time_axis, traced) if options.check_causal else 0


def _imported(name: str) -> Any:
    """The object that `package.module:attribute` names."""
    module, _, path = name.partition(":")
    if not module or not path:
        raise UserError(
            f"{name!r} names no function; write the module, a colon and the name in it, such as mypackage.model:apply"
        )
    # As `python -m` does: what lies in the folder where one is can be imported.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # whatever the module does while it is imported
        raise UserError(
            f"cannot import {module}: {_first_line(error)}; run this where `python -c 'import {module}'` works"
        ) from error
    for attribute in path.split("."):
        if not hasattr(found, attribute):
            raise UserError(f"{module} has no {path}; name a function or module that it defines")
        found = getattr(found, attribute)
    if isinstance(found, type):
        raise UserError(
            f"{name} is a class; name an instance, or a function of one array that makes and applies one"
        )
    return found


def _require_taken(function: Any, x: Any, options: FunctionOptions) -> None:
    """Raises UserError where the function itself fails; what fails afterwards is no fault of its own."""
    import jax

    from wavedil.receptive_field.arguments import pure

    # `trace` has words of its own for some of JAX's errors.
    worded = (
        jax.errors.ConcretizationTypeError,
        jax.errors.NonConcreteBooleanIndexError,
        jax.errors.UnexpectedTracerError,
    )
    try:
        jax.eval_shape(pure(function), x)
    except (UserError, *worded):
        return
    except Exception as error:
        raise UserError(
            f"{options.name} does not take {options.dtype} of shape {x.shape}: {_first_line(error)}; "
            "give what it takes by --input and --dtype"
        ) from error


def _first_line(error: Exception) -> str:
    """What an error says first; its kind too, where that is not that a type or a value is wrong."""
    lines = str(error).strip().splitlines()
    kind = type(error).__name__
    if isinstance(error, (TypeError, ValueError, ImportError)) and lines:
        return lines[0]
    return ": ".join([kind, *lines[:1]])


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(size) for size in text.replace(" ", "").rstrip(",").split(","))
    except ValueError:
        raise UserError(
            f"input {text!r} is no shape; write its sizes with commas, such as 1,16000,1"
        ) from None
    if min(shape) < 1:
        raise UserError(f"input {text!r} holds no samples; make every size at least 1")
    return shape


def _dtype(name: str) -> Any:
    import jax
    import jax.numpy as jnp

    known = [*_DTYPES, *(_WIDE_DTYPES if jax.config.read("jax_enable_x64") else [])]
    if name not in known:
        raise UserError(
            f"dtype {name!r} is no type of numbers here; give one of {', '.join(known)}"
        )
    return jnp.dtype(name)


def _probed(function: Any, x: Any, time_axis: int, traced: Any) -> Any:
    import jax.numpy as jnp

    from wavedil.receptive_field import probe

    length = x.shape[time_axis]
    middle = length // 2
    few = range(max(0, middle - _MOST_PROBED // 2), min(length, middle + _MOST_PROBED // 2))
    # Whole numbers cannot be NaN; they are changed instead.
    by: Any = "nan" if jnp.issubdtype(x.dtype, jnp.inexact) else "change"
    return probe(function, x, time_axis=time_axis, inputs=few, by=by)


def _finite(field: Any) -> Any:
    try:
        return field.receptive_field
    except UserError:
        return None


def _values(traced: Any, finite: dict[str, Any], sample_rate: float) -> dict[str, Any]:
    known = {name: field for name, field in finite.items() if field is not None}
    unknown = {name: None for name, field in finite.items() if field is None}
    compared = comparison_values(known, sample_rate) if len(known) > 1 else {}
    alone = {name: field_values(field, sample_rate) for name, field in known.items()}
    return {
        **alone,
        **unknown,
        **compared,
        "causal": traced.causal,
        "exact": traced.exact,
        "upper_bounds": list(traced.upper_bounds),
        "num_inputs": traced.num_inputs,
        "num_outputs": traced.num_outputs,
        "sample_rate": sample_rate,
    }


def _causality(function: Any, x: Any, time_axis: int, traced: Any) -> int:
    """Nothing where no output sees the future; else the reason, on stderr, and exit code 1."""
    from wavedil.receptive_field import check_causal

    if traced.causal:
        return 0
    reason = "an output sees inputs after its own time"
    # More than is seen may be said of the future; then a measurement decides.
    if not traced.exact:
        try:
            check_causal(function, x, time_axis=time_axis, by="change")
            return 0
        except AssertionError as error:
            reason = str(error)
    print(f"wavedil: not causal: {reason}", file=sys.stderr)
    return _NOT_CAUSAL
