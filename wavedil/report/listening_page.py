"""A page to listen on: what runs have generated beside recordings, in one HTML file that needs nothing else."""

import base64
import dataclasses
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from wavedil.audio.writing import encoded
from wavedil.full_scale import within_full_scale
from wavedil.report.curves import Curve, draw_curves
from wavedil.report.figures import FilePath
from wavedil.report.html_file import write_html
from wavedil.report.pictures import QUIETEST_DB, RANGE_DB, spectrogram_db

# The page holds the first ten seconds of each sound. Where all together are more than so many bytes a sound, or than
# twenty times as many, it holds fewer seconds of each, but not fewer than four: twenty sounds are below 5 MB up to
# 17 kHz.
_MOST_SECONDS, _FEWEST_SECONDS = 10.0, 4.0
_BYTES_A_SOUND, _FEW_SOUNDS = 140_000, 20
# The most columns and rows of a spectrogram, and the quality of its WebP file from 0 to 100.
_MOST_FRAMES, _MOST_BANDS, _QUALITY = 800, 200, 60
_SCALE = (
    f"All spectrograms have the same scale: {RANGE_DB:g} dB from the loudest moment of all to black; "
    "the lower edge is 0 Hz, the upper half the sample rate."
)
_UNDRAWN = "nothing is drawn: no step is written down yet"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sound:
    """A sound on the page.

    Attributes:
      title: Its name.
      samples: Floats in [-1, 1], at least one.
      sample_rate: Hz.
      about: Its labels, say; "" for nothing.
    """

    title: str
    samples: Float[np.ndarray, " time"]
    sample_rate: int
    about: str = ""

    def first(self, seconds: float) -> Float[np.ndarray, " time"]:
        """The first of its seconds, as a 16-bit file stores them."""
        samples = within_full_scale(self.samples, f"samples of {self.title}")
        return samples[: round(seconds * self.sample_rate)]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """Sounds below one another.

    Attributes:
      title: What they are.
      sounds: In their order.
      remarks: What is to be said beside them: what could not be read, say.
    """

    title: str
    sounds: Sequence[Sound]
    remarks: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RunFacts:
    """What the page says of a run besides its sounds.

    Attributes:
      name: Of the run.
      model: Name -> value, as people read it: task, parameters, receptive field.
      scores: Likewise, of held-out recordings; {} before the first evaluation.
      settings: Likewise, of the whole configuration.
      metrics: The lines of its metrics.jsonl.
    """

    name: str
    model: Mapping[str, str]
    scores: Mapping[str, str]
    settings: Mapping[str, str]
    metrics: Sequence[Mapping[str, Any]]


def write_listening_page(
    path: FilePath,
    runs: Sequence[RunFacts],
    columns: Sequence[Column],
    by_step: Sequence[Column] = (),
) -> None:
    """Write the page: sounds with players and spectrograms, and of each run the model, scores, curves and settings.

    Spectrograms are like those of `waveform_and_spectrogram` with fewer rows and columns, all on one scale of dB.

    Args:
      path: HTML file to write.
      runs: At least one.
      columns: Of sounds, side by side where there is room.
      by_step: Likewise, of the same sounds as they were after more and more steps.

    Raises:
      UserError: If samples are no sound within full scale, or the file cannot be written.

    Example:
      write_listening_page("page.html", [facts], [Column(title="generated", sounds=[sound])])
    """
    names = [run.name for run in runs]
    sounds = [sound for column in (*columns, *by_step) for sound in column.sounds]
    kept = _kept(sounds)
    learning = f'<div class="columns steps">\n{_columns(by_step, kept)}\n</div>'
    curves = draw_curves([Curve(run.name, run.metrics) for run in runs])
    write_html(
        path,
        "listening",
        title=", ".join(names),
        embedded=("img", "media"),
        subtitle="What the model makes, beside recordings."
        if len(runs) == 1
        else f"What {len(runs)} models make, side by side.",
        columns=_columns(columns, kept),
        scale=_SCALE if sounds else "",
        sections="\n".join(
            (
                *([_section("As it learnt", learning)] if by_step else []),
                _section("Model", _table(names, [run.model for run in runs])),
                _section(
                    "Scores on held-out recordings", _table(names, [it.scores for it in runs])
                ),
                _section("Training", curves or _remark(_UNDRAWN)),
                _section("Settings", _table(names, [run.settings for run in runs])),
            )
        ),
    )


def _section(heading: str, content: str) -> str:
    return f'<section aria-label="{heading}">\n<h2>{heading}</h2>\n{content}\n</section>'


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Kept:
    """What the page holds of a sound: its first seconds as a WAV file, and their spectrogram in dB."""

    seconds: float
    wav: bytes
    spectrum: np.ndarray


def _kept(sounds: Sequence[Sound]) -> dict[int, _Kept]:
    """Of each sound, by `id`, as many seconds as the page has room for."""
    kept, seconds = {}, _seconds_kept(sounds)
    for sound in sounds:
        samples, rate = sound.first(seconds), sound.sample_rate
        spectrum = spectrogram_db(samples, rate, _MOST_FRAMES, _MOST_BANDS)
        kept[id(sound)] = _Kept(
            seconds=len(samples) / rate, wav=encoded(samples, rate, "WAV"), spectrum=spectrum
        )
    return kept


def _seconds_kept(sounds: Sequence[Sound]) -> float:
    """The most seconds, in tenths, that the page has room for of each sound; never fewer than four."""
    room = _BYTES_A_SOUND * max(len(sounds), _FEW_SOUNDS)
    for tenths in range(round(10 * _MOST_SECONDS), round(10 * _FEWEST_SECONDS), -1):
        samples = sum(min(len(it.samples), round(tenths / 10 * it.sample_rate)) for it in sounds)
        if 2 * samples <= room:
            return tenths / 10
    return _FEWEST_SECONDS


def _columns(columns: Sequence[Column], kept: Mapping[int, _Kept]) -> str:
    """Columns whose sounds share one scale of time; the spectra of all on the page share one of loudness."""
    loudest_db = max((float(it.spectrum.max()) for it in kept.values()), default=QUIETEST_DB)
    loudest_db = max(QUIETEST_DB, loudest_db)
    longest = max((kept[id(it)].seconds for column in columns for it in column.sounds), default=1.0)
    parts = []
    for column in columns:
        parts.append(f'<div class="column"><h3>{html.escape(column.title)}</h3>')
        parts.extend(_figure(it, kept[id(it)], loudest_db, longest) for it in column.sounds)
        parts.extend(map(_remark, column.remarks))
        parts.append("</div>")
    return "\n".join(parts)


def _figure(sound: Sound, kept: _Kept, loudest_db: float, longest: float) -> str:
    seconds, total = kept.seconds, len(sound.samples) / sound.sample_rate
    length = f"{seconds:.2f} s at {sound.sample_rate} Hz"
    if seconds < total:
        length = f"the first {seconds:.1f} s of {total:.2f} s at {sound.sample_rate} Hz"
    picture = _data("image/webp", _picture(kept.spectrum, loudest_db))
    title, about = html.escape(sound.title), html.escape(sound.about)
    about = f"{about}; {length}" if about else length
    return (
        f'<figure class="sound" data-seconds="{seconds!r}" data-highest-hz="{sound.sample_rate / 2:g}">'
        '<figcaption><button type="button" class="play" tabindex="-1" aria-label="play or pause">▶</button>'
        f'<span><span class="title">{title}</span><span class="about">{about}</span></span></figcaption>'
        f'<div class="picture" style="width: {100 * seconds / longest:.2f}%" tabindex="0" role="slider" '
        f'aria-label="{title}: space plays, arrows seek" aria-valuemin="0" aria-valuemax="{seconds:.3f}" '
        'aria-valuenow="0">'
        f'<img alt="" src="{picture}"><span class="cursor"></span></div>'
        '<p class="readout"></p>'
        f'<audio controls preload="auto" src="{_data("audio/wav", kept.wav)}"></audio>'
        "</figure>"
    )


def _picture(decibels: np.ndarray, loudest_db: float) -> bytes:
    from matplotlib.image import imsave

    file = io.BytesIO()
    scale: dict[str, Any] = {"vmin": loudest_db - RANGE_DB, "vmax": loudest_db}
    how = {"quality": _QUALITY}
    imsave(file, decibels, format="webp", cmap="magma", origin="lower", pil_kwargs=how, **scale)
    return file.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _table(names: Sequence[str], columns: Sequence[Mapping[str, str]]) -> str:
    """Of each run a column; rows in which the runs differ are marked."""
    keys = list(dict.fromkeys(key for column in columns for key in column))
    if not keys:
        return _remark("none yet")
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in ("", *names))
    rows = []
    for key in keys:
        values = [column.get(key, "–") for column in columns]
        cells = "".join(f"<td>{html.escape(value)}</td>" for value in values)
        mark = ' class="differs"' if len(set(values)) > 1 else ""
        rows.append(f'<tr{mark}><th scope="row">{html.escape(key)}</th>{cells}</tr>')
    body = "\n".join(rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _remark(words: str) -> str:
    return f'<p class="remark">{html.escape(words)}</p>'
