"""The picture of a traced field: which inputs a few outputs see."""

from wavedil.receptive_field import TracedField
from wavedil.report.figures import FilePath, new_figure, open_frame, set_title, write_figure

_INK, _SEEN = "#22313f", "#3778bf"
_ROWS, _MOST_RUNS = 24, 2000


def draw_traced_field(field: TracedField, path: FilePath, *, title: str = "") -> None:
    """Draw the inputs that outputs see: a row for each of up to 24 outputs in the middle, the latest at the top.

    A line spans inputs that are seen without a gap; time goes to the right. The mark is the output's own time,
    `stride t`: what lies to the right of it is the future.

    Args:
      field: What `wavedil.receptive_field.trace` found.
      path: File to write; its suffix is the format: .svg, .png or .pdf.
      title: Name of the function.

    Raises:
      UserError: If the file cannot be written.
    """
    figure = new_figure(9.0, 4.5)
    axes = figure.subplots()
    middle = field.num_outputs // 2
    rows = range(max(0, middle - _ROWS // 2), min(field.num_outputs, middle + _ROWS // 2))
    for t in rows:
        runs = _runs(field.inputs(t))[:_MOST_RUNS]
        axes.broken_barh(runs, (t - 0.4, 0.8), color=_SEEN, linewidth=0)
    own = [float(field.stride * t) for t in rows]
    axes.plot([at + 0.5 for at in own], list(rows), "|", color=_INK, markersize=8)
    axes.set(xlabel="input", ylabel="output")
    set_title(axes, title)
    open_frame(axes)
    write_figure(figure, path)


def _runs(inputs: tuple[int, ...]) -> list[tuple[float, float]]:
    """Start and length of every run of inputs without a gap."""
    runs: list[tuple[float, float]] = []
    for s in inputs:
        if runs and sum(runs[-1]) == s:
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        else:
            runs.append((s, 1))
    return runs
