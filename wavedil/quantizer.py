"""The quantizer of a sample: which amplitudes share a code, for mu-law and for linear codes."""

import dataclasses
import functools
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Float32, Float64, Integer, UInt

from wavedil import mu_law
from wavedil.errors import require_known, require_whole

Companding = Literal["mu_law", "linear"]


@dataclasses.dataclass(frozen=True)
class Quantizer:
    """The levels of a sample on [-1, 1], and the edges between them.

        "linear"   x_k = 2 (k - levels // 2) / levels,   edges midway
        "mu_law"   `wavedil.mu_law`, rounded to the nearest level after companding: levels of unequal width

        code      0        1        2               levels - 1
                  |---|--------|--------|-- ... --|---|
        x        -1  e_0      e_1      e_2            1

    Amplitude x has code k where edges[k - 1] <= x < edges[k]; the outermost levels reach to
    -infinity and infinity. All output distributions share this quantizer, so that their bits per
    sample compare. Silence is code levels // 2.

    Linear levels are those of PCM files: 65536 of them keep a 16-bit recording exactly, 256 an 8-bit
    one. The highest is then one step below full scale, 1 - 2 / levels.

    Args:
      levels: Levels of a sample, 2 to 65536.
      companding: "mu_law" or "linear".

    Raises:
      UserError: If a value is out of range.

    Example:
      >>> Quantizer(4, "linear").encode(np.array([-1.0, 0.2, 0.3, 1.0]))
      array([0, 2, 3, 3], dtype=uint8)
      >>> Quantizer(4, "linear").edges
      array([-0.75, -0.25,  0.25])
    """

    levels: int = 256
    companding: Companding = "mu_law"

    def __post_init__(self) -> None:
        mu_law.code_dtype(self.levels)  # refuses what is out of range
        object.__setattr__(self, "levels", require_whole("levels", self.levels))
        require_known("companding", self.companding, get_args(Companding))

    def encode(self, x: Float[np.ndarray, "..."] | float) -> UInt[np.ndarray, "..."]:
        """Amplitudes as codes, uint8 for up to 256 levels and uint16 above.

        A peak between 1 and 2 is limited to full scale, with a warning.

        Raises:
          UserError: If the amplitudes are integers, not finite, or far beyond full scale.
        """
        if self.companding == "mu_law":
            return mu_law.encode(x, self.levels)
        half, top = 0.5 * self.levels, self.levels - 1

        def codes_of(x: np.ndarray) -> np.ndarray:
            return np.clip(np.floor(x * half + 0.5) + self.silence, 0, top)

        return mu_law.encode_by(codes_of, x, mu_law.code_dtype(self.levels))

    def decode(self, codes: Integer[np.ndarray, "..."] | int) -> Float32[np.ndarray, "..."]:
        """Codes as amplitudes in [-1, 1]; `encode(decode(codes))` is `codes`.

        Raises:
          UserError: If a code is not an integer 0 .. levels - 1.
        """
        if self.companding == "mu_law":
            return mu_law.decode(codes, self.levels)
        integers = mu_law.require_codes(codes, self.levels)
        steps = integers.astype(np.float64) - self.silence
        return np.asarray((2.0 * steps / self.levels).astype(np.float32))

    @property
    def silence(self) -> int:
        """The code of amplitude 0."""
        return self.levels // 2

    @property
    def edges(self) -> Float64[np.ndarray, " levels-1"]:
        """The thresholds: `encode` gives k below edges[k] and k + 1 from it on, to the last bit."""
        return _edges(self)


@functools.lru_cache(maxsize=8)
def _edges(quantizer: Quantizer) -> np.ndarray:
    """By bisection, so that they are those of `encode` with its rounding, whatever its formula."""
    codes = np.arange(quantizer.levels)
    centres = quantizer.decode(codes).astype(np.float64)
    below, above = centres[:-1], centres[1:]
    middle = 0.5 * (below + above)
    while (undecided := (below < middle) & (middle < above)).any():
        reached = quantizer.encode(middle) >= codes[1:]
        above = np.where(undecided & reached, middle, above)
        below = np.where(undecided & ~reached, middle, below)
        middle = 0.5 * (below + above)
    above.flags.writeable = False
    return above
