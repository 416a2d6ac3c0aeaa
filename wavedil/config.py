"""Configuration: frozen dataclasses that travel through JSON and name what is wrong with them."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar, Self

from wavedil.errors import (
    UserError,
    quoted,
    require_bool,
    require_known,
    require_whole,
    suggestion,
    whole_number,
)


class Config:
    """Base of every group of settings: a frozen keyword-only dataclass without arrays.

    Subclasses are validated when made (in `__post_init__`), so that a config
    that exists is a usable one, and compare by value. One that is chosen among
    others, a task or a model's, has a `name`, which is written with it.

    Example:
      >>> @dataclasses.dataclass(frozen=True, kw_only=True)
      ... class Size(Config):
      ...     num_layers: int = 10
      >>> Size.from_dict({"num_layers": 3}).to_dict()
      {'num_layers': 3}
    """

    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Takes each value as the type that its setting declares: of NumPy's numbers and arrays, Python's.

        Raises:
          UserError: With the first that is of another type.
        """
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = _from_plain(hints[field.name], getattr(self, field.name), field.name)
            object.__setattr__(self, field.name, value)

    def to_dict(self) -> dict[str, Any]:
        """This object as plain JSON values: dicts, lists, strings, numbers, None."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        name = {"name": self.name} if self.name else {}
        return name | {field.name: _to_plain(getattr(self, field.name)) for field in fields}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The config that `to_dict` wrote; absent keys take their defaults.

        Raises:
          UserError: On an unknown key (the nearest known one is suggested), a value of another type, or a
            value that the config refuses.
        """
        if not isinstance(values, Mapping):
            raise UserError(f"{cls.__name__} is {values!r}, but it must be an object of settings")
        if cls.name and values.get("name", cls.name) == cls.name:
            values = {key: value for key, value in values.items() if key != "name"}
        fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for key in values:
            if key not in fields:
                raise UserError(f"{cls.__name__} has no setting {key!r}; {suggestion(key, fields)}")
        for name, field in fields.items():
            if name not in values and not has_default(field):
                raise UserError(f"{cls.__name__} needs the setting {name!r}; add it")
        return cls(**values)

    def differences(self, other: "Config") -> list[str]:
        """One line for each setting that differs: `name: mine -> theirs`, nested names dotted."""
        mine, theirs = _flat(self.to_dict()), _flat(other.to_dict())
        return [
            f"{name}: {_shown(mine.get(name))} -> {_shown(theirs.get(name))}"
            for name in sorted(mine.keys() | theirs.keys())
            if mine.get(name) != theirs.get(name)
        ]


def decided(*, by: str, option: bool = False, is_scale: bool = False, **field: Any) -> Any:
    """A field that something else decides.

    Args:
      by: What decides it, for people.
      option: Whether it is an option of the command line all the same; what is given must then be what is decided.
      is_scale: Whether it scales what the weights see: they mean the same with it alone, also in another run.
      **field: As `dataclasses.field`.
    """
    metadata = {"decided_by": by, "option": option, "is_scale": is_scale}
    return dataclasses.field(metadata=metadata, **field)


def no_option(**field: Any) -> Any:
    """A field that is set in Python alone, and is no option of the command line; as `dataclasses.field`."""
    return dataclasses.field(metadata={"option": False}, **field)


def is_option(field: "dataclasses.Field[Any]") -> bool:
    """Whether a field is an option of the command line."""
    return bool(field.metadata.get("option", True))


def undecided(config: Any) -> Any:
    """A config with the fields that something else decides as they are before that: to start another run from."""
    if not isinstance(config, Config):
        return config
    changes = {
        field.name: undecided(getattr(config, field.name))
        for field in dataclasses.fields(config)  # type: ignore[arg-type]
        if not ("decided_by" in field.metadata and has_default(field))
    }
    return type(config)(**changes)


def has_default(field: "dataclasses.Field[Any]") -> bool:
    """Whether a field may be left out."""
    return not (
        field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )


def read_named(what: str, values: Any, classes: Mapping[str, type[Config]]) -> Any:
    """The config of the class that its own `name` chooses among others.

    Args:
      what: What it is a config of, for people.
      values: As `to_dict` wrote it.
      classes: Name -> class.

    Raises:
      UserError: If there is no such class, or as `Config.from_dict`.
    """
    if not isinstance(values, Mapping) or not isinstance(values.get("name"), str):
        raise UserError(f"{what} is {values!r}, but it must be an object with the setting 'name'")
    require_known(what, values["name"], classes)
    return classes[values["name"]].from_dict(values)


def _to_plain(value: Any) -> Any:
    if isinstance(value, Config):
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
    if isinstance(hint, type) and issubclass(hint, Config) and not isinstance(value, hint):
        if not isinstance(value, Mapping):
            raise UserError(f"{name} is {value!r}, but it must be an object of settings")
        return hint.from_dict(value)
    if origin is tuple and _is_list(value):
        return tuple(_from_plain(typing.get_args(hint)[0], item, name) for item in value)
    if origin is Mapping and isinstance(value, Mapping):
        item_hint = typing.get_args(hint)[1]
        return {key: _from_plain(item_hint, item, name) for key, item in value.items()}
    if hint is int:
        return require_whole(name, value)
    if hint is bool:
        return require_bool(name, value)
    if not _is_instance(value, hint):
        raise UserError(f"{name} is {value!r}, but it must be {_describe(hint)}")
    return float(value) if hint is float else value


def _is_instance(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_is_instance(value, choice) for choice in typing.get_args(hint))
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    if hint is int:
        return whole_number(value) is not None
    # What an object that only has a protocol must do is found out where it does it.
    return hint is Any or getattr(hint, "_is_protocol", False) or isinstance(value, origin or hint)


def _is_list(value: Any) -> bool:
    """Whether it is a tuple, a list, or an array with one axis."""
    return isinstance(value, tuple | list) or getattr(value, "ndim", 0) == 1


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    names = {float: "a number", str: "text"}
    if typing.get_origin(hint) is tuple:
        return "a list"
    return names.get(hint) or (hint.__name__ if isinstance(hint, type) else str(hint))


def _shown(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else repr(value)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
