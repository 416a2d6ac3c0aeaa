"""`wavedil prepare`: recordings become shards, which training reads without decoding them again."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from wavedil.audio import MIX
from wavedil.data.config import CorpusConfig
from wavedil.errors import UserError
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig
from wavedil.quantizer import Companding, Quantizer


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """Decode recordings once, into shards to train on: a corpus of any size in little memory.

    wavedil train SHARDS RUN trains then as wavedil train FOLDER RUN would, to the last bit; vocoders and other models
    of features need these prepared too. Labels, and what is held out, are chosen there. A preparation that was killed
    goes on where the same command is given again; shards that are damaged are written again. Parts may be prepared at
    once on many machines.

    Example: wavedil prepare recordings shards

    Example: wavedil prepare recordings shards --features mel --mel.num-mels 40

    Example: wavedil prepare recordings shards --num-shards 64 --part $((SLURM_ARRAY_TASK_ID + 1))/16
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Recordings (searched recursively), a manifest (.csv, .jsonl) or a single sound file."""
    shards: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SHARDS")]
    """Folder of the shards: made, or gone on with."""
    part: Annotated[str, tyro.conf.arg(metavar="K/N")] = "1/1"
    """Prepare the K-th of N parts; together they are all."""
    num_shards: int | None = None
    """Number of shards. None: one for 256 MiB of sound files, and 512 at most."""
    levels: int = 256
    """Levels of a sample, those of the model to be trained."""
    companding: Companding = "mu_law"
    """Their distances."""
    sample_rate: int | None = None
    """Hz; recordings at another rate are resampled. None: the rate most files have."""
    channel: str = MIX
    """mix, the mean of all channels; left, right, or the number of one."""
    trim_db: float | None = None
    """Cut the start and end that are this many dB below a recording's loudest moment."""
    min_max_normalisation: bool = False
    """Let every recording reach from -1 to 1, by its own minimum and maximum."""
    features: Literal["none", "mel", "beside"] = "none"
    """Store mel spectra too, or features of your own that lie beside the recordings (x.npy beside x.wav): for what is
    trained on them, with the same settings."""
    mel: MelConfig = dataclasses.field(default_factory=MelConfig)
    """Of the mel spectra."""
    features_hop: int | None = None
    """Samples from one frame to the next, of features of your own."""
    pitch: bool = True
    """Store pitch and voicing beside the mel spectra, which vocoders take; classifiers take the spectra alone."""
    pitch_range: PitchConfig = dataclasses.field(default_factory=PitchConfig)
    """Where the pitch is looked for."""
    strict: bool = False
    """Stop at the first recording that cannot be used as it is, rather than skip it, or limit it to full scale."""


def prepare(args: Prepare) -> None:
    """Writes the shards, and says how fast.

    Raises:
      UserError: If an option, a recording or the folder cannot be used.
    """
    from wavedil.data import prepare as write
    from wavedil.report import progress, say

    config = CorpusConfig(
        folder=os.fspath(args.folder),
        sample_rate=args.sample_rate,
        channel=args.channel,
        trim_db=args.trim_db,
        min_max_normalisation=args.min_max_normalisation,
        strict=args.strict,
    )
    features = _features(args)
    with progress("preparing (bytes of files)") as done:
        made = write(
            config,
            args.shards,
            quantizer=Quantizer(args.levels, args.companding),
            **features,
            num_shards=args.num_shards,
            part=_part(args.part),
            progress=done,
            warn=say,
        )
    hours = made.seconds_of_sound / 3600
    unused = f"; {made.num_skipped} recordings cannot be used" if made.num_skipped else ""
    print(
        f"wrote {made.num_written} shards to {args.shards}, {made.num_there} were there: "
        f"{made.num_recordings} recordings, {hours:.2f} h of sound at {made.settings.sample_rate} Hz, "
        f"{hours / made.seconds:.3g} h/s{unused}"
    )
    if made.missing:
        print(
            f"{made.missing} of {made.settings.num_shards} shards are still missing, those of other parts"
        )
    else:
        print(f"train on them: wavedil train {args.shards} RUN")


def _features(args: Prepare) -> dict[str, Any]:
    """What `prepare` is given of them."""
    beside = args.features == "beside"
    if beside != (args.features_hop is not None):
        raise UserError(
            f"features is {args.features!r}, and features_hop {args.features_hop}; give both for features of your own, "
            "--features beside --features-hop 256 say, or neither"
        )
    if args.features != "mel" and (args.mel, args.pitch_range) != (MelConfig(), PitchConfig()):
        raise UserError(
            f"features is {args.features!r}, but settings of mel spectra or of the pitch are given; give --features mel"
        )
    return {
        "mel": args.mel if args.features == "mel" else None,
        "features_hop": args.features_hop,
        "pitch": args.pitch_range if args.pitch and args.features == "mel" else None,
    }


def _part(text: str) -> tuple[int, int]:
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal()):
        raise UserError(
            f"part is {text!r}, but it must be the number of a part and how many there are, 3/16 say"
        )
    return int(number), int(of)
