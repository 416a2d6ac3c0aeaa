"""Held-out recordings resynthesised by a vocoder, and how far that is from the recordings."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wavedil.cli.tables import table
from wavedil.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from wavedil.data import CorpusConfig, Recording
    from wavedil.evaluation import Distances
    from wavedil.models import Model, WaveNet

_SEED = 0


@dataclasses.dataclass(frozen=True)
class ResynthesisScores:
    """Distances from the recordings: of the model's resynthesis, of Griffin-Lim's, and of the levels alone."""

    num_files: int
    distances: "dict[str, Distances]"

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        named = {
            name: {"stft": item.stft, **item._asdict()} for name, item in self.distances.items()
        }
        return {"num_files": self.num_files, "seed": _SEED, "distances": named}

    def lines(self) -> list[str]:
        """For people."""
        head = ("", "MR-STFT", "convergence", "log magnitude", "MCD (dB)")
        rows = [
            (
                name,
                *(f"{value:.3f}" for value in (item.stft, *item[:2])),
                "-" if item.mel_cepstral_db is None else f"{item.mel_cepstral_db:.2f}",
            )
            for name, item in self.distances.items()
        ]
        return [
            f"{self.num_files} recordings resynthesised from their features; distance from the recordings:",
            *table([head, *rows]),
        ]


def require_resynthesis(count: int, model: "WaveNet", config: "CorpusConfig") -> None:
    """Refuses to resynthesise where it cannot be done.

    Raises:
      UserError: If the count is negative, or the model no vocoder or one of min-max normalised recordings.
    """
    if count < 0:
        raise UserError(f"resynthesize is {count}, but it must be at least 0")
    if count and getattr(model.config, "local_conditioning", None) is None:
        raise UserError(
            f"resynthesize is {count}, but the model is no vocoder and takes no features of a recording; leave "
            "--resynthesize out, or train one (wavedil train --task vocoder or autoencoder)"
        )
    if count and config.min_max_normalisation:
        raise UserError(
            f"resynthesize is {count}, but the run normalised its recordings (min-max normalisation), and their mel "
            "spectra have another loudness than what it learnt; leave --resynthesize out"
        )


def resynthesis_scores(
    trained: "Model", config: "CorpusConfig", recordings: "Sequence[Recording]", count: int
) -> ResynthesisScores:
    """Resynthesises some of the recordings, spread over them, and compares.

    Args:
      trained: A vocoder or an autoencoder.
      config: Of the corpus of the recordings.
      recordings: With features.
      count: Of recordings to resynthesise, at least 1.

    Raises:
      UserError: If there are fewer recordings, or none of those chosen can be compared with.
    """
    from wavedil.evaluation import mean_distances, resynthesize, with_baselines
    from wavedil.generation import as_vocoder
    from wavedil.models import wavenet_of
    from wavedil.report import progress

    local = wavenet_of(trained).config.local_conditioning
    chosen, sounds = _chosen(config, recordings, count, None if local is None else local.hop)
    model, chosen = as_vocoder(trained, chosen)
    assert model.config.local_conditioning is not None
    with progress("resynthesising") as done:
        resynthesised = resynthesize(model, chosen, _SEED, progress=done)
    rate, mel = model.config.sample_rate, model.config.local_conditioning.mel
    named = with_baselines(model, chosen, resynthesised)
    distances = {name: mean_distances(sounds, made, rate, mel) for name, made in named.items()}
    return ResynthesisScores(len(chosen), distances)


def _chosen(
    config: "CorpusConfig", recordings: "Sequence[Recording]", count: int, hop: int | None
) -> "tuple[Sequence[Recording], list[np.ndarray]]":
    """Recordings spread over the list, with their sounds; says which cannot be compared with."""
    from wavedil.data import read_sounds, spread
    from wavedil.evaluation import require_comparable
    from wavedil.report import say

    if count > len(recordings):
        raise UserError(
            f"resynthesize is {count}, but there are {len(recordings)} recordings; take at most that many"
        )
    some = spread(recordings, count)
    sounds = read_sounds(config, [item.path for item in some])
    kept = []
    for item, sound in zip(some, sounds, strict=True):
        if item.scored is not None:
            first, end = item.scored
            item, sound = item.part(first, end, hop), sound[first:end]
        try:
            require_comparable(sound, config.sample_rate or 0)
        except UserError as error:
            say(f"{item.path} is not resynthesised: {error}")
        else:
            kept.append((item, sound))
    if not kept:
        raise UserError(
            f"none of the {count} recordings chosen can be compared with; take more of them"
        )
    return [item for item, _ in kept], [sound for _, sound in kept]
