"""`wavedil generate`: a trained model writes sound files."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from wavedil.cli.progress import progress
from wavedil.cli.told import read_samples, told_sounds
from wavedil.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from wavedil.models.wavenet import WaveNet

_SECONDS = 2.0
_NUM_BETWEEN = 5


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Generate sound with a trained model.

    A vocoder says again what it is given: features, or a recording that they are computed of. An autoencoder makes a
    recording again from its codes, or sounds on the way from one recording to another.

    Example: wavedil generate run digit.wav --seconds 1 --label digit=7 --label speaker=theo

    Example: wavedil generate vocoder copy.wav --like recording.wav

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
    """What the sound should be, for a model trained with labels."""
    prompt: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Recording to continue; it is not part of what is written."""
    features: Annotated[
        tyro.conf.UseAppendAction[tuple[Path, ...]], tyro.conf.arg(metavar="FILE.npy")
    ] = ()
    """Features [frames, numbers] of the sound, for a vocoder; several give several sounds."""
    like: Annotated[tyro.conf.UseAppendAction[tuple[Path, ...]], tyro.conf.arg(metavar="FILE")] = ()
    """Recording to copy with a vocoder, through its mel spectra, or an autoencoder, through its codes; several give
    several sounds."""
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

    from wavedil import audio
    from wavedil.formats.saved_model import load
    from wavedil.models.kinds import wavenet_of

    trained = load(args.run)
    model = wavenet_of(trained)
    config = model.config
    rows_of_one = config.label_indices(labels)
    told = told_sounds(args, trained)
    count = len(told) or args.count or 1
    rows = {name: [row] * count for name, row in rows_of_one.items()}
    prompt = None
    if args.prompt is not None:
        prompt = config.grid.encode(read_samples("prompt", args.prompt, config))
    seconds = _SECONDS if args.seconds is None else args.seconds
    num_samples = None if told else max(1, round(seconds * config.sample_rate))
    codes = draw(
        model, num_samples, count=None if told else count, seed=args.seed, temperature=args.temperature,
        prompt=prompt, labels=rows, features=[item.features for item in told] or None,
    )  # fmt: skip
    sounds = list(config.grid.decode(codes))
    for number, item in enumerate(told):
        sounds[number] = sounds[number][: item.num_samples]
    notes = [item.note for item in told] or [""] * count
    for file, sound, note in zip(files, sounds, notes, strict=True):
        audio.save(file, sound, config.sample_rate)
        print(f"{file}: {len(sound) / config.sample_rate:g} s at {config.sample_rate} Hz{note}")
    if args.picture is not None:
        from wavedil.report.pictures import waveform_and_spectrogram

        pairs = [(file.name, sound) for file, sound in zip(files, sounds, strict=True)]
        waveform_and_spectrogram(pairs, config.sample_rate, args.picture)
        print(f"{args.picture}: waveform and spectrogram")


def draw(
    model: "WaveNet",
    num_samples: int | None,
    *,
    count: int | None = 1,
    seed: int = 0,
    temperature: float = 1.0,
    prompt: "np.ndarray | None" = None,
    labels: dict[str, list[int]] | None = None,
    features: "list[np.ndarray] | None" = None,
) -> "np.ndarray":
    """Codes [count, num_samples], with progress; each label has a row index for each sound."""
    import jax
    import jax.numpy as jnp

    from wavedil.generation.sampler import generate

    rows = {name: jnp.asarray(indices, jnp.int32) for name, indices in (labels or {}).items()}
    with progress("generating") as task:
        return generate(
            model, jax.random.key(seed), num_samples=num_samples, batch_size=count, prompt=prompt,
            temperature=temperature, labels=rows, features=features, progress=task,
        )  # fmt: skip


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
    if args.count is not None and args.count < 1:
        raise UserError(f"count is {args.count}, but it must be at least 1")
    told = len(args.features) + len(args.like)
    if args.between is not None:
        if told or args.seconds is not None or args.prompt is not None:
            raise UserError(
                "--between says what the sounds are and how long they are; leave --like, --features, --seconds and "
                "--prompt out"
            )
        if args.num_between < 2:
            raise UserError(
                f"count is {args.count}, but --between writes at least the two ends; 5, say"
            )
        return args.num_between
    if told and ((args.count or 1) > 1 or args.seconds is not None or args.prompt is not None):
        raise UserError(
            "--features and --like say how many sounds there are and how long they are; leave --count, --seconds "
            "and --prompt out"
        )
    return told or args.count or 1


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
