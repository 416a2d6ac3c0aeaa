"""Figures without a display: made, tidied and written the same way for every picture."""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavedil.errors import UserError
from wavedil.files import replacing, unwritable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FilePath = str | os.PathLike[str]
# What has room above a picture, in characters.
_LONGEST_TITLE = 44


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of that many inches, without global state, so safe in threads."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def set_title(axes: "Axes", title: str, **style: Any) -> None:
    """Writes a title as it is, with escapes for what cannot be drawn, and without its middle where it is long.

    Names of files are titles: a `$` in one is no mathematics, and some of its bytes may be no characters.
    """
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in title)
    if len(shown) > _LONGEST_TITLE:
        half = _LONGEST_TITLE // 2
        shown = f"{shown[:half]} ... {shown[-half:]}"
    axes.set_title(shown, parse_math=False, **style)


def open_frame(axes: "Axes") -> None:
    """Leaves the frame out at the top and the right."""
    axes.spines[["top", "right"]].set_visible(False)


def write_figure(figure: "Figure", path: FilePath) -> None:
    """Writes the figure in the format of the path's suffix.

    Raises:
      UserError: If the suffix is unknown to matplotlib or the file cannot be written.
    """
    path = Path(path)
    try:
        with replacing(path) as scratch, warnings.catch_warnings():
            # A character that the font lacks is drawn as a box.
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            figure.savefig(scratch, format=path.suffix[1:])
    except OSError as error:
        raise UserError(f"{path} {unwritable(error)}") from None
    except ValueError as error:
        # A suffix that matplotlib does not know; it lists those it does.
        raise UserError(f"{path} cannot be written: {' '.join(str(error).split())}") from None
