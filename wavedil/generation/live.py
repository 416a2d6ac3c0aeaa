"""The loop of the compiled engine: as the scan, from the same noise."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from wavedil.engine import Samples, Weights
from wavedil.generation.chunk import Chunk, condition_of, keys_of, signals_of
from wavedil.models.compilation import compiled
from wavedil.models.wavenet import WaveNet


class Compiled:
    """The compiled loop, after the whole chunks of what comes before the first sound of each slot.

    Args:
      model: A WaveNet.
      before: Codes [slots, time] that come before.
      absorbed: How many of them are absorbed before the first chunk.
      weights: How the weights are kept.
      guidance: Where slots are there twice, with their labels and without; see `guidance`.
    """

    def __init__(
        self,
        model: WaveNet,
        before: np.ndarray,
        absorbed: int,
        weights: Weights,
        guidance: np.float32 | None = None,
    ) -> None:
        self._samples = Samples(model, len(before), weights, guidance)
        self._surroundings = compiled(_surroundings, model)
        # Of a long beginning what an output sees is enough, whole frames of it.
        frame, past = model.config.frame_size, model.receptive_field.past
        start = max(0, absorbed - past) // frame * frame
        self._samples.begin(before[:, start])
        self._before = before[:, start + 1 : absorbed + 1]

    def draw(self, chunk: Chunk) -> Int[np.ndarray, "slots time"]:
        """The codes of the next chunk."""
        condition, pitch, predictor, noise = self._surroundings(chunk)
        if self._before.shape[1]:
            silent = np.zeros((*self._before.shape, noise.shape[2]), np.float32)
            self._samples.run(condition, self._before, silent)
            self._before = self._before[:, :0]
        restart = None if chunk.age is None else chunk.age == 0
        codes, _ = self._samples.run(
            condition,
            chunk.given,
            noise,
            pitch=pitch,
            predictor=predictor,
            restart=restart,
            temperature=chunk.temperature,
        )
        return codes


def _surroundings(model: WaveNet, chunk: Chunk) -> tuple[Any, Any, Any, Array]:
    """What a chunk is conditioned on, dilation and voicing of what follows the pitch, the coefficients of the linear
    prediction, and the noise of the draws.
    """
    distribution: Any = model.distribution
    noise = jax.vmap(jax.vmap(lambda key: distribution.noise(key, (), jnp.float32)))
    dilation, voicing, predictor = signals_of(model, chunk)
    pitch = None
    if dilation is not None and voicing is not None:
        pitch = jnp.stack([dilation.T.astype(jnp.float32), voicing.T], axis=-1)
    predictor = None if predictor is None else predictor.swapaxes(0, 1)
    return condition_of(model, chunk)[0], pitch, predictor, noise(keys_of(chunk))
