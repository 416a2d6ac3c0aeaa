"""Which engine draws: the compiled one on a CPU, or the scan of JAX."""

from typing import Any, Literal, NamedTuple, get_args

import jax

from wavedil.engine import UnservedError, Weights, require_served
from wavedil.errors import UserError, require_known
from wavedil.models.registry import Model, wavenet_of
from wavedil.models.wavenet import WaveNet

EngineName = Literal["auto", "scan", "compiled"]


class Engine(NamedTuple):
    """An engine, and how it keeps the weights."""

    name: Literal["scan", "compiled"]
    weights: Weights
    reason: str = ""
    """Why it is not the compiled one, where that does not serve the model."""

    def __str__(self) -> str:
        if self.name == "scan":
            return "scan" + (f" ({self.reason})" if self.reason else "")
        return f"{self.name}, {self.weights} weights"


def require_wavenet(model: Model) -> WaveNet:
    """The WaveNet that draws the samples of a model.

    Raises:
      UserError: If it is none, and has none.
    """
    network: Any = wavenet_of(model)
    if isinstance(network, WaveNet):
        return network
    name = type(network).__name__
    uses = {
        "TCN": "classify sounds with it (wavedil classify)",
        "DiffWave": "draw whole sounds with it (wd.synthesize)",
        "FeatureNet": "draw frames with it, and sound with a vocoder (wd.synthesize(model, vocoder=...))",
        "AmpModel": "play sounds through it (wavedil apply)",
    }
    instead = f"{uses[name]}, or " if name in uses else ""
    raise UserError(
        f"a {name} draws no samples one by one; {instead}give a WaveNet or an autoencoder"
    )


def choose_engine(
    model: Model, engine: EngineName = "auto", weights: Weights = "float32"
) -> Engine:
    """The engine that draws.

    Args:
      model: A WaveNet, or an autoencoder.
      engine: "auto" takes the compiled one on a CPU where it serves the model, and the scan elsewhere.
      weights: How the compiled engine keeps the weights: "bfloat16" takes half the memory that it must read for every
        sample, "int8" a quarter.

    Raises:
      UserError: If a name is unknown, the compiled engine is asked for and does not serve the model, or the scan is
        asked for with other weights.
    """
    require_known("engine", engine, dict.fromkeys(get_args(EngineName)))
    require_known("weights", weights, dict.fromkeys(get_args(Weights)))
    network, reason = require_wavenet(model), ""
    if engine == "compiled" or (engine == "auto" and jax.default_backend() == "cpu"):
        try:
            require_served(network)
            return Engine("compiled", weights)
        except UnservedError as error:
            if engine == "compiled":
                raise
            reason = str(error)
    if weights != "float32":
        raise UserError(
            f"weights is {weights!r}, but the scan keeps those of the model; use engine='compiled', or cast the "
            "model's weights"
        )
    return Engine("scan", weights, reason)
