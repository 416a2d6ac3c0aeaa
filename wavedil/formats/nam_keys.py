"""An object in a foreign JSON file, whose keys are taken one by one: what is left over is not known to us."""

import math
from typing import Any

from wavedil.errors import UserError

_REQUIRED: Any = ...
_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    dict: "an object",
}


class Keys:
    """The keys of an object.

    Args:
      values: The object.
      where: What and where it is, for people.

    Raises:
      UserError: If it is no object.
    """

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, dict):
            raise UserError(f"{where} is {_short(values)}, but it must be an object")
        self.where = where
        self._values, self._left = values, set(values)

    def has(self, name: str) -> bool:
        """Whether there is such a key."""
        return name in self._values

    def take(self, name: str, kind: type, default: Any = _REQUIRED) -> Any:
        """The value of a key: a number that is finite, text, or `object` for anything.

        Raises:
          UserError: If it is missing and has no default, or of another type.
        """
        self._left.discard(name)
        if name not in self._values:
            if default is _REQUIRED:
                raise UserError(f"{self.where} has no {name!r}; it is cut off, or no .nam file")
            return default
        value = self._values[name]
        if default is None and value is None:
            return None
        return value if kind is object else _of_kind(f"{self.where}.{name}", value, kind)

    def numbers(self, name: str, kind: type) -> list[Any]:
        """The value of a key that is a list of numbers."""
        return [_of_kind(where, value, kind) for where, value in self._list(name)]

    def one_or_more(self, name: str, default: Any = _REQUIRED) -> list[Any]:
        """The values of a key that holds one for all layers, or a list of one for each."""
        value = self.take(name, object, default)
        return value if isinstance(value, list) else [value]

    def object(self, name: str, optional: bool = False) -> Any:
        """The value of a key that is an object; None where it may be missing or null, and is."""
        value = self.take(name, object, None if optional else _REQUIRED)
        return None if value is None and optional else Keys(value, f"{self.where}.{name}")

    def objects(self, name: str) -> list["Keys"]:
        """The value of a key that is a list of objects."""
        return [Keys(value, where) for where, value in self._list(name)]

    def items(self, name: str) -> list[str]:
        """What the items of a list are called."""
        return [where for where, _ in self._list(name)]

    def end(self) -> None:
        """Refuses keys that nothing asked for.

        Raises:
          UserError: With the first of them.
        """
        if self._left:
            raise UserError(
                f"{self.where} has {sorted(self._left)[0]!r}, a feature that is not known here; export the model "
                "without it"
            )

    def _list(self, name: str) -> list[tuple[str, Any]]:
        values = self.take(name, object)
        if not isinstance(values, list):
            raise UserError(f"{self.where}.{name} is {_short(values)}, but it must be a list")
        return [(f"{self.where}.{name}[{i}]", value) for i, value in enumerate(values)]


def _of_kind(where: str, value: Any, kind: type) -> Any:
    fits = type(value) in ((int, float) if kind is float else (kind,))
    if fits and kind is float:
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
        fits = math.isfinite(value)
    if not fits:
        raise UserError(f"{where} is {_short(value)}, but it must be {_NAMES[kind]}")
    return value


def _short(value: Any) -> str:
    """A value as it is quoted in an error, however long it is."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return ascii(value)[:60]
