"""Numbers that are none: training ends with a line that says where they came from."""

import math
from typing import Any

import jax
import numpy as np

from wavedil.training.state import TrainingState


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why, and what is saved."""


class NonFiniteError(TrainingError):
    """Training met a loss or gradient that is not a number; nothing of that step was saved."""


def require_finite(metrics: Any, step: int) -> None:
    """Refuses a step, by its metrics, which are here already."""
    loss, norm = float(metrics.loss), float(metrics.gradient_norm)
    if math.isfinite(loss) and math.isfinite(norm):
        return
    raise NonFiniteError(
        f"step {step}: the loss is {loss} and the gradient norm {norm}, on a batch of "
        f"{float(metrics.weight):g} counted targets"
    )


def require_finite_state(state: TrainingState) -> None:
    """A finite gradient can still take the weights beyond the range of their type."""
    leaves = jax.tree.leaves((state.weights, state.averaged, state.optimizer))
    if not all(np.all(np.isfinite(leaf)) for leaf in leaves):
        raise NonFiniteError(f"step {int(state.step)}: its update left weights that are not finite")
