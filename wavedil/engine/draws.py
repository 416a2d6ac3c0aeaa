"""Draws of a code from what the network gave, as `wavedil.distributions` draws from the same noise."""

import math
from typing import Any

import numpy as np

from wavedil.distributions.categorical import Categorical
from wavedil.distributions.mixture import Mixture
from wavedil.engine.plan import UnservedError
from wavedil.engine.pointwise import exponentials
from wavedil.engine.products import kernel

# Entries of a family's row: which it is, levels, companding, components.
CATEGORICAL, MIXTURE = 0, 1


def family(distribution: Any) -> tuple[np.ndarray, np.ndarray]:
    """A distribution as whole numbers and tables for `drawn`.

    Raises:
      UnservedError: If it is one of the user's own.
    """
    if isinstance(distribution, Categorical):
        return np.array([CATEGORICAL, distribution.levels, 0, 0]), np.zeros((3, 1))
    if isinstance(distribution, Mixture):
        centres, start, smallest = distribution.starts()
        linear = distribution.companding == "linear"
        whole = np.array([MIXTURE, distribution.levels, linear, distribution.num_components])
        return whole, np.stack([centres, start, np.full_like(centres, smallest)])
    raise UnservedError(
        f"the compiled engine draws from no {type(distribution).__name__}; use engine='scan'"
    )


@kernel
def drawn(
    family: Any, tables: Any, arena: Any, at: int, noise: Any, temperature: float, work: Any
) -> int:
    """The code drawn with this noise; -1 where the parameters are NaN."""
    if family[0] == MIXTURE:
        return _amplitude(family, tables, arena, at, noise, temperature, work)
    return _level(arena, at, family[1], noise[0], temperature, work)


@kernel
def _level(arena: Any, at: int, levels: int, uniform: float, temperature: float, work: Any) -> int:
    """Where the cumulative softmax passes a uniform number."""
    largest = arena[at]
    for k in range(at, at + levels):
        largest = max(largest, arena[k])
    warmth = np.float32(1.0 / temperature)
    for k in range(0, levels, 16):
        exponentials(work, k, arena, at + k, largest, warmth)
    total = np.float32(0.0)
    for k in range(levels):
        total += work[k]
    threshold = np.float32(uniform) * total
    if math.isnan(threshold):
        return -1
    passed = np.float32(0.0)
    for k in range(levels):
        passed += work[k]
        if passed > threshold:
            return k
    return levels - 1


@kernel
def _amplitude(
    family: Any, tables: Any, arena: Any, at: int, noise: Any, temperature: float, work: Any
) -> int:
    """The level of a component's mean and a deviate of it; see `distributions.mixture`."""
    levels, linear, count = family[1], family[2], family[3]
    for k in range(at, at + 3 * count):
        if math.isnan(arena[k]):
            return -1
    chosen = _level(arena, at, count, noise[0], temperature, work)
    if chosen < 0:
        return -1
    smallest = tables[2, chosen]
    above = min(float(arena[at + 2 * count + chosen]), 10.0) + tables[1, chosen]
    scale = math.exp(smallest + max(above, 0.0) + math.log1p(math.exp(-abs(above))))
    mean = arena[at + count + chosen] + tables[0, chosen]
    top = levels - 1
    if linear:
        mean = min(max(mean, -1e4), 1e4)
    else:
        farthest = math.log1p(top * 1e4) / math.log1p(float(top))
        mean = min(max(mean, -farthest), farthest)
        mean = math.copysign(math.expm1(abs(mean) * math.log1p(float(top))) / top, mean)
    x = min(max(mean + temperature * scale * noise[1], -1.0), 1.0)
    if linear:
        code = math.floor(x * (0.5 * levels) + 0.5) + levels // 2
        return min(max(code, 0), top)
    companded = math.copysign(math.log1p(top * abs(x)) / math.log1p(float(top)), x)
    return math.floor((companded + 1.0) * (0.5 * top) + 0.5)
