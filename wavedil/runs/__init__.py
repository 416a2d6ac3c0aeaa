"""Training runs: their configuration and folder, how they start, and how a trained model is scored."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
