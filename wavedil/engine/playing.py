"""A causal model played live: blocks of any length in, blocks out."""

from typing import Any

import numpy as np

from wavedil.engine import loop
from wavedil.engine.amp import amp_plan
from wavedil.engine.plan import UnservedError
from wavedil.engine.program import pack
from wavedil.engine.samples import Samples, require_served
from wavedil.errors import UserError
from wavedil.models.amp import AmpModel
from wavedil.models.wavenet import WaveNet


class AmpPlayer:
    """An amp model, compiled; it begins after endless silence at its input.

    Args:
      model: An AmpModel.
      batch_size: Signals side by side.
      knobs: A setting of each knob, a number for all signals.
    """

    def __init__(self, model: AmpModel, batch_size: int = 1, knobs: Any = None) -> None:
        if model.config.knobs:
            if any(np.shape(value) for value in (knobs or {}).values()):
                raise UnservedError(
                    "the compiled engine plays one setting of the knobs; give numbers, or use engine='scan'"
                )
            model = model.at({} if knobs is None else knobs)
        elif knobs:
            model.init_state(batch_size, knobs=knobs)  # refuses them
        self._silence = [np.asarray(part) for part in model.init_state(batch_size)]
        self._made = made = amp_plan(model)
        self._program = program = pack(made.plan, blocks=True)
        self._size = (batch_size, model.in_channels, model.config.out_channels)
        self._packed = (
            *(program.sections, program.operators, program.inputs, program.buffers),
            *(program.weights, program.numbers),
        )
        self._world = (made.x, made.y, program.signal_size)
        self._arena, self._scratch = program.arena(batch_size), program.scratch()
        self._now = program.start(1)[0]
        self.reset()
        empty = np.zeros((batch_size, 0, model.in_channels), np.float32)
        self._run = loop.run_block.compiled(*self._arguments(empty, empty))

    def reset(self) -> None:
        """Begins again after endless silence."""
        self._arena[:] = 0.0
        self._now[:] = self._program.start(1)[0]
        size = self._program.signal_size
        for number, seen in zip(self._made.remembered, self._silence, strict=True):
            begin, length = self._program.buffers[number, [0, 3]]
            for signal, of_signal in enumerate(seen):
                for channel, past in enumerate(of_signal.T):
                    start = signal * size + begin + channel * length
                    self._arena[start : start + len(past)] = past

    def push(self, block: np.ndarray) -> np.ndarray:
        """The outputs [batch, time, out_channels] of the next block [batch, time, in_channels]."""
        batch_size, in_channels, out_channels = self._size
        block = np.ascontiguousarray(block, np.float32)
        if block.ndim != 3 or block.shape[::2] != (batch_size, in_channels):
            raise UserError(
                f"the block has shape {list(block.shape)}, but the stream takes [{batch_size}, time, {in_channels}]"
            )
        y = np.empty((batch_size, block.shape[1], out_channels), np.float32)
        self._run(*self._arguments(block, y))
        return y

    def _arguments(self, x: np.ndarray, y: np.ndarray) -> Any:
        return self._packed, self._world, self._arena, self._scratch, self._now, x, y


class WaveNetPlayer:
    """A WaveNet, compiled: codes in, the parameters of the distribution of the sample after each out."""

    def __init__(self, model: WaveNet, batch_size: int = 1, labels: Any = None) -> None:
        require_served(model)
        if model.config.local_conditioning is not None:
            raise UnservedError(
                "the compiled engine plays no model that takes features; use generate, or engine='scan'"
            )
        condition = model.conditioning(batch_size, labels)
        self._condition = None if condition is None else np.asarray(condition)
        self._samples = Samples(model, batch_size)
        self._batch_size = batch_size

    def reset(self) -> None:
        """Begins again."""
        self._samples.reset()

    def push(self, block: np.ndarray) -> np.ndarray:
        """The outputs [batch, time, num_outputs] of the next codes [batch, time]."""
        codes = np.asarray(block)
        if codes.ndim != 2 or len(codes) != self._batch_size or codes.dtype.kind not in "iu":
            raise UserError(
                f"the block has shape {list(codes.shape)} of {codes.dtype}, but the stream takes codes "
                f"[{self._batch_size}, time]"
            )
        return self._samples.outputs(self._condition, codes)


def player(model: Any, batch_size: int = 1, **condition: Any) -> AmpPlayer | WaveNetPlayer:
    """What plays a model: `push(block)`, of any length, gives what `model.step` gives, and `reset()` begins again.

    Args:
      model: An AmpModel, which begins after endless silence, or a WaveNet, which begins from zeros.
      batch_size: Signals side by side.
      condition: `knobs` of an amp model, or `labels` of a WaveNet.

    Raises:
      UnservedError: If the engine cannot play it, with the reason.
    """
    if isinstance(model, AmpModel):
        return AmpPlayer(model, batch_size, **condition)
    if isinstance(model, WaveNet):
        return WaveNetPlayer(model, batch_size, **condition)
    raise UnservedError(f"the compiled engine plays no {type(model).__name__}; use engine='scan'")
