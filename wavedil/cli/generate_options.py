"""The options of `wavedil generate`, and what can be said of them before a model is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from wavedil.errors import UserError, require_positive
from wavedil.files import require_writable

_NUM_BETWEEN = 5


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Generate sound with a trained model.

    A vocoder makes sound of features, or of a recording that they are computed of. An autoencoder makes a recording
    again from its latents, or sounds on the way from one recording to another.

    Example: wavedil generate run digit.wav --seconds 1 --label digit=7 --label speaker=theo

    Example: wavedil generate vocoder again.wav --like recording.wav

    Example: wavedil generate vocoder higher.wav --like recording.wav --pitch-factor 1.2

    Example: wavedil generate autoencoder way.wav --between flute.wav organ.wav

    Example: wavedil generate features seven.wav --vocoder vocoder --label digit=7

    Example: wavedil generate diffusion pluck.wav --seconds 2 --steps 50
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder, or the folder of a saved model."""
    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT.wav")]
    """Sound file to write, WAV or FLAC."""
    seconds: float | None = None
    """Length of what is generated, 2 by default; features say it themselves. With --vocoder the longest, 10 by
    default."""
    temperature: float = 1.0
    """Below 1 likely samples, or with --vocoder likely frames, become likelier; 1 draws as the model predicts."""
    voiced_temperature: float | None = None
    """The temperature where a voice is voiced, 0.7, say, for a vocoder trained with pitch; by default the same as
    elsewhere."""
    seed: int = 0
    """The same seed gives the same sound."""
    count: int | None = None
    """Sounds to generate at once, 1 by default and 5 with --between; above 1 they are numbered OUT-1.wav, OUT-2.wav
    ..."""
    label: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")
    ] = ()
    """A label of the sound, for a model trained with labels."""
    guidance: float = 1.0
    """Above 1 a sound comes nearer to its labels and varies less, 2, say, for a model trained with label dropout
    (train --model.label-dropout 0.15); it takes twice the work."""
    vocoder: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """The vocoder that makes sound of the frames that a model of features (train --task features) draws."""
    prompt: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Recording to continue; it is not part of what is written."""
    features: Annotated[
        tyro.conf.UseAppendAction[tuple[Path, ...]], tyro.conf.arg(metavar="FILE.npy")
    ] = ()
    """Features [frames, numbers] of the sound, for a vocoder; several give several sounds."""
    like: Annotated[tyro.conf.UseAppendAction[tuple[Path, ...]], tyro.conf.arg(metavar="FILE")] = ()
    """Recording to make again: with a vocoder through its mel spectra, with an autoencoder through its latents;
    several give several sounds."""
    pitch_factor: float | None = None
    """Make the voice so many times as high, for a vocoder trained with pitch: 1.2, say."""
    flat_pitch: float | None = None
    """Give the voice this pitch (Hz) at every moment, for a vocoder trained with pitch: 120, say."""
    between: Annotated[tuple[Path, Path] | None, tyro.conf.arg(metavar="A B")] = None
    """Two recordings: an autoencoder makes sounds on the way from the one to the other, both included, as long as
    the shorter one."""
    steps: int | None = None
    """Steps in which a diffusion model turns noise into sound, 6 by default: more take longer and come nearer."""
    engine: Literal["auto", "scan", "compiled"] = "auto"
    """What draws: compiled loops, JAX's scan, or the compiled ones wherever they serve the model."""
    weights: Literal["float32", "bfloat16", "int8"] = "float32"
    """How the compiled engine keeps the weights: bfloat16 is read in half the time, and the sound hardly differs."""
    picture: Annotated[Path | None, tyro.conf.arg(metavar="FILE.png")] = None
    """Draw waveform and spectrogram."""
    overwrite: bool = False
    """Replace files that exist."""

    @property
    def num_between(self) -> int:
        """Sounds on the way from one recording to the other."""
        return _NUM_BETWEEN if self.count is None else self.count


def files_to_write(args: Generate) -> list[Path]:
    """The sound files to write; each of them, and the picture, can be written, and none exists.

    Raises:
      UserError: If not, or if the options do not say how many there are.
    """
    count = _count(args)
    if args.out.suffix.lower() not in (".wav", ".flac"):
        raise UserError(f"cannot write {args.out}: its suffix must be .wav or .flac")
    if args.picture is not None and args.picture.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UserError(f"cannot draw {args.picture}: its suffix must be .png, .svg or .pdf")
    numbers = [""] if count == 1 else [f"-{i}" for i in range(1, count + 1)]
    files = [args.out.with_stem(args.out.stem + number) for number in numbers]
    for file in [*files, record_of(args), *([args.picture] if args.picture else [])]:
        # Found out now rather than after the work of generation.
        require_writable(file)
        if file.exists() and not args.overwrite:
            raise UserError(f"{file} exists; give another name, or --overwrite")
    return files


def record_of(args: Generate) -> Path:
    """The file beside the sounds that says how they were made."""
    return args.out.with_suffix(".json")


def _count(args: Generate) -> int:
    """How many sounds the options ask for."""
    require_positive(count=args.count)
    given = len(args.features) + len(args.like)
    if args.between is not None:
        if given or args.seconds is not None or args.prompt is not None:
            raise UserError(
                "--between says what the sounds are and how long they are; leave --like, --features, --seconds and "
                "--prompt out"
            )
        if args.num_between < 2:
            raise UserError(
                f"count is {args.count}, but --between writes at least the two ends; 5, say"
            )
        return args.num_between
    if given and ((args.count or 1) > 1 or args.seconds is not None or args.prompt is not None):
        raise UserError(
            "--features and --like say how many sounds there are and how long they are; leave --count, --seconds "
            "and --prompt out"
        )
    return given or args.count or 1


def require_sane(args: Generate) -> None:
    """Refuses numbers out of range."""
    require_positive(steps=args.steps)
    if args.seconds is not None and not 0 < args.seconds < float("inf"):
        raise UserError(f"seconds is {args.seconds:g}, but it must be above 0; 2, say")
    for name, value in (
        ("temperature", args.temperature),
        ("voiced-temperature", args.voiced_temperature),
    ):
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"{name} is {value:g}, but it must be above 0 and finite; 1, say")
    for name, value in (("pitch-factor", args.pitch_factor), ("flat-pitch", args.flat_pitch)):
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"--{name} is {value:g}, but it must be above 0 and finite")
    if args.pitch_factor is not None and args.flat_pitch is not None:
        raise UserError("--pitch-factor and --flat-pitch both say the pitch; leave one of them out")
    if not 0 <= args.seed < 2**32:
        raise UserError(f"seed is {args.seed}, but it must be at least 0 and below {2**32}")


def labels_of(args: Generate) -> dict[str, str]:
    """The labels by name.

    Raises:
      UserError: If one is no NAME=VALUE, or is given twice.
    """
    labels: dict[str, str] = {}
    for text in args.label:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UserError(f"label {text!r} is not NAME=VALUE; write --label digit=7")
        if name in labels:
            raise UserError(
                f"label {name} is given twice, {labels[name]} and {value}; a sound has one value, so leave one out"
            )
        labels[name] = value
    return labels
