"""`wavedil import`: a model from a file of another program."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wavedil.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ImportModel:
    """Take over a model from a file of another program: an amp model of Neural Amp Modeler (.nam).

    Example: wavedil import amp.nam run
    """

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE.nam")]
    """File of the model."""
    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder to save it in."""
    size: float | None = None
    """Of a file that holds models of several sizes, which: from 0, the smallest, to 1, the largest and the default."""


def import_model(args: ImportModel) -> None:
    """Saves the model.

    Raises:
      UserError: If the file cannot be read as a model, or the folder holds one.
    """
    require_nam(args.file)
    from wavedil.formats import nam, save
    from wavedil.models import num_weights

    model = nam.load(args.file, size=args.size)
    save(model, args.run)
    config = model.config
    field = model.receptive_field
    print(
        f"{args.run}: AmpModel, {num_weights(config):,} parameters, receptive field {field.size:,} samples "
        f"({field.milliseconds(config.sample_rate):.3g} ms at {config.sample_rate} Hz)"
    )


def require_nam(file: Path) -> None:
    """Refuses a file of another format, by its name."""
    if file.suffix.lower() != ".nam":
        raise UserError(f"{file} is no .nam file by its name, and other formats are not known")
