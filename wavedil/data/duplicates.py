"""Recordings that are the same: listed under two names, linked, or copied."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

from wavedil.data.fingerprints import sound
from wavedil.data.recording import Recording
from wavedil.errors import UserError


def require_apart(train: Sequence[Recording], test: Sequence[Recording]) -> None:
    """Refuses a sound that is both trained on and held out, whatever its files are called.

    Raises:
      UserError: With the two names.
    """
    trained = {id(recording) for recording in train}
    crossing = [
        (one, other)
        for one, other in _pairs([*train, *test])
        if (id(one) in trained) != (id(other) in trained)
    ]
    if crossing:
        one, other = crossing[0]
        more = f", and {len(crossing) - 1} more are so" if len(crossing) > 1 else ""
        raise UserError(
            f"{other.path} is held out, but {one.path}, which is trained on, holds the same sound{more}; remove one of "
            "the two, or put both on one side"
        )


def repeated(recordings: Sequence[Recording]) -> list[str]:
    """A line that says how many are others again, which count so often; none where none is."""
    pairs = [(one.path, other.path) for one, other in _pairs(recordings)]
    if not pairs:
        return []
    return [f"{len(pairs)} recordings are others again: {pairs[0][1]} is {pairs[0][0]}"]


def _pairs(recordings: Sequence[Recording]) -> Iterator[tuple[Recording, Recording]]:
    """Every recording with the first one that holds the same codes, where that is another."""
    by_length = defaultdict(list)
    for recording in recordings:
        by_length[recording.num_samples].append(recording)
    for alike in by_length.values():
        if len(alike) < 2:
            continue  # nothing to compare
        first: dict[Hashable, Recording] = {}
        for recording in alike:
            one = first.setdefault(sound(recording), recording)
            if one is not recording:
                yield one, recording
