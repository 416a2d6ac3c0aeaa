"""Mu-law companding: sound as a few hundred levels, fine near silence, coarse near full scale."""

import numpy as np
from jaxtyping import Float, Float32, Integer, UInt

from wavedil.errors import UserError

# Long recordings are encoded piece by piece, so that the float64 copies stay small.
_BLOCK = 1 << 20


def encode(x: Float[np.ndarray, "..."] | float, levels: int = 256) -> UInt[np.ndarray, "..."]:
    """Samples in [-1, 1] as codes 0 .. levels - 1.

        f    = sign(x) ln(1 + mu |x|) / ln(1 + mu),    mu = levels - 1
        code = floor((f + 1) / 2 * mu + 1/2)

    so that -1, 0 and 1 become 0, levels // 2 and levels - 1. Four conventions of mu-law are in
    use and do not agree; this one rounds to the nearest level, as ibab/tensorflow-wavenet and
    nv-wavenet do.

    Args:
      x: Samples of any shape. Values outside [-1, 1] take the outermost level.
      levels: Number of codes, 2 to 65536.

    Returns:
      Codes of the same shape, uint8 for up to 256 levels and uint16 above.

    Raises:
      UserError: If `levels` is out of range or a sample is not finite.

    Example:
      >>> encode(np.array([-1.0, 0.0, 0.01, 1.0]))
      array([  0, 128, 157, 255], dtype=uint8)

    Reference: ITU-T G.711 (the curve); van den Oord et al. 2016, arXiv:1609.03499, section 2.2.
    """
    dtype = code_dtype(levels)
    samples = np.asarray(x)
    codes = np.empty(samples.size, dtype)
    flat = samples.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK].astype(np.float64)
        if not np.isfinite(block).all():
            bad = start + int(np.argmin(np.isfinite(block)))
            raise UserError(
                f"sample {bad} is {flat[bad]}, but mu-law needs finite samples; "
                f"repair the recording"
            )
        codes[start : start + _BLOCK] = _nearest_level(block, levels)
    return codes.reshape(samples.shape)


def decode(
    codes: Integer[np.ndarray, "..."] | int, levels: int = 256
) -> Float32[np.ndarray, "..."]:
    """Codes 0 .. levels - 1 as samples in [-1, 1]; `encode(decode(codes))` is `codes`.

        f = 2 code / mu - 1,    x = sign(f) ((1 + mu)^|f| - 1) / mu,    mu = levels - 1

    With an even number of levels no code stands for exactly 0: silence, levels // 2, decodes to
    the smallest positive value (0.00009 at 256 levels).

    Args:
      codes: Integers of any shape.
      levels: Number of codes, 2 to 65536.

    Raises:
      UserError: If `levels` or a code is out of range, or the codes are not integers.

    Example:
      >>> decode(np.array([0, 255]))
      array([-1.,  1.], dtype=float32)
    """
    code_dtype(levels)
    integers = np.asarray(codes)
    if not np.issubdtype(integers.dtype, np.integer):
        raise UserError(
            f"codes are {integers.dtype}, but mu-law codes are integers; encode the samples first"
        )
    if integers.size and not (0 <= int(integers.min()) and int(integers.max()) < levels):
        raise UserError(
            f"codes run from {integers.min()} to {integers.max()}, but {levels} levels have "
            f"codes 0 to {levels - 1}; give the number of levels they were encoded with"
        )
    mu = levels - 1
    # Every code has one sample, so a table of `levels` entries is the whole function.
    f = 2.0 * np.arange(levels) / mu - 1.0
    table = np.sign(f) * np.expm1(np.abs(f) * np.log1p(mu)) / mu
    return np.asarray(table.astype(np.float32)[integers])


def code_dtype(levels: int) -> type[np.unsignedinteger]:
    """The smallest unsigned integer that holds codes 0 .. levels - 1: uint8 or uint16.

    Raises:
      UserError: If `levels` is not within 2 to 65536.
    """
    if not 2 <= levels <= 65536:
        raise UserError(f"levels is {levels}, but mu-law needs 2 to 65536; 256 is usual")
    return np.uint8 if levels <= 256 else np.uint16


def _nearest_level(x: np.ndarray, levels: int) -> np.ndarray:
    mu = levels - 1
    x = np.clip(x, -1.0, 1.0)
    f = np.copysign(np.log1p(mu * np.abs(x)), x) / np.log1p(mu)
    return np.floor((f + 1.0) * (0.5 * mu) + 0.5)
