"""`trace`: from a function and the shape of its input to the field of its output."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, get_args

import jax

from wavedil.errors import UserError, suggestion
from wavedil.receptive_field.arguments import Function, output_axes, pure, require_axis
from wavedil.receptive_field.arithmetic import ReceptiveField
from wavedil.receptive_field.tracing.answer.field import TracedField
from wavedil.receptive_field.tracing.answer.reading import Reading
from wavedil.receptive_field.tracing.answer.summary import summary
from wavedil.receptive_field.tracing.domain.axes import new_axes, new_axis
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap
from wavedil.receptive_field.tracing.domain.formula import INFINITY, Formula, Piece
from wavedil.receptive_field.tracing.domain.sets import ZERO
from wavedil.receptive_field.tracing.domain.terms import Term
from wavedil.receptive_field.tracing.domain.value import Value, union_of
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen, Unknown
from wavedil.receptive_field.tracing.jax_internals import primitive_names
from wavedil.receptive_field.tracing.rules import LOOKING_AT_KNOWN, RULES, control, intervals


def trace(
    fn: Function,
    x: Any,
    *,
    time_axis: int = 1,
    output_time_axis: int | None = None,
    unknown: Unknown = "error",
    declared: Mapping[str, ReceptiveField] = MappingProxyType({}),
) -> TracedField:
    """The receptive field of any function that JAX can trace, exact, or it says where not; no weights are run.

    The function is traced to a jaxpr, and every equation is interpreted by what it reads: an
    array is held as the rule `element -> input times that it sees`, never as numbers. A
    convolution of 16 million samples is one such rule, so the time it takes grows with the
    number of equations and not with the length of the signal.

    What counts is structure, not magnitude: x - x and 0 * x see x. Both cases of a `where` are
    seen, unless the mask is known without the signal; then only the one that is chosen. A known
    mask of two axes is followed as it is written in attention: in `where`, added (a number of
    -10,000 or less counts as minus infinity for a softmax), or multiplied; what it hides is not seen. So are known
    matrices by their nonzeros, and products of Fourier transforms by the taps of the filter.

    Every step that may say more than is seen, and never less, marks what it makes, and whatever is
    made of that. If a mark reaches the output, `upper_bounds` names the steps and their lines, as
    indices from the signal, loops that it ends, arrays too large to look for zeros in (16 million
    elements, but for masks by the distance of two indices, of any size), or inverse Fourier
    transforms of something else. Without one the answer is exact.

    A loop is one equation, however many trips it has. Indices and decisions that its trips count are
    known. An array that they write to in place is followed where each trip reads what was written the
    same trips before: a recursive filter, a ring buffer.

    Outputs are described by what those in the middle see. Where this signal cannot say (it is
    short, or they see an end of it) a longer one is traced too, and what grows with it is infinite.

    Args:
      fn: A function of one array: a Flax, Equinox or Haiku model, or plain jax.numpy.
      x: The input, an array or a `jax.ShapeDtypeStruct`; its numbers are not used.
      time_axis: The axis of x along which inputs are counted. Inputs at equal times, in other
        channels or other signals of the batch, count as one.
      output_time_axis: The axis along which outputs are counted; `time_axis` by default. Of
        several outputs it is the union, provided that they have equally many samples.
      unknown: "error", or "all": primitives without a rule see all of the signal, which is safe
        and may be too much.
      declared: The fields of primitives that no rule knows, by name, such as {"pure_callback": ReceptiveField(past=3,
        future=0)}: of inputs and outputs of equal shapes, along the axes along which time runs there.

    Returns:
      The field: what every output sees, and the taps that all but the outputs at the borders have
      in common.

    Raises:
      UserError: If an axis does not exist, x has no fixed shape or no samples, the function's
        outputs have no common time axis, it takes decisions in Python on the numbers of x, it
        changes variables outside of itself, or it uses a primitive that no rule knows.

    Example:
      >>> x = jax.ShapeDtypeStruct((1, 16000, 1), jnp.float32)
      >>> trace(lambda x: x[:, 5:] - x[:, :-5], x).taps
      (0, 5)

    Reference: abstract interpretation, Cousot and Cousot 1977, doi:10.1145/512950.512973; for the
    arithmetic of fields, Araujo, Norris and Sim 2019, doi:10.23915/distill.00021.
    """
    if unknown not in get_args(Unknown):
        raise UserError(f"unknown is {unknown!r}; use 'error' or 'all'")
    spec = _spec(x)
    axis = require_axis(time_axis, spec.shape, "time_axis", "x")
    if any(size < 1 for size in spec.shape):
        raise UserError(
            f"x has shape {spec.shape}, which holds no samples; make every size at least 1"
        )
    rules = {**RULES, **{name: control.declared(field) for name, field in declared.items()}}
    output_axis = time_axis if output_time_axis is None else output_time_axis

    # The summary may ask for the same function on a longer or a shorter signal.
    def at_length(num_samples: int) -> Reading | None:
        shape = (*spec.shape[:axis], num_samples, *spec.shape[axis + 1 :])
        try:
            return _read(
                fn, jax.ShapeDtypeStruct(shape, spec.dtype), axis, output_axis, unknown, rules
            )
        except Exception:  # whatever a function says of a length that it was not made for
            return None

    reading = _read(fn, spec, axis, output_axis, unknown, rules)
    _require_used(declared, primitive_names(reading.program))
    return TracedField.of(reading, summary(reading, at_length))


def _require_used(declared: Mapping[str, ReceptiveField], names: Collection[str]) -> None:
    for name in declared:
        if name not in names:
            raise UserError(
                f"a field is declared for {name!r}, but the function has no primitive of this name; "
                f"{suggestion(name, sorted(names))}"
            )


def _read(
    fn: Function,
    spec: jax.ShapeDtypeStruct,
    axis: int,
    output_axis: int,
    unknown: Unknown,
    rules: Mapping[str, Rule],
) -> Reading:
    jaxpr, shapes = _jaxpr(fn, spec)
    axes = output_axes(shapes, output_axis)
    tracer = Interpreter(spec.shape[axis], rules, unknown, LOOKING_AT_KNOWN)
    outputs = tracer.run_closed(jaxpr, [_signal(spec, axis)])
    num_outputs = jax.tree.leaves(shapes)[0].shape[axes[0]]
    terms = _along_time(outputs, axes, num_outputs)
    return Reading.of(spec.shape[axis], num_outputs, terms, jaxpr)


def _spec(x: Any) -> jax.ShapeDtypeStruct:
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    if shape is None or dtype is None:
        raise UserError(
            f"x is {type(x).__name__}, but it must be an array or a jax.ShapeDtypeStruct; "
            "give jax.ShapeDtypeStruct((1, 16000, 1), jnp.float32)"
        )
    if not all(isinstance(size, int) for size in shape):
        raise UserError(
            f"x has shape {shape}, but every size must be a number; the length costs nothing, "
            "so use one that is long enough, such as 16000"
        )
    return jax.ShapeDtypeStruct(shape, dtype)


def _jaxpr(fn: Function, spec: jax.ShapeDtypeStruct) -> tuple[Any, Any]:
    """The function's jaxpr and the shapes of its outputs; JAX's errors in the caller's terms."""
    try:
        return jax.make_jaxpr(pure(fn), return_shape=True)(spec)
    except (jax.errors.ConcretizationTypeError, jax.errors.NonConcreteBooleanIndexError) as error:
        raise UserError(
            "the function decides in Python by the numbers in x (an if, a float(), a shape that depends on "
            f"them), so it has no one field; use jnp.where or lax.cond. JAX says: {_first_line(error)}"
        ) from error
    except jax.errors.UnexpectedTracerError as error:
        raise UserError(
            "the function keeps arrays of one call for the next; return them instead. "
            f"JAX says: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _signal(spec: jax.ShapeDtypeStruct, time_axis: int) -> Value:
    """The input: index t of the axis of time sees input t."""
    axes = new_axes(spec.shape)
    size = spec.shape[time_axis]
    # The rule holds before and after the signal too, so that it has no borders of its own; the window
    # (0, size) says which inputs there are.
    identity = AxisMap(size, (Piece(-INFINITY, INFINITY, Formula(1, 1, (ZERO,))),))
    maps = {factor.id: identity for factor in axes[time_axis]}
    between = intervals.of_type(spec.dtype, every=True)
    return Value(axes, (Term(maps, ZERO, (0, size)),), between=between)


def _along_time(outputs: list[Seen], axes: list[int], num_outputs: int) -> list[Term]:
    """The terms of all outputs together, over one factor: output time."""
    time = (new_axis(num_outputs),)
    parts = []
    for value, axis in zip(outputs, axes, strict=True):
        if isinstance(value, Value):
            # Any channel, any signal of the batch: what one of them sees counts.
            others = [i for i in range(len(value.axes)) if i != axis]
            parts.append(value.over(*others).single(0))
    # Constant outputs see nothing; with an empty part there is always something to unite.
    parts.append(Value(time, ()))
    return list(union_of(parts).terms)
