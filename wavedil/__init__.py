"""WaveNet-style audio models in JAX: dilated causal convolutions, trained on recordings.

Names load when they are first used, so that `wavedil.receptive_field`,
`wavedil.mu_law` and the settings do without JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wavedil import audio as audio
    from wavedil import distributions as distributions
    from wavedil import features as features
    from wavedil import levels as levels
    from wavedil import mu_law as mu_law
    from wavedil import nn as nn
    from wavedil import ops as ops
    from wavedil import receptive_field as receptive_field
    from wavedil.errors import UserError as UserError
    from wavedil.formats.saved_model import load as load
    from wavedil.formats.saved_model import save as save
    from wavedil.generation.sampler import generate as generate
    from wavedil.models.autoencoder import Autoencoder as Autoencoder
    from wavedil.models.autoencoder_config import AutoencoderConfig as AutoencoderConfig
    from wavedil.models.autoencoder_config import EncoderConfig as EncoderConfig
    from wavedil.models.config import WaveNetConfig as WaveNetConfig
    from wavedil.models.context import ContextConfig as ContextConfig
    from wavedil.models.local import LocalConfig as LocalConfig
    from wavedil.models.wavenet import WaveNet as WaveNet
    from wavedil.ops import dilated_conv as dilated_conv
    from wavedil.receptive_field import ReceptiveField as ReceptiveField

_MODULES = (
    *("audio", "distributions", "features", "levels", "mu_law", "nn", "ops", "receptive_field"),
)
_NAMES = {
    "Autoencoder": "models.autoencoder",
    "AutoencoderConfig": "models.autoencoder_config",
    "ContextConfig": "models.context",
    "EncoderConfig": "models.autoencoder_config",
    "LocalConfig": "models.local",
    "ReceptiveField": "receptive_field",
    "UserError": "errors",
    "WaveNet": "models.wavenet",
    "WaveNetConfig": "models.config",
    "dilated_conv": "ops",
    "generate": "generation.sampler",
    "load": "formats.saved_model",
    "save": "formats.saved_model",
}
__all__ = [*_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"wavedil.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"wavedil.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'wavedil' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
