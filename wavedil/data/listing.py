"""Which files a corpus has, and what is said about each: a folder, or a manifest."""

import contextlib
import csv
import dataclasses
import io
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from wavedil.audio import CONVERTIBLE_SUFFIXES, READABLE_SUFFIXES
from wavedil.data.shards.folder import is_prepared
from wavedil.errors import UserError
from wavedil.files import open_regular

_SUFFIXES = READABLE_SUFFIXES + CONVERTIBLE_SUFFIXES
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
# Needs no normalising: names without dots in front, one slash between them.
_PLAIN_PATH = re.compile(r"/?(?:[^./\\][^/\\]*/)*[^./\\][^/\\]*")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One recording of a corpus, not opened yet.

    Attributes:
      path: Relative to the folder (or as the manifest gives it), with forward slashes.
      file: Where it is.
      split: "train", "test" or None where nothing says.
      labels: What the manifest's columns say.
    """

    path: str
    file: Path
    split: str | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


def list_entries(folder: str) -> list[Entry]:
    """The recordings of a folder (walked recursively) or of a `.csv` / `.jsonl` manifest; or a sound file alone.

    Raises:
      UserError: If there is no such folder or manifest, or no recording in it.
    """
    place = Path(folder).expanduser()
    if is_prepared(place):
        raise UserError(
            f"{folder} holds shards, from which models of sound without features are trained and scored; give the "
            "recordings that they were made of"
        )
    if place.is_dir():
        return _list_folder(place)
    if not place.exists():
        raise UserError(f"{folder} does not exist; give a folder of recordings or a manifest")
    if is_manifest(place):
        return _list_manifest(place)
    if place.suffix.lower() in _SUFFIXES:
        return [Entry(place.name, place)]
    raise UserError(
        f"{folder} is a file, but a corpus is a folder of recordings, a manifest (.csv, .jsonl) or a sound file"
    )


def is_manifest(place: Path) -> bool:
    """Whether a file is a manifest, by its name."""
    return place.suffix.lower() in (".csv", ".jsonl")


def _list_folder(folder: Path) -> list[Entry]:
    """Audio files by suffix, in the order of their relative paths on every system."""
    found: list[Entry] = []
    others: Counter[str] = Counter()
    for file in _walk(folder):
        if file.suffix.lower() in _SUFFIXES:
            found.append(Entry(file.relative_to(folder).as_posix(), file))
        else:
            others[file.suffix or "no suffix"] += 1
    if found:
        return sorted(found, key=lambda entry: entry.path)
    if not others:
        raise UserError(f"{folder} is empty; put recordings there (WAV, FLAC, Ogg or MP3)")
    seen = ", ".join(f"{count} of {suffix}" for suffix, count in others.most_common(3))
    raise UserError(
        f"{folder} has no audio among its files ({seen}); recordings end in "
        f"{', '.join(READABLE_SUFFIXES[:6])} ..."
    )


def _walk(folder: Path) -> Iterator[Path]:
    # Links to folders are followed, as corpora often are links, but none twice: links may loop.
    # Hidden names are caches and the "._" twins that macOS leaves beside every file.
    visited: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        real = os.path.realpath(parent)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        yield from (Path(parent, name) for name in files if not name.startswith("."))


def _list_manifest(manifest: Path) -> list[Entry]:
    """Rows with `path` (relative to the manifest), perhaps `split`; other columns are labels."""
    entries: dict[str, Entry] = {}
    folder = manifest.parent
    for line, row in manifest_rows(manifest):
        values = {key: str(value) for key, value in row.items() if value is not None}
        path = values.pop("path", "")
        split = values.pop("split", "") or None
        if not path:
            raise UserError(f"{manifest}, line {line} has no path; {_which_column(row)}")
        if split not in (None, "train", "test"):
            raise UserError(
                f"{manifest}, line {line} has split {split!r}; it must be 'train' or 'test'"
            )
        file = folder / path
        path = path if _PLAIN_PATH.fullmatch(path) else Path(path).as_posix()
        if path in entries:
            raise UserError(
                f"{manifest}, line {line} lists {path} a second time; remove one of the two rows"
            )
        labels = {name: value for name, value in values.items() if value}
        entries[path] = Entry(path, file, split, labels)
    if not entries:
        raise UserError(f"{manifest} lists no recordings; add rows with a `path` column")
    unsplit = [entry.path for entry in entries.values() if entry.split is None]
    if unsplit and len(unsplit) < len(entries):
        raise UserError(
            f"{manifest} gives a split for some files only ({unsplit[0]} has none); "
            f"fill the column in every row or remove it"
        )
    return list(entries.values())


def _which_column(row: Mapping[str, Any]) -> str:
    if "path" in row:
        return "give one, or remove the row"
    return (
        f"its columns are {', '.join(map(str, row))}; call the one that names the recordings `path`"
    )


def manifest_rows(manifest: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a `.csv` or `.jsonl` manifest, column -> value, each with its line.

    Raises:
      UserError: If it cannot be read as what its suffix says.
    """
    return _read_csv(manifest) if manifest.suffix.lower() == ".csv" else _read_jsonl(manifest)


def _read_csv(manifest: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with _text(manifest, "CSV") as file:
        header = file.readline()
        # Spreadsheets separate by what the decimal sign of their language leaves free.
        separator = max(_SEPARATORS, key=header.count)
        reader = csv.reader(itertools.chain([header], file), delimiter=separator, strict=True)
        # Blanks beside a separator align columns; a name with blanks at its ends is for JSON lines.
        names = [name.strip() for name in next(reader, [])]
        for row in reader:
            values = [value.strip() for value in row]
            if len(values) > len(names):
                raise UserError(
                    f"{manifest}, line {reader.line_num} has more values than columns; "
                    f"quote values that hold a {_SEPARATORS[separator]}"
                )
            if values:
                yield reader.line_num, dict(itertools.zip_longest(names, values))


def _read_jsonl(manifest: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with _text(manifest, "JSON lines") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            row = json.loads(text)
            if not isinstance(row, dict):
                raise UserError(f"{manifest}, line {line} is not an object {{...}}")
            yield line, row


@contextlib.contextmanager
def _text(manifest: Path, kind: str) -> Iterator[TextIO]:
    """A manifest, open for reading; what cannot be read in it is named."""
    try:
        # "utf-8-sig": spreadsheets put a byte-order mark before the first column's name.
        with open_regular(manifest) as file:
            yield io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    except UserError:
        raise
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        said = getattr(error, "strerror", None) or error
        raise UserError(f"{manifest} cannot be read as {kind} in UTF-8: {said}") from None
