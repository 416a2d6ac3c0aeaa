"""Classifier-free guidance: a model draws each sound given its labels and without, and goes further on that way.

    u + guidance (c - u)        c: what it predicts given the labels; u: without labels

Both are signals side by side in one pass, first the one with labels, then the one without, of every sound. At 1 there
is nothing to guide, and nothing is computed twice.

Reference: Ho and Salimans 2022, "Classifier-free diffusion guidance", arXiv:2207.12598.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from wavedil.errors import UserError
from wavedil.models.autoencoder import Autoencoder
from wavedil.models.registry import Model, wavenet_of


def guidance_of(model: Model, guidance: Any, labels: Mapping[str, Any] | None) -> np.float32 | None:
    """The guidance of a model, or None where there is nothing to guide, at 1.

    Args:
      model: A model that draws sound.
      guidance: As it is asked for.
      labels: Those of the sounds.

    Raises:
      UserError: If it is no number of at least 0, or the model cannot be guided, with the remedy.
    """
    is_number = isinstance(guidance, int | float | np.number) and not isinstance(guidance, bool)
    if not is_number or not 0 <= guidance < math.inf:
        raise UserError(
            f"guidance is {guidance!r}, but it must be a number of at least 0; 1 draws as the model predicts, 2 nearer "
            "to the labels"
        )
    if guidance == 1:
        return None
    config, given = wavenet_of(model).config, f"guidance is {guidance:g}"
    if not getattr(config, "labels", None):
        raise UserError(
            f"{given}, but the model was trained without labels, and guidance brings a sound nearer to its labels; "
            "leave guidance out"
        )
    if not config.label_dropout:
        option = f"--model.{'decoder.' if isinstance(model, Autoencoder) else ''}label-dropout 0.15"
        raise UserError(
            f"{given}, but the model was trained with label_dropout 0, so it does not know sound without labels; "
            f"train with {option} (--start-from RUN goes on from its weights), or leave guidance out"
        )
    if not labels:
        raise UserError(
            f"{given}, but the sound has no label to bring it nearer to; give one, or leave guidance out"
        )
    distribution = getattr(wavenet_of(model), "distribution", None)
    if distribution is not None and not hasattr(distribution, "guided"):
        raise UserError(
            f"{given}, but a {type(distribution).__name__} does not say how it is guided; leave guidance out, or give "
            "it a method guided(labelled, unlabelled, guidance)"
        )
    return np.float32(guidance)
