"""Any distribution over the levels: one logit for each."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray


@dataclasses.dataclass(frozen=True)
class Categorical:
    """Softmax over the levels of a sample.

    log p(code) = parameters[code] - log sum_k exp(parameters[k])        (nats)

    Args:
      levels: Levels of a sample, at least 2.

    Example:
      >>> Categorical(levels=4).log_prob(jnp.zeros(4), jnp.array(2))       # -log 4
      Array(-1.3862944, dtype=float32)

    Reference: van den Oord et al. 2016, arXiv:1609.03499, section 2.2.
    """

    levels: int = 256

    @property
    def num_parameters(self) -> int:
        """Numbers that the network gives for each sample."""
        return self.levels

    def log_prob(
        self, parameters: Float[Array, "*samples levels"], codes: Int[Array, "*samples"]
    ) -> Float[Array, "*samples"]:
        """Log-probability of each code in nats; divide by -log 2 for bits."""
        chosen = jnp.take_along_axis(parameters, codes[..., None], axis=-1)[..., 0]
        return chosen - jax.nn.logsumexp(parameters, axis=-1)

    def sample(
        self,
        key: PRNGKeyArray,
        parameters: Float[Array, "*samples levels"],
        temperature: float | Float[Array, ""] = 1.0,
    ) -> Int[Array, "*samples"]:
        """Codes drawn by inverting the cumulative distribution, one uniform number each.

        Args:
          key: Random key; the same key and parameters give the same codes.
          parameters: Logits.
          temperature: Logits are divided by it; below 1 likely levels become likelier.
        """
        shifted = parameters - jnp.max(parameters, axis=-1, keepdims=True)
        cumulative = jnp.cumsum(jnp.exp(shifted / temperature), axis=-1)
        threshold = jax.random.uniform(key, parameters.shape[:-1]) * cumulative[..., -1]
        codes = jnp.sum(cumulative <= threshold[..., None], axis=-1)
        return jnp.minimum(codes, self.levels - 1).astype(jnp.int32)
