"""A WaveNet that runs sample by sample, several signals side by side."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from wavedil.engine import loop
from wavedil.engine.draws import family
from wavedil.engine.plan import UnservedError
from wavedil.engine.program import Weights, aligned, pack
from wavedil.engine.wavenet import wavenet_plan
from wavedil.models.wavenet import WaveNet


def require_served(model: WaveNet) -> None:
    """Refuses a model that the engine cannot run.

    Raises:
      UnservedError: With the reason.
    """
    kinds = {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))}
    if any(kind.itemsize > 4 for kind in kinds):
        raise UnservedError(
            "the compiled engine computes in float32, but the model's weights are float64; use engine='scan', or cast "
            "them"
        )
    family(model.distribution)
    wavenet_plan(model)


class Samples:
    """The network of a WaveNet compiled, with the state of so many signals.

    Args:
      model: A WaveNet.
      num_signals: Signals side by side; they are shared out among the processor's cores.
      weights: How the weights are kept: "float32", "bfloat16" or "int8".
      guidance: If it is given, of two signals side by side the first is drawn from the outputs of both, as the
        distribution's `guided` says, and the second has the same codes.

    Raises:
      UnservedError: If the engine cannot run the model, with the reason.
    """

    def __init__(
        self,
        model: WaveNet,
        num_signals: int,
        weights: Weights = "float32",
        guidance: np.float32 | None = None,
    ) -> None:
        self._made = wavenet_plan(model)
        self._family = family(model.distribution)
        self._program = program = pack(self._made.plan, weights=weights)
        config = model.config
        levels = np.arange(config.levels, dtype=np.int32)
        entered = np.asarray(model.enter(jnp.asarray(levels))).astype(np.float32)
        self._table = np.concatenate([entered, np.full_like(entered[:1], np.nan)])
        amplitudes = config.quantizer.decode(levels).astype(np.float32)
        self._amplitudes = np.append(amplitudes, np.float32(np.nan))
        self._silence, self.num_outputs = config.quantizer.silence, model.distribution.num_outputs
        self._world = (
            *(self._made.x, self._made.parameters, self._made.condition, self._made.frame),
            *(self._made.pitch, self._made.amplitudes, self._made.predictor),
            *(self._made.factor, program.signal_size, self._silence),
        )
        self._arena = program.arena(num_signals)
        self._status = np.tile(np.array([self._silence, 0, 1]), (num_signals, 1))
        together, far = (1, 1.0) if guidance is None else (2, float(guidance))
        # Without guidance there are no outputs to move.
        outputs = self.num_outputs * (together - 1)
        guided = getattr(model.distribution, "num_guided", 0)
        self._guidance = (together, outputs, guided, far, min(far, 1.0))
        parties = num_signals // together
        groups = min(parties, _cores())
        bounds = [parties * group // groups * together for group in range(groups + 1)]
        self._groups = [
            (
                bounds[n],
                bounds[n + 1] - bounds[n],
                program.scratch(),
                program.start(num_signals + 1),
            )
            for n in range(groups)
        ]
        self._work = [aligned(max(config.levels, 64) + 64, np.float32) for _ in range(groups)]
        self._threads = ThreadPoolExecutor(groups) if groups > 1 else None

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights, all of which are read for a sample."""
        return int(self._program.weights.nbytes)

    def begin(self, codes: np.ndarray) -> None:
        """The first code that every signal enters with; silence by default."""
        self._status[:, loop.CODE] = codes

    def reset(self) -> None:
        """Begins again, every signal after silence."""
        self._arena[:] = 0.0
        self._status[:] = self._silence, 0, 1
        for _, _, _, now in self._groups:
            now[:] = self._program.start(len(now))

    def outputs(
        self, conditions: Any, codes: np.ndarray, pitch: Any = None, predictor: Any = None
    ) -> np.ndarray:
        """The outputs of the network [signals, time, num_outputs] after each of the next codes [signals, time]."""
        if not codes.shape[1]:
            return np.zeros((*codes.shape, self.num_outputs), np.float32)
        self.begin(codes[:, 0])
        # The code after the last one is not known yet, and begins the next block.
        following = np.pad(codes[:, 1:], ((0, 0), (0, 1)))
        noise = np.zeros((*codes.shape, 1), np.float32)
        signals = {"pitch": pitch, "predictor": predictor}
        return self.run(conditions, following, noise, **signals, parameters=True)[1]

    def run(
        self,
        conditions: Any,
        given: np.ndarray,
        noise: np.ndarray,
        *,
        pitch: Any = None,
        predictor: Any = None,
        restart: np.ndarray | None = None,
        temperature: np.ndarray | None = None,
        parameters: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The next codes of every signal, and the outputs of the network that they were drawn from.

        Args:
          conditions: [signals, 1 or time, channels]: labels and features; None for a model without a condition.
          given: [signals, time]: codes that are not drawn; below 0 where one is.
          noise: [signals, time, numbers], as `distribution.noise` draws it.
          pitch: [signals, time, 2]: dilation and voicing, of a model that follows the pitch.
          predictor: [signals, time, order]: coefficients, of a model that sees a linear prediction.
          restart: [signals, time]: where a sound begins after silence; by default nowhere but at the first sample ever.
          temperature: [signals, time], as of `distribution.sample`; by default 1.
          parameters: Whether the outputs are wanted; else there are none.
        """
        shape = given.shape
        codes = np.empty(shape, np.int32)
        outputs = np.empty((shape[0], shape[1] if parameters else 0, self.num_outputs), np.float32)
        if conditions is None:
            conditions = np.zeros((shape[0], 1, 0), np.float32)
        pitch, predictor = (
            _as(np.zeros((*shape, 0)) if signal is None else signal, np.float32)
            for signal in (pitch, predictor)
        )
        restart = np.zeros(shape, bool) if restart is None else restart
        temperature = np.ones(shape) if temperature is None else temperature
        program = self._program
        packed = (
            *(program.sections, program.operators, program.inputs, program.buffers),
            *(program.weights, program.numbers),
        )
        conditions, given = _as(conditions, np.float32), _as(given, np.int32)
        noise, restart = _as(noise, np.float32), _as(restart, np.bool_)
        temperature = _as(temperature, np.float32)

        def arguments(number: int) -> Any:
            first, count, scratch, now = self._groups[number]
            return (
                *(first, count, packed, self._world, self._arena, scratch, now, self._status),
                *(
                    self._table,
                    self._amplitudes,
                    conditions,
                    pitch,
                    predictor,
                    given,
                    noise,
                    restart,
                ),
                *self._family,
                *(self._guidance, temperature, self._work[number], codes, outputs),
            )

        draw = loop.draw_samples.compiled(*arguments(0))
        if self._threads is None:
            draw(*arguments(0))
        else:
            waiting = [self._threads.submit(draw, *arguments(n)) for n in range(len(self._groups))]
            for one in waiting:
                one.result()
        return codes, outputs


def _cores() -> int:
    """Cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return max(1, len(allowed(0)) if allowed else os.cpu_count() or 1)


def _as(array: Any, dtype: Any) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(array), dtype)
