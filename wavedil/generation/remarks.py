"""What is said of a sound that came out dull: constant, or so quiet that nothing is heard."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from wavedil.quantizer import Quantizer

_QUIETEST_DBFS = -60.0


def remark(
    quantizer: Quantizer, sounds: Sequence[Int[np.ndarray, " time"]], temperature: float
) -> None:
    """Warns in one line of sounds of more than a sample that are constant, or below -60 dBFS."""
    found = [
        (number, fault)
        for number, codes in enumerate(sounds)
        if len(codes) > 1 and (fault := _fault(quantizer, codes))
    ]
    if not found:
        return
    number, fault = found[0]
    which = (
        "the sound" if len(sounds) == 1 else f"{len(found)} of {len(sounds)} sounds: sound {number}"
    )
    remedy = (
        f"raise the temperature, which is {temperature:g}"
        if temperature < 1
        else "try another seed, a prompt or another model"
    )
    warnings.warn(f"{which} {fault}; {remedy}", stacklevel=3)


def _fault(quantizer: Quantizer, codes: Int[np.ndarray, " time"]) -> str | None:
    samples = quantizer.decode(codes).astype(np.float64)
    if (codes == codes[0]).all():
        return f"is constant: each of its {len(codes)} samples is {samples[0]:.3g}"
    dbfs = 20.0 * math.log10(math.sqrt(np.mean(np.square(samples))) or 1e-12)
    if dbfs < _QUIETEST_DBFS:
        return f"is nearly silent: {dbfs:.1f} dBFS, and below {_QUIETEST_DBFS:g} nothing is heard"
    return None
