"""`wavedil generate`: a trained model writes sound files."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from wavedil.cli.progress import progress
from wavedil.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from wavedil.models.config import WaveNetConfig
    from wavedil.models.wavenet import WaveNet


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Generate sound with a trained model.

    Example: wavedil generate run digit.wav --seconds 1 --label digit=7 --label speaker=theo
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder, or the folder of a saved model."""
    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT.wav")]
    """Sound file to write, WAV or FLAC."""
    seconds: float = 2.0
    """Length of what is generated."""
    temperature: float = 1.0
    """Below 1 likely samples become likelier; 1 draws as the model predicts."""
    seed: int = 0
    """The same seed gives the same sound."""
    count: int = 1
    """Sounds to generate at once; above 1 they are numbered OUT-1.wav, OUT-2.wav ..."""
    label: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")
    ] = ()
    """What the sound should be, for a model trained with labels."""
    prompt: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Recording to continue; it is not part of what is written."""
    picture: Annotated[Path | None, tyro.conf.arg(metavar="FILE.png")] = None
    """Draw waveform and spectrogram."""
    overwrite: bool = False
    """Replace files that exist."""


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

    model = load(args.run)
    config = model.config
    rows = {name: [row] * args.count for name, row in config.label_indices(labels).items()}
    prompt = None if args.prompt is None else _prompt_codes(args.prompt, config)
    num_samples = max(1, round(args.seconds * config.sample_rate))
    codes = draw(
        model, num_samples, count=args.count, seed=args.seed, temperature=args.temperature,
        prompt=prompt, labels=rows,
    )  # fmt: skip
    sounds = config.grid.decode(codes)
    for file, sound in zip(files, sounds, strict=True):
        audio.save(file, sound, config.sample_rate)
        print(f"{file}: {num_samples / config.sample_rate:g} s at {config.sample_rate} Hz")
    if args.picture is not None:
        from wavedil.report.pictures import waveform_and_spectrogram

        pairs = [(file.name, sound) for file, sound in zip(files, sounds, strict=True)]
        waveform_and_spectrogram(pairs, config.sample_rate, args.picture)
        print(f"{args.picture}: waveform and spectrogram")


def draw(
    model: "WaveNet",
    num_samples: int,
    *,
    count: int = 1,
    seed: int = 0,
    temperature: float = 1.0,
    prompt: "np.ndarray | None" = None,
    labels: dict[str, list[int]] | None = None,
) -> "np.ndarray":
    """Codes [count, num_samples], with progress; each label has a row index for each sound."""
    import jax
    import jax.numpy as jnp

    from wavedil.generation.sampler import generate

    rows = {name: jnp.asarray(indices, jnp.int32) for name, indices in (labels or {}).items()}
    with progress("generating") as task:
        return generate(
            model, jax.random.key(seed), num_samples=num_samples, batch_size=count, prompt=prompt,
            temperature=temperature, labels=rows, progress=task,
        )  # fmt: skip


def _files(args: Generate) -> list[Path]:
    """The sound files to write; none of the files, nor the picture, exists."""
    if args.count < 1:
        raise UserError(f"count is {args.count}, but it must be at least 1")
    if args.out.suffix.lower() not in (".wav", ".flac"):
        raise UserError(f"cannot write {args.out}: its suffix must be .wav or .flac")
    if args.picture is not None and args.picture.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UserError(f"cannot draw {args.picture}: its suffix must be .png, .svg or .pdf")
    numbers = [""] if args.count == 1 else [f"-{i}" for i in range(1, args.count + 1)]
    files = [args.out.with_stem(args.out.stem + number) for number in numbers]
    for file in [*files, *([args.picture] if args.picture else [])]:
        if file.exists() and not args.overwrite:
            raise UserError(f"{file} exists; give another name, or --overwrite")
        # Found out now rather than after the work of generation.
        if not file.parent.is_dir():
            raise UserError(f"{file.parent} is no folder, so {file.name} cannot be written there")
    return files


def _require_sane(args: Generate) -> None:
    if not 0 < args.seconds < float("inf"):
        raise UserError(f"seconds is {args.seconds:g}, but it must be above 0; 2, say")
    if not args.temperature > 0:
        raise UserError(f"temperature is {args.temperature:g}, but it must be above 0; 1, say")
    if not 0 <= args.seed < 2**32:
        raise UserError(f"seed is {args.seed}, but it must be at least 0 and below {2**32}")


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UserError(f"label {text!r} is not NAME=VALUE; write --label digit=7")
    return name, value


def _prompt_codes(path: Path, config: "WaveNetConfig") -> Any:
    from wavedil import audio

    native_rate = audio.read_info(path).sample_rate
    samples, _ = audio.load(path, config.sample_rate)
    if native_rate != config.sample_rate:
        print(
            f"prompt {path} is at {native_rate} Hz; resampled to the model's {config.sample_rate} Hz",
            file=sys.stderr,
        )
    return config.grid.encode(samples)
