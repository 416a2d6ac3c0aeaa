"""The families of output distributions by name, as settings name them."""

from typing import Literal, get_args

from wavedil.distributions.categorical import Categorical
from wavedil.distributions.gaussian import GaussianMixture
from wavedil.distributions.logistic import LogisticMixture
from wavedil.distributions.protocol import Distribution
from wavedil.errors import UserError
from wavedil.levels import Scale
from wavedil.mu_law import require_known

Family = Literal["categorical", "logistic", "gaussian"]


def make(
    family: Family, levels: int, scale: Scale, num_components: int | None = None
) -> Distribution:
    """The distribution of that family over these levels.

    Args:
      family: "categorical", "logistic" (a mixture of logistics) or "gaussian" (a mixture of Gaussians).
      levels: Levels of a sample, 2 to 65536.
      scale: Where the levels lie, "mu_law" or "linear".
      num_components: Components of a mixture; by default 10 logistics or 1 Gaussian. A categorical has none.

    Raises:
      UserError: If a name is unknown or a value out of range.
    """
    require_known("family of distributions", family, get_args(Family))
    if family == "categorical":
        if num_components is not None:
            raise UserError(
                f"num_components is {num_components}, but a categorical distribution has none; "
                "leave it out, or choose 'logistic' or 'gaussian'"
            )
        return Categorical(levels, scale)
    mixture = LogisticMixture if family == "logistic" else GaussianMixture
    if num_components is None:
        return mixture(levels=levels, scale=scale)
    return mixture(num_components, levels, scale)
