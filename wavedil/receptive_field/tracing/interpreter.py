"""Abstract interpretation of a jaxpr: on the inputs that its arrays see, instead of on numbers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from jax.extend.core import Literal as JaxprLiteral

from wavedil.errors import UserError
from wavedil.receptive_field.limits import TooLargeError
from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.constants import Constant, computed
from wavedil.receptive_field.tracing.domain.axes import Axis, new_axes
from wavedil.receptive_field.tracing.domain.terms import Term
from wavedil.receptive_field.tracing.domain.value import Value
from wavedil.receptive_field.tracing.jax_internals import opened
from wavedil.receptive_field.tracing.source import source_line

Unknown = Literal["error", "all"]
Seen = Value | Constant
Rule = Callable[["Interpreter", Any, list[Seen]], Seen | Sequence[Seen]]


class Interpreter:
    """Works out the inputs that each equation's outputs see, from those that its operands see.

    An equation none of whose inputs depends on the signal is a constant, whatever its primitive;
    it is computed only where an index or a mask turns out to be needed.

    Args:
      num_inputs: Samples of the signal.
      rules: The rule of each primitive, by its name.
      looking_at_known: Primitives whose rules look at the numbers that are known of a value.
      unknown: "error", or "all": a primitive without a rule sees all of the signal.
    """

    def __init__(
        self,
        num_inputs: int,
        rules: Mapping[str, Rule],
        unknown: Unknown,
        looking_at_known: Collection[str] = (),
    ) -> None:
        self.num_inputs = num_inputs
        self.window = (0, num_inputs)
        self._rules = rules
        self._unknown = unknown
        self._looking_at_known = looking_at_known
        self._calls: list[Any] = []
        self.expansions: dict[Any, Any] = {}
        # Trips of which not each does the same with what is carried.
        self.unsteady: set[Axis] = set()
        self.devices: dict[
            str, Axis
        ] = {}  # along each axis of the mesh that a function is split over

    def run(
        self,
        jaxpr: Any,
        constants: Sequence[Seen],
        inputs: Sequence[Seen],
        instead: Mapping[Any, Rule] = MappingProxyType({}),
    ) -> list[Seen]:
        """The inputs that the outputs of a jaxpr see.

        `instead` holds other rules, by the first output of their equations.
        """
        seen: dict[Any, Seen] = {}
        seen.update(zip(jaxpr.constvars, constants, strict=True))
        seen.update(zip(jaxpr.invars, inputs, strict=True))

        def read(atom: Any) -> Seen:
            if isinstance(atom, JaxprLiteral):
                return Constant.holding(atom.val)
            return seen[atom]

        for eqn in jaxpr.eqns:
            rule = instead.get(eqn.outvars[0]) if eqn.outvars else None
            outputs = self._apply(eqn, [read(atom) for atom in eqn.invars], rule)
            seen.update(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def run_closed(
        self,
        closed: Any,
        inputs: Sequence[Seen],
        instead: Mapping[Any, Rule] = MappingProxyType({}),
    ) -> list[Seen]:
        """The same for a jaxpr that holds its constants, or that has none; the outputs say all by their terms."""
        return [released(value) for value in self.call(closed, inputs, instead)]

    def call(
        self,
        closed: Any,
        inputs: Sequence[Seen],
        instead: Mapping[Any, Rule] = MappingProxyType({}),
    ) -> list[Seen]:
        """The same, with the numbers that are known of the outputs."""
        jaxpr, constants = opened(closed)
        return self.run(jaxpr, [Constant.holding(value) for value in constants], inputs, instead)

    def _apply(self, eqn: Any, inputs: list[Seen], instead: Rule | None) -> Sequence[Seen]:
        # Nothing here depends on the signal: weights, positions, masks. Numbers come when they are asked for.
        if instead is None and not any(isinstance(value, Value) for value in inputs):
            return computed(eqn, [value for value in inputs if isinstance(value, Constant)])
        rule = instead or self._rules.get(eqn.primitive.name)
        if rule is None:
            return self.without_rule(eqn)
        # Rules of jit and of loops run inner jaxprs; the equations they are in say where the user called
        # them, if a library wrote the inner ones.
        self._calls.append(eqn)
        if eqn.primitive.name not in self._looking_at_known:
            inputs = [self._located(released(value), eqn) for value in inputs]
        try:
            outputs = rule(self, eqn, inputs)
        except TooLargeError:
            # A mask that has diagonals met one that has none: no array of all elements is made, and no mask known.
            outputs = rule(self, eqn, [released(value) for value in inputs])
        self._calls.pop()
        # One answer for all outputs.
        if isinstance(outputs, Value | Constant):
            outputs = [outputs] * len(eqn.outvars)
        outputs = [self._located(value, eqn) for value in outputs]
        if eqn.primitive.name not in self._looking_at_known:
            # Other rules may hand on an array of which the numbers are no longer those.
            outputs = [replace(v, between=None) if isinstance(v, Value) else v for v in outputs]
        return [
            _or_constant(value, getattr(var.aval, "shape", ()))
            for value, var in zip(outputs, eqn.outvars, strict=True)
        ]

    def without_rule(self, eqn: Any) -> Sequence[Seen]:
        """The outputs of a primitive that has no rule: all of the signal, or an error."""
        if self._unknown == "all":
            reason = f"the primitive {eqn.primitive.name!r}, which no rule knows"
            return [self.everything(var.aval.shape, reason) for var in eqn.outvars]
        name = eqn.primitive.name
        raise UserError(
            f"no rule says which samples the primitive {name!r} reads{self._source_line(eqn)}; "
            f"declare its field (declared={{{name!r}: ...}}), use unknown='all' to let it see the whole signal, "
            "or probe() to measure"
        )

    def _source_line(self, eqn: Any) -> str:
        """Where the user wrote the equation, or called the function that it belongs to."""
        return next(filter(None, map(source_line, (eqn, *self._calls[::-1]))), "")

    def everything(self, shape: Sequence[int], reason: str) -> Value:
        """An array whose every element is said to see all of the signal, and why."""
        all_inputs = Term({}, Taps.between(0, self.num_inputs - 1), self.window)
        return Value(new_axes(shape), (all_inputs,)).because(reason)

    def _located(self, value: Seen, eqn: Any) -> Seen:
        """A value that names this equation where it has been widened by it."""
        if not isinstance(value, Value):
            return value
        new = {w for term in value.terms for w in term.widened if w.line is None}
        if not new:
            return value
        line = self._source_line(eqn)
        named = {w: w._replace(line=line) for w in new}
        terms = (
            replace(t, widened=frozenset(named.get(w, w) for w in t.widened)) for t in value.terms
        )
        return replace(value, terms=tuple(terms))


def released(value: Seen) -> Seen:
    """A value that says all by its terms."""
    return value.released() if isinstance(value, Value) else value


def because(value: Seen, reason: str) -> Seen:
    """A value that is an upper bound, and why; a constant is none."""
    return value.because(reason) if isinstance(value, Value) else value


def _or_constant(value: Seen, shape: Sequence[int]) -> Seen:
    """A value without elements is a constant."""
    if isinstance(value, Value) and 0 in shape:
        return Constant(shape, None)
    return value
