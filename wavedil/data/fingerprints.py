"""The recordings of a corpus, one line each: enough to say later which of them are others."""

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

from wavedil.data.pair import Pair
from wavedil.data.recording import Recording
from wavedil.data.shards.codes import sha256_of, stored_sha256

_MOST_NAMES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """One recording.

    Attributes:
      path: As `Recording.path`.
      split: Whether it is trained on or held out; one whose end is held out is there twice.
      num_samples: Its length.
      sound: Sixteen hexadecimal digits that are others for other codes.
      about: The same of its labels and features.
      before: Whether it is of the run whose weights this one started from.
    """

    path: str
    split: Literal["train", "test"]
    num_samples: int
    sound: str
    about: str
    before: bool = False

    @property
    def content(self) -> tuple[str, int, str, str]:
        """What it is, whatever its name."""
        return self.split, self.num_samples, self.sound, self.about


def fingerprints(
    train: Iterable[Recording | Pair], test: Iterable[Recording | Pair]
) -> tuple[Fingerprint, ...]:
    """Those of recordings that are trained on and held out."""
    both: tuple[tuple[Literal["train", "test"], Iterable[Recording | Pair]], ...] = (
        ("train", train),
        ("test", test),
    )
    return tuple(
        Fingerprint(
            path=recording.path,
            split=split,
            num_samples=recording.num_samples,
            sound=sound(recording),
            about=_about(recording),
        )
        for split, recordings in both
        for recording in recordings
    )


def sound(recording: Recording | Pair, num_samples: int | None = None) -> str:
    """`Fingerprint.sound` of the first so many samples of a recording; of all by default."""
    stored = stored_sha256(recording.arrays[0])
    if stored is not None and num_samples in (None, recording.num_samples):
        return stored[:16]
    digest = hashlib.sha256()
    for array in recording.arrays:
        digest.update(array.dtype.str.encode() + array[:num_samples].tobytes())
    return digest.hexdigest()[:16]


def num_trained(recordings: Sequence[Recording | Pair], known: Sequence[Fingerprint]) -> list[int]:
    """How many samples of each recording, from its first one on, were trained on, whatever its name was then.

    That is all or none; or what lies before the end that was held out.

    Args:
      recordings: Read as those were that were trained on.
      known: Those.
    """
    trained = {(item.num_samples, item.sound) for item in known if item.split == "train"}
    cut = {item.path for item in known if item.split == "test"}
    lengths = {item.num_samples for item in known if item.split == "train" and item.path in cut}

    def of(recording: Recording | Pair) -> int:
        sizes = (recording.num_samples, *sorted(lengths, reverse=True))
        return next(
            (
                size
                for size in sizes
                if size <= recording.num_samples and (size, sound(recording, size)) in trained
            ),
            0,
        )

    return [of(recording) for recording in recordings]


def changes(before: Sequence[Fingerprint], now: Sequence[Fingerprint]) -> list[str]:
    """What is other, by name: recordings that were added, removed, renamed or changed, a phrase each."""
    old, new = _by_path(before), _by_path(now)
    added = [path for path in new if path not in old]
    removed = [path for path in old if path not in new]
    content = {_content(new[path]): path for path in added}
    renamed = {path: content[key] for path in removed if (key := _content(old[path])) in content}
    return [
        f"{what}: {_listed(names)}"
        for what, names in {
            "added": [path for path in added if path not in renamed.values()],
            "removed": [path for path in removed if path not in renamed],
            "renamed": [f"{path} -> {other}" for path, other in renamed.items()],
            "changed": [
                f"{path} ({_difference(old[path], new[path])})"
                for path in old
                if path in new and old[path] != new[path]
            ],
        }.items()
        if names
    ] or ["their order"]


def _about(recording: Recording | Pair) -> str:
    digest = hashlib.sha256(repr(sorted(recording.labels.items())).encode())
    if recording.features is not None:
        digest.update(sha256_of(recording.features).encode())
    return digest.hexdigest()[:16]


def _by_path(listed: Sequence[Fingerprint]) -> dict[str, tuple[Fingerprint, ...]]:
    found: dict[str, tuple[Fingerprint, ...]] = {}
    for item in listed:
        found[item.path] = (*found.get(item.path, ()), item)
    return found


def _content(of_path: Sequence[Fingerprint]) -> tuple[tuple[str, int], ...]:
    return tuple((item.sound, item.num_samples) for item in of_path)


def _difference(old: Sequence[Fingerprint], new: Sequence[Fingerprint]) -> str:
    if [item.split for item in old] != [item.split for item in new]:
        return "held out" if new[0].split == "test" else "no longer held out"
    return "its sound" if _content(old) != _content(new) else "its labels or features"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
