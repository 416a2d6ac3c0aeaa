"""`wavedil generate`: a trained model writes sound files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavedil.cli.generate_options import (
    Generate,
    files_to_write,
    labels_of,
    record_of,
    require_sane,
)
from wavedil.cli.two_stages import frames_drawn, vocoder_of
from wavedil.errors import UserError
from wavedil.files import require_writable, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from wavedil.generation import Condition
    from wavedil.models import Model


def generate(args: Generate) -> None:
    """Generates, writes, and says where; at Ctrl-C it writes what is drawn by then.

    Raises:
      UserError: If an option, a label, the prompt or the model cannot be used, or a file cannot be written.
      KeyboardInterrupt: After Ctrl-C.
    """
    require_sane(args)
    labels, files = labels_of(args), files_to_write(args)

    from wavedil.formats import load
    from wavedil.generation import (
        choose_engine,
        guidance_of,
        known_labels,
        num_samples_of,
        require_diffusion,
        require_voicing,
    )
    from wavedil.models import wavenet_of

    model = load(args.run)
    vocoder = vocoder_of(args, model)
    painter = model if vocoder is None else vocoder
    config = wavenet_of(painter).config
    diffusion = require_diffusion(model, args.steps, args.temperature)
    engine = "diffusion" if diffusion else str(choose_engine(painter, args.engine, args.weights))
    # Both refuse before the work.
    guidance_of(model, args.guidance, labels)
    require_voicing(painter, args.voiced_temperature)
    if vocoder is not None:
        wanted = frames_drawn(args, model, vocoder, labels, len(files))
    else:
        wanted = [] if diffusion else _conditions(args, model)
    counts = [item.num_samples for item in wanted]
    counts = counts or [num_samples_of(args.seconds, config.sample_rate)] * len(files)
    require_writable(files[0], 2 * sum(counts))
    stopped = None
    if diffusion:
        sounds = _diffused(args, model, labels, counts)
    else:
        how: dict[str, Any] = {"temperature": args.temperature, "guidance": args.guidance}
        if vocoder is not None:
            # What was asked for is of the frames.
            labels, how = known_labels(vocoder, labels), {}
        codes, stopped = _drawn(args, painter, wanted, counts, labels=labels, **how)
        sounds = [
            config.quantizer.decode(row[:count]) for row, count in zip(codes, counts, strict=True)
        ]
    _write(args, files, sounds, counts, config.sample_rate)
    _record(args, files, engine)
    if stopped is not None:
        raise stopped
    if args.picture is not None:
        from wavedil.report import waveform_and_spectrogram

        pairs = [(file.name, sound) for file, sound in zip(files, sounds, strict=True)]
        waveform_and_spectrogram(pairs, config.sample_rate, args.picture)
        print(f"{args.picture}: waveform and spectrogram")


def _drawn(
    args: Generate,
    model: "Model",
    wanted: "list[Condition]",
    counts: list[int],
    **how: Any,
) -> "tuple[Sequence[np.ndarray], KeyboardInterrupt | None]":
    """The codes of each sound; those of its beginning, and the interrupt, after Ctrl-C."""
    from wavedil import generation
    from wavedil.report import progress

    prompt = _prompt(args, model)
    asked: dict[str, Any] = (
        {"features": [item.features for item in wanted]}
        if wanted
        else {"num_samples": counts[0], "batch_size": len(counts), "prompt": prompt}
    )
    with progress("generating") as done:
        try:
            codes = generation.generate(
                model,
                args.seed,
                progress=done,
                engine=args.engine,
                weights=args.weights,
                voiced_temperature=args.voiced_temperature,
                **how,
                **asked,
            )
        except generation.Interrupted as stopped:
            return stopped.codes, stopped
    return list(codes), None


def _diffused(
    args: Generate, model: "Model", labels: dict[str, str], counts: list[int]
) -> "list[np.ndarray]":
    """The sounds of a diffusion model, all of which are there at its last step alone."""
    from wavedil.generation import FAST_STEPS, diffuse
    from wavedil.report import progress

    given = (args.prompt, args.between, args.pitch_factor, args.flat_pitch)
    if args.like or args.features or any(one is not None for one in given):
        raise UserError(
            f"{args.run} is a diffusion model, which draws whole sounds from noise; leave --like, --features, "
            "--between, --prompt and what changes the pitch out"
        )
    with progress("generating") as done:
        sounds = diffuse(
            model,
            args.seed,
            num_samples=counts[0],
            batch_size=len(counts),
            labels=labels,
            steps=FAST_STEPS if args.steps is None else args.steps,
            guidance=args.guidance,
            progress=done,
        )
    return list(sounds)


def _write(
    args: Generate,
    files: list[Path],
    sounds: "list[np.ndarray]",
    counts: list[int],
    sample_rate: int,
) -> None:
    """Writes each sound of which anything was drawn, and says where, and where its end is missing."""
    from wavedil import audio

    for file, sound, count, note in zip(
        files, sounds, counts, _notes(args, len(files)), strict=True
    ):
        if len(sound):
            audio.save(file, sound, sample_rate)
            missing = f" of {count / sample_rate:g} s" if len(sound) < count else ""
            print(f"{file}: {len(sound) / sample_rate:g} s{missing} at {sample_rate} Hz{note}")


def _record(args: Generate, files: list[Path], engine: str) -> None:
    """Says which engine drew, how long it compiled, and writes beside the sounds how they were made."""
    from wavedil.engine import compile_seconds

    seconds = compile_seconds()
    print(f"drawn by: {engine}" + (f"; compiled in {seconds:.1f} s" if seconds else ""))
    made: dict[str, Any] = {
        "sounds": [file.name for file in files],
        "model": str(args.run),
        "engine": engine,
        "seed": args.seed,
        "temperature": args.temperature,
        "guidance": args.guidance,
        "labels": labels_of(args),
    }
    if args.features or args.like:
        made["of"] = [*map(str, args.features), *map(str, args.like)]
    if args.between is not None:
        made["of"] = [note.removeprefix(", ") for note in _notes(args, len(files))]
    for name in ("voiced_temperature", "pitch_factor", "flat_pitch"):
        if getattr(args, name) is not None:
            made[name] = getattr(args, name)
    if args.vocoder is not None:
        made["vocoder"] = str(args.vocoder)
    write_json(record_of(args), made)


def _conditions(args: Generate, model: "Model") -> "list[Condition]":
    """The features of each sound, in the order of the options; none for a model that takes none.

    Raises:
      UserError: If the options do not suit the model, or a file cannot be used.
    """
    from wavedil import features
    from wavedil.generation import (
        between,
        of_features,
        of_sound,
        require_autoencoder,
        with_pitch,
    )
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
    if args.pitch_factor is not None or args.flat_pitch is not None:
        found = with_pitch(model, found, factor=args.pitch_factor, flat_hz=args.flat_pitch)
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
