"""What is said of a sound that came out dull: constant, or so quiet that nothing is heard."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

_QUIETEST_DBFS = -60.0


def remark(sounds: Sequence[Float[np.ndarray, " time"]], remedy: str) -> None:
    """Warns in one line of sounds of more than a sample that are constant, or below -60 dBFS; and what to do."""
    found = [
        (number, fault)
        for number, samples in enumerate(sounds)
        if len(samples) > 1 and (fault := _fault(samples.astype(np.float64)))
    ]
    if not found:
        return
    number, fault = found[0]
    which = (
        "the sound" if len(sounds) == 1 else f"{len(found)} of {len(sounds)} sounds: sound {number}"
    )
    warnings.warn(f"{which} {fault}; {remedy}", stacklevel=3)


def _fault(samples: Float[np.ndarray, " time"]) -> str | None:
    if (samples == samples[0]).all():
        return f"is constant: each of its {len(samples)} samples is {samples[0]:.3g}"
    dbfs = 20.0 * math.log10(math.sqrt(np.mean(np.square(samples))) or 1e-12)
    if dbfs < _QUIETEST_DBFS:
        return f"is nearly silent: {dbfs:.1f} dBFS, and below {_QUIETEST_DBFS:g} nothing is heard"
    return None
