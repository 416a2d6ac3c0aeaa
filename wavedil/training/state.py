"""What training changes from step to step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Int

from wavedil.models.config import WaveNetConfig
from wavedil.models.wavenet import WaveNet
from wavedil.models.weights import named_weights
from wavedil.training.settings import TrainingSettings

Weights = dict[str, Array]


class TrainingState(NamedTuple):
    """Everything a step needs of the one before it; a checkpoint holds exactly this."""

    step: Int[Array, ""]
    weights: Weights
    averaged: Weights
    """Exponential moving average of the weights."""
    optimizer: optax.OptState


def initial_state(config: WaveNetConfig, settings: TrainingSettings) -> TrainingState:
    """The state before the first step, a function of the settings and their seed."""
    weights = named_weights(WaveNet(config, rngs=nnx.Rngs(settings.seed)))
    averaged = jax.tree.map(jnp.copy, weights)
    optimizer = make_optimizer(settings).init(weights)
    return TrainingState(jnp.zeros((), jnp.int32), weights, averaged, optimizer)


def learning_rate(settings: TrainingSettings) -> optax.Schedule:
    """Linear warm-up, then a cosine down to a hundredth at the last step."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=settings.learning_rate,
        warmup_steps=min(settings.warmup_steps, settings.steps // 10),
        decay_steps=settings.steps,
        end_value=0.01 * settings.learning_rate,
    )


def make_optimizer(settings: TrainingSettings) -> optax.GradientTransformation:
    """AdamW on clipped gradients; biases do not decay."""
    return optax.chain(
        optax.clip_by_global_norm(settings.clip_norm),
        optax.adamw(
            learning_rate(settings),
            b2=0.99,
            weight_decay=settings.weight_decay,
            mask=lambda weights: jax.tree.map(lambda weight: weight.ndim > 1, weights),
        ),
    )
