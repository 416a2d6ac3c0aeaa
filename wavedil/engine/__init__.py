"""The compiled engine: causal networks in real time on a CPU, sample by sample or block by block."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
