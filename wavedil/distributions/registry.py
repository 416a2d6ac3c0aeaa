"""The output distributions by name, as settings name them; none is loaded before it is made."""

import inspect
import pkgutil
from typing import TYPE_CHECKING

from wavedil.errors import UserError, require_known
from wavedil.quantizer import Companding

if TYPE_CHECKING:
    from wavedil.distributions.protocol import Distribution

DISTRIBUTIONS = {
    "categorical": "wavedil.distributions.categorical:Categorical",
    "logistic": "wavedil.distributions.logistic:LogisticMixture",
    "gaussian": "wavedil.distributions.gaussian:GaussianMixture",
}
"""Name -> where its class is. One of your own: `DISTRIBUTIONS["laplace"] = "my_module:LaplaceMixture"`."""


def make(
    name: str, levels: int, companding: Companding, num_components: int | None = None
) -> "Distribution":
    """The distribution of that name over these levels.

    Args:
      name: "categorical", "logistic" (a mixture of logistics) or "gaussian" (a mixture of Gaussians), or one of
        your own in `DISTRIBUTIONS`.
      levels: Levels of a sample, 2 to 65536.
      companding: Where the levels lie, "mu_law" or "linear".
      num_components: Components of a mixture; None: as many as it has by default.

    Raises:
      UserError: If the name is unknown or a value out of range.
    """
    require_known("output distribution", name, DISTRIBUTIONS)
    kind = pkgutil.resolve_name(DISTRIBUTIONS[name])
    components = {} if num_components is None else {"num_components": num_components}
    if components and "num_components" not in inspect.signature(kind).parameters:
        raise UserError(
            f"num_components is {num_components}, but a {name} distribution has none; leave it out"
        )
    distribution: Distribution = kind(levels=levels, companding=companding, **components)
    return distribution
