"""How near an amp model comes to the amp."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from wavedil.data.pair import Pair
from wavedil.generation.stream import Stream
from wavedil.models.amp import AmpModel

_BLOCK = 1 << 16


def squared_errors(
    model: AmpModel,
    pairs: Sequence[Pair],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Float[np.ndarray, " pairs"], Float[np.ndarray, " pairs"]]:
    """The energy of what an amp model plays wrong in each pair, and that of the wet signal; their ratio is the ESR.

    Args:
      model: An amp model, at each pair's setting of its knobs.
      pairs: What is scored of them.
      progress: Called with the samples that are done, and their number.
    """
    errors, energies = np.zeros(len(pairs)), np.zeros(len(pairs))
    done, total = 0, sum(pair.num_scored for pair in pairs)
    for number, pair in enumerate(pairs):
        stream = Stream(model, knobs=pair.knobs) if model.config.knobs else Stream(model)
        first, end = pair.scored or (0, pair.num_samples)
        # What the first of them see, from silence on.
        start = max(0, first - model.receptive_field.past)
        stream.push(pair.dry[None, start:first, None])
        for at in range(first, end, _BLOCK):
            stop = min(at + _BLOCK, end)
            played = stream.push(pair.dry[None, at:stop, None])[0, :, 0]
            errors[number] += np.sum((played - pair.wet[at:stop]) ** 2, dtype=np.float64)
            energies[number] += np.sum(pair.wet[at:stop] ** 2, dtype=np.float64)
            done += stop - at
            if progress is not None:
                progress(done, total)
    return errors, energies
