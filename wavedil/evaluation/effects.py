"""How near an amp model comes to the amp."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Float32

from wavedil.data.pair import Pair
from wavedil.generation.file_player import play_blocks
from wavedil.generation.stream import Stream
from wavedil.models.amp import AmpModel


def squared_errors(
    model: AmpModel,
    pairs: Sequence[Pair],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Float[np.ndarray, " pairs"], Float[np.ndarray, " pairs"]]:
    """The energy of what an amp model plays wrong in each pair, and that of the wet signal; their ratio is the ESR.

    Args:
      model: An amp model, at each pair's setting of its knobs.
      pairs: What is scored of them.
      progress: Called with the pairs that are done, and their number.
    """
    errors, energies = np.zeros(len(pairs)), np.zeros(len(pairs))
    for number, pair in enumerate(pairs):
        first, end = pair.scored or (0, pair.num_samples)
        wet = pair.wet[first:end]
        errors[number] = np.sum((played(model, pair) - wet) ** 2, dtype=np.float64)
        energies[number] = np.sum(wet**2, dtype=np.float64)
        if progress is not None:
            progress(number + 1, len(pairs))
    return errors, energies


def played(model: AmpModel, pair: Pair) -> Float32[np.ndarray, " time"]:
    """What an amp model makes of the scored part of a pair's dry signal, at the pair's setting of its knobs."""
    # Of a model without knobs all settings are one.
    stream = Stream(model, knobs=pair.knobs if model.config.knobs else {})
    first, end = pair.scored or (0, pair.num_samples)
    # With what the first of them see.
    start = max(0, first - model.receptive_field.past)
    blocks = play_blocks(stream, [pair.dry[start:end, None]], 1)
    return np.concatenate(list(blocks))[first - start :, 0]
