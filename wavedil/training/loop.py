"""The training loop: take up the state, then step, report, save and evaluate until the end or a signal."""

import collections
import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from wavedil.evaluation.scores import means
from wavedil.files import WriteError
from wavedil.models.registry import Model, abstract_model
from wavedil.models.weights import with_weights
from wavedil.ops.devices import on_one_device
from wavedil.training.ahead import ahead
from wavedil.training.checkpoints import Checkpoints
from wavedil.training.finite import NonFiniteError, TrainingError, require_finite_state
from wavedil.training.hosts import Hosts, LostHostError, lost, own_part
from wavedil.training.interrupt import StopSignal
from wavedil.training.metrics import MetricsLog
from wavedil.training.parts import everywhere, shared
from wavedil.training.state import TrainingState, Weights, initial_state
from wavedil.training.task import RunConfig, Windows
from wavedil.training.update import make_update

# Steps that are begun before the ones before them have ended: enough that a device has always something to do.
_BEGUN = 2


class Sampler(Protocol):
    """Draws sounds by which one hears the model learn, and keeps them."""

    def due(self, step: int) -> bool:
        """Whether sounds are to be drawn after that step, and are not there yet."""

    def draw(self, step: int, model: Model, progress: Callable[[int, int], None]) -> None:
        """Draws and keeps them; progress may raise, to give up."""


class Saves(Protocol):
    """Keeps the states from which a run goes on, as `Checkpoints` does."""

    @property
    def newest(self) -> int | None:
        """Step of the newest; None where there is none."""

    def save(self, state: TrainingState) -> None:
        """Keeps a state under its step."""

    def discard(self, step: int) -> None:
        """Gives up that of a step."""


class Ended(NamedTuple):
    """How a loop ended."""

    model: Model
    """With the averaged weights."""
    step: int
    stopped_by: str | None
    """Name of the signal that ended it early, or None."""


def run_loop(
    config: RunConfig,
    windows: Windows,
    held_out: Sequence[Any],
    checkpoints: Saves,
    log: MetricsLog,
    publish: Callable[[Model], None],
    state: TrainingState,
    sampler: Sampler,
    hosts: Hosts | None = None,
) -> Ended:
    """Trains from a state to the last step.

    Nothing waits for a step: batches are made ahead of it, the next one is begun before it has ended, and its metrics
    leave the device when they are reported. Those are looked through then, and before anything is saved, for what is
    not finite.

    At every step the state is a function of the configuration and the batches alone: a run that was killed and
    started again goes through the same states, bit for bit on CPU, as one that was not. SIGTERM and Ctrl-C end the
    run after the steps under way, with everything saved. Steps are saved before held-out recordings are scored and
    before sounds are drawn; what of these is cut short is made up for when the run is taken up.

    Args:
      config: A resolved configuration.
      windows: The batches.
      held_out: What `config.task.evaluate` is given now and then; nothing is evaluated where it is empty.
      checkpoints: Where the state is saved.
      log: Where the metrics go.
      publish: Saves the model, with its averaged weights, for those who use it.
      state: From `take_up`.
      sampler: Draws sounds now and then.
      hosts: That take the same steps; those which keep nothing have nothing held out, and what they save goes nowhere.

    Raises:
      NonFiniteError: If a loss or gradient is not finite.
      LostHostError: If another host has ended, or is gone.
      TrainingError: If something cannot be saved, because the disk is full, say.
    """
    hosts, stopped = hosts or Hosts(), None
    settings, task = config.training, config.task
    averaged = functools.partial(_averaged, abstract_model(config.model))
    update = make_update(config)

    step, state = int(state.step), everywhere(settings, state)
    begun: collections.deque[Any] = collections.deque()
    compiled: set[tuple[tuple[int, ...], ...]] = set()

    def save() -> None:
        log.settle()
        require_finite_state(state)
        checkpoints.save(state)

    def due() -> bool:
        now = step % settings.evaluate_every == 0 or step == settings.steps
        return step > 0 and now and len(held_out) > 0

    with (
        _saying_what_is_saved(checkpoints),
        StopSignal() as stop,
        ahead(own_part(windows, hosts.part), range(step, settings.steps)) as batches,
    ):

        def evaluate() -> None:
            with stop.interruptible():
                stop.check()
                scores = means(task.evaluate(averaged(state), held_out, stop.check))
                if not all(map(math.isfinite, scores.values())):
                    checkpoints.discard(step)
                    raise NonFiniteError(_of_held_out(scores, step))
                log.held_out(step, scores)

        def sample() -> None:
            with stop.interruptible():
                stop.check()
                sampler.draw(step, averaged(state), stop.check)

        if due() and not log.has_held_out(step):
            evaluate()
        if sampler.due(step):
            sample()
        while step < settings.steps:
            batch = shared(settings, next(batches))
            stopped = hosts.meet(stop.received)
            if stopped is not None:
                break
            shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(batch))
            is_new = shapes not in compiled
            if is_new:
                log.settle()  # what the steps before took is not part of what this one takes
                compiled.add(shapes)
            state, metrics = update(state, batch)
            step += 1
            log.step(step, metrics, compiled=is_new)
            begun.append(metrics.loss)
            if len(begun) > _BEGUN:
                begun.popleft().block_until_ready()
            saves = step % settings.save_every == 0
            if not (due() or sampler.due(step) or saves):
                continue
            with log.not_training():
                if due():
                    save()
                    evaluate()
                if sampler.due(step):
                    save()
                    sample()
                if saves:
                    save()
                    publish(averaged(state))
        save()
        publish(averaged(state))
        stopped = hosts.meet(stopped or stop.received)
    return Ended(averaged(state), step, stopped)


def take_up(
    config: RunConfig,
    checkpoints: Checkpoints,
    warn: Callable[[str], None],
    start: Callable[[], Weights] | None = None,
) -> TrainingState:
    """The state to go on from: that of the newest checkpoint that can be read, or the initial one.

    Args:
      config: A resolved configuration.
      checkpoints: Of the run.
      warn: As `Checkpoints.restore_newest` takes it.
      start: Gives the initial weights where they are not drawn; they are saved at once, so that the run needs their
        source no longer.
    """
    # The initial weights are drawn only where there is no checkpoint to go on from.
    fresh = functools.partial(initial_state, config)
    state = checkpoints.restore_newest(jax.eval_shape(fresh), warn)
    if state is None and start is not None:
        state = initial_state(config, start())
        checkpoints.save(state)
    return state or fresh()


@contextlib.contextmanager
def _saying_what_is_saved(checkpoints: Saves) -> Iterator[None]:
    """Adds to what ends a run early what it has left, and what to do."""
    try:
        yield
    except NonFiniteError as error:
        remedy = "lower the learning rate, in a new run"
        raise NonFiniteError(f"{error}; {_saved(checkpoints)}; {remedy}") from None
    except WriteError as error:
        remedy = "make room, and the same command resumes"
        problem = f"{error.filename} cannot be written: {error.strerror}"
        raise TrainingError(f"{problem}; {_saved(checkpoints)}; {remedy}") from error
    except jax.errors.JaxRuntimeError as error:
        if not lost(error):
            raise
        remedy = "the same commands, on all hosts, resume"
        raise LostHostError(f"another host has ended; {_saved(checkpoints)}; {remedy}") from error


def _saved(checkpoints: Saves) -> str:
    """What a run that cannot go on has left, for people."""
    step = checkpoints.newest
    return "no checkpoint was saved" if step is None else f"the checkpoint of step {step} is whole"


def _averaged(model: Model, state: TrainingState) -> Model:
    return with_weights(model, on_one_device(state.averaged), "training")


def _of_held_out(scores: Mapping[str, float], step: int) -> str:
    name, value = next(item for item in scores.items() if not math.isfinite(item[1]))
    return f"step {step}: the {name} of the held-out recordings is {value}"
