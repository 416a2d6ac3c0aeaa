"""Training: settings, the pure update, the loop around it, checkpoints and metrics; it knows nothing of tasks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
