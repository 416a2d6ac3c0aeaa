"""Which pairs a corpus has, dry signals and what an amp made of them: a folder, or a manifest."""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wavedil.data.listing import is_manifest, list_entries, manifest_rows
from wavedil.errors import UserError

_NAME = re.compile(r"(.+)-(dry|wet)")


@dataclasses.dataclass(frozen=True)
class PairEntry:
    """One pair, not opened yet.

    Attributes:
      path: Of the wet signal, as it is listed.
      dry, wet: Where they are.
      knobs: Name -> setting of the amp.
      split: "train", "test" or None where nothing says.
    """

    path: str
    dry: Path
    wet: Path
    knobs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    split: str | None = None


def list_pairs(folder: str, knobs: Sequence[str]) -> list[PairEntry]:
    """The pairs in a manifest, with columns `dry`, `wet` and one for each knob; or in a folder, NAME-dry.* beside
    NAME-wet.*.

    Raises:
      UserError: If there are none, one of two is missing, or a setting is no number.
    """
    place = Path(folder).expanduser()
    if is_manifest(place) and place.exists():
        entries = list(_of_manifest(place, knobs))
    elif knobs:
        raise UserError(
            f"knobs {', '.join(knobs)} need their settings; give a manifest (.csv, .jsonl) with columns dry, wet, "
            f"{', '.join(knobs)} in place of {folder}"
        )
    else:
        entries = list(_of_folder(folder))
    if not entries:
        raise UserError(f"{folder} lists no pairs; add rows with columns dry and wet")
    unsplit = [entry.path for entry in entries if entry.split is None]
    if unsplit and len(unsplit) < len(entries):
        raise UserError(
            f"{folder} gives a split for some pairs only ({unsplit[0]} has none); fill the column in every row or "
            "remove it"
        )
    return entries


def require_ranges(entries: Sequence[PairEntry], knobs: Sequence[str]) -> None:
    """Refuses a knob that is never turned, of which a model could learn nothing.

    Raises:
      UserError: With its setting.
    """
    for name in knobs:
        settings = {entry.knobs[name] for entry in entries if entry.split != "test"}
        if len(settings) == 1:
            raise UserError(
                f"knob {name} is {settings.pop():g} in all pairs to train on, so its effect cannot be learned; leave "
                "it out of knobs, or record other settings too"
            )


def _of_manifest(manifest: Path, knobs: Sequence[str]) -> Iterator[PairEntry]:
    for line, row in manifest_rows(manifest):
        where = f"{manifest}, line {line}"
        for name in ("dry", "wet", *knobs):
            if name not in row:
                raise UserError(
                    f"{where} has no {name}; its columns are {', '.join(map(str, row))}: call one of them {name}"
                    + (", or leave it out of knobs" if name in knobs else "")
                )
        dry, wet = (str(row[name] or "") for name in ("dry", "wet"))
        if not (dry and wet):
            raise UserError(
                f"{where} has no file for {'wet' if dry else 'dry'}; give one, or remove the row"
            )
        split = row.get("split") or None
        if split not in (None, "train", "test"):
            raise UserError(f"{where} has split {split!r}; it must be 'train' or 'test'")
        settings = {name: _setting(where, name, row[name]) for name in knobs}
        yield PairEntry(wet, manifest.parent / dry, manifest.parent / wet, settings, split)


def _setting(where: str, name: str, value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{where} has {name} {value!r}, but the setting of a knob must be a number")
    return number


def _of_folder(folder: str) -> Iterator[PairEntry]:
    found: dict[str, dict[str, Path]] = {}
    for entry in list_entries(folder):
        named = _NAME.fullmatch(Path(entry.path).with_suffix("").as_posix())
        if named is not None:
            both = found.setdefault(named[1], {})
            if named[2] in both:
                raise UserError(
                    f"{both[named[2]]} and {entry.file} are both {named[1]}-{named[2]}; remove one of them"
                )
            both[named[2]] = entry.file
    if not found:
        raise UserError(
            f"{folder} has no pairs; call the files NAME-dry.wav and NAME-wet.wav, or give a manifest (.csv, .jsonl) "
            "with columns dry and wet"
        )
    for name, both in found.items():
        missing = {"dry", "wet"} - both.keys()
        if missing:
            there = next(iter(both.values()))
            raise UserError(
                f"{there} has no {name}-{missing.pop()}.* beside it; add it, or remove this file"
            )
        yield PairEntry(
            both["wet"].relative_to(Path(folder).expanduser()).as_posix(), both["dry"], both["wet"]
        )
