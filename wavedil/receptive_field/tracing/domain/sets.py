"""Sets of integers as the bits of one integer: `Taps`, or None for the empty set."""

from collections.abc import Iterable

from wavedil.receptive_field.taps import Taps

Set = Taps | None

ZERO = Taps(0, 1)


def of_bits(first: int, bits: int) -> Set:
    """The set whose member `first + i` bit i stands for; the lowest bits may be 0."""
    if not bits:
        return None
    # `bits & -bits` is the lowest bit alone.
    zeros = (bits & -bits).bit_length() - 1
    return Taps(first + zeros, bits >> zeros)


def shifted(a: Set, by: int) -> Set:
    """{x + by}."""
    return a if a is None or by == 0 else Taps(a.first + by, a.bits)


def union(sets: Iterable[Set]) -> Set:
    """The members of any of the sets."""
    # Many parts are often the same set; then there is nothing to join.
    members = {(a.first, a.bits) for a in sets if a is not None}
    if len(members) <= 1:
        return Taps(*members.pop()) if members else None
    return Taps.joined((0, Taps(*member)) for member in members)


def difference(a: Set, b: Set) -> Set:
    """The members of one of the two sets that are not in the other: the symmetric difference."""
    if a is None or b is None:
        return a or b
    first = min(a.first, b.first)
    return of_bits(first, (a.bits << (a.first - first)) ^ (b.bits << (b.first - first)))


def within(a: Set, low: int, high: int) -> Set:
    """The members from `low` to `high - 1`."""
    if a is None or (low <= a.first and a.last < high):
        return a
    if a.last < low or high <= a.first or high <= low:
        return None
    skipped = max(0, low - a.first)
    kept = high - a.first - skipped
    bits = a.bits >> skipped
    if kept < bits.bit_length():  # the bounds may be as far as infinity, too far for a mask
        bits &= (1 << kept) - 1
    return of_bits(a.first + skipped, bits)


def contains(a: Set, b: Set) -> bool:
    """Whether every member of b is one of a."""
    return union([a, b]) == a


def plus(a: Set, b: Set) -> Set:
    """Every sum of a member of one and a member of the other."""
    if a is None or b is None:
        return None
    # The smaller set moves the larger one, once for each member; an interval does it by doubling.
    if a.count > b.count:
        a, b = b, a
    if a.count == 1:
        return Taps(a.first + b.first, b.bits)
    if a.bits & (a.bits + 1) == 0:  # every number from first to last
        return Taps(a.first + b.first, b.bits).repeated(1, a.bits.bit_length())
    if b.bits & (b.bits + 1) == 0:
        return Taps(a.first + b.first, a.bits).repeated(1, b.bits.bit_length())
    return Taps.joined((offset, b) for offset in a.offsets)


def times(a: Set, factor: int) -> Set:
    """{factor x}."""
    if a is None or factor == 1:
        return a
    if factor == 0:
        return ZERO
    # Zeros between binary digits: 3 {0, 2} is 101 spread to 1000001. A negative factor reverses them.
    digits = f"{a.bits:b}"
    if factor < 0:
        digits = digits[::-1]
    first = factor * (a.first if factor > 0 else a.last)
    return Taps(first, int(("0" * (abs(factor) - 1)).join(digits), 2))
