"""`wavedil rf`: receptive fields of stacks and saved models, and stacks that reach a target. Only a model loads JAX."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Optional, TypeAlias

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from wavedil.cli.rf_answers import Answer, of_config, of_model, of_stack, of_target
from wavedil.cli.rf_drawings import tree, write_files
from wavedil.errors import UserError
from wavedil.files import require_writable
from wavedil.receptive_field import Design, parse_dilations

_SAMPLE_RATE = 16000
# The options that describe a stack, and their defaults.
_STACK: dict[str, Any] = {
    "kernel_size": 2,
    "dilations": parse_dilations("1:512"),
    "cycles": 1,
    "input_kernel_size": 1,
}
_SOURCES = ("target", "model", "config")
_OF_FUNCTION = ("input", "dtype", "time_axis", "probe", "check_causal")
_LIMITS = ("max_layers", "max_parameters", "residual_channels", "skip_channels")

# Reads a number as if None were not allowed, so that the error of tyro names a number alone.
_WHOLE_NUMBER = PrimitiveConstructorSpec(
    nargs=1,
    metavar="INT",
    instance_from_str=lambda words: int(words[0]),
    is_instance=lambda value: isinstance(value, int),
    str_from_instance=lambda value: [str(value)],
)
# For `int | None` tyro would load a library that checks types, which takes a fifth of a second.
_Int: TypeAlias = Annotated[Optional[int], _WHOLE_NUMBER]  # noqa: UP045
_Str: TypeAlias = Optional[str]  # noqa: UP045
_Path: TypeAlias = Optional[Path]  # noqa: UP045


def _shown(default: str, metavar: str = "INT") -> Any:
    """Help of an option whose default is chosen later: by the source of the answer."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})")


@dataclass(frozen=True, kw_only=True)
class Rf:
    """Receptive field of a stack or model, and how to get one.

    Example: wavedil rf --kernel-size 2 --dilations 1:512 --cycles 3 --sample-rate 16000

    Example: wavedil rf --target 300ms --sample-rate 16000 --kernel-size 3

    Example: wavedil rf --model run --picture tree.svg

    Example: wavedil rf mypackage.model:apply --input 1,16000,1 --probe
    """

    function: Annotated[tyro.conf.Positional[_Str], tyro.conf.arg(metavar="[MODULE:FUNCTION]")] = (
        None
    )
    """Function or module of one array that can be imported, such as mypackage.model:apply: its field, traced."""
    input: Annotated[_Str, tyro.conf.arg(metavar="1,16000,1")] = None
    """With a function: the shape of its input."""
    dtype: Annotated[_Str, _shown("float32", "int32")] = None
    """With a function: the type of its input's numbers."""
    time_axis: Annotated[_Int, _shown("1")] = None
    """With a function: the input's axis of time."""
    probe: bool = False
    """With a function: measure the field too, with NaN in one input at a time."""
    check_causal: bool = False
    """With a function: exit code 1 if an output sees the future."""
    kernel_size: Annotated[_Int, _shown("2")] = None
    """Taps of every dilated layer. With --target, 2 to 8 are tried."""
    dilations: Annotated[_Str, _shown("1:512", "1:512|1,2,4")] = None
    """Samples between taps: 1:512 for 1, 2, 4 ... 512, or a list. With --target, a family to take the first of."""
    cycles: Annotated[_Int, _shown("1")] = None
    """How often the dilations are repeated. With --target, as often as needed."""
    input_kernel_size: Annotated[_Int, _shown("1, which is none")] = None
    """Taps of an undilated convolution before the stack."""
    sample_rate: Annotated[_Int, _shown("16000")] = None
    """Samples per second, in Hz."""
    model: Annotated[_Path, tyro.conf.arg(metavar="RUN")] = None
    """Run folder, or the folder of a saved model: its declared field beside the one traced through its code."""
    config: Annotated[_Path, tyro.conf.arg(metavar="FILE.json")] = None
    """Settings of a WaveNet, or the config.json of a run or a saved model."""
    target: Annotated[_Str, tyro.conf.arg(metavar="300ms|0.3s|4800")] = None
    """List stacks that reach this receptive field, the best first; other options given stay fixed."""
    max_layers: Annotated[_Int, _shown("60")] = None
    """With --target: most layers."""
    max_parameters: Annotated[_Int, _shown("any")] = None
    """With --target: most trained numbers of the stack."""
    residual_channels: Annotated[_Int, _shown("64")] = None
    """With --target: channels of signal and gates."""
    skip_channels: Annotated[_Int, _shown("256")] = None
    """With --target: channels of the skip sum."""
    tree: bool = False
    """Draw the paths that reach one output as text."""
    picture: Annotated[_Path, tyro.conf.arg(metavar="FILE.svg")] = None
    """Draw the paths and how often each sample is seen; of a function, or a model that is no WaveNet, what outputs see:
    .svg, .png or .pdf."""
    page: Annotated[_Path, tyro.conf.arg(metavar="FILE.html")] = None
    """Write a calculator for the browser that opens with this stack."""
    overwrite: bool = False
    """Replace files that exist."""
    json: bool = False
    """Print one JSON object."""


def rf(args: Rf) -> int | None:
    """Prints and draws what `args` asks for; the exit code is 1 where a function is found not to be causal.

    Raises:
      UserError: If options do not go together, a value is out of range, a file cannot be read or exists already,
        or nothing reaches the target.
    """
    _require_options_that_go_together(args)
    _require_free(args)
    if args.function is not None:
        return _of_function(args, args.function)
    answer = _answer(args)
    for option, asked in (("--tree", args.tree), ("--page", args.page)):
        if asked and answer.stack is None:
            raise UserError(
                f"{option} draws a stack of layers, but {args.model} is no WaveNet; leave it out, or draw what outputs "
                "see with --picture"
            )
    output = json.dumps(answer.values()) if args.json else answer.text()
    if args.tree and answer.stack is not None:
        output += f"\n\n{tree(answer.stack, answer)}"
    # Files first: one that cannot be written is an error before anything is printed.
    notes = write_files(answer, picture=args.picture, page=args.page, source=args.model)
    print("\n".join([output] if args.json else [output, *notes]))
    return None


def _of_function(args: Rf, name: str) -> int:
    from wavedil.cli.rf_function import FunctionOptions, report

    if args.input is None:
        raise UserError("a function needs --input, the shape of its input; such as 1,16000,1")
    options = FunctionOptions(
        name=name,
        shape=args.input,
        dtype="float32" if args.dtype is None else args.dtype,
        time_axis=1 if args.time_axis is None else args.time_axis,
        sample_rate=_SAMPLE_RATE if args.sample_rate is None else args.sample_rate,
        probe=args.probe,
        check_causal=args.check_causal,
        json=args.json,
        picture=args.picture,
    )
    return report(options)


def _answer(args: Rf) -> Answer:
    if args.model is not None:
        return of_model(args.model)
    if args.config is not None:
        return of_config(args.config)
    sample_rate = _SAMPLE_RATE if args.sample_rate is None else args.sample_rate
    names = _STACK if args.target is None else (*_STACK, *_LIMITS)
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if "dilations" in given:
        given["dilations"] = parse_dilations(given["dilations"])
    if args.target is not None:
        return of_target(args.target, sample_rate, **given)
    return of_stack(Design(**(_STACK | given)), sample_rate)


def _require_options_that_go_together(args: Rf) -> None:
    sources = [f"--{name}" for name in _SOURCES if getattr(args, name) is not None]
    if len(sources) > 1:
        raise UserError(f"{' and '.join(sources)} do not go together; give one of them")
    if args.function is not None and sources:
        raise UserError(f"a function and {sources[0]} do not go together; give one of them")
    source = sources[0] if sources else "a stack" if args.function is None else "a function"
    for name in _OF_FUNCTION:
        given = getattr(args, name)
        if given is not None and given is not False and args.function is None:  # axis 0 is given
            option = "--" + name.replace("_", "-")
            raise UserError(f"{option} is for a function; give one, such as mypackage.model:apply")
    for name in ("tree", "page"):
        if getattr(args, name) and args.function is not None:
            raise UserError(f"--{name} draws a stack of layers; leave it out for a function")
    allowed = {
        "--target": (*_STACK, "sample_rate", *_LIMITS),
        "a stack": (*_STACK, "sample_rate"),
        "a function": ("sample_rate",),
    }
    for name in (*_STACK, "sample_rate", *_LIMITS):
        if getattr(args, name) is not None and name not in allowed.get(source, ()):
            option = "--" + name.replace("_", "-")
            reason = "is for --target" if name in _LIMITS else f"is what {source} says"
            raise UserError(f"{option} {reason}; leave it out")
    if args.tree and args.json:
        raise UserError("--tree and --json do not go together; give one of them")


def _require_free(args: Rf) -> None:
    """Raises for files with another suffix, and those that exist."""
    written = {"picture": (".svg", ".png", ".pdf"), "page": (".html", ".htm")}
    for name, suffixes in written.items():
        file: Path | None = getattr(args, name)
        if file is None:
            continue
        if file.suffix.lower() not in suffixes:
            listed = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
            raise UserError(f"cannot write {file}: its suffix must be {listed}")
        if file.exists() and not args.overwrite:
            raise UserError(f"{file} exists; give another name, or --overwrite")
        require_writable(file)
