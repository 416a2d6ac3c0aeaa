"""Labels of sounds: the values that each may have, and the rows of the tables that models look them up in."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from jaxtyping import Int32

from wavedil.errors import UserError, suggestion

LabelValues = Mapping[str, Any]
"""Name -> a value for all signals, a list of values, one for each signal, or an array of rows."""


class Vocabulary(dict[str, tuple[str, ...]]):
    """Each label with its values, in the order of their rows.

    A model looks a value up in a table: row 0 is that of a signal without the label, row i + 1 that of value i.

    Example:
      >>> Vocabulary(digit=("3", "7")).rows({"digit": ["7", "3"]}, 2)
      {'digit': array([2, 1], dtype=int32)}
    """

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))

    @classmethod
    def of(cls, labelled: Iterable[Mapping[str, str]], names: Iterable[str]) -> Self:
        """Every value of each label, sorted: numbers by size, then words by alphabet."""
        values: dict[str, set[str]] = {name: set() for name in names}
        for labels in labelled:
            for name, value in labels.items():
                values[name].add(value)
        return cls({name: tuple(sorted(found, key=_by_size)) for name, found in values.items()})

    def rows(self, labels: LabelValues | None, num_signals: int) -> dict[str, Any]:
        """The rows of labels that a caller gives, an array [num_signals] for each label that is given.

        Args:
          labels: Name -> a str, which holds for all signals; a list of str, one for each; or an integer array of
            rows, one for each.
          num_signals: Signals side by side.

        Raises:
          UserError: On a label or a value that is not known, a row that the table lacks, a number in place of a
            value, or another number of them than of signals.
        """
        return {
            name: self._rows_of(name, given, num_signals) for name, given in _items(labels).items()
        }

    def rows_of(
        self, labelled: Sequence[Mapping[str, str]]
    ) -> dict[str, Int32[np.ndarray, " signals"]]:
        """The rows of recordings' labels; 0 where a recording lacks the label, or its value is not known."""
        rows: dict[str, dict[str | None, int]] = {
            name: {value: row for row, value in enumerate(values, start=1)}
            for name, values in self.items()
        }
        return {
            name: np.array([known.get(item.get(name), 0) for item in labelled], np.int32)
            for name, known in rows.items()
        }

    def _rows_of(self, name: str, given: Any, num_signals: int) -> Any:
        if name not in self:
            known = suggestion(name, self) if self else "it was trained without labels"
            raise UserError(f"label {name!r} is unknown to this model; {known}")
        if isinstance(given, str):
            given = [given] * num_signals
        elif not (_is_array(given) or isinstance(given, list | tuple)):
            self._row(name, given)  # raises: neither values nor rows
        if not _is_array(given) or given.dtype.kind == "U":
            given = np.array([self._row(name, value) for value in given], np.int32)
        self._require_rows(name, given, num_signals)
        return given

    def _row(self, name: str, value: Any) -> int:
        if not isinstance(value, str):
            if isinstance(value, bool | int | float | np.number | np.bool):
                raise UserError(f'{name} is {value}, a number; values are strings, use "{value}"')
            raise UserError(
                f"{name} is {value!r}, but values are strings; give one for all signals, or a list with one for each"
            )
        if value not in self[name]:
            raise UserError(
                f"{name} {value!r} is unknown to this model; {suggestion(value, self[name])}"
            )
        return self[name].index(value) + 1

    def _require_rows(self, name: str, rows: Any, num_signals: int) -> None:
        if rows.shape != (num_signals,) or not np.issubdtype(rows.dtype, np.integer):
            raise UserError(
                f"label {name!r} has shape {list(rows.shape)} of {rows.dtype}, but it must be {num_signals} values or "
                "integer rows, one for each signal"
            )
        if not isinstance(rows, np.ndarray):
            try:
                rows = np.asarray(rows)
            except TypeError:  # while JAX traces, the values are not known
                return
        if rows.size and not 0 <= rows.min() <= rows.max() <= len(self[name]):
            raise UserError(
                f"label {name!r} has rows {rows.min()} to {rows.max()}, but the model has 0 to {len(self[name])}"
            )


def num_labelled(labels: LabelValues | None) -> int | None:
    """How many signals the labels are of, as lists and arrays say; None where each holds for all signals.

    Raises:
      UserError: If two of them are of different numbers.
    """
    counts = {
        len(given)
        for given in _items(labels).values()
        if _is_array(given) or isinstance(given, list | tuple)
    }
    if len(counts) > 1:
        raise UserError(
            f"labels are lists of {sorted(counts)} values; give as many of each, one for each sound"
        )
    return counts.pop() if counts else None


def _items(labels: Any) -> LabelValues:
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise UserError(
            f'labels are {labels!r}, but each has a name; give a dictionary, such as {{"digit": "7"}}'
        )
    return labels


def _is_array(given: Any) -> bool:
    return getattr(given, "ndim", 0) > 0


def _by_size(value: str) -> tuple[bool, int, str]:
    number = value.isascii() and value.isdigit()
    return (not number, int(value) if number else 0, value)
