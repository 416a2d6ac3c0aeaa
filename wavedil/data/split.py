"""Which recordings are held out of training, or of a single one which end."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

from wavedil.data.config import CorpusConfig
from wavedil.data.labels import compile_pattern
from wavedil.data.listing import Entry
from wavedil.data.recording import Recording
from wavedil.errors import UserError, quoted

Recordings = tuple[Recording, ...]


def split(
    recordings: Mapping[str, Recording],
    entries: Sequence[Entry],
    config: CorpusConfig,
    hop: int | None,
) -> tuple[Recordings, Recordings]:
    """Recordings to train on, and held-out ones.

    A single recording, of which nothing says what is held out, is held out by time:

        |=========== trained on ===========|== scored ==|

    What is scored is predicted from all that is before it; what is trained on ends where it begins.

    Args:
      recordings: Path -> what was read.
      entries: Of these recordings, as they are listed.
      config: Of the corpus.
      hop: Samples of a frame of the recordings' features, between which there is no cut; None without features.

    Raises:
      UserError: If nothing would be held out although something should be, or nothing be left to train on.
    """
    only = len(entries) == 1 and config.test is None and entries[0].split is None
    if only and 0 < config.held_out < 1:
        return _by_time(recordings[entries[0].path], config, hop or 1)
    held_out = held_out_paths(entries, config)
    return (
        tuple(item for path, item in recordings.items() if path not in held_out),
        tuple(item for path, item in recordings.items() if path in held_out),
    )


def held_out_paths(entries: Sequence[Entry], config: CorpusConfig) -> set[str]:
    """Paths of the held-out files: by pattern, else by manifest, else a seeded fraction; all with `held_out` 1.

    Raises:
      UserError: If no file would be held out (but with `held_out` 0), or none left to train on.
    """
    if config.held_out in (0, 1):
        return {entry.path for entry in entries} if config.held_out else set()
    if config.test is not None:
        pattern = compile_pattern(config.test, "test")
        chosen = {entry.path for entry in entries if pattern.search(entry.path)}
        rule = f"test pattern {quoted(config.test)}"
    elif entries[0].split is not None:
        chosen = {entry.path for entry in entries if entry.split == "test"}
        rule = "the manifest's split"
    else:
        chosen = _seeded_fraction([entry.path for entry in entries], config)
        rule = f"held_out {config.held_out}"
    for which, count in (("hold out", len(chosen)), ("train on", len(entries) - len(chosen))):
        if count == 0:
            raise UserError(
                f"{rule} leaves none of {len(entries)} usable recordings to {which}; "
                f"change it, or add recordings; held_out 0 trains on all of them and holds nothing out"
            )
    return chosen


def _by_time(recording: Recording, config: CorpusConfig, hop: int) -> tuple[Recordings, Recordings]:
    """The beginning to train on, and the whole with its end to be scored."""
    length = recording.num_samples
    cut = round(length * (1 - config.held_out)) // hop * hop
    cut = min(max(cut, hop), (length - 1) // hop * hop)
    if cut < 1:
        raise UserError(
            f"{recording.path} is the only usable recording and has {length} samples, too few to hold an end of it "
            "out; add recordings, or use held_out 0, which holds nothing out"
        )
    scored = dataclasses.replace(recording, scored=(cut, length))
    return (recording.part(0, cut, hop),), (scored,)


def _seeded_fraction(paths: Sequence[str], config: CorpusConfig) -> set[str]:
    # Ranked by a hash of each path, so that the choice hardly moves when files are added.
    def rank(path: str) -> bytes:
        return hashlib.sha256(f"{config.split_seed}:{path}".encode(errors="surrogatepass")).digest()

    count = min(max(1, round(len(paths) * config.held_out)), len(paths) - 1)
    return set(sorted(paths, key=rank)[:count])
