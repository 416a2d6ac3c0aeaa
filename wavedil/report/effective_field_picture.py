"""The picture of an effective receptive field inside its structural one."""

from typing import TYPE_CHECKING, Any

import numpy as np

from wavedil.receptive_field import EffectiveField, ReceptiveField
from wavedil.report.figures import FilePath, new_figure, open_frame, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _EACH, _FIELD, _SHARES = "#22313f", "#9bb7d4", "#eef2f5", ("#e08e0b", "#c0392b", "#6c3483")
_MARKED = (0.5, 0.9, 0.99)
# Lags are grouped so many to a tenfold, as they lie closer and closer on a logarithmic axis.
_GROUPS_PER_DECADE = 20
# Smaller shares of the largest energy than this are not drawn.
_LOWEST = 1e-12


def draw_effective_field(
    field: EffectiveField, path: FilePath, *, sample_rate: float, title: str = ""
) -> None:
    """Draw the gradient energy of every lag, and how much of it lies within each lag.

    Above, the energy as a share of the total: dots for the lags, and a line for the mean of neighbouring lags.
    Below, the share that all lags up to there hold together (on both sides, where the future is seen), beside what
    it would be if all of the field were used evenly. Grey is the structural field, outside of which nothing is seen
    at all; the marks are the lags within which 50, 90 and 99 % of the energy lie. The axis of lags is logarithmic,
    and linear within one sample.

    Args:
      field: What `wavedil.receptive_field.effective` measured.
      path: File to write; its suffix is the format: .svg, .png or .pdf.
      sample_rate: Samples per second (Hz) of the input.
      title: Name of the model.

    Raises:
      UserError: If the file cannot be written.

    Example:
      draw_effective_field(effective(fn, x), "field.png", sample_rate=16000, title="WaveNet")
    """
    ms = 1000 / sample_rate
    figure = new_figure(9.0, 6.2)
    density, share = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _draw_energy(density, field, ms)
    _draw_share(share, field, ms)
    for axes in (density, share):
        _draw_marks(axes, field, ms)
        _scale_lags(axes, field.receptive_field, ms)
        open_frame(axes)
    density.legend(frameon=True, framealpha=0.8, edgecolor="none", fontsize=9, loc="lower left")
    share.legend(handles=share.lines[:2], frameon=False, fontsize=9, loc="upper left")
    size = field.receptive_field.size
    length = field.receptive_field.milliseconds(sample_rate)
    name = f"{title}: " if title else ""
    figure.suptitle(
        f"{name}structural field {size} samples, {length:.4g} ms", fontsize=11, color=_INK
    )
    write_figure(figure, path)


def _draw_energy(axes: "Axes", field: EffectiveField, ms: float) -> None:
    lags, energy = -field.offsets[::-1], field.energy[::-1]
    axes.plot(lags * ms, energy, ".", color=_EACH, markersize=2, label="each lag")
    neighbours, mean = _grouped(lags, energy)
    axes.plot(neighbours * ms, mean, color=_INK, linewidth=1.4, label="mean of neighbours")
    lowest = max(mean[mean > 0].min(), energy.max() * _LOWEST)
    axes.set(yscale="log", ylim=(lowest / 3, energy.max() * 3))
    axes.set_ylabel("share of the gradient energy")


def _draw_share(axes: "Axes", field: EffectiveField, ms: float) -> None:
    distances = np.abs(field.offsets)
    for weights, style, label in ((field.energy, "-", "measured"), (None, ":", "if used evenly")):
        within = np.cumsum(np.bincount(distances, weights))
        lags = np.arange(within.size) * ms
        axes.plot(lags, within / within[-1], style, color=_INK, linewidth=1.4, label=label)
    axes.set(ylim=(0, 1.05), ylabel="share within this lag", xlabel="lag (ms)")


def _grouped(lags: np.ndarray, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean lag and mean energy of groups of neighbours, narrow near lag 0 and as wide as a tenfold's share far off."""
    decade = np.sign(lags) * np.floor(_GROUPS_PER_DECADE * np.log10(np.maximum(np.abs(lags), 1)))
    # Lag 0, and lags 1 and -1, have the same logarithm here; half the sign keeps them apart.
    starts = np.flatnonzero(np.diff(decade + np.sign(lags) / 2, prepend=np.inf))
    sizes = np.diff(starts, append=len(lags))
    return np.add.reduceat(lags, starts) / sizes, np.add.reduceat(energy, starts) / sizes


def _draw_marks(axes: "Axes", field: EffectiveField, ms: float) -> None:
    structural = field.receptive_field
    axes.axvspan(
        -structural.future * ms,
        structural.past * ms,
        color=_FIELD,
        zorder=0,
        label="structural field",
    )
    for share, color in zip(_MARKED, _SHARES, strict=True):
        lag = field.within(share) * ms
        dashes: dict[str, Any] = {"color": color, "linewidth": 1.2, "linestyle": "--"}
        axes.axvline(lag, label=f"{share:.0%} within {lag:.3g} ms", **dashes)
        if structural.future > 0:
            axes.axvline(-lag, **dashes)


def _scale_lags(axes: "Axes", structural: ReceptiveField, ms: float) -> None:
    axes.set_xscale("symlog", linthresh=ms)
    axes.set_xlim(
        -1.3 * max(structural.future, 0) * ms - 0.3 * ms, 1.3 * max(structural.past, 1) * ms
    )
