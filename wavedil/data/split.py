"""Which recordings are held out of training."""

import hashlib
from collections.abc import Sequence

from wavedil.data.config import CorpusConfig
from wavedil.data.labels import compile_pattern
from wavedil.data.listing import Entry
from wavedil.errors import UserError


def held_out_paths(entries: Sequence[Entry], config: CorpusConfig) -> set[str]:
    """Paths of the held-out files: by pattern, else by manifest, else a seeded fraction; all with `held_out` 1.

    Raises:
      UserError: If no file would be held out, or none left to train on.
    """
    if config.held_out == 1:
        return {entry.path for entry in entries}
    if config.test is not None:
        pattern = compile_pattern(config.test, "test")
        chosen = {entry.path for entry in entries if pattern.search(entry.path)}
        rule = f"test pattern {config.test!r}"
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
                f"change it, or add recordings (a long one can be cut into files)"
            )
    return chosen


def _seeded_fraction(paths: Sequence[str], config: CorpusConfig) -> set[str]:
    # Ranked by a hash of each path, so that the choice hardly moves when files are added.
    def rank(path: str) -> bytes:
        return hashlib.sha256(f"{config.split_seed}:{path}".encode()).digest()

    count = min(max(1, round(len(paths) * config.held_out)), len(paths) - 1)
    return set(sorted(paths, key=rank)[:count])
