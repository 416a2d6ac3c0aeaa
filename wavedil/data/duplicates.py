"""Recordings that are the same: listed under two names, linked, or copied."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

from wavedil.data.fingerprints import sound
from wavedil.data.recording import Recording
from wavedil.errors import UserError


def repeated(train: Sequence[Recording], test: Sequence[Recording]) -> list[str]:
    """Lines that say how many recordings are others again, which count so often; none where none is.

    Raises:
      UserError: With the two names, if a sound is both trained on and held out, whatever its files are called.
    """
    pairs = list(_pairs([*train, *test]))
    if not pairs:
        return []
    held_out = {id(recording) for recording in test}
    crossing = [pair for pair in pairs if len({id(one) in held_out for one in pair}) == 2]
    if crossing:
        one, other = crossing[0]
        more = f", and {len(crossing) - 1} more are so" if len(crossing) > 1 else ""
        raise UserError(
            f"{other.path} is held out, but {one.path}, which is trained on, holds the same sound{more}; remove one of "
            "the two, or put both on one side"
        )
    return [
        f"{len(again)} recordings are others again: {again[0][1].path} is {again[0][0].path}"
        for side in (False, True)
        if (again := [pair for pair in pairs if (id(pair[0]) in held_out) == side])
    ]


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
