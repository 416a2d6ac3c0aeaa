"""The filters of orthogonal wavelets, by name."""

import functools
import itertools
import math

import numpy as np

from wavedil.errors import require_known

# Beyond these the roots of the polynomial are known to fewer digits than float32 has use for.
WAVELETS = ("haar", *(f"db{n}" for n in range(1, 11)), *(f"sym{n}" for n in range(2, 9)))
# A symlet and its mirror image are equally symmetric. The published tables have the one whose centre of gravity lies
# before its middle of these, and after it of the others.
_EARLY_SYMLETS = (2, 3, 7)


@functools.cache
def scaling_filter(wavelet: str) -> tuple[float, ...]:
    """The scaling filter h of an orthogonal wavelet with n vanishing moments: 2n taps whose sum is sqrt(2).

    h is orthonormal to itself shifted by any even number of samples. Its transform is ((1 + z) / 2)^n Q(z), where
    |Q|^2 is the polynomial sum_k C(n - 1 + k, k) y^k in y = sin^2(frequency / 2). Each of its roots, by pairs of
    conjugates, is inside the unit circle or outside: all are inside in Daubechies' wavelets, and in the symlets they
    lie so that the phase is nearest to linear.

    Args:
      wavelet: "haar" or "db1", "db2" to "db10", or "sym2" to "sym8".

    Raises:
      UserError: If it is none of these.

    Example:
      >>> scaling_filter("haar")
      (0.7071067811865476, 0.7071067811865476)

    Reference: Daubechies 1992, "Ten lectures on wavelets", sections 6.1 and 8.1, tables 6.1 and 6.3.
    """
    require_known("wavelet", wavelet, WAVELETS)
    if wavelet == "haar":
        return scaling_filter("db1")
    moments = int(wavelet.lstrip("dbsym"))
    pairs = _roots_inside(moments)
    if wavelet.startswith("db"):
        taps = _with_roots(moments, pairs)
    else:
        sides = itertools.product((1, -1), repeat=len(pairs))
        taps = min(
            (
                _with_roots(moments, [pair**side for pair, side in zip(pairs, some, strict=True)])
                for some in sides
            ),
            key=_distance_from_linear_phase,
        )
        early = taps @ np.arange(2 * moments) / taps.sum() < moments - 0.5
        if early != (moments in _EARLY_SYMLETS):
            taps = taps[::-1]
    return tuple(taps.tolist())


def wavelet_filter(scaling: tuple[float, ...]) -> tuple[float, ...]:
    """The wavelet's own filter g beside its scaling filter: g[k] = (-1)^k h[2n - 1 - k], whose sum is 0."""
    return tuple((-1) ** k * tap for k, tap in enumerate(reversed(scaling)))


def _roots_inside(moments: int) -> list[np.ndarray]:
    """The roots of Q inside the unit circle, each with its conjugate where that is another."""
    in_y = np.roots([math.comb(moments - 1 + k, k) for k in reversed(range(moments))])
    # y = (2 - z - 1 / z) / 4, which z and 1 / z have in common.
    in_z = [min(np.roots([1, 4 * y - 2, 1]), key=abs) for y in in_y if y.imag >= 0]
    return [np.array([z, z.conj()] if z.imag else [z]) for z in in_z]


def _with_roots(moments: int, roots: list[np.ndarray]) -> np.ndarray:
    taps = np.poly(np.concatenate([-np.ones(moments), *roots])).real
    return np.asarray(math.sqrt(2) * taps / taps.sum())


def _distance_from_linear_phase(taps: np.ndarray) -> float:
    frequency = np.linspace(0, np.pi, 512, endpoint=False)[1:]
    phase = np.unwrap(np.angle(np.exp(-1j * np.outer(frequency, np.arange(len(taps)))) @ taps))
    slope = phase @ frequency / (frequency @ frequency)
    return float(np.sum((phase - slope * frequency) ** 2))
