"""The order of training windows: which of them meet in a batch, and when."""

from typing import Any, NamedTuple

import numpy as np

from wavedil.frames import num_frames

ABSENT = -1
"""Stands for a window that is missing from the last batch of its group."""
TARGETS = 8192
"""Samples that a batch predicts by default: enough to keep a core busy, few enough for its cache."""

_MOST_WINDOWS = 64
# Each length of batch costs the compilation of a training step.
_MOST_LENGTHS = 6
_MOST_CANDIDATES = 128
# Samples, of which the lengths of batches are multiples.
_STEP = 64
# A smaller share of the targets is not worth a compilation, or rows that predict nothing.
_LITTLE = 0.05
_MOST_PASSES = 64


class Part(NamedTuple):
    """Which of the windows of a batch one host makes, where several share it: a stretch of them, in their order."""

    host: int = 0
    num_hosts: int = 1

    def of(self, rows: Any) -> Any:
        """That part of an array's first axis."""
        count = len(rows)
        begin, end = (count * host // self.num_hosts for host in (self.host, self.host + 1))
        return rows[begin:end]


ALL = Part()


class Group(NamedTuple):
    """Windows that meet in batches."""

    windows: np.ndarray
    length: int
    """Samples of each, its padding included."""
    has_context: bool
    batch_size: int


class BatchOrder:
    """Batches of windows of about the same length, those that need context apart from the others.

    In a round every window comes equally often: once, or a few times where there are so few windows that last batches
    with rows missing would be a waste. Rounds are shuffled anew, each a pure function of the seed and its number.

    Args:
      counts: Targets of every window.
      inside: Whether a window begins after its recording's first sample, and so needs context.
      batch_size: Windows in a batch; None: as many as predict about TARGETS samples.
      seed: Of the order.
      step: Lengths of batches are multiples of it, for the sake of vectors.
    """

    def __init__(
        self,
        counts: np.ndarray,
        inside: np.ndarray,
        batch_size: int | None,
        seed: int,
        step: int = _STEP,
    ) -> None:
        # Few windows without context go with those that have it.
        inside = inside | (inside.any() and counts[~inside].sum() < _LITTLE * counts.sum())
        self.groups = [
            group
            for has_context in (False, True)
            for group in _groups(
                np.flatnonzero(inside == has_context), counts, batch_size, has_context, step
            )
        ]
        self.passes = _passes(self.groups)
        batches = [num_frames(self.passes * len(g.windows), g.batch_size) for g in self.groups]
        self._first = np.cumsum([0, *batches])
        self._seed = seed % 2**32
        self._round = ABSENT

    @property
    def steps_per_round(self) -> int:
        """Batches of a round."""
        return int(self._first[-1])

    @property
    def batch_sizes(self) -> set[int]:
        """Windows that batches have."""
        return {group.batch_size for group in self.groups}

    def batch(self, step: int) -> tuple[Group, np.ndarray]:
        """The windows of a batch, and the group that they are of; ABSENT where a row is missing."""
        number, place = divmod(step, self.steps_per_round)
        if number != self._round:
            self._shuffle(number)
        batch = int(self._order[place])
        group = int(np.searchsorted(self._first, batch, side="right")) - 1
        return self.groups[group], self._batches[group][batch - self._first[group]]

    def _shuffle(self, number: int) -> None:
        rng = np.random.default_rng([self._seed, number])
        self._batches = []
        for group in self.groups:
            drawn = np.concatenate([rng.permutation(group.windows) for _ in range(self.passes)])
            missing = -len(drawn) % group.batch_size
            drawn = np.concatenate([drawn, np.full(missing, ABSENT, drawn.dtype)])
            self._batches.append(drawn.reshape(-1, group.batch_size))
        self._order = rng.permutation(self.steps_per_round)
        self._round = number


def _groups(
    windows: np.ndarray,
    counts: np.ndarray,
    batch_size: int | None,
    has_context: bool,
    step: int,
) -> list[Group]:
    """The windows by length."""
    if not len(windows):
        return []
    if len(counts) < 1 << 31:
        windows = windows.astype(np.int32)  # a large corpus has millions
    lengths = _choose_lengths(counts[windows], batch_size, step)
    bucket = np.searchsorted(lengths, counts[windows])
    groups = []
    for number, length in enumerate(lengths.tolist()):
        members = windows[bucket == number]
        if len(members):
            by_length = min(_MOST_WINDOWS, len(members), max(1, round(TARGETS / length)))
            groups.append(Group(members, length, has_context, batch_size or by_length))
    return groups


def _passes(groups: list[Group]) -> int:
    """Passes in a round, so few that hardly any row of a batch is missing."""

    def missing(passes: int) -> float:
        rows = sum(-passes * len(g.windows) % g.batch_size * g.length for g in groups)
        return rows / sum(passes * len(g.windows) * g.length for g in groups)

    wasted = [missing(passes) for passes in range(1, _MOST_PASSES + 1)]
    return next(
        (i for i, share in enumerate(wasted, 1) if share < _LITTLE), int(np.argmin(wasted)) + 1
    )


def _choose_lengths(counts: np.ndarray, batch_size: int | None, step: int) -> np.ndarray:
    """The lengths that batches may have, in ascending order; the last is enough for every window.

    Of all choices of so many lengths, the one with the least padding. `cost[j]` is that of the windows up to length j
    where j is among the chosen: the least over the length i chosen before it of `cost[i]` and of the windows between
    at length j.
    """
    rounded, number = np.unique(step * -(-counts // step), return_counts=True)
    keep = np.unique(np.linspace(0, len(rounded) - 1, _MOST_CANDIDATES).astype(int))
    lengths, below = rounded[keep], np.cumsum(number)[keep]
    cost, choices, costs = lengths * below, lengths[:, None], []
    for _ in range(_MOST_LENGTHS):
        costs.append((int(cost[-1]), np.unique(choices[-1])))
        # [j, i]: j after i; where i is not below j, the cost without another length stays.
        after = np.where(
            below[:, None] > below,
            cost + lengths[:, None] * (below[:, None] - below),
            cost[:, None],
        )
        best = np.argmin(after, axis=1)
        cost = np.minimum(cost, after[np.arange(len(best)), best])
        choices = np.concatenate([choices[best], lengths[:, None]], axis=1)
    # A length more has to pay for its compilation.
    chosen = next(lengths for cost, lengths in costs if cost <= (1 + _LITTLE) * costs[-1][0])
    # And to fill a batch, or the same window would come in it twice.
    while len(chosen) > 1:
        members = np.bincount(np.searchsorted(chosen, counts), minlength=len(chosen))
        if members.min() >= (batch_size or 1):
            break
        chosen = np.delete(chosen, min(int(np.argmin(members)), len(chosen) - 2))
    return chosen
