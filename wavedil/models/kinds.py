"""The kinds of whole models, and how each is made of its settings."""

from flax import nnx

from wavedil.models.autoencoder import Autoencoder
from wavedil.models.autoencoder_config import AutoencoderConfig
from wavedil.models.config import WaveNetConfig
from wavedil.models.wavenet import WaveNet

Model = WaveNet | Autoencoder
ModelConfig = WaveNetConfig | AutoencoderConfig

CONFIGS: dict[str, type[ModelConfig]] = {
    "WaveNet": WaveNetConfig,
    "Autoencoder": AutoencoderConfig,
}
"""Name of each kind -> its settings."""


def make_model(config: ModelConfig, seed: int = 0) -> Model:
    """The model of these settings, with initial weights drawn from the seed."""
    rngs = nnx.Rngs(seed)
    if isinstance(config, AutoencoderConfig):
        return Autoencoder(config, rngs=rngs)
    return WaveNet(config, rngs=rngs)


def abstract_model(config: ModelConfig) -> Model:
    """The model without weights, which tells their names and shapes and draws none."""
    model: Model = nnx.eval_shape(lambda: make_model(config))
    return model


def wavenet_of(model: Model) -> WaveNet:
    """The WaveNet that draws the samples: the model itself, or an autoencoder's decoder."""
    return model.decoder if isinstance(model, Autoencoder) else model
