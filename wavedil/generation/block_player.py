"""Blocks through any causal model by its `step`, compiled for a few lengths."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from wavedil.models.compilation import compiled

_LONGEST = 1 << 12


class BlockPlayer:
    """A player of `wavedil.generation.stream` for every causal layer and model.

    A block of 100 samples is played as 64, 32 and 4, and one of 10,000 as 4096, 4096, 1024, 512, 256 and 16: at most
    14 lengths are compiled, that of an empty block included, each when it first comes.

    Args:
      model: With `init_state` and `step`.
      batch_size: Signals side by side.
      condition: What `step` takes beside the signal.

    Raises:
      UserError: If the model is not causal.
    """

    def __init__(self, model: Any, batch_size: int, condition: Mapping[str, Any]) -> None:
        self._step = compiled(_step, model)
        self._condition = dict(condition)
        self._silence = self._state = model.init_state(batch_size)

    def push(self, block: np.ndarray) -> Float32[np.ndarray, "batch time channels"]:
        """The outputs of the next block."""
        outputs = []
        for piece in _pieces(block):
            y, self._state = self._step(piece, self._state, self._condition)
            outputs.append(y)
        return np.concatenate(outputs, axis=1)

    def reset(self) -> None:
        """Begins anew."""
        self._state = self._silence


def _step(model: Any, x: Any, state: Any, condition: Mapping[str, Any]) -> tuple[Any, Any]:
    y, state = model.step(x, state, **condition)
    return jnp.asarray(y, jnp.float32), state


def _pieces(block: np.ndarray) -> Iterator[np.ndarray]:
    """The block cut into lengths that are powers of two, long ones first; an empty one as it is."""
    left = block.shape[1]
    if not left:
        yield block
    while left:
        length = min(_LONGEST, 1 << (left.bit_length() - 1))
        at = block.shape[1] - left
        yield block[:, at : at + length]
        left -= length
