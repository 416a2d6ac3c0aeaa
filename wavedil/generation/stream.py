"""Sound through a causal model while it comes: blocks of any lengths in, their outputs out."""

import contextlib
import inspect
from typing import Any, Protocol

import jax
import numpy as np
from jaxtyping import Float, Float32

from wavedil.engine import UnservedError, player
from wavedil.errors import UserError, require_size, suggestion
from wavedil.generation.block_player import BlockPlayer
from wavedil.models.amp import AmpModel
from wavedil.models.wavenet import WaveNet


class Player(Protocol):
    """Plays blocks through a model, one after the other."""

    def push(self, block: np.ndarray) -> np.ndarray:
        """The outputs of the next block, of any length: what the model takes, with as many signals as it was made for.

        The array is the caller's own.
        """

    def reset(self) -> None:
        """Begins anew."""


class Stream:
    """A causal model as it plays live.

    Outputs joined are those of the whole signal at once, whatever the lengths of the blocks. On a CPU amp models and
    WaveNets without features are played by the compiled engine. Others are played by their `step`, in pieces whose
    lengths are powers of two, so that of all lengths only a few are ever compiled: the first block of a length may
    take a second, no later one does.

    Args:
      model: An AmpModel, a WaveNet, or a layer with `init_state` and `step`.
      batch_size: Signals side by side.
      **condition: What `step` takes beside the signal, the same for all blocks: knobs={"gain": 0.5} of an AmpModel,
        labels={"digit": "7"} of a WaveNet.

    Raises:
      UserError: If the model sees the future, with the delay that would make it causal, or takes no such condition.

    Example:
      stream = wd.Stream(model, knobs={"gain": 0.5})
      for block in blocks:                                 # [1, time, 1]
          play(stream.push(block))
    """

    def __init__(self, model: Any, batch_size: int = 1, **condition: Any) -> None:
        self._batch_size = require_size("batch_size", batch_size)
        if not hasattr(model, "step"):
            raise UserError(
                f"a {type(model).__name__} plays no blocks; give a causal layer or model, such as an AmpModel"
            )
        self._quantizer = model.config.quantizer if isinstance(model, WaveNet) else None
        known = [name for name in inspect.signature(model.step).parameters if name not in _SIGNAL]
        for name in condition:
            if name not in known:
                raise UserError(
                    f"{name} is nothing that the model takes; {suggestion(name, known)}"
                )
        if isinstance(model, AmpModel) and condition.get("knobs") is not None:
            model, condition = model.at(condition["knobs"]), {}
        if isinstance(model, WaveNet):
            labels = model.config.label_indices(condition.pop("labels", None), batch_size)
            condition["labels"] = labels
        self._player = _player(model, batch_size, condition)

    def push(
        self, block: Float[np.ndarray, "batch time channels"]
    ) -> Float32[np.ndarray, "batch time channels"]:
        """The outputs of the next block; of a WaveNet, the parameters of the distribution of each next sample.

        Args:
          block: Samples, as many as there are, 0 too; of a WaveNet in [-1, 1], of one channel.

        Raises:
          UserError: If it has another shape.
        """
        block = np.asarray(block, np.float32)
        channels = 1 if self._quantizer is not None else block.shape[-1] if block.ndim else 0
        if block.ndim != 3 or block.shape[::2] != (self._batch_size, channels):
            raise UserError(
                f"the block has shape {list(block.shape)}, but this stream takes [{self._batch_size}, time, "
                f"{'channels' if self._quantizer is None else 1}]"
            )
        if self._quantizer is not None:
            block = self._quantizer.encode(block[..., 0]).astype(np.int32)
        return self._player.push(block)

    def reset(self) -> None:
        """Begins a new signal, after silence."""
        self._player.reset()


def _player(model: Any, batch_size: int, condition: dict[str, Any]) -> Player:
    """The compiled engine, where it serves the model, or its `step`."""
    if jax.default_backend() == "cpu":
        with contextlib.suppress(UnservedError):
            return player(model, batch_size, **condition)
    return BlockPlayer(model, batch_size, condition)


_SIGNAL = ("x", "codes", "state")
