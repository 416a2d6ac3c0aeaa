"""Output distributions over the levels of a sample."""

from wavedil.distributions.categorical import Categorical as Categorical
