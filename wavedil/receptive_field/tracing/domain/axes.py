"""Named axes: the factors that an axis is a product of, and how they are cut and joined.

An axis is a product of *factors*, outer to inner, as after folding batch and time into one:
reshape then moves bounds between axes and touches no term. A term's maps belong to factors, so
transposing touches none either. An axis of size 1 has no factor.

    shape (2, 4096, 3)      axes ((b,), (t,), (c,))
    reshaped (8192, 3)      axes ((b, t), (c,))                   the same terms
    reshaped (2, 64, 64, 3) axes ((b,), (block,), (offset,), (c,))     maps of t split in two
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from wavedil.receptive_field.tracing.domain import folding
from wavedil.receptive_field.tracing.domain.terms import Term, tidied, united

_ids = itertools.count()


class Factor(NamedTuple):
    """A named run of indices."""

    id: int
    size: int


Axis = tuple[Factor, ...]
Axes = tuple[Axis, ...]
Terms = tuple[Term, ...]


def new_axis(size: int) -> Axis:
    """An axis that no term knows yet."""
    return (Factor(next(_ids), size),) if size > 1 else ()


def new_axes(shape: Iterable[int]) -> Axes:
    """Axes that no term knows yet."""
    return tuple(new_axis(size) for size in shape)


def size_of(axis: Axis) -> int:
    """How many indices an axis has."""
    return math.prod(factor.size for factor in axis)


def as_one(axis: Axis, terms: Terms) -> tuple[Axis, Terms]:
    """An axis of several factors as one factor."""
    while len(axis) > 1:
        # From the innermost pair outward, until one factor is left.
        *outer, a, b = axis
        (joined,) = new_axis(a.size * b.size)
        terms = united(new for term in terms for new in _joined(term, a, b, joined.id))
        axis = (*outer, joined)
    return axis, terms


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


def blocks(shape: Sequence[int], factors: list[Factor]) -> Iterable[tuple[list[int], list[Factor]]]:
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


def regrouped(sizes: list[int], factors: list[Factor], terms: Terms) -> tuple[list[Axis], Terms]:
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
        whole, terms = as_one(tuple(factors), terms)
        factors = [*whole]
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
