"""Output distributions over the levels of a sample: one protocol, three families, one grid of levels."""

from wavedil.distributions.categorical import Categorical as Categorical
from wavedil.distributions.families import Family as Family
from wavedil.distributions.families import make as make
from wavedil.distributions.gaussian import GaussianMixture as GaussianMixture
from wavedil.distributions.logistic import LogisticMixture as LogisticMixture
from wavedil.distributions.protocol import Distribution as Distribution
