"""Mixtures of bell-shaped densities, as probabilities of the levels of a sample."""

import abc
import dataclasses
import functools
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Num, PRNGKeyArray

from wavedil.distributions.categorical import draw
from wavedil.distributions.protocol import at_levels, checked, extrapolated
from wavedil.errors import Size, require_size
from wavedil.quantizer import Companding, Quantizer

# The outermost levels reach to infinity. In float32 this is as far, for every scale up to the largest.
_FAR = 1e8
_MAX_LOG_SCALE = 10.0
_FARTHEST_MEAN = 1e4
# A scale of 1/16 of the narrowest level puts all but 0.001 bits of a component into one level.
_NARROWEST = 1 / 16


@dataclasses.dataclass(frozen=True)
class Mixture(abc.ABC):
    """Mixture of K components with means m_k and scales s_k over the levels of a sample.

    The probability of a level is the exact mass of the density between its edges, where the
    outermost levels reach to -infinity and infinity:

        log p(code) = log sum_k w_k [F((upper - m_k) / s_k) - F((lower - m_k) / s_k)]        (nats)

    F is the cumulative distribution of one component, the edges are those of
    `wavedil.quantizer.Quantizer`. From the network's outputs (a_k, b_k, c_k), in this order, come

        w = softmax(a),    m_k = C(b_k + (2 k + 1) / K - 1),    s_k = smallest + exp(c_k) s_0k

    with k from 0. Where levels are linear, C(y) = y; where they are mu-law, C is the inverse of the companding,

        C(y) = sign(y) ((1 + mu)^|y| - 1) / mu        (mu = levels - 1)

    so that a step of b moves a mean by as many levels wherever it is, near silence by a 46th of what it is near full
    scale (256 levels). At c = 0 the standard deviation is half of [C(2 k / K - 1), C((2 k + 2) / K - 1)], the part of
    [-1, 1] that is component k's. So zeros are a broad distribution: with ten components the levels cost 0.1 bits more
    than log2(levels) on average, none more than 1.3; with one component the density is nearly flat over [-1, 1].

    The smallest scale is 1/16 of the narrowest level. A narrower component would gain no likelihood,
    since its mass lies in one level already, while its gradients would grow without bound. At the
    largest, exp(10) s_0, only the two outermost levels are left. Means are kept within 10000 times full scale.

    At 65536 levels an edge near 1 is 30000 times its level's width. Edges are therefore kept as
    sums of two float32 numbers, and a width is never a difference of rounded positions. The log of
    a component's mass is then right to about 2e-6 max(1, |log mass|) for every level, mean and
    scale, and its gradients are finite.
    """

    num_components: Size
    levels: Size = 65536
    companding: Companding = "linear"

    unit_deviation: ClassVar[float]
    """Standard deviation of a component of scale 1."""

    def __post_init__(self) -> None:
        # A value out of range raises; of NumPy's integers Python's are kept.
        object.__setattr__(self, "levels", self.quantizer.levels)
        number = require_size("num_components", self.num_components)
        object.__setattr__(self, "num_components", number)

    @property
    def quantizer(self) -> Quantizer:
        """The levels and their edges."""
        return Quantizer(self.levels, self.companding)

    @property
    def num_outputs(self) -> int:
        """Numbers that the network outputs for each sample: weight, mean and scale of each component."""
        return 3 * self.num_components

    def log_prob(
        self, parameters: Float[Array, "..."], codes: Num[Array, "..."]
    ) -> Float[Array, "..."]:
        """Log-probability of each code in nats; divide by -log 2 for bits."""
        logits, means, log_scales = self._components(checked(self, parameters, codes))
        inverse = jnp.exp(-log_scales)
        coarse, fine = (jnp.asarray(table, means.dtype) for table in _edge_tables(self.quantizer))

        def log_prob(codes: Array) -> Array:
            index = codes[..., None]
            # Each edge is coarse + fine. The coarse difference is taken first, and its fine rest added: near the
            # mean, and between two neighbouring edges, nothing is left of the large numbers to round.
            lower, lower_rest = coarse[index], fine[index]
            upper, upper_rest = coarse[index + 1], fine[index + 1]
            log_mass = self._log_mass(
                ((lower - means) + lower_rest) * inverse,
                ((upper - means) + upper_rest) * inverse,
                ((upper - lower) + (upper_rest - lower_rest)) * inverse,
            )
            return _mixed(logits, log_mass)

        return at_levels(log_prob, codes, self.quantizer)

    def log_density(
        self, parameters: Float[Array, "..."], amplitudes: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """Log of the continuous density, in nats per unit of amplitude.

        It may be above 0, says nothing about levels, and is never bits per
        sample: for those there is `log_prob`.
        """
        logits, means, log_scales = self._components(checked(self, parameters, amplitudes))
        distances = (amplitudes.astype(means.dtype)[..., None] - means) * jnp.exp(-log_scales)
        return _mixed(logits, self._log_density(distances) - log_scales)

    def sample(
        self,
        key: PRNGKeyArray,
        parameters: Float[Array, "..."],
        temperature: float | Float[Array, ""] = 1.0,
    ) -> Int[Array, "..."]:
        """Codes: a component by its weight, an amplitude from it, and the level of that.

        Args:
          key: Random key; the same key and parameters give the same codes.
          parameters: The outputs of the network.
          temperature: Logits of the weights are divided by it, scales multiplied.
        """
        parameters = checked(self, parameters)
        logits, means, log_scales = self._components(parameters)
        uniform, deviate = self.noise(key, logits.shape[:-1], logits.dtype)
        chosen = draw(logits, uniform, temperature)[..., None]
        mean = jnp.take_along_axis(means, chosen, axis=-1)[..., 0]
        scale = jnp.exp(jnp.take_along_axis(log_scales, chosen, axis=-1)[..., 0])
        codes = _nearest_code(self.quantizer, mean + temperature * scale * deviate)
        unknown = jnp.isnan(parameters).any(axis=-1) | (chosen[..., 0] < 0)
        return jnp.where(unknown, -1, codes)

    def noise(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: Any = jnp.float32
    ) -> Float[Array, "2 ..."]:
        """What `sample` draws with: a uniform number that chooses a component, and a deviate of one of scale 1."""
        # Never 0, where the quantile would be infinite; the other end is as far from 1.
        uniform = jax.random.uniform(key, (2, *shape), dtype, minval=2.0**-24, maxval=1.0)
        return jnp.stack([uniform[0], self._quantile(uniform[1])])

    def mean(self, parameters: Float[Array, "..."]) -> Float[Array, "..."]:
        """Expected amplitude, clipped to [-1, 1] as recordings are but not rounded to a level.

        E clip(x) = 1 - integral of F from -1 to 1, for each component
        """
        logits, means, log_scales = self._components(checked(self, parameters))
        scales = jnp.exp(log_scales)
        # By symmetry for a mean of at least 0, whose mass near 1 is then the smaller term. No jnp.abs or jnp.sign,
        # whose derivatives at 0 are 0.
        side = jnp.where(means < 0.0, -1.0, 1.0)
        distance = side * means
        area = self._integral((1.0 - distance) / scales) - self._integral(
            (-1.0 - distance) / scales
        )
        clipped = side * (1.0 - scales * area)
        return jnp.sum(jax.nn.softmax(logits, axis=-1) * clipped, axis=-1)

    @property
    def num_guided(self) -> int:
        """The first numbers of the outputs, which guidance extrapolates: logits of the weights, and means."""
        return 2 * self.num_components

    def guided(
        self, labelled: Float[Array, "..."], unlabelled: Float[Array, "..."], guidance: Any
    ) -> Float[Array, "..."]:
        """Logits of the weights and means extrapolated, component by component; above 1 the labelled scales.

        For one Gaussian of equal scales that is p_labelled^guidance p_unlabelled^(1 - guidance). Of other scales that
        product may have no finite integral: where the unlabelled density is the narrower one, it grows without bound.
        """
        return extrapolated(labelled, unlabelled, guidance, self.num_guided)

    def _components(self, parameters: Float[Array, "..."]) -> list[Float[Array, "..."]]:
        """Logits of the weights, means, and logarithms of the scales."""
        logits, means, log_scales = jnp.split(parameters, 3, axis=-1)
        centres, start, smallest = self.starts()

        def beside_means(values: Any) -> Array:
            return jnp.broadcast_to(jnp.asarray(values, means.dtype), means.shape)

        # log s = log(smallest + exp(c) s_0), with c + log s_0 taken relative to log smallest.
        above = jnp.minimum(log_scales, _MAX_LOG_SCALE) + beside_means(start)
        # log(smallest + exp(c) s_0); jnp.logaddexp, which minds infinities, would double the time of the loss.
        log_scales = smallest + jnp.maximum(above, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(above)))
        means = self._expanded(means + beside_means(centres), jnp)
        return [logits, means, log_scales]

    def starts(self) -> tuple[np.ndarray, np.ndarray, float]:
        """b and log(s_0 / smallest) of every component at zero outputs, and log(smallest)."""
        number = self.num_components
        centres = (2.0 * np.arange(number) + 1.0) / number - 1.0
        # Every component begins in the middle of its own K-th part of the levels, as broad as that part.
        parts = np.diff(self._expanded(np.linspace(-1.0, 1.0, number + 1), np))
        smallest = math.log(_NARROWEST * _narrowest_width(self.quantizer))
        return centres, np.log(0.5 * parts / self.unit_deviation) - smallest, smallest

    def _expanded(self, y: Any, numpy: Any) -> Any:
        """C(y), within 10000 times full scale; of arrays of NumPy or JAX."""
        if self.companding == "linear":
            return numpy.clip(y, -_FARTHEST_MEAN, _FARTHEST_MEAN)
        mu = self.levels - 1
        # The bound in companded numbers, before the exponential could overflow.
        farthest = math.log1p(mu * _FARTHEST_MEAN) / math.log1p(mu)
        y = numpy.clip(y, -farthest, farthest)
        side = numpy.where(y < 0.0, -1.0, 1.0)
        return side * numpy.expm1(side * y * math.log1p(mu)) / mu

    @staticmethod
    @abc.abstractmethod
    def _log_mass(
        lower: Float[Array, "..."], upper: Float[Array, "..."], width: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """log(F(upper) - F(lower)) at scale 1; `width` is upper - lower without its rounding."""

    @staticmethod
    @abc.abstractmethod
    def _log_density(x: Float[Array, "..."]) -> Float[Array, "..."]:
        """log F'(x)."""

    @staticmethod
    @abc.abstractmethod
    def _quantile(uniform: Float[Array, "..."]) -> Float[Array, "..."]:
        """The x of F(x) = uniform."""

    @staticmethod
    @abc.abstractmethod
    def _integral(x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Integral of F from -infinity to x."""


def _mixed(logits: Float[Array, "..."], log_values: Float[Array, "..."]) -> Float[Array, "..."]:
    """log sum_k softmax(logits)_k exp(log_values_k)."""
    # The normaliser of the weights comes off at the end: two sums over components and no softmax.
    total = jax.nn.logsumexp(logits + log_values, axis=-1)
    return total - jax.nn.logsumexp(logits, axis=-1)


@functools.lru_cache(maxsize=8)
def _edge_tables(
    quantizer: Quantizer,
) -> tuple[Float32[np.ndarray, " edges"], Float32[np.ndarray, " edges"]]:
    """Edges as coarse + fine, so that at 65536 levels a width keeps 7 digits; entry k is below level k."""
    # In float64, of which the two float32 hold 48 bits.
    edges = np.concatenate([[-_FAR], quantizer.edges, [_FAR]])
    coarse = edges.astype(np.float32)
    return coarse, (edges - coarse).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _narrowest_width(quantizer: Quantizer) -> float:
    return float(np.diff(quantizer.edges).min(initial=1.0))


def _nearest_code(quantizer: Quantizer, x: Float[Array, "*samples"]) -> Int[Array, "*samples"]:
    """`quantizer.encode` in JAX; within rounding of an edge, either of the levels beside it."""
    top = quantizer.levels - 1
    x = jnp.clip(x, -1.0, 1.0)
    if quantizer.companding == "linear":
        codes = jnp.floor(x * (0.5 * quantizer.levels) + 0.5).astype(jnp.int32) + quantizer.silence
        return jnp.clip(codes, 0, top)
    companded = jnp.sign(x) * jnp.log1p(top * jnp.abs(x)) / math.log1p(top)
    return jnp.floor((companded + 1.0) * (0.5 * top) + 0.5).astype(jnp.int32)
