"""The picture of a stack: the tree of paths that reach one output, and how often each input is seen."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from wavedil.models.context_stack import ContextStackConfig
from wavedil.receptive_field import (
    Design,
    ReceptiveField,
    layer_sizes,
    paths_per_lag,
    samples_text,
)
from wavedil.report.figures import FilePath, new_figure, open_frame, write_figure
from wavedil.report.receptive_field_text import spread_of_paths

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _PATH, _GREY, _HOLE, _OUTPUT = "#22313f", "#3b6ea5", "#c3ccd4", "#c0392b", "#e08e0b"
# Up to here every sample of every layer has its circle; beyond, only those on a path.
_MOST_CIRCLES = 80
# Marks nearer to each other than this share of the width run together into a bar.
_MARKS_ACROSS = 120
_COLUMNS_ACROSS = 1500
_MOST_ROW_NAMES = 64
# Digits of counts that fit above the columns, side by side.
_MOST_DIGITS = 120

Run = tuple[int, int]
# Features or latents: what they are, the samples to each, and the frames that an output sees.
Frames = tuple[str, int, ReceptiveField]


def draw_stack(
    stack: Design,
    path: FilePath,
    *,
    sample_rate: float,
    context: ContextStackConfig | None = None,
    frames: Frames | None = None,
) -> None:
    """Draw a stack's tree above the number of paths to each input, and write it.

    The tree has the inputs at the bottom, a row for each layer, and all paths that reach the one output at the top
    right, as figure 3 of the WaveNet paper. Samples of long fields run together into bars, and paths into bands.

    Below it are the paths from the output to each input over their mean, so that 1 everywhere is an even coverage.
    Where many inputs share a column of the picture, the light part reaches to the most and the dark part to the
    fewest. Holes, the inputs that no path reaches, are red in both. Below are what conditions the stack: the tree of a
    context stack, in its own steps, and the frames of features or latents that the output depends on.

    Args:
      stack: Sizes of the stack.
      path: File to write; its suffix is the format: .svg, .png or .pdf.
      sample_rate: Samples per second (Hz), for lengths in milliseconds.
      context: The context stack that conditions it.
      frames: The name of the frames that condition it, the samples to each, and those that an output sees.

    Raises:
      UserError: If the field is too long to count its paths, or the file cannot be written.

    Example:
      draw_stack(Design(kernel_size=2, dilations=(1, 2, 4, 8)), "tree.svg", sample_rate=16000)

    Reference: van den Oord et al. 2016, arXiv:1609.03499.
    """
    drawn = [stack] if context is None else [stack, context.stack]
    heights = [_tree_height(each) for each in drawn]
    heights[1:1] = [1.6]
    heights += [1.0] if frames is not None else []
    width = min(11.0, 5.0 + 0.35 * max(each.size for each in drawn))
    figure = new_figure(width, sum(heights) + 0.5 * len(heights))
    tree, coverage, *more = figure.subplots(len(heights), 1, height_ratios=heights)
    milliseconds = stack.receptive_field.milliseconds(sample_rate)
    figure.suptitle(
        f"{stack}\nreceptive field {samples_text(stack.size)}, {milliseconds:g} ms at {sample_rate:g} Hz",
        color=_INK, fontsize=11, x=0.01, ha="left", wrap=True,
    )  # fmt: skip
    _draw_tree(tree, stack)
    tree.tick_params(bottom=False, labelbottom=False)
    _draw_coverage(coverage, stack)
    tree.sharex(coverage)
    _set_lags(coverage, stack.size, "samples before the output")
    if context is not None:
        _draw_tree(more[0], context.stack)
        more[0].set_title(f"context stack: {context.stack}", loc="left", fontsize=9, color=_INK)
        _set_lags(
            more[0], context.stack.size, f"steps of {context.factor} samples before the output's"
        )
    if frames is not None:
        _draw_frames(more[-1], *frames)
    write_figure(figure, path)


def _tree_height(stack: Design) -> float:
    num_rows = 1 + stack.num_layers + (stack.input_kernel_size > 1)
    return min(max(9.0, 0.16 * num_rows), 0.75 * num_rows, 16.0)


def _set_lags(axes: "Axes", size: int, label: str) -> None:
    """Times before the output's, from the first that it sees."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    margin = max(0.6, 0.012 * size)
    axes.set_xlim(-size + 1 - margin, margin)
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{abs(x):g}"))


def _draw_frames(axes: "Axes", name: str, hop: int, field: ReceptiveField) -> None:
    """The frames that an output depends on; frame 0 is its own."""
    from matplotlib.ticker import MaxNLocator

    axes.plot(field.taps, [0] * field.num_taps, "o", color=_PATH, markersize=4)
    axes.plot(0, 0, "o", markersize=8, markerfacecolor="none", markeredgecolor=_OUTPUT)
    axes.set_title(f"{name}, a frame every {hop} samples", loc="left", fontsize=9, color=_INK)
    axes.set(xlabel="frames after the output's own", yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]))
    axes.spines[["left", "right", "top"]].set_visible(False)


def _seen_rows(layers: Sequence[tuple[int, int]], size: int) -> list[Bool[np.ndarray, " lags"]]:
    """For the output, and then the input of each layer from the last on, whether a path comes by."""
    row = np.zeros(size, bool)
    row[0] = True
    rows = [row]
    for taps, dilation in reversed(layers):
        row = np.zeros(size, bool)
        for lag in range(0, taps * dilation, dilation):
            row[lag:] |= rows[-1][: size - lag]
        rows.append(row)
    return rows


def _draw_tree(axes: "Axes", stack: Design) -> None:
    from matplotlib.collections import LineCollection, PolyCollection

    layers = layer_sizes(
        stack.kernel_size, stack.layer_dilations, input_kernel_size=stack.input_kernel_size
    )
    size, rows = stack.size, _seen_rows(layers, stack.size)
    runs = [list(_runs(row, size / _MARKS_ACROSS)) for row in rows]
    lines, bands = [], []
    for depth, (taps, dilation) in enumerate(reversed(layers)):
        y = len(layers) - depth
        for start, end in runs[depth]:
            for lag in range(0, taps * dilation, dilation):
                if start == end:
                    lines.append([(-start, y), (-start - lag, y - 1)])
                else:
                    corners = [(-start, y), (-end, y), (-end - lag, y - 1), (-start - lag, y - 1)]
                    bands.append(corners)
    width = 1.3 if size <= _MOST_CIRCLES else 0.6
    axes.add_collection(LineCollection(lines, colors=_PATH, linewidths=width, zorder=2))
    axes.add_collection(PolyCollection(bands, facecolors=_PATH, alpha=0.18, linewidths=0, zorder=1))
    for y, (row, row_runs) in enumerate(zip(reversed(rows), reversed(runs), strict=True)):
        _draw_row(axes, y, row, row_runs, is_output=y == len(layers))
    open_frame(axes)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(left=False)
    axes.set_ylim(-0.5, len(layers) + 0.7)
    _name_rows(axes, layers, has_input_layer=stack.input_kernel_size > 1)


def _draw_row(
    axes: "Axes", y: int, row: Bool[np.ndarray, " lags"], runs: Sequence[Run], is_output: bool
) -> None:
    from matplotlib.collections import LineCollection

    size = len(row)
    if size > _MOST_CIRCLES:
        bars = [[(-start, y), (-end, y)] for start, end in runs if start < end]
        axes.add_collection(LineCollection(bars, colors=_INK, linewidths=1.8, zorder=3))
        seen = np.array([start for start, end in runs if start == end])
        marker_size = 2.4
    else:
        seen, unseen = np.flatnonzero(row), np.flatnonzero(~row)
        marker_size = 9 if size <= _MOST_CIRCLES // 2 else 5
        edge = _HOLE if y == 0 else _GREY
        axes.plot(
            -unseen, np.full(len(unseen), y), "o", markersize=marker_size, zorder=1,
            markerfacecolor="white", markeredgecolor=edge, markeredgewidth=1.2,
        )  # fmt: skip
    axes.plot(-seen, np.full(len(seen), y), "o", color=_INK, markersize=marker_size, zorder=3)
    if is_output:
        axes.plot(0, y, "o", color=_OUTPUT, markersize=max(6, marker_size), zorder=4)
        axes.annotate(
            "output", (0, y), xytext=(0, 9), textcoords="offset points", ha="right", fontsize=9,
            color=_OUTPUT,
        )  # fmt: skip


def _name_rows(axes: "Axes", layers: Sequence[tuple[int, int]], has_input_layer: bool) -> None:
    names = ["input"]
    for number, (_, dilation) in enumerate(layers, start=0 if has_input_layer else 1):
        names.append(f"layer {number}, dilation {dilation}" if number else "input convolution")
    every = -(-len(names) // _MOST_ROW_NAMES)
    size = 9 if len(names) <= _MOST_ROW_NAMES // 3 else 7
    places = range(0, len(names), every)
    axes.set_yticks(places, [names[place] for place in places], fontsize=size, color=_INK)


def _draw_coverage(axes: "Axes", stack: Design) -> None:
    counts = paths_per_lag(
        stack.kernel_size, stack.layer_dilations, input_kernel_size=stack.input_kernel_size
    )
    total, size = sum(counts), len(counts)
    # The counts themselves may be too large for a float; what they are of their mean is not.
    share = np.array([count * size / total for count in counts])
    starts = np.arange(0, size, -(-size // _COLUMNS_ACROSS))
    most, fewest = np.maximum.reduceat(share, starts), np.minimum.reduceat(share, starts)
    edges = 0.5 - np.append(starts, size)[::-1]
    axes.stairs(most[::-1], edges, fill=True, color=_PATH, alpha=0.45, linewidth=0)
    axes.stairs(fewest[::-1], edges, fill=True, color=_PATH, linewidth=0)
    axes.stairs(
        np.where(fewest == 0, -0.06 * most.max(), 0)[::-1], edges,
        fill=True, color=_HOLE, linewidth=0,
    )  # fmt: skip
    axes.axhline(1, color=_INK, linewidth=0.8, linestyle="--")
    if size * len(str(max(counts))) <= _MOST_DIGITS:
        for lag, count in enumerate(counts):
            axes.annotate(
                str(count), (-lag, share[lag]), xytext=(0, 3), textcoords="offset points",
                ha="center", fontsize=7, color=_INK if count else _HOLE,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )  # fmt: skip
    holes = f", {stack.num_holes} holes" if stack.has_holes else ""
    axes.set_title(
        f"paths from the output to each sample: {spread_of_paths(stack)}{holes}", loc="left", fontsize=9,
        color=_HOLE if stack.has_holes else _INK,
    )  # fmt: skip
    axes.set(ylabel="paths / mean")
    axes.margins(y=0.15)
    open_frame(axes)


def _runs(row: Bool[np.ndarray, " lags"], gap: float) -> Iterator[Run]:
    """First and last lag of each run of seen lags that are at most `gap` apart."""
    lags = np.flatnonzero(row)
    last = np.flatnonzero(np.diff(lags) > gap)
    starts, ends = lags[np.append(0, last + 1)], lags[np.append(last, len(lags) - 1)]
    yield from zip(starts.tolist(), ends.tolist(), strict=True)
