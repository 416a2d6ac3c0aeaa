"""Mixtures of Gaussians."""

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wavedil.distributions.mixture import Mixture
from wavedil.errors import Size

_ROOT_2_PI = math.sqrt(2.0 * math.pi)
# (x + 1.6) (1 - F(x)) / F'(x) as a polynomial in (x - 3.75) / (x + 3.75), x >= 0: Chebyshev interpolation of
# degree 10, relative error 1.3e-8.
_MILLS = (
    1.341571946,
    -0.5125807747,
    0.2084257649,
    -0.01730862784,
    -0.0418467251,
    0.02901608485,
    -0.006575511585,
    -0.001872142849,
    0.001210349909,
    9.415777296e-05,
    -0.0001345334428,
)


@dataclasses.dataclass(frozen=True)
class GaussianMixture(Mixture):
    """Discretised mixture of Gaussians: F(x) = integral of exp(-t^2 / 2) / sqrt(2 pi) up to x.

    A `Mixture` whose components are Gaussians; `_log_mass` takes the mass of a level in log space.

    Args:
      num_components: Components, at least 1. One is the output of ClariNet's teacher.
      levels: Levels of a sample, 2 to 65536.
      companding: Where the levels lie, "linear" or "mu_law".

    Shapes:
      parameters: [..., 3 num_components]: logits of the weights, means, log standard deviations

    Raises:
      UserError: If a value is out of range.

    Example:
      >>> GaussianMixture(levels=256).log_prob(jnp.zeros(3), jnp.array(128)) / -jnp.log(2)      # bits
      Array(8.326456, dtype=float32)

    Reference: Ping et al. 2018 (ClariNet), arXiv:1807.07281, section 3.1.
    """

    num_components: Size = 1

    unit_deviation: ClassVar[float] = 1.0

    @staticmethod
    def _log_mass(
        lower: Float[Array, "..."], upper: Float[Array, "..."], width: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        return _log_mass(lower, upper, width)

    @staticmethod
    def _log_density(x: Float[Array, "..."]) -> Float[Array, "..."]:
        return -0.5 * jnp.square(x) - math.log(_ROOT_2_PI)

    @staticmethod
    def _quantile(uniform: Float[Array, "..."]) -> Float[Array, "..."]:
        return math.sqrt(2.0) * jax.lax.erf_inv(2.0 * uniform - 1.0)

    @staticmethod
    def _integral(x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x * jax.scipy.special.ndtr(x) + jnp.exp(-0.5 * jnp.square(x)) / _ROOT_2_PI


class _Mass(NamedTuple):
    """log p = log(F(upper) - F(lower)) and its derivatives, after reflection into the upper half."""

    log: Array
    reflected: Array
    by_near: Array
    """Derivative by the edge nearer to the mean, at constant width."""
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
    near_dot = jnp.where(mass.reflected, -upper_dot, lower_dot)
    return mass.log, mass.by_near * near_dot + mass.by_width * width_dot


def _mass(
    lower: Float[Array, "..."], upper: Float[Array, "..."], width: Float[Array, "..."]
) -> _Mass:
    """The mass between two edges without cancellation: two forms, each exact where it is taken.

    By symmetry the level lies at near .. far with far >= |near|, its middle m >= 0, half its width h.
    With Q = 1 - F, the density f = F' and Mills' ratio R = Q / f, which varies slowly,

        wide     p = Q(near) - Q(far) = f(near) R(near) - f(far) R(far)       (near >= 0)
                 p = 1 - Q(-near) - Q(far)                                    (near < 0)
        narrow   p = 2 h f(m) [1 + He_2(m) h^2 / 3! + He_4(m) h^4 / 5! + He_6(m) h^6 / 7! + ...]

    "narrow" means width far < 1/4. There the series, Taylor's around the middle, is right to 1e-7
    with these terms; elsewhere the wide form loses at most three bits to the subtraction. f(far) / f(near) =
    exp(-width m) is known without subtracting squares. All is relative to f(base), and base^2 / 2 is
    subtracted at the end, so that neither form underflows however far the tail.
    """
    # Reflected so that the middle is at least 0: every tail is then the upper one, Q small.
    reflected = lower + upper < 0.0
    near = jnp.where(reflected, -upper, lower)
    far = jnp.where(reflected, -lower, upper)
    middle = 0.5 * (near + far)
    narrow = width * far < 0.25
    # 0 for wide levels, so that the series stays finite where it is not taken.
    half = jnp.where(narrow, 0.5 * width, 0.0)
    base = jnp.where(narrow, middle, jnp.maximum(near, 0.0))
    # f(near) and f(far), relative to f(base).
    log_near = jnp.where(
        narrow, half * (middle - 0.5 * half), -0.5 * jnp.square(jnp.minimum(near, 0.0))
    )
    at_near = jnp.exp(log_near)
    # f(far) - f(near) over f(near), without a difference of two nearly equal numbers.
    falling = jnp.expm1(-width * middle)
    at_far = at_near * (1.0 + falling)
    beyond_near, beyond_far = at_near * _mills_ratio(jnp.abs(near)), at_far * _mills_ratio(far)
    # All in units of f(base); across the mean 1 is sqrt(2 pi) f(0).
    wide_mass = jnp.where(near < 0.0, _ROOT_2_PI - beyond_near, beyond_near) - beyond_far
    mass = jnp.where(narrow, width * _mean_density(middle * half, half), wide_mass)
    return _Mass(
        log=jnp.log(mass) - 0.5 * jnp.square(base) - math.log(_ROOT_2_PI),
        reflected=reflected,
        # d p / d near = f(far) - f(near) at a constant width, and d p / d width = f(far).
        by_near=at_near * falling / mass,
        by_width=at_far / mass,
    )


def _mean_density(
    middle_half: Float[Array, "..."], half: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Mean of f over middle -+ half, relative to f(middle); in u = (middle half)^2 and v = half^2."""
    u, v = jnp.square(middle_half), jnp.square(half)
    second = u - v
    fourth = u * (u - 6.0 * v) + 3.0 * v * v
    sixth = u * (u * (u - 15.0 * v) + 45.0 * v * v) - 15.0 * v * v * v
    return 1.0 + second / 6.0 + fourth / 120.0 + sixth / 5040.0


def _mills_ratio(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """(1 - F(x)) / F'(x) for x >= 0: from sqrt(pi / 2) at 0 down to 1 / x."""
    q = (x - 3.75) / (x + 3.75)
    # Horner's rule, highest power first.
    value = jnp.full_like(q, _MILLS[-1])
    for coefficient in reversed(_MILLS[:-1]):
        value = value * q + coefficient
    return value / (x + 1.6)
