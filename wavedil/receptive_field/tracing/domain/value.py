"""Values: the arrays of a traced function as named axes, and terms over them.

An axis is a product of *factors*, outer to inner, as after folding batch and time into one:
reshape then moves bounds between axes and touches no term. A term's maps belong to factors, so
transposing touches none either. An axis of size 1 has no factor.

    shape (2, 4096, 3)      axes ((b,), (t,), (c,))
    reshaped (8192, 3)      axes ((b, t), (c,))                   the same terms
    reshaped (2, 64, 64, 3) axes ((b,), (block,), (offset,), (c,))     maps of t split in two
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from wavedil.receptive_field.tracing.domain import folding
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap, full
from wavedil.receptive_field.tracing.domain.known import Known, mask, shortest, varying_axes
from wavedil.receptive_field.tracing.domain.sets import plus
from wavedil.receptive_field.tracing.domain.terms import Term, tidied, united

_ids = itertools.count()


class Factor(NamedTuple):
    """A named run of indices."""

    id: int
    size: int


Axis = tuple[Factor, ...]
Axes = tuple[Axis, ...]
Terms = tuple[Term, ...]
Interval = tuple[float, float]


def new_axis(size: int) -> Axis:
    """An axis that no term knows yet."""
    return (Factor(next(_ids), size),) if size > 1 else ()


def new_axes(shape: Iterable[int]) -> Axes:
    """Axes that no term knows yet."""
    return tuple(new_axis(size) for size in shape)


def size_of(axis: Axis) -> int:
    """How many indices an axis has."""
    return math.prod(factor.size for factor in axis)


@dataclass(frozen=True)
class Value:
    """An array that depends on the input: the terms say which element sees what.

    Elements of which the number is known see nothing, though the terms do not say so. A rule that does not look at
    what is known gets the array `released` from it.

    Attributes:
      spectrum: What a Fourier transform is of.
      between: Two numbers between which all elements lie, whatever the signal; None where no rule says so.
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

    def each(self, change: Callable[[Term], Iterable[Term | None]]) -> Terms:
        """The union of what every term becomes."""
        return united(new for term in self.terms for new in change(term))

    def because(self, what: str) -> "Value":
        """The same array, which is said to be an upper bound: a widening, and its reason."""
        return replace(self, terms=tuple(term.because(what) for term in self.terms))

    def released(self) -> "Value":
        """The same array, whose terms say all; a mask of several axes cannot be said and makes an upper bound."""
        if self.known is None:
            return self
        live, alone = shortest(self.known.live), Value(self.axes, self.terms)
        varying = varying_axes(live)
        if len(varying) > 1:
            return alone.because("a mask of several dimensions")
        if not varying:
            return alone if live.all() else Value(self.axes, ())
        parts = [alone.restricted(varying[0], seen) for seen in mask(live.reshape(-1))]
        return union_of(parts) if parts else Value(self.axes, ())

    def single(self, *which: int) -> "Value":
        """The same array, with no more than one factor to each of these axes."""
        value = self
        for i in which:
            while len(value.axes[i]) > 1:
                # From the innermost pair outward, until one factor is left.
                *outer, a, b = value.axes[i]
                (joined,) = new_axis(a.size * b.size)
                terms = value.each(functools.partial(_joined, a=a, b=b, joined=joined.id))
                axes = with_axis(value.axes, i, (*outer, joined))
                value = Value(axes, terms)
        return value

    def over(self, *which: int) -> "Value":
        """The union over all indices of these axes, which go."""
        factors = [factor for i in which for factor in self.axes[i]]
        axes = tuple(axis for i, axis in enumerate(self.axes) if i not in which)
        return Value(axes, self.terms_over(factors))

    def terms_over(self, factors: Iterable[Factor]) -> Terms:
        """The terms without these factors: the union over their indices."""
        ids = {factor.id for factor in factors}
        return self.each(lambda term: [_over(term, ids)])

    def read(self, i: int, reads: AxisMap) -> "Value":
        """The array whose index j of axis i reads the indices `reads(j)` of this one's."""
        value = self.single(i)
        axis = new_axis(reads.size)
        terms = value.each(lambda t: _read(t, value.axes[i], axis, reads))
        return Value(with_axis(value.axes, i, axis), terms)

    def restricted(self, i: int, seen: AxisMap) -> "Value":
        """The same array, where only the indices count at which `seen` has {0}."""
        value = self.single(i)
        # An axis of size 1 has no factor to restrict: all or nothing.
        if not value.axes[i]:
            return value if seen.at(0) is not None else Value(value.axes, ())
        return Value(value.axes, restrict(value.terms, value.axes[i][0], seen))

    def reshaped(self, shape: Sequence[int]) -> "Value":
        """The elements in the same order in another shape."""
        axes, terms = list(self.axes), self.terms
        old = [factor for axis in axes for factor in axis]
        new: list[Axis] = []
        for sizes, factors in _blocks(shape, old):
            axis_group, terms = _regrouped(sizes, factors, terms)
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


def restrict(terms: Iterable[Term], factor: Factor, seen: AxisMap) -> Terms:
    """Only the indices of a factor at which `seen` has {0}."""
    restricted = []
    for term in terms:
        maps = term.maps[factor.id].plus(seen) if factor.id in term.maps else [seen]
        restricted += [tidied(replace(term, maps={**term.maps, factor.id: m})) for m in maps]
    return united(restricted)


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


def _joined(term: Term, a: Factor, b: Factor, joined: int) -> Iterable[Term | None]:
    if a.id not in term.maps and b.id not in term.maps:
        return [term]
    maps = term.without(a.id, b.id)
    both = folding.join(term.maps.get(a.id), term.maps.get(b.id), (a.size, b.size))
    return [tidied(replace(term, maps={**maps, joined: seen})) for seen in both]


def _split(term: Term, joined: Factor, outer: Factor, inner: Factor) -> Iterable[Term | None]:
    if joined.id not in term.maps:
        return [term]
    maps = term.without(joined.id)
    pairs = folding.split(term.maps[joined.id], inner.size)
    return [tidied(replace(term, maps={**maps, outer.id: a, inner.id: b})) for a, b in pairs]


def _blocks(
    shape: Sequence[int], factors: list[Factor]
) -> Iterable[tuple[list[int], list[Factor]]]:
    """The shortest runs of new sizes and old factors that have equal products."""
    sizes: list[int] = []
    group: list[Factor] = []
    rest = list(factors)[::-1]
    for size in shape:
        sizes.append(size)
        # (6, 4) to (3, 2, 4): 6 is 3 times 2, and 4 is 4. Reshape mixes indices inside of such a run only.
        while rest and math.prod(f.size for f in group) < math.prod(sizes):
            group.append(rest.pop())
        if math.prod(f.size for f in group) == math.prod(sizes):
            yield sizes, group
            sizes, group = [], []


def _regrouped(sizes: list[int], factors: list[Factor], terms: Terms) -> tuple[list[Axis], Terms]:
    """Axes of the given sizes out of factors of the same product; factors are cut where need be."""
    if not any(f.id in term.maps for f in factors for term in terms):
        return [new_axis(size) for size in sizes], terms
    # An axis ends where a certain number of elements lie inside of it. Factors are cut at the bounds of
    # the new axes that fall between their own:
    #
    #     factors      4    x    4           bounds 16   4   1
    #     new sizes    2  x    8             bounds 16  8    1
    #     cut          2  x 2  x 4           bounds 16  8  4  1
    bounds = _inner_sizes(sizes)
    owned = _inner_sizes([f.size for f in factors])
    every = sorted({*bounds, *owned}, reverse=True)
    # Bounds that do not divide each other (6 elements as 2 x 3 and as 3 x 2) cut no factor evenly: all
    # of them become one factor first, and that one has the new bounds alone.
    if any(a % b for a, b in itertools.pairwise(every)):
        value = Value((tuple(factors),), terms).single(0)
        (factors,), terms = [list(axis) for axis in value.axes], value.terms
        every = sorted(set(bounds), reverse=True)
    cut: list[Factor] = []
    inner = math.prod(f.size for f in factors)
    for factor in factors:
        inner //= factor.size
        for bound in (b for b in every if inner < b < inner * factor.size):
            # From outer to inner: each bound cuts the outer part off.
            (a,), (b,) = new_axis(inner * factor.size // bound), new_axis(bound // inner)
            terms = united(n for t in terms for n in _split(t, factor, a, b))
            cut.append(a)
            factor = b
        cut.append(factor)
    axes: list[Axis] = []
    rest = cut[::-1]
    for size in sizes:
        axis: list[Factor] = []
        while size_of(tuple(axis)) < size:
            axis.append(rest.pop())
        axes.append(tuple(axis))
    return axes, terms


def _inner_sizes(sizes: Sequence[int]) -> list[int]:
    """How many elements one index of each axis stands for, and of all together."""
    inner = [1]
    for size in reversed(sizes):
        inner.append(inner[-1] * size)
    return inner
