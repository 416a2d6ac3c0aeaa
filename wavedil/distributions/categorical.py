"""Any distribution over the levels: one logit for each."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num, PRNGKeyArray

from wavedil.distributions.protocol import at_levels, checked, extrapolated
from wavedil.errors import Size
from wavedil.quantizer import Companding, Quantizer


@dataclasses.dataclass(frozen=True)
class Categorical:
    """Softmax over the levels of a sample.

    log p(code) = parameters[code] - log sum_k exp(parameters[k])        (nats)

    Zeros for parameters are the uniform distribution: log2(levels) bits per sample.

    Args:
      levels: Levels of a sample, 2 to 65536.
      companding: Where the levels lie, "mu_law" or "linear"; only `mean` depends on it.

    Raises:
      UserError: If a value is out of range.

    Example:
      >>> Categorical(levels=4).log_prob(jnp.zeros(4), jnp.array(2))       # -log 4
      Array(-1.3862944, dtype=float32)

    Reference: van den Oord et al. 2016, arXiv:1609.03499, section 2.2.
    """

    levels: Size = 256
    companding: Companding = "mu_law"

    def __post_init__(self) -> None:
        # A value out of range raises; of NumPy's integers Python's are kept.
        object.__setattr__(self, "levels", self.quantizer.levels)

    @property
    def quantizer(self) -> Quantizer:
        """The levels and their edges."""
        return Quantizer(self.levels, self.companding)

    @property
    def num_outputs(self) -> int:
        """Numbers that the network outputs for each sample."""
        return self.levels

    def log_prob(
        self, parameters: Float[Array, "..."], codes: Num[Array, "..."]
    ) -> Float[Array, "..."]:
        """Log-probability of each code in nats; divide by -log 2 for bits."""
        logits = checked(self, parameters, codes)

        def log_prob(codes: Array) -> Array:
            chosen = jnp.take_along_axis(logits, codes[..., None], axis=-1)[..., 0]
            return chosen - jax.nn.logsumexp(logits, axis=-1)

        return at_levels(log_prob, codes, self.quantizer)

    def sample(
        self,
        key: PRNGKeyArray,
        parameters: Float[Array, "..."],
        temperature: float | Float[Array, ""] = 1.0,
    ) -> Int[Array, "..."]:
        """Codes drawn by inverting the cumulative distribution, one uniform number each.

        Args:
          key: Random key; the same key and parameters give the same codes.
          parameters: Logits.
          temperature: Logits are divided by it; below 1 likely levels become likelier.
        """
        logits = checked(self, parameters)
        return draw(logits, self.noise(key, logits.shape[:-1], logits.dtype)[0], temperature)

    def noise(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: Any = jnp.float32
    ) -> Float[Array, "1 ..."]:
        """What `sample` draws with: a uniform number in [0, 1)."""
        return jax.random.uniform(key, shape, dtype)[None]

    def mean(self, parameters: Float[Array, "..."]) -> Float[Array, "..."]:
        """Expected amplitude of the level, in [-1, 1]."""
        logits = checked(self, parameters)
        amplitudes = self.quantizer.decode(np.arange(self.levels))
        return jax.nn.softmax(logits, axis=-1) @ jnp.asarray(amplitudes, logits.dtype)

    @property
    def num_guided(self) -> int:
        """The first numbers of the outputs, which guidance extrapolates: all."""
        return self.num_outputs

    def guided(
        self, labelled: Float[Array, "..."], unlabelled: Float[Array, "..."], guidance: Any
    ) -> Float[Array, "..."]:
        """Logits of p_labelled^guidance p_unlabelled^(1 - guidance), exactly."""
        return extrapolated(labelled, unlabelled, guidance, self.num_guided)


def draw(
    logits: Float[Array, "*samples choices"],
    uniform: Float[Array, "*samples"],
    temperature: float | Float[Array, ""],
) -> Int[Array, "*samples"]:
    """The choice at which the cumulative softmax of logits / temperature passes `uniform` in [0, 1); -1 for NaN."""
    # Without the largest logit no exponential overflows; the total takes the place of normalising.
    shifted = logits - jnp.max(logits, axis=-1, keepdims=True)
    cumulative = jnp.cumsum(jnp.exp(shifted / temperature), axis=-1)
    threshold = uniform * cumulative[..., -1]
    choices = jnp.sum(cumulative <= threshold[..., None], axis=-1)
    # A number next to 1 times the total may round up to the total, past the last choice.
    choices = jnp.minimum(choices, logits.shape[-1] - 1).astype(jnp.int32)
    return jnp.where(jnp.isnan(threshold), -1, choices)
