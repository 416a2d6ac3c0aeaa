"""The protocol of output distributions, and the checks of their arguments."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num, PRNGKeyArray

from wavedil.errors import UserError
from wavedil.mu_law import in_range
from wavedil.quantizer import Companding, Quantizer


@runtime_checkable
class Distribution(Protocol):
    """A distribution over the levels of one sample, with parameters that a network gives.

    All families put probability on the same levels, `wavedil.quantizer.Quantizer(levels, companding)`, and the
    probabilities of all its levels sum to 1. Bits per sample, `-log_prob / log 2`, therefore
    compare between families wherever the number of levels and the companding are the same.

    Zeros for parameters are a broad distribution, so that an untrained network loses no more than
    it must.

    Shapes:
      parameters: [..., num_outputs], float32 (a lower precision is raised to it)
      codes, amplitudes: [...]
    """

    @property
    def levels(self) -> int:
        """Levels of a sample."""

    @property
    def companding(self) -> Companding:
        """Where the levels lie: "mu_law" or "linear"."""

    @property
    def num_outputs(self) -> int:
        """Numbers that the network outputs for each sample."""

    def log_prob(
        self, parameters: Float[Array, "..."], codes: Num[Array, "..."]
    ) -> Float[Array, "..."]:
        """Log-probability of each code in nats; divide by -log 2 for bits.

        Raises:
          UserError: If the last axis is not `num_outputs`, the other axes are not those of the
            codes, or the codes are not integers. A code that is none of 0 .. levels - 1 gives NaN, and no gradient.
        """

    def sample(
        self,
        key: PRNGKeyArray,
        parameters: Float[Array, "..."],
        temperature: float | Float[Array, ""] = 1.0,
    ) -> Int[Array, "..."]:
        """Codes drawn at random; the same key and parameters give the same codes, and NaN parameters the code -1.

        Args:
          key: Random key.
          parameters: The outputs of the network.
          temperature: Above 0. At 1 codes have the probabilities of `log_prob`; below, likely ones become
            likelier. Logits are divided by it, and the scales of a mixture's components multiplied: towards
            0 a categorical draws its likeliest level, and a mixture the mean of its weightiest component.
        """

    def mean(self, parameters: Float[Array, "..."]) -> Float[Array, "..."]:
        """Expected amplitude, in [-1, 1]."""

    def guided(
        self, labelled: Float[Array, "..."], unlabelled: Float[Array, "..."], guidance: Any
    ) -> Float[Array, "..."]:
        """Parameters of p_labelled^guidance p_unlabelled^(1 - guidance), normalised, or of what is near it.

        A family without this is drawn from as it is, and not guided.

        Args:
          labelled: The outputs of the network, given the labels.
          unlabelled: Its outputs without labels.
          guidance: At 0 those without labels, at 1 those with, above 1 further on the same way.
        """


def checked(
    distribution: Distribution,
    parameters: Float[Array, "..."],
    samples: Num[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """The parameters in at least float32; an error where their shape is not the distribution's."""
    name, wanted = type(distribution).__name__, distribution.num_outputs
    if parameters.ndim == 0 or parameters.shape[-1] != wanted:
        raise UserError(
            f"parameters have shape {parameters.shape}, but the last axis of {name} holds {wanted}; "
            "give the network's output num_outputs channels"
        )
    if samples is not None and samples.shape != parameters.shape[:-1]:
        raise UserError(
            f"parameters of shape {parameters.shape} are for samples of shape {parameters.shape[:-1]}, "
            f"but the samples have shape {samples.shape}; give one row of parameters for each sample"
        )
    return parameters.astype(np.promote_types(parameters.dtype, np.float32))


def at_levels(
    log_prob: Callable[[Array], Array], codes: Num[Array, "..."], quantizer: Quantizer
) -> Float[Array, "..."]:
    """`log_prob(codes)` of int32 codes that are levels, and NaN in place of those that are none.

    Where a code is none nothing flows back, so that a loss may leave such samples out.

    Raises:
      UserError: If the codes are not integers.
    """
    if not jnp.issubdtype(codes.dtype, jnp.integer):
        raise UserError(
            f"codes are {codes.dtype}, but codes are integers 0 to {quantizer.levels - 1}; "
            f"encode amplitudes with wavedil.quantizer.Quantizer({quantizer.levels}, {quantizer.companding!r})"
        )
    known = in_range(codes, quantizer.levels)
    return jnp.where(known, log_prob(jnp.where(known, codes, 0).astype(jnp.int32)), jnp.nan)


def extrapolated(
    labelled: Float[Array, "..."],
    unlabelled: Float[Array, "..."],
    guidance: Float[Array, ""] | float,
    count: int,
) -> Float[Array, "..."]:
    """unlabelled + guidance (labelled - unlabelled) of the first numbers of the last axis.

    The others, scales, go that way as far as the labelled ones and no further.
    """
    change = labelled - unlabelled
    near = jnp.minimum(guidance, 1.0)
    moved = jnp.concatenate([guidance * change[..., :count], near * change[..., count:]], axis=-1)
    return unlabelled + moved
