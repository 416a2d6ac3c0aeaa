"""Copies of held-out recordings by a vocoder, and how far they are from the recordings."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wavedil.cli.progress import progress
from wavedil.cli.tables import table
from wavedil.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from wavedil.data.corpus import Recording
    from wavedil.data.settings import CorpusSettings
    from wavedil.generation.copies import Distances
    from wavedil.models.wavenet import WaveNet

_SEED = 0


@dataclasses.dataclass(frozen=True)
class CopyScores:
    """Distances from the recordings: of the model's copies, of Griffin-Lim's, and of the levels alone."""

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
            f"{self.num_files} recordings copied from their features; distance from the recordings:",
            *table([head, *rows]),
        ]


def require_copyable(count: int, model: "WaveNet", settings: "CorpusSettings") -> None:
    """Refuses to copy where it cannot be done.

    Raises:
      UserError: If the count is negative, or the model no vocoder or one of stretched recordings.
    """
    if count < 0:
        raise UserError(f"copy is {count}, but it must be at least 0; 0 copies no recording")
    if count and model.config.local is None:
        raise UserError(
            f"copy is {count}, but the model is no vocoder and cannot copy a recording; leave --copy out, or train "
            "one (wavedil train --task vocoder or autoencoder)"
        )
    if count and settings.min_max:
        raise UserError(
            f"copy is {count}, but the run stretched its recordings (min_max), and their mel spectra have another "
            "loudness than what it learnt; leave --copy out"
        )


def copy_scores(
    model: "WaveNet", settings: "CorpusSettings", recordings: "Sequence[Recording]", count: int
) -> CopyScores:
    """Copies some of the recordings, spread over them, and compares.

    Args:
      model: A vocoder.
      settings: The corpus of the recordings.
      recordings: With features.
      count: Of recordings to copy, at least 1.

    Raises:
      UserError: If there are fewer recordings, or none of those chosen can be compared with.
    """
    import jax

    from wavedil.generation.copies import copies_to_compare, copy_recordings, mean_distances

    assert model.config.local is not None
    chosen, sounds = _chosen(settings, recordings, count)
    with progress("copying") as task:
        copies = copy_recordings(model, chosen, jax.random.key(_SEED), progress=task)
    rate, mel = model.config.sample_rate, model.config.local.mel
    named = copies_to_compare(model, chosen, copies)
    distances = {name: mean_distances(sounds, made, rate, mel) for name, made in named.items()}
    return CopyScores(len(chosen), distances)


def _chosen(
    settings: "CorpusSettings", recordings: "Sequence[Recording]", count: int
) -> "tuple[list[Recording], list[np.ndarray]]":
    """Recordings spread over the list, with their sounds; says which cannot be compared with."""
    from wavedil.data.sounds import read_sounds
    from wavedil.spectral_distance import require_comparable

    if count > len(recordings):
        raise UserError(
            f"copy is {count}, but there are {len(recordings)} recordings; copy at most that many"
        )
    spread = [recordings[i * len(recordings) // count] for i in range(count)]
    sounds = read_sounds(settings, [item.path for item in spread])
    kept = []
    for item, sound in zip(spread, sounds, strict=True):
        try:
            require_comparable(sound, settings.sample_rate or 0)
        except UserError as error:
            print(f"wavedil: {item.path} is not copied: {error}", file=sys.stderr)
        else:
            kept.append((item, sound))
    if not kept:
        raise UserError(
            f"none of the {count} recordings chosen can be compared with; copy more of them"
        )
    return [item for item, _ in kept], [sound for _, sound in kept]
