"""The training state: everything that changes from step to step."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array, Int

from wavedil.config import Config
from wavedil.models.registry import MODELS, make_model
from wavedil.models.weights import named_weights
from wavedil.training.config import TrainingConfig
from wavedil.training.task import RunConfig

Weights = dict[str, Array]
# Forgets old gradients ten times as fast as the usual 0.999: the batches are small and the runs short.
_B2 = 0.99


class TrainingState(NamedTuple):
    """Everything a step needs of the one before it; a checkpoint holds exactly this."""

    step: Int[Array, ""]
    weights: Weights
    averaged: Weights
    """Exponential moving average of the weights."""
    optimizer: optax.OptState


def initial_state(config: RunConfig, weights: Weights | None = None) -> TrainingState:
    """The state before the first step, a function of the configuration and its seed; or of weights to start from."""
    if weights is None:
        weights = named_weights(make_model(config.model, config.training.seed))
    averaged = jax.tree.map(jnp.copy, weights)
    optimizer = make_optimizer(config.model, config.training).init(weights)
    return TrainingState(jnp.zeros((), jnp.int32), weights, averaged, optimizer)


def learning_rate(settings: TrainingConfig) -> optax.Schedule:
    """Linear warm-up, whose first step is one too, then a cosine down to a hundredth at the last step.

    Of a run that was trained further, the schedule of the new number of steps holds from the step on at which it was
    taken up: a function of the step alone, wherever the run is killed and taken up again.
    """
    totals = [total for total, _ in settings.earlier] + [settings.steps]
    first, *later = [_schedule(settings, total) for total in totals]
    if not later:
        return first

    def rate(step: Any) -> Any:
        value = first(step)
        for (_, begun), schedule in zip(settings.earlier, later, strict=True):
            value = jnp.where(step >= begun, schedule(step), value)
        return value

    return rate


def _schedule(settings: TrainingConfig, steps: int) -> optax.Schedule:
    warmup_steps = min(settings.warmup_steps, steps // 10)
    return optax.warmup_cosine_decay_schedule(
        init_value=settings.learning_rate / (warmup_steps + 1),
        peak_value=settings.learning_rate,
        warmup_steps=warmup_steps,
        decay_steps=steps,
        end_value=0.01 * settings.learning_rate,
    )


def make_optimizer(model: Config, settings: TrainingConfig) -> optax.GradientTransformation:
    """AdamW or Muon on clipped gradients; biases do not decay.

    Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) takes a kernel's momentum to the nearest
    orthogonal matrix, scaled to the size of an AdamW update (Liu et al. 2025, arXiv:2502.16982), so that one
    learning rate serves both. It is for the kernels that the model names in `hidden_kernels`; embeddings, the input
    and output layers and biases take Adam.
    """
    rate = learning_rate(settings)
    hidden: tuple[str, ...] = getattr(MODELS[str(model.name)], "hidden_kernels", ())
    if settings.optimizer == "muon":
        update = optax.contrib.muon(
            rate,
            weight_decay=settings.weight_decay,
            adam_b2=_B2,
            muon_weight_dimension_numbers=functools.partial(_hidden_kernels, hidden),
            consistent_rms=0.2,
        )
    else:
        update = optax.adamw(
            rate,
            b2=_B2,
            weight_decay=settings.weight_decay,
            mask=lambda weights: jax.tree.map(lambda weight: weight.ndim > 1, weights),
        )
    return optax.chain(optax.clip_by_global_norm(settings.clip_norm), update)


def _hidden_kernels(
    hidden: tuple[str, ...], weights: Weights
) -> dict[str, optax.contrib.MuonDimensionNumbers | None]:
    """Which axes of a hidden kernel are inputs; None of other weights."""

    def axes(name: str, weight: Any) -> optax.contrib.MuonDimensionNumbers | None:
        # optax asks again with the weights it leaves to Adam masked; those have no axes.
        num_axes = getattr(weight, "ndim", 0)
        if num_axes < 2 or not name.startswith(hidden):
            return None
        *inputs, output = range(num_axes)
        return optax.contrib.MuonDimensionNumbers(tuple(inputs), (output,))

    return {name: axes(name, weight) for name, weight in weights.items()}
