"""WaveNet-style audio models in JAX: dilated causal convolutions, trained on recordings.

Names load when they are first used, so that `wavedil.receptive_field`,
`wavedil.mu_law` and the settings do without JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
