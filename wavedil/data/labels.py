"""Labels of recordings, from their paths and from a manifest."""

import re
from collections.abc import Iterable, Mapping, Sequence

from wavedil.data.listing import Entry
from wavedil.errors import UserError, quoted


def compile_pattern(pattern: str, setting: str) -> re.Pattern[str]:
    """The compiled regular expression of a setting.

    Raises:
      UserError: If it is not a regular expression; the message says where.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"{setting} {quoted(pattern)} is not a regular expression: {error}"
        ) from None


def is_label(name: str) -> bool:
    """Whether a named group or column is a label.

    `index` and names that begin with an underscore only say where something stands in the path
    (a take number, a transcript): the model is not conditioned on them. Nor on a column without a name, which
    holds the numbers of the rows where a table was written with them.
    """
    return name not in ("", "index") and not name.startswith("_")


def find_labels(
    entries: Sequence[Entry], labels_pattern: str | None
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Path -> labels, and the names of all labels: the manifest's, then the pattern's.

    Raises:
      UserError: If manifest and pattern name the same label.
    """
    labels = {
        entry.path: {name: value for name, value in entry.labels.items() if is_label(name)}
        for entry in entries
    }
    names = list(dict.fromkeys(name for item in labels.values() for name in item))
    for name in names:
        if not _is_text(name):
            raise UserError(f"label {name!a} is no text; rename it in the manifest")
    if labels_pattern is None:
        return labels, names
    pattern = compile_pattern(labels_pattern, "labels")
    new_names = [name for name in pattern.groupindex if is_label(name)]
    for name in new_names:
        if name in names:
            raise UserError(
                f"label {name!r} comes from the manifest and from the pattern; rename one of them"
            )
    for path in labels:
        labels[path] |= _path_labels(pattern, path)
    return labels, names + new_names


def require_matches(labels: Mapping[str, Mapping[str, str]], names: Iterable[str]) -> None:
    """Refuses labels that none of the files has: the pattern was written for other paths.

    Raises:
      UserError: With the first such label.
    """
    for name in names:
        if not any(name in item for item in labels.values()):
            raise UserError(
                f"the pattern of labels gives no {name} to any of {len(labels)} files "
                f"({next(iter(labels))}, ...); write it for the path inside the folder"
            )


def _is_text(name: str) -> bool:
    """Whether a name can be written down: JSON can give halves of characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path_labels(pattern: re.Pattern[str], path: str) -> dict[str, str]:
    """The labels that the first match of a pattern in a relative path gives; {} where none."""
    match = pattern.search(path)
    groups = match.groupdict() if match else {}
    return {name: value for name, value in groups.items() if is_label(name) and value}
