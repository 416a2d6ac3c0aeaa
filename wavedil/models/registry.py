"""The models by name, and how each is made of its config."""

from collections.abc import Mapping
from typing import Any

from flax import nnx

from wavedil.config import Config, read_named
from wavedil.models.amp import AmpModel
from wavedil.models.autoencoder import Autoencoder
from wavedil.models.diffwave import DiffWave
from wavedil.models.feature_net import FeatureNet
from wavedil.models.tcn import TCN
from wavedil.models.wavenet import WaveNet

Model = Any
"""A module of `MODELS`: made as `Model(config, rngs=...)`, with `config` and `config_class`."""

MODELS: dict[str, type[nnx.Module]] = {
    "WaveNet": WaveNet,
    "Autoencoder": Autoencoder,
    "TCN": TCN,
    "AmpModel": AmpModel,
    "DiffWave": DiffWave,
    "FeatureNet": FeatureNet,
}
"""Name of a model's config -> the model. One of your own: `MODELS["MyNet"] = MyNet`."""


def make_model(config: Config, seed: int = 0) -> Model:
    """The model of this config, with initial weights drawn from the seed."""
    model: Any = MODELS[str(config.name)]
    return model(config, rngs=nnx.Rngs(seed))


def abstract_model(config: Config) -> Model:
    """The model without weights, which tells their names and shapes and draws none."""
    return nnx.eval_shape(lambda: make_model(config))


def model_config(values: Mapping[str, Any]) -> Config:
    """The config of a model that `Config.to_dict` wrote.

    Raises:
      UserError: If there is no such model, or its settings are refused.
    """
    classes = {name: model.config_class for name, model in MODELS.items()}  # type: ignore[attr-defined]
    config: Config = read_named("model", values, classes)
    return config


def wavenet_of(model: Model) -> WaveNet:
    """The WaveNet that draws the samples: the model itself, or an autoencoder's decoder."""
    wavenet: WaveNet = model.decoder if isinstance(model, Autoencoder) else model
    return wavenet
