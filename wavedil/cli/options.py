"""From words on the command line to frozen dataclasses, by tyro; mistakes become one line."""

import contextlib
import dataclasses
import difflib
import functools
import io
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructTypeInfo,
)

from wavedil.cli.option_names import as_options
from wavedil.config import Config, is_option
from wavedil.errors import UserError
from wavedil.receptive_field import format_dilations, parse_dilations

Options = TypeVar("Options")

_OR_NONE = r": no type matching \{{None\}}\|{} could be instantiated from \[('.*?')\]\..*"
# What tyro and Python say, and what it means to someone who typed a command.
_PLAIN_WORDS = (
    (r"^Unrecognized options: (-[^\s,]+).*", r"unknown option \1"),
    (r"^Unrecognized options: ", "too many arguments: "),
    (r": invalid literal for int\(\) with base 10: (.+)", r" is \1, but it must be a whole number"),
    (r": could not convert string to float: (.+)", r" is \1, but it must be a number"),
    (_OR_NONE.format("INT"), r" is \1, but it must be a whole number or None"),
    (_OR_NONE.format("FLOAT"), r" is \1, but it must be a number or None"),
    (_OR_NONE.format(r"\{PATH PATH\}"), r" is \1, but it takes two files"),
    (r"^Error parsing ", ""),
)


class _RefusedError(Exception):
    """A `UserError` on its way through tyro, which would dress a `ValueError` in words of its own.

    Attributes:
      settings: Whose values were refused; None of a single value.
    """

    def __init__(self, message: str, settings: type[Config] | None = None) -> None:
        super().__init__(message)
        self.settings = settings


def parse(options: type[Options], prog: str, arguments: Sequence[str]) -> Options:
    """The options that `arguments` give; prints help and exits with 0 where they ask for it.

    A class with a method `defaults` makes the defaults of its options out of the words after some of them, and again
    out of the options that come of these, where it gives others then.

    Raises:
      UserError: If an argument is unknown, missing, or refused by the settings it belongs to.
    """
    defaults = getattr(options, "defaults", None)
    if defaults is None:
        return _parse(options, prog, arguments)
    value_of = functools.partial(_value_of, arguments=arguments)
    default = defaults(value_of)
    parsed: Options = _parse(type(default), prog, arguments, default=default)
    default = defaults(value_of, parsed)
    return parsed if default is None else _parse(type(default), prog, arguments, default=default)


def _parse(options: type[Options], prog: str, arguments: Sequence[str], **default: Any) -> Options:
    try:
        with _one_line_errors():
            return tyro.cli(options, prog=prog, args=arguments, registry=_registry(), **default)
    except _RefusedError as refused:
        raise UserError(as_options(str(refused), options, refused.settings)) from None


def parse_verb(
    summaries: Mapping[str, str], classes: Mapping[str, type], arguments: Sequence[str]
) -> None:
    """Print the list of verbs or shell completion, as `arguments` ask, and exit.

    Args:
      summaries: Verb -> what it does, in a line.
      classes: Verb -> its options, where they are needed.
      arguments: `--help` or one of tyro's requests for shell completion.

    Raises:
      UserError: On any other option.
    """
    nothing = dataclasses.make_dataclass("Nothing", [])
    verbs = tuple(
        Annotated[
            classes.get(name, nothing),
            tyro.conf.subcommand(name, description=None if classes else summary),
        ]
        for name, summary in summaries.items()
    )
    description = (
        "Raw-audio models of dilated causal convolutions.\n\n"
        "Example: wavedil demo\n\nwavedil VERB --help says more."
    )
    one_of_them: Any = Union[verbs]  # noqa: UP007 - `|` does not take a tuple
    with _one_line_errors():
        tyro.cli(
            one_of_them,
            prog="wavedil",
            args=arguments,
            description=description,
            registry=_registry(),
        )


def _value_of(option: str, arguments: Sequence[str]) -> str | None:
    for index, word in enumerate(arguments):
        if word == option and index + 1 < len(arguments):
            return arguments[index + 1]
        if word.startswith(option + "="):
            return word.removeprefix(option + "=")
    return None


def _registry() -> ConstructorRegistry:
    registry = ConstructorRegistry()
    registry.primitive_rule(_dilations_rule)
    registry.struct_rule(_settings_rule())
    return registry


def _dilations_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Dilations as people type them: the only tuples of whole numbers among our options."""
    # tyro spells the type of a default's own length typing.Tuple, which equals no tuple.
    if typing.get_origin(info.type) is not tuple or typing.get_args(info.type) != (int, ...):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="1:512|1,2,4",
        instance_from_str=lambda words: _unwrapped(parse_dilations, words[0]),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda dilations: [format_dilations(dilations)],
    )


@functools.cache
def _absent(settings: type[Config]) -> Any:
    """Stands for a group of settings that is not there: of its type, as tyro wants it, and without values."""
    itself = {"__eq__": object.__eq__, "__hash__": object.__hash__}
    return object.__new__(type(settings.__name__, (settings,), {"stands_for": settings, **itself}))


def _settings_rule() -> Callable[[StructTypeInfo], StructConstructorSpec | None]:
    """Groups of settings: what is decided elsewhere is no option, and a refusal keeps its own words."""
    inside = False

    def rule(info: StructTypeInfo) -> StructConstructorSpec | None:
        nonlocal inside
        if inside or not (isinstance(info.type, type) and issubclass(info.type, Config)):
            return None
        absent = hasattr(info.default, "stands_for")
        if absent:
            info = dataclasses.replace(info, type=info.default.stands_for, default=tyro.MISSING)
        inside = True  # the standard rule for dataclasses does the rest
        try:
            spec: Any = ConstructorRegistry.get_struct_spec(info)
        finally:
            inside = False
        hidden = {field.name for field in dataclasses.fields(info.type) if not is_option(field)}
        fields = [_grouped(field) for field in spec.fields if field.name not in hidden]
        if absent:
            fields = [_may_be_left_out(field) for field in fields]
        make = functools.partial(_make_group, info.type, info.default, absent, fields)
        return dataclasses.replace(spec, fields=tuple(fields), instantiate=make)

    return rule


def _grouped(field: Any) -> Any:
    """A group that may be None as a group of options: it is there when one of them is given."""
    choices = [choice for choice in typing.get_args(field.type) if choice is not type(None)]
    is_group = len(choices) == 1 and isinstance(choices[0], type) and issubclass(choices[0], Config)
    if not is_group:
        return field
    return dataclasses.replace(
        field,
        type=choices[0],
        default=_absent(choices[0]) if field.default is None else field.default,
    )


def _may_be_left_out(field: Any) -> Any:
    if field.default not in (tyro.MISSING, tyro.constructors.MISSING):
        return field
    return dataclasses.replace(field, type=field.type | None, default=None)


def _make_group(
    settings: type[Config], start: Any, absent: bool, fields: Sequence[Any], **values: Any
) -> Any:
    if absent:
        given = {f.name: values[f.name] for f in fields if values[f.name] != f.default}
        return _unwrapped(settings.from_dict, given, settings) if given else None
    known = isinstance(start, settings)
    changed: Any = functools.partial(dataclasses.replace, start) if known else settings
    return _unwrapped(lambda changes: changed(**changes), values, settings)


def _unwrapped(make: Callable[[Any], Any], value: Any, settings: type[Config] | None = None) -> Any:
    try:
        return make(value)
    except UserError as error:
        raise _RefusedError(str(error), settings) from error


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    captured = io.StringIO()
    try:
        with contextlib.redirect_stderr(captured):
            yield
    except SystemExit as stop:
        if stop.code:
            raise UserError(_summary_of_box(captured.getvalue())) from None
        raise
    sys.stderr.write(captured.getvalue())


def _summary_of_box(text: str) -> str:
    """One line out of the box that tyro draws: what is wrong, the nearest option, where help is.

    Where the output is not UTF-8 the box has dashes between its parts and blanks around them.
    """
    lines = [line.strip("╭╮│╰╯ ") for line in text.splitlines()[1:]]
    parts = [part.strip() for part in re.split(r"[─-]{5,}", " ".join(lines))]
    problem, *others = filter(None, parts)
    offered = [re.findall(r"--[\w.-]+", part) for part in others if "meant" in part]
    help_command = re.search(r"wavedil[\w -]* --help", " ".join(others))
    if problem.startswith("Missing from"):
        # Names stand at the first indentation, their descriptions deeper.
        listing = text.partition("For full")[0]
        problem = "missing " + ", ".join(re.findall(r"^[│ ] {5}(\S+)", listing, re.MULTILINE))
    for pattern, plain in _PLAIN_WORDS:
        problem = re.sub(pattern, plain, problem)
    answer = [problem[:1].lower() + problem[1:]]
    if offered and (nearest := difflib.get_close_matches(problem, offered[0], n=1, cutoff=0.0)):
        answer.append(f"did you mean {nearest[0]}?")
    if help_command:
        answer.append(f"see {help_command[0]}")
    return "; ".join(answer)
