"""What sounds should be, as `wavedil generate` is told: by features, by recordings to copy, by two to go between."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wavedil import features
from wavedil.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from wavedil.cli.generate import Generate
    from wavedil.models.autoencoder import Autoencoder
    from wavedil.models.config import WaveNetConfig
    from wavedil.models.kinds import Model
    from wavedil.models.local import LocalConfig


class Told(NamedTuple):
    """What one sound should be."""

    features: "np.ndarray"
    num_samples: int
    note: str = ""
    """What to say of it, for people."""


def told_sounds(args: "Generate", model: "Model") -> list[Told]:
    """What each sound should be, in the order of the options; nothing for a model that is told nothing.

    Raises:
      UserError: If the options do not suit the model, or a file cannot be used.
    """
    from wavedil.models.autoencoder import Autoencoder

    if isinstance(model, Autoencoder):
        return _by_codes(args, model)
    if args.between is not None:
        raise UserError(
            f"{args.run} is no autoencoder, so there is nothing between two recordings to it; leave --between out, or "
            "train one (wavedil train --task autoencoder)"
        )
    local = model.config.local
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
        local.require(frames, f"features in {path}")
        told.append(Told(frames, len(frames) * local.hop))
    return told + [_by_mel_spectra(path, model.config, local) for path in args.like]


def read_samples(what: str, path: Path, config: "WaveNetConfig") -> "np.ndarray":
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


def _by_mel_spectra(path: Path, config: "WaveNetConfig", local: "LocalConfig") -> Told:
    if local.mel is None:
        raise UserError(
            f"the model was trained on features that wavedil cannot compute of {path}; compute them, and give "
            "--features x.npy"
        )
    samples = read_samples("recording", path, config)
    try:
        frames = features.mel(samples, local.mel)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if not frames.max() > 0:
        raise UserError(f"{path} is silent, so there is nothing to copy; give another recording")
    return Told(frames, len(samples))


def _by_codes(args: "Generate", model: "Autoencoder") -> list[Told]:
    """The recordings to copy, or what lies between two of them."""
    from wavedil.generation.encoding import encode_sounds, interpolate

    if args.features:
        raise UserError(
            f"--features are for a vocoder, but {args.run} is an autoencoder, which makes its codes itself; give it "
            "recordings: --like recording.wav, or --between a.wav b.wav"
        )
    paths = args.like if args.between is None else args.between
    if not paths:
        raise UserError(
            f"{args.run} is an autoencoder and was given no recording; give one to make again (--like recording.wav), "
            "or two to go between (--between a.wav b.wav)"
        )
    sounds = [read_samples("recording", path, model.decoder.config) for path in paths]
    codes = encode_sounds(model, [model.config.grid.encode(sound) for sound in sounds])
    if args.between is None:
        return [Told(frames, len(sound)) for frames, sound in zip(codes, sounds, strict=True)]
    length = min(map(len, sounds))
    for path, sound in zip(paths, sounds, strict=True):
        if len(sound) > length:
            extra = (len(sound) - length) / model.config.sample_rate
            print(f"{path} is {extra:.3g} s longer; its end is left out", file=sys.stderr)
    between = interpolate(codes[0], codes[1], args.num_between)
    names = [path.name for path in paths]
    notes = [f", {1 - s:.3g} {names[0]} + {s:.3g} {names[1]}" for s in _shares(len(between))]
    return [Told(frames, length, note) for frames, note in zip(between, notes, strict=True)]


def _shares(count: int) -> list[float]:
    return [number / (count - 1) for number in range(count)]
