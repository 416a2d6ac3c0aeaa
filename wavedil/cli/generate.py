"""`wavedil generate`: a trained model writes sound files."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import tyro

from wavedil import features
from wavedil.cli.progress import progress
from wavedil.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from wavedil.models.config import WaveNetConfig
    from wavedil.models.local import LocalConfig
    from wavedil.models.wavenet import WaveNet

_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Generate sound with a trained model.

    A vocoder says again what it is given: features, or a recording that they are computed of.

    Example: wavedil generate run digit.wav --seconds 1 --label digit=7 --label speaker=theo

    Example: wavedil generate vocoder copy.wav --like recording.wav
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
    count: int = 1
    """Sounds to generate at once; above 1 they are numbered OUT-1.wav, OUT-2.wav ..."""
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
    """Recording to copy with a vocoder, through its mel spectra; several give several sounds."""
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
    told = _told(args, config)
    count = len(told) or args.count
    rows = {name: [row] * count for name, row in config.label_indices(labels).items()}
    prompt = None if args.prompt is None else _prompt_codes(args.prompt, config)
    seconds = _SECONDS if args.seconds is None else args.seconds
    num_samples = None if told else max(1, round(seconds * config.sample_rate))
    codes = draw(
        model, num_samples, count=None if told else count, seed=args.seed, temperature=args.temperature,
        prompt=prompt, labels=rows, features=[item.features for item in told] or None,
    )  # fmt: skip
    sounds = list(config.grid.decode(codes))
    for number, item in enumerate(told):
        sounds[number] = sounds[number][: item.num_samples]
    for file, sound in zip(files, sounds, strict=True):
        audio.save(file, sound, config.sample_rate)
        print(f"{file}: {len(sound) / config.sample_rate:g} s at {config.sample_rate} Hz")
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
    if args.count < 1:
        raise UserError(f"count is {args.count}, but it must be at least 1")
    told = len(args.features) + len(args.like)
    if told and (args.count > 1 or args.seconds is not None or args.prompt is not None):
        raise UserError(
            "--features and --like say how many sounds there are and how long they are; leave --count, --seconds "
            "and --prompt out"
        )
    count = told or args.count
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


def _require_sane(args: Generate) -> None:
    if args.seconds is not None and not 0 < args.seconds < float("inf"):
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
    return config.grid.encode(_samples("prompt", path, config))


def _samples(what: str, path: Path, config: "WaveNetConfig") -> "np.ndarray":
    """A recording at the model's rate."""
    from wavedil import audio

    native_rate = audio.read_info(path).sample_rate
    samples, _ = audio.load(path, config.sample_rate)
    if native_rate != config.sample_rate:
        print(
            f"{what} {path} is at {native_rate} Hz; resampled to the model's {config.sample_rate} Hz",
            file=sys.stderr,
        )
    return samples


class _Told(NamedTuple):
    """What one sound should be."""

    features: "np.ndarray"
    num_samples: int


def _told(args: Generate, config: "WaveNetConfig") -> list[_Told]:
    """What each sound should be, in the order of --features and then --like; nothing for a model without features."""
    local = config.local
    if local is None:
        if args.features or args.like:
            raise UserError(
                f"{args.run} is no vocoder, so --features and --like say nothing to it; leave them out, or train one "
                "(wavedil train --task vocoder)"
            )
        return []
    told = []
    for path in args.features:
        frames = features.read(path)
        local.require(frames, str(path))
        told.append(_Told(frames, len(frames) * local.hop))
    return told + [_copied(path, config, local) for path in args.like]


def _copied(path: Path, config: "WaveNetConfig", local: "LocalConfig") -> _Told:
    if local.mel is None:
        raise UserError(
            f"the model was trained on features that wavedil cannot compute of {path}; compute them, and give "
            "--features x.npy"
        )
    samples = _samples("recording", path, config)
    try:
        frames = features.mel(samples, local.mel)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if not frames.max() > 0:
        raise UserError(f"{path} is silent, so there is nothing to copy; give another recording")
    return _Told(frames, len(samples))
