"""Messages in the words of the command line: `--training.batch-size`, where the settings say batch_size."""

import dataclasses
import re
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

from wavedil.config import Config, is_option

# What follows the name of a setting, and not a word or a file of the same name.
_VALUE = r"""(?=(?: is)? [-+\d'"(\[]| is (?:given|nan|inf|None)\b| out\b|: .* -> )"""
_BEGIN = r"(?<![\w./\\'\"-])"
# Groups of a run's settings whose options have no such name in front.
_NAMELESS = r"(?:corpus|task)\."


class _Name(NamedTuple):
    settings: type
    prefix: str
    """Of the options of the settings, such as "model.context_stack."."""
    name: str

    @property
    def option(self) -> str:
        return f"--{self.prefix}{self.name}".replace("_", "-")


def as_options(message: str, options: type, group: type | None = None) -> str:
    """The message with the names of settings as the options that were typed.

    Of several settings of one name it is left as it is, unless it is known which is meant.

    Args:
      message: For people.
      options: The options of the verb.
      group: The settings that refused a value, where that is known.

    Example:
      as_options("held_out 0.1 leaves none", Train)     # "--held-out 0.1 leaves none"
    """
    names = [name for name in _names(options) if group in (None, name.settings)]
    for item in names:
        if item.prefix:
            message = _with_option(message, item.prefix + item.name, "", item.option)
    for item in names:
        if len({other.option for other in names if other.name == item.name}) == 1:
            owner = item.prefix.rstrip(".").rpartition(".")[2]
            message = _with_option(message, item.name, owner, item.option)
    return message


def _with_option(message: str, name: str, owner: str, option: str) -> str:
    # A plain word is a name only where the message begins with it.
    begin = _BEGIN if re.search(r"[._]", name) else "^"
    name = re.escape(name)
    pattern = f"(?:^{owner} {name}|{begin}{name}|{_BEGIN}{_NAMELESS}{name}){_VALUE}"
    return re.sub(pattern, option, message)


def _names(options: type, prefix: str = "") -> Iterator[_Name]:
    hints = typing.get_type_hints(options, include_extras=True)
    for field in dataclasses.fields(options):
        if not is_option(field):
            continue
        hint, *annotations = (
            typing.get_args(hints[field.name])
            if typing.get_origin(hints[field.name]) is typing.Annotated
            else (hints[field.name],)
        )
        group = _group(hint)
        if group is None:
            yield _Name(options, prefix, field.name)
        else:
            nameless = any(getattr(item, "name", None) == "" for item in annotations)
            yield from _names(group, prefix if nameless else f"{prefix}{field.name}.")


def _group(hint: Any) -> type | None:
    """The settings that a field holds, or may hold."""
    choices = [choice for choice in (*typing.get_args(hint), hint) if isinstance(choice, type)]
    return next((choice for choice in choices if issubclass(choice, Config)), None)
