"""Output distributions over the levels of a sample: one protocol, one quantizer; and over vectors."""

from .categorical import Categorical as Categorical
from .gaussian import GaussianMixture as GaussianMixture
from .logistic import LogisticMixture as LogisticMixture
from .protocol import Distribution as Distribution
from .registry import DISTRIBUTIONS as DISTRIBUTIONS
from .registry import make as make
from .vectors import VectorMixture as VectorMixture
