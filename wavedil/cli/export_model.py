"""`wavedil export`: a model as a file of another program."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wavedil.cli.import_model import require_nam
from wavedil.errors import UserError
from wavedil.files import require_writable


@dataclass(frozen=True, kw_only=True)
class ExportModel:
    """Write a model as a file of another program: an amp model for Neural Amp Modeler (.nam).

    Example: wavedil export run amp.nam --knob gain=0.5
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder, or the folder of a saved model."""
    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE.nam")]
    """File to write."""
    knob: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")
    ] = ()
    """Setting of a knob, for a model that has any: the file holds the model at this setting."""
    overwrite: bool = False
    """Replace a file that exists."""


def export_model(args: ExportModel) -> None:
    """Writes the file.

    Raises:
      UserError: If the model is no amp model, a knob is not set, or the file cannot be written.
    """
    require_nam(args.file)
    require_writable(args.file)
    if args.file.exists() and not args.overwrite:
        raise UserError(f"{args.file} exists; give another name, or --overwrite")
    knobs = knobs_of(args.knob)
    from wavedil.formats import load, nam
    from wavedil.models import AmpModel

    model = load(args.run)
    if knobs and isinstance(model, AmpModel):
        model = model.at(knobs)
    nam.save(model, args.file)
    print(f"{args.file}: {args.file.stat().st_size:,} bytes")


def knobs_of(texts: tuple[str, ...]) -> dict[str, float]:
    """The settings of knobs by name.

    Raises:
      UserError: If one is no NAME=VALUE with a number, or is given twice.
    """
    knobs: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            raise UserError(
                f"knob {text!r} is not NAME=VALUE with a number; write --knob gain=0.5"
            ) from None
        if not name:
            raise UserError(f"knob {text!r} has no name; write --knob gain=0.5")
        if name in knobs:
            raise UserError(f"knob {name} is given twice; leave one out")
        knobs[name] = number
    return knobs
