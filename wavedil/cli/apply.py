"""`wavedil apply`: a sound file through a trained effect."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wavedil.cli.export_model import knobs_of
from wavedil.errors import UserError
from wavedil.files import require_writable


@dataclass(frozen=True, kw_only=True)
class Apply:
    """Play a sound file of any length through an effect: one trained by --task effect, or imported from a .nam file.

    Example: wavedil apply run guitar.wav amp.wav --knob gain=0.5
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder, or the folder of a saved model."""
    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="IN.wav")]
    """Sound file to play. Each of its channels goes through the effect by itself."""
    target: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT.wav")]
    """Sound file to write, WAV or FLAC, 24 bits: as long as the other, at its rate."""
    knob: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")
    ] = ()
    """Setting of a knob, for an effect that has any."""
    resample: bool = False
    """Resample a file of another rate than the effect was made for, and what comes out back to its rate."""
    overwrite: bool = False
    """Replace a file that exists."""


def apply(args: Apply) -> None:
    """Writes the file, and says how fast.

    Raises:
      UserError: If an option, the effect or a file cannot be used.
    """
    if args.target.suffix.lower() not in (".wav", ".flac"):
        raise UserError(f"cannot write {args.target}: its suffix must be .wav or .flac")
    require_writable(args.target)
    if args.target.exists() and not args.overwrite:
        raise UserError(f"{args.target} exists; give another name, or --overwrite")
    knobs = knobs_of(args.knob)
    from wavedil.formats import load
    from wavedil.generation import play_file
    from wavedil.report import progress, say

    model = load(args.run)
    with progress("playing (samples)") as done:
        played = play_file(
            model, args.source, args.target, knobs=knobs, resample=args.resample, progress=done
        )
    seconds = played.num_samples / played.sample_rate
    print(
        f"{args.target}: {seconds:g} s at {played.sample_rate} Hz, {played.real_time_factor:.3g} times faster than "
        "real time"
    )
    if played.peak > 1:
        say(
            f"what came out has a peak of {played.peak:.3g}, beyond full scale, and was limited to it; turn the sound "
            "that goes in down"
        )
