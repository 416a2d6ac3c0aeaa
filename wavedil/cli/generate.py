"""`wavedil generate`: a trained model writes sound files."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from wavedil.errors import UserError, require_positive

if TYPE_CHECKING:
    import numpy as np

    from wavedil.generation import Condition
    from wavedil.models import Model

_NUM_BETWEEN = 5


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Generate sound with a trained model.

    A vocoder makes sound of features, or of a recording that they are computed of. An autoencoder makes a recording
    again from its latents, or sounds on the way from one recording to another.

    Example: wavedil generate run digit.wav --seconds 1 --label digit=7 --label speaker=theo

    Example: wavedil generate vocoder again.wav --like recording.wav

    Example: wavedil generate autoencoder way.wav --between flute.wav organ.wav
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder, or the folder of a saved model."""
    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT.wav")]
    """Sound file to write, WAV or FLAC."""
    seconds: float | None = None
    """Length of what is generated, 2 by default; features say it themselves."""
    temperature: float = 1.0
    """Below 1 likely samples become likelier; 1 draws as the model predicts."""
    seed: int = 0
    """The same seed gives the same sound."""
    count: int | None = None
    """Sounds to generate at once, 1 by default and 5 with --between; above 1 they are numbered OUT-1.wav, OUT-2.wav
    ..."""
    label: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")
    ] = ()
    """A label of the sound, for a model trained with labels."""
    prompt: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Recording to continue; it is not part of what is written."""
    features: Annotated[
        tyro.conf.UseAppendAction[tuple[Path, ...]], tyro.conf.arg(metavar="FILE.npy")
    ] = ()
    """Features [frames, numbers] of the sound, for a vocoder; several give several sounds."""
    like: Annotated[tyro.conf.UseAppendAction[tuple[Path, ...]], tyro.conf.arg(metavar="FILE")] = ()
    """Recording to make again: with a vocoder through its mel spectra, with an autoencoder through its latents;
    several give several sounds."""
    between: Annotated[tuple[Path, Path] | None, tyro.conf.arg(metavar="A B")] = None
    """Two recordings: an autoencoder makes sounds on the way from the one to the other, both included, as long as
    the shorter one."""
    picture: Annotated[Path | None, tyro.conf.arg(metavar="FILE.png")] = None
    """Draw waveform and spectrogram."""
    overwrite: bool = False
    """Replace files that exist."""

    @property
    def num_between(self) -> int:
        """Sounds on the way from one recording to the other."""
        return _NUM_BETWEEN if self.count is None else self.count


def generate(args: Generate) -> None:
    """Generates, writes, and says where.

    Raises:
      UserError: If an option, a label, the prompt or the model cannot be used, or a file exists.
    """
    files = _files(args)
    labels = dict(_name_and_value(text) for text in args.label)
    _require_sane(args)

    from wavedil import audio, generation
    from wavedil.formats import load
    from wavedil.models import wavenet_of
    from wavedil.report import progress

    model = load(args.run)
    config = wavenet_of(model).config
    wanted = _conditions(args, model)
    with progress("generating") as done:
        if wanted:
            codes = generation.generate(
                model, args.seed, features=[item.features for item in wanted], labels=labels,
                temperature=args.temperature, progress=done,
            )  # fmt: skip
        else:
            num_samples = generation.num_samples_of(args.seconds, config.sample_rate)
            codes = generation.generate(
                model, args.seed, num_samples=num_samples, batch_size=args.count, labels=labels,
                prompt=_prompt(args, model), temperature=args.temperature, progress=done,
            )  # fmt: skip
    sounds = list(config.quantizer.decode(codes))
    for number, item in enumerate(wanted):
        sounds[number] = sounds[number][: item.num_samples]
    for file, sound, note in zip(files, sounds, _notes(args, len(files)), strict=True):
        audio.save(file, sound, config.sample_rate)
        print(f"{file}: {len(sound) / config.sample_rate:g} s at {config.sample_rate} Hz{note}")
    if args.picture is not None:
        from wavedil.report import waveform_and_spectrogram

        pairs = [(file.name, sound) for file, sound in zip(files, sounds, strict=True)]
        waveform_and_spectrogram(pairs, config.sample_rate, args.picture)
        print(f"{args.picture}: waveform and spectrogram")


def _conditions(args: Generate, model: "Model") -> "list[Condition]":
    """The features of each sound, in the order of the options; none for a model that takes none.

    Raises:
      UserError: If the options do not suit the model, or a file cannot be used.
    """
    from wavedil import features
    from wavedil.generation import between, of_features, of_sound, require_autoencoder
    from wavedil.models import Autoencoder, wavenet_of

    config = wavenet_of(model).config
    if args.between is not None:
        require_autoencoder(model)
        first, second = (_read("recording", path, model) for path in args.between)
        found = between(model, first, second, args.num_between)
        for path, sound in zip(args.between, (first, second), strict=True):
            extra = (len(sound) - found[0].num_samples) / config.sample_rate
            if extra > 0:
                _say(f"{path} is {extra:.3g} s longer; its end is left out")
        return found
    arrays = [features.read(path) for path in args.features]
    found = (
        of_features(model, arrays, [f"features in {path}" for path in args.features])
        if arrays
        else []
    )
    if args.like:
        sounds = [_read("recording", path, model) for path in args.like]
        found += of_sound(model, sounds, list(map(str, args.like)))
    if not found and isinstance(model, Autoencoder):
        raise UserError(
            f"{args.run} is an autoencoder and was given no recording; give one to make again (--like recording.wav), "
            "or two to go between (--between a.wav b.wav)"
        )
    return found


def _prompt(args: Generate, model: "Model") -> "np.ndarray | None":
    if args.prompt is None:
        return None
    return model.config.quantizer.encode(_read("prompt", args.prompt, model))


def _read(what: str, path: Path, model: "Model") -> "np.ndarray":
    """A recording as the model takes it."""
    from wavedil import audio
    from wavedil.generation import read_recording

    native_rate, wanted_rate = audio.read_info(path).sample_rate, model.config.sample_rate
    samples = read_recording(path, model)
    if native_rate != wanted_rate:
        _say(f"{what} {path} is at {native_rate} Hz; resampled to the model's {wanted_rate} Hz")
    return samples


def _say(line: str) -> None:
    from wavedil.report import say

    say(line)


def _notes(args: Generate, count: int) -> list[str]:
    """A remark on each sound beside its length: of those between two recordings, how much of each it has."""
    if args.between is None:
        return [""] * count
    first, second = (path.name for path in args.between)
    shares = [number / (count - 1) for number in range(count)]
    return [f", {1 - share:.3g} {first} + {share:.3g} {second}" for share in shares]


def _files(args: Generate) -> list[Path]:
    """The sound files to write; none of the files, nor the picture, exists."""
    count = _count(args)
    if args.out.suffix.lower() not in (".wav", ".flac"):
        raise UserError(f"cannot write {args.out}: its suffix must be .wav or .flac")
    if args.picture is not None and args.picture.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UserError(f"cannot draw {args.picture}: its suffix must be .png, .svg or .pdf")
    numbers = [""] if count == 1 else [f"-{i}" for i in range(1, count + 1)]
    files = [args.out.with_stem(args.out.stem + number) for number in numbers]
    for file in [*files, *([args.picture] if args.picture else [])]:
        if file.exists() and not args.overwrite:
            raise UserError(f"{file} exists; give another name, or --overwrite")
        # Found out now rather than after the work of generation.
        if not file.parent.is_dir():
            raise UserError(f"{file.parent} is no folder, so {file.name} cannot be written there")
    return files


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


def _require_sane(args: Generate) -> None:
    if args.seconds is not None and not 0 < args.seconds < float("inf"):
        raise UserError(f"seconds is {args.seconds:g}, but it must be above 0; 2, say")
    if not 0 < args.temperature < float("inf"):
        raise UserError(
            f"temperature is {args.temperature:g}, but it must be above 0 and finite; 1, say"
        )
    if not 0 <= args.seed < 2**32:
        raise UserError(f"seed is {args.seed}, but it must be at least 0 and below {2**32}")


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UserError(f"label {text!r} is not NAME=VALUE; write --label digit=7")
    return name, value
