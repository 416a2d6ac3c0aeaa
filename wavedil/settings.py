"""Settings: frozen dataclasses that travel through JSON and name what is wrong with them."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, Self

from wavedil.errors import UserError


class Settings:
    """Base of every group of settings: a frozen keyword-only dataclass without arrays.

    Subclasses are validated when made (in `__post_init__`), so that a settings
    object that exists is a usable one, and compare by value.

    Example:
      >>> @dataclasses.dataclass(frozen=True, kw_only=True)
      ... class Size(Settings):
      ...     num_layers: int = 10
      >>> Size.from_dict({"num_layers": 3}).to_dict()
      {'num_layers': 3}
    """

    def to_dict(self) -> dict[str, Any]:
        """This object as plain JSON values: dicts, lists, strings, numbers, None."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {field.name: _to_plain(getattr(self, field.name)) for field in fields}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The settings that `to_dict` wrote; absent keys take their defaults.

        Raises:
          UserError: On an unknown key (the nearest known one is suggested), a value of another type, or a
            value that the settings refuse.
        """
        if not isinstance(values, Mapping):
            raise UserError(f"{cls.__name__} is {values!r}, but it must be an object of settings")
        hints = typing.get_type_hints(cls)
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        for key in values:
            if key not in names:
                near = difflib.get_close_matches(key, names, n=1)
                remedy = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
                raise UserError(f"{cls.__name__} has no setting {key!r}; {remedy}")
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        for field in fields:
            if (
                field.name not in values
                and field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            ):
                raise UserError(f"{cls.__name__} needs the setting {field.name!r}; add it")
        return cls(**{key: _from_plain(hints[key], value, key) for key, value in values.items()})

    def differences(self, other: "Settings") -> list[str]:
        """One line for each setting that differs: `name: mine -> theirs`, nested names dotted."""
        mine, theirs = _flat(self.to_dict()), _flat(other.to_dict())
        return [
            f"{name}: {mine.get(name)!r} -> {theirs.get(name)!r}"
            for name in sorted(mine.keys() | theirs.keys())
            if mine.get(name) != theirs.get(name)
        ]


def _to_plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_to_plain(item) for item in value]
    return value


def _from_plain(hint: Any, value: Any, name: str) -> Any:
    """`value` as the type the setting declares; JSON has no tuples and one kind of number."""
    origin = typing.get_origin(hint)
    choices = [choice for choice in typing.get_args(hint) if choice is not types.NoneType]
    if origin in (typing.Union, types.UnionType) and len(choices) == 1 and value is not None:
        return _from_plain(choices[0], value, name)
    if isinstance(hint, type) and issubclass(hint, Settings):
        if not isinstance(value, Mapping):
            raise UserError(f"{name} is {value!r}, but it must be an object of settings")
        return hint.from_dict(value)
    if origin is tuple and isinstance(value, tuple | list):
        return tuple(_from_plain(typing.get_args(hint)[0], item, name) for item in value)
    if origin is Mapping and isinstance(value, Mapping):
        item_hint = typing.get_args(hint)[1]
        return {key: _from_plain(item_hint, item, name) for key, item in value.items()}
    if hint is float and type(value) is int:
        return float(value)
    if not _is_instance(value, hint):
        raise UserError(f"{name} is {value!r}, but it must be {_describe(hint)}")
    return value


def _is_instance(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_is_instance(value, choice) for choice in typing.get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
