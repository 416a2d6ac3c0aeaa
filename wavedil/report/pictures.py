"""Pictures without a display: waveforms with spectrograms, and the curve of a run's loss."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from wavedil.errors import UserError
from wavedil.full_scale import within_full_scale
from wavedil.report.figures import FilePath, new_figure, open_frame, set_title, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_COLUMNS = 3
_MOST_FRAMES = 2000
_WINDOW_SECONDS = 0.032
# Quieter than this below the loudest moment is black; it spans what 256 mu-law levels can say.
RANGE_DB = 70.0
# -40 dBFS: a louder sound fills the picture, a quieter one is drawn as quiet as it is.
_QUIETEST_PEAK = 0.01
QUIETEST_DB = 20.0 * math.log10(_QUIETEST_PEAK)
_INK, _TRAIN, _HELD_OUT = "#22313f", "#9bb7d4", "#c0392b"
_BASELINES = ("#7f8c8d", "#b08d57", "#6c5b7b")


def waveform_and_spectrogram(
    sounds: Sequence[tuple[str, Float[np.ndarray, " time"]]], sample_rate: int, path: FilePath
) -> None:
    """Draw each sound's waveform above its spectrogram, side by side and on the same scales.

    The spectrogram is that of a Hann window of 32 ms, in dB of which 0 is a sine of full scale (dBFS). The scales reach
    down from the loudest moment of all the sounds, so that silence beside a recording looks silent.

    Args:
      sounds: Title and samples of each, floats in [-1, 1], at least one.
      sample_rate: Hz.
      path: PNG (or another suffix matplotlib knows) to write.

    Raises:
      UserError: If there is nothing to draw, samples are no sound within full scale, or the file cannot be written.

    Example:
      waveform_and_spectrogram([("generated", a), ("real", b)], 8000, "picture.png")
    """
    if not sounds or any(len(samples) == 0 for _, samples in sounds):
        raise UserError("there is no sound to draw; give at least one, of at least one sample")
    columns = min(len(sounds), _MOST_COLUMNS)
    rows = math.ceil(len(sounds) / columns)
    sounds = [
        (title, within_full_scale(samples, f"samples of {title}")) for title, samples in sounds
    ]
    seconds = max(len(samples) for _, samples in sounds) / sample_rate
    peak = max(_QUIETEST_PEAK, *(float(np.abs(samples).max()) for _, samples in sounds))
    spectra = [spectrogram_db(samples, sample_rate) for _, samples in sounds]
    loudest_db = max(QUIETEST_DB, *(float(image.max()) for image in spectra))
    figure = new_figure(1.2 + 4.4 * columns, 4.2 * rows)
    cells = figure.subfigures(rows, columns, squeeze=False).flat
    for cell, (title, samples), image in zip(cells, sounds, spectra, strict=False):
        wave, spectrum = cell.subplots(2, 1, sharex=True, height_ratios=(1, 2))
        set_title(wave, title, loc="left", color=_INK, fontsize=11)
        _draw_waveform(wave, samples, sample_rate, peak)
        _draw_spectrogram(spectrum, image, len(samples) / sample_rate, sample_rate, loudest_db)
        spectrum.set_xlim(0, seconds)
    write_figure(figure, path)


def loss_curve(
    metrics: FilePath, path: FilePath, *, baselines: Mapping[str, float] | None = None
) -> None:
    """Draw a run's bits per sample over its steps: training, held out, and baselines to beat.

    Args:
      metrics: The run's metrics.jsonl; a last line that is cut off is passed over.
      path: PNG (or another suffix matplotlib knows) to write.
      baselines: Name -> bits per sample, drawn across.

    Raises:
      UserError: If the metrics hold no step, or a file cannot be read or written.
    """
    points = list(_read_metrics(metrics))
    train = [(point["step"], point["bits"]) for point in points if "bits" in point]
    held_out = [(p["step"], p["held_out_bits"]) for p in points if "held_out_bits" in p]
    if not train and not held_out:
        raise UserError(f"{metrics} holds no step yet; train first")
    figure = new_figure(8.0, 4.5)
    axes = figure.subplots()
    if train:
        axes.plot(*_columns(train), color=_TRAIN, linewidth=1.2, label="training batches")
    if held_out:
        axes.plot(*_columns(held_out), "o-", color=_HELD_OUT, markersize=4, label="held out")
        step, bits = held_out[-1]
        axes.annotate(
            f"{bits:.2f}",
            (step, bits),
            xytext=(0, 8),
            textcoords="offset points",
            ha="right",
            color=_HELD_OUT,
        )
    for color, (name, bits) in zip(_BASELINES, (baselines or {}).items(), strict=False):
        axes.axhline(bits, color=color, linestyle="--", linewidth=1.0, label=f"{name} {bits:.2f}")
    last = max(step for step, _ in train + held_out)
    axes.set(xlabel="step", ylabel="bits per sample", xlim=(0, last * 1.02 or 1))
    axes.grid(axis="y", color="#e5e8ea", linewidth=0.8)
    axes.legend(frameon=False, loc="upper right")
    open_frame(axes)
    write_figure(figure, path)


def _draw_waveform(axes: "Axes", samples: np.ndarray, sample_rate: int, peak: float) -> None:
    # Of a long sound, the lowest and highest sample under each point of the picture.
    size = max(1, len(samples) // (2 * _MOST_FRAMES))
    starts = np.arange(0, len(samples), size)
    if size == 1:
        axes.plot(starts / sample_rate, samples, color=_INK, linewidth=0.4)
    else:
        low, high = (np.asarray(f.reduceat(samples, starts)) for f in (np.minimum, np.maximum))
        axes.fill_between(starts / sample_rate, low, high, color=_INK, linewidth=0.4)
    axes.set(ylim=(-1.05 * peak, 1.05 * peak), ylabel="amplitude")
    open_frame(axes)


def _draw_spectrogram(
    axes: "Axes", decibels: np.ndarray, seconds: float, sample_rate: int, loudest_db: float
) -> None:
    image = axes.imshow(
        decibels,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=loudest_db - RANGE_DB,
        vmax=loudest_db,
        extent=(0.0, seconds, 0.0, sample_rate / 2000),
        interpolation="nearest",
    )
    axes.set(xlabel="time (s)", ylabel="frequency (kHz)", facecolor="black")
    axes.figure.colorbar(image, ax=axes, label="dBFS", pad=0.02, aspect=15)


def spectrogram_db(
    samples: np.ndarray,
    sample_rate: int,
    most_frames: int = _MOST_FRAMES,
    most_bands: int | None = None,
) -> np.ndarray:
    """Decibels above a sine of full scale, [frequency, frame], one frame every quarter window.

    Args:
      samples: Sound.
      sample_rate: Hz.
      most_frames: Of a longer sound a column is the mean power of several frames.
      most_bands: Where there are more, a row is the loudest of several frequencies; None: a row for each.
    """
    size = max(16, 2 ** round(math.log2(_WINDOW_SECONDS * sample_rate)))
    padded = np.pad(np.asarray(samples), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 4]
    together = -(-len(frames) // most_frames)
    window = np.hanning(size)
    power = [
        np.mean(np.abs(np.fft.rfft(frames[first : first + together] * window)) ** 2, axis=0)
        for first in range(0, len(frames), together)
    ]
    # A sine of amplitude 1 in the middle of a band has half the sum of the window there.
    bands = np.stack(power, axis=1)
    in_row = 1 if most_bands is None else -(-len(bands) // most_bands)
    firsts = np.arange(0, len(bands), in_row)
    magnitude = np.sqrt(np.maximum.reduceat(bands, firsts)) / (0.5 * window.sum())
    return 20.0 * np.log10(np.maximum(magnitude, 1e-9))


def _read_metrics(path: FilePath) -> Iterable[dict[str, Any]]:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give a run's metrics") from None
    for number, line in enumerate(lines, start=1):
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            if number < len(lines):
                raise UserError(f"{path} line {number} is not JSON; give a run's metrics") from None


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
