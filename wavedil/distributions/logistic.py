"""Mixtures of logistics."""

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wavedil.distributions.mixture import Mixture
from wavedil.errors import Size


@dataclasses.dataclass(frozen=True)
class LogisticMixture(Mixture):
    """Discretised mixture of logistics: F(x) = 1 / (1 + exp(-x)).

    A `Mixture` whose components are logistics, the mass of a level taken in log space. For a < b

        log(F(b) - F(a)) = log F(b) + log(1 - F(a)) + log(1 - exp(a - b))

    where no term cancels against another, near the mean or in the tails, in a level much wider
    or much narrower than the scale; b - a is the level's own width.

    Args:
      num_components: Components, at least 1.
      levels: Levels of a sample, 2 to 65536.
      companding: Where the levels lie, "linear" or "mu_law".

    Shapes:
      parameters: [..., 3 num_components]: logits of the weights, means, log scales

    Raises:
      UserError: If a value is out of range.

    Example:
      >>> LogisticMixture(levels=256).log_prob(jnp.zeros(30), jnp.array(128)) / -jnp.log(2)     # bits
      Array(8.135611, dtype=float32)

    Reference: Salimans et al. 2017 (PixelCNN++), arXiv:1701.05517, section 2.1; van den Oord et al.
    2017 (Parallel WaveNet), arXiv:1711.10433, section 2.1.
    """

    num_components: Size = 10

    unit_deviation: ClassVar[float] = math.pi / math.sqrt(3.0)

    @staticmethod
    def _log_mass(
        lower: Float[Array, "..."], upper: Float[Array, "..."], width: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        return _log_mass(lower, upper, width)

    @staticmethod
    def _log_density(x: Float[Array, "..."]) -> Float[Array, "..."]:
        return -jax.nn.softplus(x) - jax.nn.softplus(-x)

    @staticmethod
    def _quantile(uniform: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.log(uniform) - jnp.log1p(-uniform)

    @staticmethod
    def _integral(x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.nn.softplus(x)


class _Mass(NamedTuple):
    """log p = log(F(upper) - F(lower)), and its derivatives as a function of the three arguments."""

    log: Array
    by_lower: Array
    by_upper: Array
    by_width: Array


@jax.custom_jvp
def _log_mass(
    lower: Float[Array, "..."], upper: Float[Array, "..."], width: Float[Array, "..."]
) -> Float[Array, "..."]:
    return _mass(lower, upper, width).log


@_log_mass.defjvp
def _log_mass_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    mass = _mass(*primals)
    lower_dot, upper_dot, width_dot = tangents
    change = mass.by_lower * lower_dot + mass.by_upper * upper_dot + mass.by_width * width_dot
    return mass.log, change


def _mass(
    lower: Float[Array, "..."], upper: Float[Array, "..."], width: Float[Array, "..."]
) -> _Mass:
    """All from three exponentials and one logarithm, which is half the time that automatic derivatives take.

    log F(b) = min(b, 0) - log(1 + exp(-|b|)), so exponents are never positive.
    """
    below, above = jnp.exp(-jnp.abs(lower)), jnp.exp(-jnp.abs(upper))
    # 1 - exp(-width), which keeps its digits in the narrowest level.
    inside = -jnp.expm1(-width)
    tails = jnp.minimum(upper, 0.0) - jnp.maximum(lower, 0.0)
    return _Mass(
        log=jnp.log(inside / ((1.0 + below) * (1.0 + above))) + tails,
        # -F(lower), 1 - F(upper), and exp(-width) / (1 - exp(-width)), of the same exponentials.
        by_lower=-jnp.where(lower < 0.0, below, 1.0) / (1.0 + below),
        by_upper=jnp.where(upper < 0.0, 1.0, above) / (1.0 + above),
        by_width=(1.0 - inside) / inside,
    )
