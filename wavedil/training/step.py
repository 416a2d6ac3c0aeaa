"""One step of training: the gradient of the masked log-likelihood, AdamW, the average of the weights."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from wavedil.data.windows import Batch
from wavedil.models.kinds import ModelConfig, abstract_model
from wavedil.models.weights import with_weights
from wavedil.training.settings import TrainingSettings
from wavedil.training.state import TrainingState, Weights, make_optimizer


class Metrics(NamedTuple):
    """What a step reports."""

    bits: Float[Array, ""]
    """Bits per sample of the batch."""
    gradient_norm: Float[Array, ""]
    """Global norm before clipping."""


Step = Callable[[TrainingState, Batch], tuple[TrainingState, Metrics]]


def make_step(config: ModelConfig, settings: TrainingSettings) -> Step:
    """The compiled step. It takes over the memory of the state it is given."""
    model = abstract_model(config)
    optimizer = make_optimizer(settings)

    def loss(weights: Weights, batch: Batch) -> Float[Array, ""]:
        codes = jnp.asarray(batch.codes, jnp.int32)
        labels = {name: jnp.asarray(indices) for name, indices in batch.labels.items()}
        model_now = with_weights(model, weights, "training")
        features = None if batch.features is None else jnp.asarray(batch.features)
        log_prob = model_now.log_prob(codes[:, 1:], labels, codes[:, :1], features)
        return -jnp.sum(log_prob * batch.mask) / jnp.maximum(jnp.sum(batch.mask), 1.0)

    def step(state: TrainingState, batch: Batch) -> tuple[TrainingState, Metrics]:
        nats, gradients = jax.value_and_grad(loss)(state.weights, batch)
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
        metrics = Metrics(bits=nats / np.log(2.0), gradient_norm=optax.tree.norm(gradients))
        return TrainingState(state.step + 1, weights, averaged, optimizer_state), metrics

    return jax.jit(step, donate_argnums=0)
