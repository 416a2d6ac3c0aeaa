"""Curves of training as SVG inside a page: each metric over the steps, in training and held out, of several runs."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_HELD_OUT = "held_out_"
# What a line of metrics.jsonl says of the training itself.
_NO_METRICS = ("step", "gradient_norm", "learning_rate", "targets_per_second", "seconds")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 260, 60, 12, 10, 34
_NUM_COLORS = 4
_MOST_POINTS = 400

_Points = list[tuple[float, float]]


class Curve(NamedTuple):
    """The lines of a run's metrics.jsonl."""

    name: str
    metrics: Sequence[Mapping[str, Any]]


def draw_curves(curves: Sequence[Curve]) -> str:
    """A chart for each metric that a run has written, in HTML; "" where there is none yet."""
    names = {
        key.removeprefix(_HELD_OUT): None
        for curve in curves
        for line in curve.metrics
        for key in line
        if key not in _NO_METRICS
    }
    return "\n".join(filter(None, (_chart(name, curves) for name in names)))


def _chart(metric: str, curves: Sequence[Curve]) -> str:
    train = [_points(curve, metric) for curve in curves]
    held_out = [_points(curve, _HELD_OUT + metric) for curve in curves]
    points = [point for line in train + held_out for point in line]
    if not points:
        return ""
    steps, values = zip(*points, strict=True)
    last = max(*steps, 1.0)
    ticks = _ticks(min(values), max(values))
    low, high = ticks[0], ticks[-1]

    def x(step: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * step / last

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    def path(line: _Points) -> str:
        return " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in line)

    title = html.escape(metric.replace("_", " "))
    parts = [
        f'<h3>{title}</h3><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title} over steps">'
    ]
    for tick in ticks:
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for share in (0.0, 0.5, 1.0):
        anchor = {0.0: "start", 1.0: "end"}.get(share, "middle")
        words = f"{last * share:,.0f}" + (" steps" if share == 1 else "")
        parts.append(
            f'<text x="{x(last * share):.1f}" y="{_HEIGHT - 12}" text-anchor="{anchor}">{words}</text>'
        )
    for number, (line, scored) in enumerate(zip(train, held_out, strict=True)):
        color = f"c{number % _NUM_COLORS}"
        if line:
            parts.append(f'<polyline class="train {color}" points="{path(line)}"/>')
        if scored:
            parts.append(f'<polyline class="held_out {color}" points="{path(scored)}"/>')
        parts.extend(
            f'<circle class="held_out {color}" cx="{x(step):.1f}" cy="{y(value):.1f}" r="2.5"/>'
            for step, value in scored
        )
    parts.append("</svg>")
    return "".join(parts) + _legend(curves, train, held_out)


def _legend(curves: Sequence[Curve], train: Sequence[_Points], held_out: Sequence[_Points]) -> str:
    items = []
    for number, curve in enumerate(curves):
        for kind, words, line in (
            ("train", "training batches", train[number]),
            ("held_out", "held out", held_out[number]),
        ):
            if line:
                style = f"{kind} c{number % _NUM_COLORS}"
                mark = (
                    f'<svg viewBox="0 0 32 12"><line class="{style}" x2="32" y1="6" y2="6"/></svg>'
                )
                name = html.escape(curve.name)
                items.append(f"<li>{mark} {name}, {words}: {line[-1][1]:.4g} at the end</li>")
    return f'<ul class="legend">{"".join(items)}</ul>'


def _points(curve: Curve, key: str) -> _Points:
    """Steps and finite values; of a long run every so many, and the last."""
    found = [
        (float(line["step"]), float(line[key]))
        for line in curve.metrics
        if _is_finite(line.get(key)) and _is_finite(line.get("step"))
    ]
    every = -(-len(found) // _MOST_POINTS) or 1
    return found[::every] + (found[-1:] if (len(found) - 1) % every else [])


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers at equal distances that enclose both."""
    span = high - low or abs(high) or 1.0
    unit = 10.0 ** math.floor(math.log10(span / 4))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= span / 4)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, max(last, first + 1) + 1)]
