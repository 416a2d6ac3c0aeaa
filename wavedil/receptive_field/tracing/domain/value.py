"""Values: the arrays of a traced function as named axes, and terms over them."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from wavedil.receptive_field.tracing.domain.axes import (
    Axes,
    Axis,
    Factor,
    Terms,
    as_one,
    blocks,
    new_axis,
    regrouped,
    size_of,
)
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap, full
from wavedil.receptive_field.tracing.domain.known import Known, mask, shortest, varying_axes
from wavedil.receptive_field.tracing.domain.sets import plus
from wavedil.receptive_field.tracing.domain.terms import Term, tidied, united


class Interval(NamedTuple):
    """Two numbers, and whether every one between them is taken, for some signal."""

    low: float
    high: float
    every: bool = False


@dataclass(frozen=True)
class Value:
    """An array that depends on the input: the terms say which element sees what.

    Elements of which the number is known see nothing, though the terms do not say so. A rule that does not look at
    what is known gets the array `released` from it.

    Attributes:
      spectrum: What a Fourier transform is of.
      between: Between which numbers all elements lie, whatever the signal; None where no rule says so.
    """

    axes: Axes
    terms: Terms
    known: Known | None = None
    spectrum: "Spectrum | None" = None
    between: Interval | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return tuple(size_of(axis) for axis in self.axes)

    def each(self, change: Callable[[Term], Iterable[Term | None]]) -> "Value":
        """The same axes, and the union of what every term becomes."""
        return Value(self.axes, united(new for term in self.terms for new in change(term)))

    def because(self, what: str) -> "Value":
        """The same array, which is said to be an upper bound: a widening, and its reason."""
        return replace(self, terms=tuple(term.because(what) for term in self.terms))

    def released(self) -> "Value":
        """The same array, whose terms say all; a mask of several axes cannot be said and makes an upper bound.

        So does one of elements that see something: the terms may have been said to hide what they see.
        """
        if self.known is None:
            return self
        if self.known.about:
            alone = Value(self.axes, self.terms)
            return alone.because("numbers that count as minus infinity for a softmax alone")
        live, alone = shortest(self.known.live), Value(self.axes, self.terms)
        varying = varying_axes(live)
        if len(varying) > 1:
            return alone.because("a mask of several dimensions")
        if not varying:
            return alone if live.all() else Value(self.axes, ())
        return alone.restricted(varying[0], mask(np.asarray(live).reshape(-1)))

    @property
    def exactly_known(self) -> "Value":
        """The same array, without numbers of which it is known only about what they are."""
        return self.released() if self.known is not None and self.known.about else self

    def single(self, *which: int) -> "Value":
        """The same array, with no more than one factor to each of these axes."""
        value = self
        for i in which:
            if len(value.axes[i]) > 1:
                axis, terms = as_one(value.axes[i], value.terms)
                value = Value(with_axis(value.axes, i, axis), terms)
        return value

    def over(self, *which: int) -> "Value":
        """The union over all indices of these axes, which go."""
        factors = [factor for i in which for factor in self.axes[i]]
        axes = tuple(axis for i, axis in enumerate(self.axes) if i not in which)
        return Value(axes, self.terms_over(factors))

    def terms_over(self, factors: Iterable[Factor]) -> Terms:
        """The terms without these factors: the union over their indices."""
        ids = {factor.id for factor in factors}
        return self.each(lambda term: [_over(term, ids)]).terms

    def read(self, i: int, reads: AxisMap) -> "Value":
        """The array whose index j of axis i reads the indices `reads(j)` of this one's."""
        value = self.single(i)
        axis = new_axis(reads.size)
        read = value.each(lambda term: _read(term, value.axes[i], axis, reads))
        return Value(with_axis(value.axes, i, axis), read.terms)

    def restricted(self, i: int, seen: AxisMap) -> "Value":
        """The same array, where only the indices count at which `seen` has {0}."""
        value = self.single(i)
        # An axis of size 1 has no factor to restrict: all or nothing.
        if not value.axes[i]:
            return value if seen.at(0) is not None else Value(value.axes, ())
        return value.each(lambda term: term.plus_map(value.axes[i][0].id, seen))

    def reshaped(self, shape: Sequence[int]) -> "Value":
        """The elements in the same order in another shape."""
        axes, terms = list(self.axes), self.terms
        old = [factor for axis in axes for factor in axis]
        new: list[Axis] = []
        for sizes, factors in blocks(shape, old):
            axis_group, terms = regrouped(sizes, factors, terms)
            new += axis_group
        return Value(tuple(new), terms)

    def like(self, axes: Axes) -> Terms:
        """The terms under the names of other axes of the same shape and factors' sizes."""
        names = {
            mine.id: other.id
            for own, theirs in zip(self.axes, axes, strict=True)
            for mine, other in zip(own, theirs, strict=True)
        }
        return tuple(term.renamed(names) for term in self.terms)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What a Fourier transform is of: a signal along an axis, and what all frequencies have been multiplied with."""

    signal: Value
    axis: int
    response: np.ndarray | None = None


def union_of(values: Sequence[Value]) -> Value:
    """The union of several arrays of one shape, element by element."""
    first = values[0]
    if all(v is first or v == first for v in values):
        return first
    for i in range(len(first.axes)):
        # Axes that were folded differently have no common factors until each is one.
        if len({tuple(f.size for f in v.axes[i]) for v in values}) > 1:
            values = [v.single(i) for v in values]
    axes = values[0].axes
    terms = itertools.chain(values[0].terms, *(v.like(axes) for v in values[1:]))
    return Value(axes, united(terms))


def with_axis(axes: Axes, i: int, axis: Axis) -> Axes:
    """The axes with another one in place of axis i."""
    return (*axes[:i], axis, *axes[i + 1 :])


def _over(term: Term, ids: set[int]) -> Term | None:
    gone = ids & term.maps.keys()
    if not gone:
        return term
    base = term.base
    for id in gone:
        joined = plus(base, term.maps[id].all_seen)
        if joined is None:
            return None
        base = joined
    maps = term.without(*gone)
    return tidied(replace(term, maps=maps, base=base))


def _read(term: Term, old: Axis, new: Axis, reads: AxisMap) -> Iterable[Term | None]:
    maps = term.without(*(factor.id for factor in old))
    # No map means {0} at every index; reads may still miss the axis, as in padding.
    seen = term.maps.get(old[0].id, full(old[0].size)) if old else full(1)
    for read in seen.then_read_by(reads):
        if new:
            yield tidied(replace(term, maps={**maps, new[0].id: read}))
        else:
            base = plus(term.base, read.at(0))
            yield None if base is None else tidied(replace(term, maps=maps, base=base))
