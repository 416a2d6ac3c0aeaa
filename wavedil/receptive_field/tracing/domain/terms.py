"""Terms: the inputs that the elements of an array see, as unions of sums of maps along its axes.

A term has a map for some of the array's axes, and element (i, j, ...) sees every sum of what the
maps say of its indices:

    [time]              {time: t + {-2, 0}}                       a convolution
    [block, offset]     {block: 64 block, offset: offset}         the signal folded into blocks
    [query, key]        {query: query}  and  {key: key}           scores of attention, two terms
    [time, channel]     {time: t, channel: {0} below 4}           channels 0 to 3 of eight

An axis without a map adds {0}. Inputs outside of the term's window do not exist.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap, full, overlaid
from wavedil.receptive_field.tracing.domain.sets import ZERO, plus, union, within


class Widening(NamedTuple):
    """What made a term say more than is seen, and the line of the program; None until the interpreter adds it."""

    what: str
    line: str | None = None


@dataclass(frozen=True)
class Term:
    """Sums of `base` and what the maps say, in the window.

    Attributes:
      maps: For each factor that matters, by its id.
      base: What every element has in its sum.
      window: The first input that there is, and the first that there is not any more.
      grows: Whether it sees ever more of the past, and of the future, the longer the signal.
      widened: Where it has come to say more than is seen, never less; empty where it is exact.
    """

    maps: dict[int, AxisMap]
    base: Taps
    window: tuple[int, int]
    grows: tuple[bool, bool] = (False, False)
    widened: frozenset[Widening] = frozenset()

    @functools.cached_property
    def _hash(self) -> int:
        return hash(
            (frozenset(self.maps.items()), self.base, self.window, self.grows, self.widened)
        )

    def __hash__(self) -> int:
        return self._hash

    def because(self, what: str) -> "Term":
        """The term, which is said to be an upper bound."""
        return replace(self, widened=self.widened | {Widening(what)})

    def growing(self, past: bool, future: bool) -> "Term":
        """The term, which is said to see ever more of the past, or of the future, the longer the signal."""
        return replace(self, grows=(self.grows[0] or past, self.grows[1] or future))

    def plus_map(self, factor: int, other: AxisMap) -> list["Term | None"]:
        """Each index of a factor sees every sum of what it saw and what the map says: a term for each rate."""
        sums = self.maps[factor].plus(other) if factor in self.maps else [other]
        return [tidied(replace(self, maps={**self.maps, factor: seen})) for seen in sums]

    def without(self, *factors: int) -> dict[int, AxisMap]:
        """The other factors' maps."""
        return {id: m for id, m in self.maps.items() if id not in factors}

    def renamed(self, names: dict[int, int]) -> "Term":
        """Factors under other ids."""
        if not any(id in names for id in self.maps):
            return self
        maps = {names.get(id, id): m for id, m in self.maps.items()}
        term = replace(self, maps=maps)
        return tidied(term) or term


def tidied(term: Term) -> Term | None:
    """The term in a form in which equal terms are mostly written alike; None if it sees nothing.

    What all indices of a map have in common goes to the base: `t + {-2, 0}` is `t` and {-2, 0}.
    """
    maps, base = {}, term.base
    for id, seen in term.maps.items():
        if not seen.pieces:
            return None
        pure, common = seen.anchored
        base = plus(base, common) or base
        # A map that adds {0} everywhere adds nothing, and is left out.
        if pure != full(seen.size):
            maps[id] = pure
    if not maps:
        seen_base = within(base, *term.window)
        return None if seen_base is None else replace(term, maps=maps, base=seen_base)
    return _in_fewest_pieces(replace(term, maps=maps, base=base))


def _in_fewest_pieces(term: Term) -> Term | None:
    """Every map in the fewest pieces that say the same inside of the window.

    One after the other, because what one map may say of inputs that do not exist depends on what
    the others say; and one alone goes on beyond its axis, so that no sum of two that do comes back
    into the window.
    """
    low, high = term.window
    maps = dict(term.maps)
    # A map may say anything of inputs outside of the window, and so needs fewer pieces (see `settling`).
    # But with two such maps the sum of two inputs outside could fall into the window:
    #
    #     -3 from one map and +3 from the other: input 0, which neither of them means
    beyond = {id for id, seen in maps.items() if seen is not seen.clipped}
    for id in sorted(maps, key=lambda id: id not in beyond):
        # What this map says of an input matters only if the others and the base can move it into the window.
        others = [seen.bounds for other, seen in maps.items() if other != id]
        first = sum(b[0] for b in others) + term.base.first
        last = sum(b[1] for b in others) + term.base.last
        settled = maps[id].settled(low - last, high - first)
        if beyond - {id}:
            settled = settled.clipped
        elif settled is not settled.clipped:
            beyond.add(id)
        if not settled.pieces:
            return None
        maps[id] = settled
    return replace(term, maps=maps)


def trimmed(term: Term) -> Term | None:
    """A term without sums that no element moves into the window."""
    if len(term.maps) == 1:
        ((id, seen),) = term.maps.items()
        kept = seen.plus_set(term.base).trimmed(*term.window)
        return tidied(replace(term, maps={id: kept}, base=ZERO))
    low = sum(seen.bounds[0] for seen in term.maps.values())
    high = sum(seen.bounds[1] for seen in term.maps.values())
    base = within(term.base, term.window[0] - high, term.window[1] - low)
    if base is None:
        return None
    maps = dict(term.maps)
    for id, seen in term.maps.items():
        # What the others and the base can move into the window; a map of one formula has no garbage.
        if len(seen.pieces) > 1:
            first = base.first + sum(m.bounds[0] for other, m in maps.items() if other != id)
            last = base.last + sum(m.bounds[1] for other, m in maps.items() if other != id)
            maps[id] = seen.trimmed(term.window[0] - last, term.window[1] - first)
    return tidied(replace(term, maps=maps, base=base))


def united(terms: Iterable[Term | None]) -> tuple[Term, ...]:
    """The union of terms, in few terms: two that differ in one factor's map are one."""
    kept: list[Term] = []
    waiting = list(dict.fromkeys(t for t in terms if t is not None))[::-1]
    while waiting:
        term = waiting.pop()
        for i, other in enumerate(kept):
            joined = _joined(other, term)
            if joined is not None:
                del kept[i]
                # The joined term may join with others that neither of the two did.
                waiting.append(joined)
                break
        else:
            kept.append(term)
    return tuple(kept)


def _joined(a: Term, b: Term) -> Term | None:
    """One term for the union of two, if there is one: where all maps are equal but one at most.

    Equal maps and two bases are those maps and the union of the bases. Where one map differs, the
    bases are added to it first:

        {block: 64 block, place: {0} at 0} and {-1}
        {block: 64 block, place: place from 1 on} and {-1}
        make  {block: 64 block, place: place from 0 on} and {-1}
    """
    if a.window != b.window:
        return None
    differing = [id for id in {**a.maps, **b.maps} if _differ(a.maps.get(id), b.maps.get(id))]
    if len(differing) > 1:
        return None
    a = replace(a.growing(*b.grows), widened=a.widened | b.widened)
    # A map may go on beyond its axis as far as the other maps and the base allow.
    maps = {id: m if m == b.maps.get(id) else m.clipped for id, m in a.maps.items()}
    if not differing:
        both = union([a.base, b.base])
        assert both is not None
        maps = {id: m.clipped for id, m in maps.items()} if a.base != b.base else maps
        return tidied(replace(a, maps=maps, base=both))
    free = differing[0]
    size = (a.maps.get(free) or b.maps[free]).size
    pieces = [
        piece
        for term in (a, b)
        for piece in (term.maps.get(free) or full(size)).plus_set(term.base).pieces
    ]
    united_maps = overlaid(size, pieces)
    # Pieces of different rates are no one map: the terms stay two.
    if len(united_maps) > 1:
        return None
    maps = {**maps, free: united_maps[0]}
    return tidied(replace(a, maps=maps, base=ZERO))


def _differ(a: AxisMap | None, b: AxisMap | None) -> bool:
    """Whether two maps differ on their axis; beyond it a map claims nothing."""
    return a is not b and (a is None or b is None or (a != b and a.clipped != b.clipped))
