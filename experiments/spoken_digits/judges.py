"""Classifiers of digit and speaker, and what they say of sounds."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from measures import (
    frechet_distance,
    inception_score,
    likelier_half,
    num_runaways,
    num_silences,
)

from wavedil.frames import crop
from wavedil.mel import mel
from wavedil.models import TCN, compiled
from wavedil.nn import mean_step

Labels = Mapping[str, list[str]]
"""Name -> a value for each sound."""


class Judges:
    """Scores of sounds by what classifiers say of them.

    Args:
      models: Those of "digit" and "speaker".
      held_out: Recordings that no model was trained on, to be compared with.
      loud: RMS that speech does not stay above.
    """

    def __init__(
        self, models: Mapping[str, TCN], held_out: Sequence[np.ndarray], loud: float
    ) -> None:
        self.models, self.loud = models, loud
        self.held_out = heard(models["digit"], held_out)[1]
        self.sample_rate = models["digit"].config.sample_rate

    def right(self, name: str, sounds: Sequence[np.ndarray], labels: Labels) -> np.ndarray:
        """Of which sounds a classifier names the value that was asked for."""
        return self._right(name, heard(self.models[name], sounds)[0], labels)

    def row(
        self, sounds: Sequence[np.ndarray], labels: Labels, likelihood: np.ndarray | None = None
    ) -> dict[str, Any]:
        """Scores of all, of the likelier half of each digit and speaker, and what is wrong with how many a minute."""
        said = {name: heard(model, sounds) for name, model in self.models.items()}
        right = {name: self._right(name, said[name][0], labels) for name in said}
        pairs = list(zip(*labels.values(), strict=True))
        groups = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()

        def scores(counted: np.ndarray, compared: np.ndarray) -> dict[str, Any]:
            return {
                "sounds": int(counted.sum()),
                **{f"{name}_accuracy": float(right[name][counted].mean()) for name in right},
                "inception_score": inception_score(said["digit"][0][counted]),
                "frechet_distance": frechet_distance(said["digit"][1][compared], self.held_out),
                "frechet_sounds": int(compared.sum()),
            }

        # The distance falls with the number of sounds, so it is that of a half of each pair in either case.
        row = scores(np.ones(len(sounds), bool), likelier_half(np.zeros(len(sounds)), groups))
        if likelihood is not None:
            kept = likelier_half(likelihood, groups)
            row["likelier_half"] = scores(kept, kept)
        minutes = sum(map(len, sounds)) / self.sample_rate / 60
        runaways = sum(num_runaways(sound, self.sample_rate, self.loud) for sound in sounds)
        silences = sum(num_silences(sound, self.sample_rate) for sound in sounds)
        return row | {
            "runaways_per_minute": runaways / minutes,
            "silences_per_minute": silences / minutes,
            "minutes": minutes,
        }

    def _right(self, name: str, probabilities: np.ndarray, labels: Labels) -> np.ndarray:
        values = np.array(self.models[name].config.values)
        return values[probabilities.argmax(axis=1)] == np.array(labels[name])


def heard(model: TCN, sounds: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a classifier [sounds, values], and the features that its last layer is given [sounds, channels].

    As `wavedil.evaluation.classify`, but of any sound: one shorter than a spectrum is silent after its end.
    """
    answer, found = compiled(_probabilities_and_features, model), []
    settings = model.config.mel
    for sound in sounds:
        frames = mel(crop(sound, 0, max(len(sound), settings.fft_size)), settings)
        length = max(64, 1 << (len(frames) - 1).bit_length())  # so that few are compiled
        mask = np.arange(length) < len(frames)
        found.append([rows[0] for rows in answer(crop(frames, 0, length)[None], mask[None])])
    probabilities, features = zip(*found, strict=True)
    return np.stack(probabilities), np.stack(features)


def _probabilities_and_features(model: TCN, frames: Any, mask: Any) -> tuple[Any, Any]:
    inputs = (frames - model.config.mean) / model.config.deviation
    features = mean_step(model.net(inputs, mask=mask), mask)
    return jax.nn.softmax(model.output(features[:, None])[:, 0]), features
