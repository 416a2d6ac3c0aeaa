"""Mixtures of Gaussians over vectors, such as frames of features: densities, not probabilities of levels."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from wavedil.distributions.categorical import draw
from wavedil.distributions.protocol import extrapolated
from wavedil.errors import Size, UserError, require_size

# Of numbers that are standardised. Without a floor, a band that is silent again and again would have endless density.
_SMALLEST_SCALE = math.exp(-3.0)
_MAX_LOG_SCALE = 10.0


@dataclasses.dataclass(frozen=True)
class VectorMixture:
    """Mixture of K Gaussians over vectors of D numbers, which within a component are independent.

        log p(x) = log sum_k w_k prod_d N(x_d; m_kd, s_kd)        (nats)

    From the network's outputs (a_k, b_kd, c_kd), in this order, come

        w = softmax(a),    m = b,    s = exp(-3) + exp(c)

    One component is chosen for the whole vector, so that its numbers go together.

    Args:
      num_dimensions: Numbers of a vector.
      num_components: Components, at least 1.

    Shapes:
      parameters: [..., K (1 + 2 D)]
      vectors: [..., D]

    Raises:
      UserError: If a number is below 1.

    Example:
      >>> VectorMixture(2, 1).log_prob(jnp.zeros(5), jnp.zeros(2))      # -2 log(sqrt(2 pi) (1 + exp(-3)))
      Array(-1.9350561, dtype=float32)

    Reference: Bishop 1994, "Mixture density networks"; over frames of a voice: Blaauw and Bonada 2017,
    arXiv:1704.03809, whose mixture has four components and is tied by four outputs.
    """

    num_dimensions: Size
    num_components: Size = 8

    def __post_init__(self) -> None:
        for name in ("num_dimensions", "num_components"):
            object.__setattr__(self, name, require_size(name, getattr(self, name)))

    @property
    def num_outputs(self) -> int:
        """Numbers that the network outputs for each vector."""
        return self.num_components * (1 + 2 * self.num_dimensions)

    @property
    def num_guided(self) -> int:
        """The first numbers of the outputs, which guidance extrapolates: logits of the weights, and means."""
        return self.num_components * (1 + self.num_dimensions)

    def log_prob(
        self, parameters: Float[Array, "..."], vectors: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """Log-density of each vector in nats."""
        logits, means, scales = self._components(parameters)
        distances = (vectors[..., None, :] - means) / scales
        exponents = 0.5 * jnp.square(distances) + jnp.log(scales) + 0.5 * math.log(2.0 * math.pi)
        weighted = jax.nn.log_softmax(logits, axis=-1) - jnp.sum(exponents, axis=-1)
        return jax.nn.logsumexp(weighted, axis=-1)

    def sample(
        self,
        key: PRNGKeyArray,
        parameters: Float[Array, "..."],
        temperature: float | Float[Array, ""] = 1.0,
    ) -> Float[Array, "..."]:
        """Vectors: a component by its weight, and a vector from it.

        Args:
          key: Random key; the same key and parameters give the same vectors.
          parameters: The outputs of the network.
          temperature: Logits of the weights are divided by it, scales multiplied.
        """
        logits, means, scales = self._components(parameters)
        of_choice, of_deviates = jax.random.split(key)
        uniform = jax.random.uniform(of_choice, logits.shape[:-1], logits.dtype)
        chosen = draw(logits, uniform, temperature)[..., None, None]
        mean, scale = (
            jnp.take_along_axis(each, chosen, axis=-2)[..., 0, :] for each in (means, scales)
        )
        return mean + temperature * scale * jax.random.normal(of_deviates, mean.shape, mean.dtype)

    def guided(
        self, labelled: Float[Array, "..."], unlabelled: Float[Array, "..."], guidance: Any
    ) -> Float[Array, "..."]:
        """As `Mixture.guided`: logits of the weights and means extrapolated; above 1 the labelled scales."""
        return extrapolated(labelled, unlabelled, guidance, self.num_guided)

    def _components(
        self, parameters: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]:
        """Logits [..., K], means and scales [..., K, D], in at least float32."""
        if parameters.ndim == 0 or parameters.shape[-1] != self.num_outputs:
            raise UserError(
                f"parameters have shape {parameters.shape}, but the last axis of VectorMixture holds "
                f"{self.num_outputs}; give the network's output num_outputs channels"
            )
        parameters = parameters.astype(np.promote_types(parameters.dtype, np.float32))
        count = self.num_components
        shape = (*parameters.shape[:-1], count, self.num_dimensions)
        means, log_scales = (
            part.reshape(shape) for part in jnp.split(parameters[..., count:], 2, axis=-1)
        )
        scales = _SMALLEST_SCALE + jnp.exp(jnp.minimum(log_scales, _MAX_LOG_SCALE))
        return parameters[..., :count], means, scales
