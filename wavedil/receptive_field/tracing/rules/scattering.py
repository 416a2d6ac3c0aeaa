"""Writing at indices: scatter and dynamic updates. Indices that are known without the signal are used as they are."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from wavedil.receptive_field.taps import Taps
from wavedil.receptive_field.tracing.constants import Constant
from wavedil.receptive_field.tracing.domain.axes import Axis, Terms, new_axis
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap, overlaid
from wavedil.receptive_field.tracing.domain.formula import Formula, Piece
from wavedil.receptive_field.tracing.domain.known import mask
from wavedil.receptive_field.tracing.domain.value import Value
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.jax_internals import opened
from wavedil.receptive_field.tracing.rules.elementwise import either
from wavedil.receptive_field.tracing.rules.gathering import (
    deciding,
    from_any,
    read_any,
    read_anywhere,
    starts_of,
    takes_all,
    unless_known,
    varying,
)
from wavedil.receptive_field.tracing.rules.relations import (
    IRREGULAR,
    affine,
    coarse,
    irregular,
    listed,
)


def dynamic_update_slice(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """The update from every start on that there may be, and the operand where not all of them cover it."""
    operand, update, *indices = inputs
    shape, sizes = operand.shape, update.shape
    starts = [starts_of(*triple) for triple in zip(indices, shape, sizes, strict=True)]
    values = []
    if isinstance(operand, Value):
        covered = [
            None if place is None else np.isin(np.arange(n), np.arange(place[1], place[0] + size))
            for place, n, size in zip(starts, shape, sizes, strict=True)
        ]
        values += _outside(unless_known(operand, eqn, indices, starts), covered)
    if isinstance(update, Value):
        update = unless_known(update, eqn, indices, starts)
        for i, place in enumerate(starts):
            if place is None:
                update = read_anywhere(update, i, shape[i])
            elif sizes[i] != shape[i]:
                update = update.read(i, from_any((-place[1], -place[0]), shape[i]))
        values.append(update)
    return either([*values, *deciding(indices, starts)], shape)


def _outside(operand: Value, covered: Sequence[np.ndarray | None]) -> list[Value]:
    """The operand outside of a box: outside along one axis or along another."""
    if any(along is None for along in covered):
        return [operand]
    parts = []
    for i, along in enumerate(covered):
        # Outside of the box lies what is outside along one axis or along another; the parts overlap at the
        # corners, and a union may.
        #
        #     . . . .
        #     . # # .        rows without #, and columns without #
        #     . . . .
        parts.append(operand.restricted(i, mask(~along)))  # type: ignore[operator]
    return [part for part in parts if part.terms]


def scatter(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """The updates at the indices, and the operand: under them too where they are added to it."""
    operand, indices, updates = inputs
    shape = operand.shape
    known = indices.numpy if isinstance(indices, Constant) else None
    window, places = windows(eqn, shape, updates.shape)
    values = []
    # Added updates leave the operand to be seen; only those that replace it cover it.
    covering = replaces(eqn)
    unknown = "scatter at indices that are not known here"
    if isinstance(operand, Value):
        covered = _covered(eqn, shape, known, window) if covering else [None]
        anywhere = any(along is None for along in covered)
        if covering and anywhere and isinstance(indices, Constant):
            operand = operand.because(unknown if known is None else "scatter over no box of places")
        values += _outside(operand, covered)
    if isinstance(updates, Value):
        if known is None and isinstance(indices, Constant):
            updates = updates.because(unknown)
        values.append(_of_updates(eqn, updates, shape, known, window, places))
    if isinstance(indices, Value):
        # All places count as written to, and by any update.
        last = max(shape[d] - window[d] for d in range(len(shape)))
        between = indices.between if takes_all(indices) else None
        if between is None or between.low > 0 or between.high < last:
            values = [value.because("scatter at indices from the signal") for value in values]
        values.append(indices.over(*range(len(indices.shape))))
    return either(values, shape)


def replaces(eqn: Any) -> bool:
    """Whether updates replace the elements that they are written to, and are not added, or as by `x.at[i].apply(f)`."""
    function = eqn.params["update_jaxpr"]
    if eqn.primitive.name != "scatter" or function is None:
        return eqn.primitive.name == "scatter"
    jaxpr = opened(function)[0]
    return jaxpr.outvars[0] is jaxpr.invars[1]


def windows(
    eqn: Any, shape: Sequence[int], sizes: Sequence[int]
) -> tuple[list[int], dict[int, int]]:
    """The window's size along each axis of the operand, and which axis of the updates it is."""
    numbers = eqn.params["dimension_numbers"]
    gone = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    kept = [d for d in range(len(shape)) if d not in gone]
    places = dict(zip(kept, numbers.update_window_dims, strict=True))
    return [sizes[places[d]] if d in places else 1 for d in range(len(shape))], places


def _starts(eqn: Any, known: np.ndarray, d: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Where windows start along axis d of the operand, and which are written at all."""
    starts = known[..., eqn.params["dimension_numbers"].scatter_dims_to_operand_dims.index(d)]
    starts = starts.astype(np.int64)
    if "CLIP" in str(eqn.params["mode"]):
        return np.clip(starts, 0, last), np.ones(starts.shape, bool)
    return starts, (starts >= 0) & (starts <= last)


def _covered(
    eqn: Any, shape: Sequence[int], known: np.ndarray | None, window: list[int]
) -> list[np.ndarray | None]:
    """The indices that are written along each axis, if those written are all their combinations."""
    numbers = eqn.params["dimension_numbers"]
    if known is None or numbers.operand_batching_dims:
        return [None]
    used: list[int] = []
    covered: list[np.ndarray | None] = []
    for d, size in enumerate(shape):
        along = np.zeros(size, bool)
        if d in numbers.scatter_dims_to_operand_dims:
            starts, valid = _starts(eqn, known, d, size - window[d])
            used += varying(starts)
            for offset in range(window[d]):
                along[starts[valid] + offset] = True
        else:
            along[: window[d]] = True
        covered.append(along)
    # Starts that vary along the same axis of the indices for two axes of the operand write a diagonal,
    # which is no box: then nothing counts as covered.
    return covered if len(used) == len(set(used)) else [None]


def _of_updates(
    eqn: Any,
    updates: Value,
    shape: Sequence[int],
    known: np.ndarray | None,
    window: list[int],
    places: dict[int, int],
) -> Value:
    """The updates at their places in the operand's shape."""
    numbers = eqn.params["dimension_numbers"]
    scattered = [i for i in range(len(updates.shape)) if i not in places.values()]
    # Window axes of the updates go to the operand's axes as they are. The others count the windows: the
    # starts say where along the operand's axes each one lies.
    axes = {d: updates.axes[i] for d, i in places.items()}
    left = {i: updates.axes[i] for i in scattered}
    terms = updates.terms
    for where, d in enumerate(numbers.operand_batching_dims):
        axes[d] = left.pop(scattered[numbers.scatter_indices_batching_dims[where]])
    for d in numbers.scatter_dims_to_operand_dims:
        own = axes.get(d, ())
        if known is None:
            terms, left, moving = _over(terms, own, *left.values()), {}, []
        else:
            starts, valid = _starts(eqn, known, d, shape[d] - window[d])
            moving = varying(starts)
        if known is None or any(scattered[i] not in left for i in moving):
            # Not known, or the axis has already placed another one of the operand: anywhere.
            axes[d], terms = new_axis(shape[d]), _over(terms, own)
            if known is not None:
                terms = tuple(t.because("scatter to places along two axes") for t in terms)
            continue
        pick = tuple(slice(None) if i in moving else 0 for i in range(starts.ndim))
        flat = (starts[pick][..., None] + np.arange(window[d])).reshape(-1)
        written = np.repeat(valid[pick].reshape(-1), window[d])
        joined = tuple(itertools.chain(*(left.pop(scattered[i]) for i in moving), own))
        if coarse(flat, written):
            terms = tuple(t.because(IRREGULAR) for t in terms)
        # A write of update j to index i is a read by index i of update j.
        reads = inverted(flat, written, shape[d])
        placed = read_any(Value((joined,), terms), 0, reads, shape[d])
        axes[d], terms = placed.axes[0], placed.terms
    terms = _over(terms, *left.values())
    return Value(tuple(axes.get(d, new_axis(size)) for d, size in enumerate(shape)), terms)


def _over(terms: Terms, *gone: Axis) -> Terms:
    """Terms without the factors of these axes."""
    return Value((), terms).terms_over(itertools.chain(*gone))


def inverted(indices: np.ndarray, valid: np.ndarray, size: int) -> list[AxisMap]:
    """Index i reads every j for which `indices[j]` is i. An upper bound if these are `coarse`."""
    if coarse(indices, valid):
        return [AxisMap.of(size, 0, [Taps.between(0, len(indices) - 1)])]
    if irregular(indices, valid):
        readers: list[list[int]] = [[] for _ in range(size)]
        for j in np.flatnonzero(valid & (indices >= 0) & (indices < size)).tolist():
            readers[indices[j]].append(j)
        return [AxisMap.of(size, 0, [Taps.at(each) if each else None for each in readers])]
    listing = [p for m in listed(indices, valid) for p in m.pieces]
    patterns = [p for p in listing if p.formula.period > 1 and p.formula.advance > 0]
    pieces = [piece for pattern in patterns for piece in _pattern_inverted(pattern)]
    for run in (one for p in listing if p not in patterns for one in _constant_steps(p)):
        first, step = run.formula.sets[0].first, run.formula.advance  # type: ignore[union-attr]
        # Many updates written to one index: it reads all of them.
        if step == 0 or run.length == 1:
            at = first + step * run.low
            pieces.append(Piece(at, at + 1, Formula(1, 0, (Taps.between(run.low, run.high - 1),))))
            continue
        ends = (first + step * run.low, first + step * (run.high - 1))
        # i = first + step j, solved for j: (i - first) / step where that is an integer.
        sign = 1 if step > 0 else -1
        reads = affine(size, sign, -sign * first, abs(step)).pieces[0].formula
        pieces.append(Piece(min(ends), max(ends) + 1, reads))
    return overlaid(
        size,
        [
            Piece(max(p.low, 0), min(p.high, size), p.formula)
            for p in pieces
            if p.low < size and p.high > 0
        ],
    )


def _pattern_inverted(pattern: Piece) -> list[Piece]:
    """Pieces for the places of a pattern that repeats, as frames that overlap are added up.

    Place r of cycle q is written to `i = advance q + first`, so index i reads `period q + r` where such a q exists:
    a formula whose period is the advance, and whose advance is the period. Places of the same `first // advance`
    and the same cycles are read at different residues of i, and share a piece:

        frames of 4 every 2, place    0 1 | 2 3        two pieces, for the two frames that overlap
    """
    f = pattern.formula
    sets: dict[range, list[list[int]]] = {}
    for place, written in enumerate(f.sets):
        low, high = -(-(pattern.low - place) // f.period), (pattern.high - 1 - place) // f.period
        if written is None or low > high:
            continue
        ahead, residue = divmod(written.first, f.advance)
        cycles = range(low + ahead, high + ahead + 1)
        reads = sets.setdefault(cycles, [[] for _ in range(f.advance)])
        reads[residue].append(place - f.period * ahead)
    return [
        Piece(
            f.advance * cycles.start,
            f.advance * cycles.stop,
            Formula(f.advance, f.period, tuple(Taps.at(each) if each else None for each in reads)),
        )
        for cycles, reads in sets.items()
    ]


def _constant_steps(piece: Piece) -> list[Piece]:
    """Pieces of period 1; a pattern that does not move is written out, one piece for each index."""
    if piece.formula.period == 1:
        return [piece]
    indices = range(piece.low, piece.high)
    return [Piece(j, j + 1, Formula(1, 0, (piece.formula.at(j),))) for j in indices]


_NAMES = ("scatter", "scatter-add", "scatter-sub", "scatter-mul", "scatter-min", "scatter-max")
RULES: dict[str, Rule] = {
    "dynamic_update_slice": dynamic_update_slice,
    **dict.fromkeys(_NAMES, scatter),
    **dict.fromkeys((name.replace("-", "_") for name in _NAMES), scatter),
}
