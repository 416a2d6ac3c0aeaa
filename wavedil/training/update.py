"""One step of training: the gradient of the task's loss, the optimizer, the average of the weights."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from wavedil.models.registry import abstract_model
from wavedil.models.weights import with_weights
from wavedil.training.memory import give_back_freed
from wavedil.training.parts import mean_and_gradient
from wavedil.training.state import TrainingState, Weights, make_optimizer
from wavedil.training.task import RunConfig


class Metrics(NamedTuple):
    """The metrics of one step."""

    loss: Float[Array, ""]
    """Mean of the task's loss over the batch."""
    weight: Float[Array, ""]
    """Of the loss: how many targets were counted."""
    named: dict[str, tuple[Float[Array, ""], Float[Array, ""]]]
    """Sum and weight of each of the task's metrics."""
    gradient_norm: Float[Array, ""]
    """Global norm before clipping."""


class Update:
    """The compiled step, `state, metrics = update(state, batch)`, a pure function of both.

    It takes over the memory of the state it is given. What compiling it has taken is given back before the step's own
    arrays are made, so that the two never add up.
    """

    def __init__(
        self, update: Callable[[TrainingState, Any], tuple[TrainingState, Metrics]]
    ) -> None:
        self._update = jax.jit(update, donate_argnums=0)
        self._compiled: set[tuple[tuple[int, ...], ...]] = set()
        self.lower = self._update.lower

    def __call__(self, state: TrainingState, batch: Any) -> tuple[TrainingState, Metrics]:
        shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(batch))
        if shapes not in self._compiled:
            self.lower(state, batch).compile()  # kept by JAX, for the call below
            give_back_freed()
            self._compiled.add(shapes)
        return self._update(state, batch)


def make_update(config: RunConfig) -> Update:
    """The step of a run: gradient, optimizer, average.

    Where devices share a batch, the state is on all of them, and the sums over the devices of gradients and metrics
    are all that moves between them.
    """
    model = abstract_model(config.model)
    settings, task = config.training, config.task
    if settings.remat:
        model.set_attributes(remat=True)  # of every stack that has it
    optimizer = make_optimizer(config.model, settings)

    def loss(weights: Weights, batch: Any, key: Any) -> tuple[Any, tuple[Any, Any]]:
        if settings.precision == "bfloat16":
            weights = {name: weight.astype(jnp.bfloat16) for name, weight in weights.items()}
        total, weight, named = task.loss(with_weights(model, weights, "training"), batch, key)
        return total, jax.tree.map(jnp.asarray, (weight, named))

    means = mean_and_gradient(loss, settings)

    def update(state: TrainingState, batch: Any) -> tuple[TrainingState, Metrics]:
        key = jax.random.fold_in(jax.random.key(settings.seed), state.step)
        (mean, (weight, named)), gradients = means(state.weights, batch, key)
        with jax.numpy_dtype_promotion(
            "standard"
        ):  # optax mixes types, whatever the caller has set
            updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.weights)
        weights: Weights = optax.apply_updates(state.weights, updates)
        # Early on the average forgets faster, or the random initial weights would stay in it for long.
        count = state.step.astype(jnp.float32)
        decay = jnp.minimum(settings.ema_decay, (1.0 + count) / (10.0 + count))
        averaged = jax.tree.map(
            lambda old, new: decay * old + (1.0 - decay) * new, state.averaged, weights
        )
        metrics = Metrics(mean, weight, named, optax.tree.norm(gradients))
        return TrainingState(state.step + 1, weights, averaged, optimizer_state), metrics

    return Update(update)
