"""The picture of what a classifier takes for what."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from wavedil.report.figures import FilePath, new_figure, set_title, write_figure

# More values have no room for a number in each square.
_MOST_NUMBERED = 30


def draw_confusion(
    counts: Int[np.ndarray, "values values"],
    values: Sequence[str],
    path: FilePath,
    *,
    target: str = "value",
) -> None:
    """Draw how often recordings of each value, a row, were predicted to have each value, a column.

    A square is as dark as its share of its row.

    Args:
      counts: As `evaluation.confusion` gives them.
      values: Names of the rows and columns.
      path: PNG (or another suffix matplotlib knows) to write.
      target: Name of the label.

    Raises:
      UserError: If the file cannot be written.
    """
    size = 2.5 + 0.35 * len(values)
    figure = new_figure(size, size)
    axes = figure.subplots()
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    places = range(len(values))
    axes.set_xticks(
        places, values, rotation=0 if max(map(len, values)) < 4 else 90, parse_math=False
    )
    axes.set_yticks(places, values, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    right, total = int(np.trace(counts)), int(counts.sum())
    set_title(axes, f"{target}: {right} of {total} right")
    if len(values) <= _MOST_NUMBERED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color)
    write_figure(figure, path)
