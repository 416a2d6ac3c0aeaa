"""Mu-law companding: sound as a few hundred levels, fine near silence, coarse near full scale."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float, Float32, Integer, UInt

from wavedil.errors import UserError, require_known, require_whole
from wavedil.full_scale import within_full_scale

Convention = Literal["nearest", "truncate", "nsynth", "s4"]

# Sound is encoded piece by piece, so that the float64 copies stay in a core's own cache.
_BLOCK = 1 << 14


def encode(
    x: Float[np.ndarray, "..."] | float, levels: int = 256, convention: Convention = "nearest"
) -> UInt[np.ndarray, "..."]:
    """Samples in [-1, 1] as codes 0 .. levels - 1.

        f    = sign(x) ln(1 + mu |x|) / ln(1 + mu),    mu = levels - 1
        code = floor((f + 1) / 2 * mu + 1/2)

    so that -1, 0 and 1 become 0, levels // 2 and levels - 1. Four conventions are in use that do
    not agree. They share the curve f and differ in how it is cut into codes; codes made by one and
    read by another are off by up to a level, with an offset in silence:

        convention   code = floor(...)                     f of a code           used by
        "nearest"    (f + 1) / 2 mu + 1/2                  2 code / mu - 1       tensorflow-wavenet (ibab), nv-wavenet;
                                                                                 to encode, PytorchWaveNetVocoder
                                                                                 (kan-bayashi), which decodes
                                                                                 (2 code - 1) / mu - 1
        "truncate"   (f + 1) / 2 mu                        2 code / mu - 1       nnmnkwii, wavenet_vocoder (r9y9)
        "nsynth"     (f + 1) / 2 levels                    (2 code + 1) / levels - 1,    magenta (NSynth)
                                                           the middle code is 0
        "s4"         (f + 1) / 2 (levels - .01) + .005     2 code / levels - 1   state-spaces/s4 (SaShiMi)

    Where a peer's formula leaves 0 .. levels - 1 (magenta gives full scale the code `levels`), the
    outermost code is taken. nnmnkwii is called with mu = levels - 1, as r9y9 does.

    Args:
      x: Samples of any shape, floats; a peak between 1 and 2 is limited to full scale, with a warning.
      levels: Number of codes, 2 to 65536.
      convention: How the curve is cut into codes.

    Returns:
      Codes of the same shape, uint8 for up to 256 levels and uint16 above.

    Raises:
      UserError: If `levels` is out of range, the convention is unknown, or the samples are integers, not finite or
        far beyond full scale.

    Example:
      >>> encode(np.array([-1.0, 0.0, 0.01, 1.0]))
      array([  0, 128, 157, 255], dtype=uint8)

    Reference: ITU-T G.711 (the curve); van den Oord et al. 2016, arXiv:1609.03499, section 2.2.
    """
    dtype, cut, mu = code_dtype(levels), _cut(levels, convention), levels - 1

    def codes_of(x: np.ndarray) -> np.ndarray:
        # log1p keeps the digits of quiet samples, which 1 + mu |x| would round away.
        f = np.copysign(np.log1p(mu * np.abs(x)), x) / np.log1p(mu)
        return np.minimum(np.floor((f + 1.0) * (0.5 * cut.span) + cut.offset), mu)

    return encode_by(codes_of, x, dtype)


def decode(
    codes: Integer[np.ndarray, "..."] | int, levels: int = 256, convention: Convention = "nearest"
) -> Float32[np.ndarray, "..."]:
    """Codes 0 .. levels - 1 as samples in [-1, 1].

        f = 2 code / mu - 1,    x = sign(f) ((1 + mu)^|f| - 1) / mu,    mu = levels - 1

    for "nearest"; `encode` lists f for the other conventions. `encode(decode(codes))` is `codes`
    for "nearest" and "nsynth"; the other two decode to the edge of a level, as their peers do, and
    rounding may then cost one level.

    With an even number of levels no code of "nearest" stands for exactly 0: silence, levels // 2,
    decodes to the smallest positive value (0.00009 at 256 levels).

    Args:
      codes: Integers of any shape.
      levels: Number of codes, 2 to 65536.
      convention: The one that the codes were made with.

    Raises:
      UserError: If `levels` or a code is out of range, the convention is unknown, or the codes are not integers.

    Example:
      >>> decode(np.array([0, 255]))
      array([-1.,  1.], dtype=float32)
    """
    code_dtype(levels)
    cut, mu = _cut(levels, convention), levels - 1
    integers = require_codes(codes, levels)
    # Every code has one sample, so a table of `levels` entries is all of the function.
    f = 2.0 * (np.arange(levels) + cut.shift) / cut.divisor - 1.0
    if convention == "nsynth":
        f[levels // 2] = 0.0
    # (1 + mu)^|f| - 1 = expm1(|f| log1p(mu)), exact near silence too.
    table = np.sign(f) * np.expm1(np.abs(f) * np.log1p(mu)) / mu
    return np.asarray(table.astype(np.float32)[integers])


class _Cut(NamedTuple):
    """code = floor((f + 1) / 2 span + offset);  f = 2 (code + shift) / divisor - 1."""

    span: float
    offset: float
    shift: float
    divisor: float


def _cut(levels: int, convention: Convention) -> _Cut:
    require_known("mu-law convention", convention, get_args(Convention))
    mu = levels - 1
    return {
        "nearest": _Cut(mu, 0.5, 0.0, mu),
        "truncate": _Cut(mu, 0.0, 0.0, mu),
        "nsynth": _Cut(levels, 0.0, 0.5, levels),
        "s4": _Cut(levels - 0.01, 0.005, 0.0, levels),
    }[convention]


def code_dtype(levels: int) -> type[np.unsignedinteger]:
    """The smallest unsigned integer that holds codes 0 .. levels - 1: uint8 or uint16.

    Raises:
      UserError: If `levels` is not within 2 to 65536.
    """
    if not 2 <= require_whole("levels", levels) <= 65536:
        raise UserError(f"levels is {levels}, but a sample has 2 to 65536; 256 is usual")
    return np.uint8 if levels <= 256 else np.uint16


def encode_by(
    codes_of: Callable[[np.ndarray], np.ndarray],
    x: Float[np.ndarray, "..."] | float,
    dtype: type[np.unsignedinteger],
) -> UInt[np.ndarray, "..."]:
    """Samples within full scale through `codes_of`, block by block in float64.

    Raises:
      UserError: If they are integers, not finite, or far beyond full scale.
    """
    samples = within_full_scale(x)
    codes = np.empty(samples.size, dtype)
    flat = samples.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK].astype(np.float64)
        codes[start : start + _BLOCK] = codes_of(block)
    return codes.reshape(samples.shape)


def in_range(codes: Any, levels: int) -> Any:
    """Whether each code is one of 0 .. levels - 1, of an integer array of NumPy or JAX."""
    # Integers of few bits cannot be compared with a number that they cannot hold.
    top = min(levels - 1, int(np.iinfo(codes.dtype).max))
    return (codes >= 0) & (codes <= top)


def require_codes(codes: Integer[np.ndarray, "..."] | int, levels: int) -> np.ndarray:
    """The codes as an array; an error where they are not integers 0 .. levels - 1."""
    integers = np.asarray(codes)
    if not np.issubdtype(integers.dtype, np.integer):
        raise UserError(
            f"codes are {integers.dtype}, but codes are integers; encode the samples first"
        )
    if integers.size and not (0 <= int(integers.min()) and int(integers.max()) < levels):
        raise UserError(
            f"codes run from {integers.min()} to {integers.max()}, but {levels} levels have "
            f"codes 0 to {levels - 1}; give the number of levels they were encoded with"
        )
    return integers
