"""What a page to listen on shows of a run: its sounds, and held-out recordings of its corpus."""

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wavedil import audio
from wavedil.data.corpus import spread
from wavedil.data.labels import find_labels
from wavedil.data.listing import list_entries
from wavedil.errors import UserError
from wavedil.files import is_scratch, read_json
from wavedil.report.listening_page import Column, Sound
from wavedil.runs.description import what_next
from wavedil.runs.folder import RunFolder
from wavedil.runs.samples import RECORDINGS, step_folders
from wavedil.training.task import RunConfig

_MOST_SOUNDS = 20
_NUM_RECORDINGS = 6
_MOST_STEPS = 4
# Of what `generate` was asked for.
_SAID = ("temperature", "voiced_temperature", "guidance", "pitch_factor", "flat_pitch", "seed")


def generated_sounds(run: RunFolder, config: RunConfig, name: str) -> Column:
    """The sound files in the run's folder and in `samples` inside it, with what `generate` wrote beside them.

    Where there are none, those of the newest step at which the training drew sounds.

    Args:
      run: The run.
      config: Its configuration, resolved.
      name: What people call it.
    """
    by_step = list(step_folders(run).values())
    drawn = {*by_step, run.samples / RECORDINGS}
    files = [
        file
        for file in (*run.path.glob("*"), *run.samples.rglob("*"))
        if _is_sound(file) and file.parent not in drawn
    ]
    if not files and by_step:
        files = list(filter(_is_sound, by_step[-1].iterdir()))
    remarks = []
    if not files:
        advice = what_next(config, run.path, run.path / "sound.wav")
        remarks.append(f"{name} holds no sound; {advice}")
    if len(files) > _MOST_SOUNDS:
        remarks.append(f"the last {_MOST_SOUNDS} of {len(files)} sounds")
    return _column(name, sorted(files, key=_number)[-_MOST_SOUNDS:], run.path, remarks)


def sounds_by_step(run: RunFolder, name: str = "") -> list[Column]:
    """The same sounds as the run drew them after more and more steps, a column for a step, the newest included.

    Before them comes a column of what they should sound like, where they are made of recordings.

    Args:
      run: The run.
      name: What people call it; "" where there is no other.
    """
    folders, before = step_folders(run), f"{name}, " if name else ""
    if not folders:
        return []
    # Spread from the newest backwards.
    steps = sorted(spread(sorted(folders, reverse=True), min(_MOST_STEPS, len(folders))))
    remarks = (
        [f"{len(steps)} of {len(folders)} steps are shown"] if len(steps) < len(folders) else []
    )
    columns = [(f"{before}step {step:,}", folders[step]) for step in steps]
    if (run.samples / RECORDINGS).is_dir():
        columns.insert(0, (f"{before}recordings", run.samples / RECORDINGS))
    return [
        _column(
            title,
            sorted(filter(_is_sound, folder.iterdir()), key=_number),
            folder,
            remarks if number == len(columns) else [],
        )
        for number, (title, folder) in enumerate(columns, start=1)
    ]


def _column(title: str, files: list[Path], folder: Path, remarks: Sequence[str]) -> Column:
    """Sounds under their names in a folder; what cannot be read is named."""
    sounds, remarks = [], list(remarks)
    for file in files:
        try:
            decoded = audio.decode(file)
        except UserError as error:
            remarks.append(str(error))
            continue
        sounds.append(
            Sound(
                title=file.relative_to(folder).as_posix(),
                samples=decoded.samples,
                sample_rate=decoded.sample_rate,
                about=_made_how(file),
            )
        )
    return Column(title=title, sounds=sounds, remarks=remarks)


def held_out_recordings(run: RunFolder, config: RunConfig) -> Column:
    """A few of the recordings that the run holds out, where they can still be read, with their labels."""
    title = "held-out recordings"
    listed = [item for item in run.read_recordings() if not item.before]
    chosen = [item for item in listed if item.split == "test"]
    if not chosen:
        return Column(title=title, sounds=(), remarks=("the run lists no held-out recording",))
    # Of one whose end alone is held out, where that begins.
    starts = {item.path: item.num_samples for item in listed if item.split == "train"}
    corpus = config.corpus
    try:
        entries = list_entries(corpus.folder)
        labels, _ = find_labels(entries, corpus.labels)
    except UserError as error:
        return Column(title=title, sounds=(), remarks=(f"the recordings cannot be read: {error}",))
    files = {entry.path: entry.file for entry in entries}
    sounds, remarks = [], []
    for item in spread(chosen, min(_NUM_RECORDINGS, len(chosen))):
        if item.path not in files:
            remarks.append(f"{item.path} is no longer in {corpus.folder}")
            continue
        try:
            decoded = audio.decode(files[item.path], corpus.sample_rate, channel=corpus.channel)
        except UserError as error:
            remarks.append(str(error))
            continue
        samples = decoded.samples[starts.get(item.path, 0) :]
        if not len(samples):
            remarks.append(f"{item.path} is shorter than it was")
            continue
        about = _named(labels[item.path])
        sounds.append(
            Sound(title=item.path, samples=samples, sample_rate=decoded.sample_rate, about=about)
        )
    return Column(title=title, sounds=sounds, remarks=remarks)


def short_names(paths: list[Path]) -> list[str]:
    """The names of run folders; those of equal name with the way to them."""
    names = [path.resolve().name for path in paths]
    return [
        str(path) if Counter(names)[name] > 1 else name
        for path, name in zip(paths, names, strict=True)
    ]


def _is_sound(file: Path) -> bool:
    is_audio = file.suffix.lower() in audio.READABLE_SUFFIXES
    return is_audio and not is_scratch(file) and not file.name.startswith(".") and file.is_file()


def _number(file: Path) -> list[tuple[int, int, str]]:
    """A key that puts step 900 before step 1000."""
    parts = re.split(r"(\d+)", file.as_posix())
    return [
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in parts
    ]


def _made_how(file: Path) -> str:
    """What `generate` or a training wrote beside a sound, in words; "" where it is another's."""
    for record in sorted(file.parent.glob("*.json")):
        with contextlib.suppress(UserError):
            made = read_json(record, "")
            if isinstance(made.get("sounds"), list) and file.name in made["sounds"]:
                number = made["sounds"].index(file.name)
                labels, sources = (_of_sound(made.get(key), number) for key in ("labels", "of"))
                words = [_named(labels)] if isinstance(labels, dict) and labels else []
                words += [f"of {sources}"] if isinstance(sources, str) and sources else []
                words += [
                    f"{name.replace('_', ' ')} {made[name]}"
                    for name in _SAID
                    if name in made and (name != "guidance" or made[name] != 1)
                ]
                return ", ".join(words)
    return ""


def _of_sound(value: Any, number: int) -> Any:
    """What holds for all sounds of a record, or that of one of them from a list with one for each."""
    if isinstance(value, list):
        return value[number] if number < len(value) else None
    return value


def _named(labels: Any) -> str:
    return ", ".join(f"{name} = {value}" for name, value in labels.items())
