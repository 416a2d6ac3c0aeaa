"""`wavedil VERB ...`: finds the verb, and turns a user's mistake into one line and exit code 2."""

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from wavedil.errors import UserError, suggestion
from wavedil.report import escaped_output

USER_ERROR = 2
INTERRUPTED = 130


@dataclass(frozen=True)
class Verb:
    """Where a verb lives; its module is imported when it is asked for, so that `--help` is quick."""

    module: str
    options: str
    summary: str

    @property
    def options_class(self) -> type:
        """The dataclass of the verb's options."""
        return getattr(importlib.import_module(f"wavedil.cli.{self.module}"), self.options)

    @property
    def run(self) -> Callable[[Any], int | None]:
        """Takes the options; returns an exit code, or None for 0."""
        return getattr(importlib.import_module(f"wavedil.cli.{self.module}"), self.module)


VERBS = {
    "demo": Verb("demo", "Demo", "Train a small model in minutes, hear it and see it."),
    "prepare": Verb("prepare", "Prepare", "Decode recordings once, into shards to train on."),
    "train": Verb("train", "Train", "Train a model on a folder of recordings."),
    "generate": Verb("generate", "Generate", "Generate sound with a trained model."),
    "evaluate": Verb("evaluate", "Evaluate", "Scores of a trained model on held-out recordings."),
    "report": Verb("report", "Report", "Write a page to listen on, in one HTML file."),
    "classify": Verb("classify", "Classify", "Predict the value of a label of sound files."),
    "apply": Verb("apply", "Apply", "Play a sound file through a trained effect."),
    "import": Verb("import_model", "ImportModel", "Take over a model from another program."),
    "export": Verb("export_model", "ExportModel", "Write a model for another program."),
    "rf": Verb("rf", "Rf", "Receptive field of a stack or model, and how to get one."),
    "info": Verb("info", "Info", "Shows the content of a run, a model or a sound file."),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; `sys.argv` unless `arguments` are given. Returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with escaped_output(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return _dispatch(arguments)
    except UserError as error:
        return _fail(str(error))
    except BrokenPipeError:
        # Whoever read our output, `head` say, has seen enough; Python must not try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # Only a path can be at fault here: say which, and the system's own reason.
        reason = error.strerror or str(error)
        return _fail(f"{error.filename}: {reason}" if error.filename else reason)
    except KeyboardInterrupt:
        print("wavedil: interrupted", file=sys.stderr)
        return INTERRUPTED


def _dispatch(arguments: Sequence[str]) -> int:
    from wavedil.cli import options
    from wavedil.cli.option_names import as_options

    name = arguments[0] if arguments else "--help"
    if name in VERBS:
        verb = VERBS[name]
        args: Any = options.parse(verb.options_class, f"wavedil {name}", arguments[1:])
        try:
            return verb.run(args) or 0
        except UserError as error:
            raise UserError(as_options(str(error), type(args))) from error
    if name == "--version":
        print(f"wavedil {_version()}")
        return 0
    if not name.startswith("-"):
        raise UserError(f"unknown verb {name!r}; {suggestion(name, VERBS)}; see wavedil --help")
    # Shell completion needs every option, help the summaries alone.
    complete = name.startswith("--tyro")
    summaries = {name: verb.summary for name, verb in VERBS.items()}
    classes = {name: _options(verb) for name, verb in VERBS.items()} if complete else {}
    options.parse_verb(summaries, classes, arguments if complete else [name])
    return 0


def _options(verb: Verb) -> type:
    """The options of a verb where none is given yet."""
    defaults = getattr(verb.options_class, "defaults", None)
    return verb.options_class if defaults is None else type(defaults(lambda option: None))


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """A warning as a line for people, without the line of code that it comes from."""
    print("wavedil: " + " ".join(str(message).split()), file=sys.stderr)


def _version() -> str:
    from importlib.metadata import version

    return version("wavedil")


def _fail(message: str) -> int:
    print("wavedil: error: " + " ".join(message.split()), file=sys.stderr)
    return USER_ERROR


if __name__ == "__main__":
    sys.exit(main())
