"""Training of one network from several seeds at once: a pass over the training set is one compiled loop for all."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array, lax

from experiments.sequence_tasks.data import Sequences, Splits
from experiments.sequence_tasks.tasks import Loss, Settings
from wavedil.errors import UserError

# Shorter sequences take less time; every length is compiled for itself.
NUM_LENGTHS = 4
SCORED_AT_ONCE = 25
# The rule of the plateau divides the rate by ten; after three times the weights hardly move.
LEAST_SHARE_OF_RATE = 1e-3
Weights = Any
Report = Callable[[str], None]


class Trained(NamedTuple):
    """What training came to, with an axis of seeds in front."""

    score: Callable[[Sequences], np.ndarray]  # the loss on a set, by the best weights
    valid: (
        np.ndarray
    )  # the least loss on the validation set after an epoch, which says what is best
    epochs: np.ndarray  # the number of that epoch
    num_steps: int


def train(
    make: Callable[[nnx.Rngs], nnx.Module],
    loss: Loss,
    splits: Splits,
    settings: Settings,
    seeds: list[int],
    report: Report,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Trains a model from each seed, which gives its initial weights and its dropout.

    Args:
      make: A model with initial weights.
      loss: (outputs, batch) -> (total, size); the mean is what is trained for.
      splits: Of which the test set is not read.
      settings: Of the training.
      seeds: All are trained side by side, on the same batches.
      report: Takes a line after each epoch.
      stop: Asked after each epoch whether it is the last.
    """
    num_steps = num_steps_of(splits.train, settings)
    models = [make(nnx.Rngs(seed)) for seed in seeds]
    graph = nnx.graphdef(models[0])
    weights = jax.tree.map(lambda *each: jnp.stack(each), *map(nnx.state, models))
    optimizer = optimizer_of(settings)
    state = weights, jax.vmap(optimizer.init)(weights)
    update = functools.partial(_update, graph, loss, optimizer)
    lengths, batch_size = lengths_of(splits.train), settings.batch_size
    epoch = functools.partial(_epoch, update, lengths, batch_size, jnp.asarray(seeds))
    epoch = jax.jit(epoch, donate_argnums=0)
    score = scorer(graph, loss)
    best = jax.tree.map(jnp.copy, weights)
    history: list[np.ndarray] = []
    rate = np.full(len(seeds), settings.learning_rate)
    for number in range(settings.epochs):
        begun = time.perf_counter()
        rates = rate[None] * shares_of_rate(settings, number, num_steps)[:, None]
        key = jax.random.fold_in(jax.random.key(0), number)
        state, losses = epoch(state, key, jnp.asarray(rates, jnp.float32), splits.train)
        valid = score(state[0], splits.valid)
        better = valid < np.min(history, axis=0, initial=np.inf)
        best = _chosen(jnp.asarray(better), state[0], best)
        if settings.decay == "plateau" and number >= 10:
            rate = np.where(valid > np.max(history[-3:], axis=0), rate / 10, rate)
        history.append(valid)
        report(
            f"epoch {number + 1}: trained {_list(losses.mean(axis=0))}, validation {_list(valid)}, "
            f"rate {_list(rate)}, {time.perf_counter() - begun:.1f} s"
        )
        if stop() or rate.max() < 1.01 * LEAST_SHARE_OF_RATE * settings.learning_rate:
            break
    curve, of_best = np.array(history), functools.partial(score, best)
    return Trained(of_best, curve.min(axis=0), curve.argmin(axis=0) + 1, len(history) * num_steps)


def num_steps_of(data: Sequences, settings: Settings) -> int:
    """Complete batches in an epoch; what is left over waits for another one."""
    num_sequences = len(data.inputs)
    if settings.batch_size > num_sequences:
        raise UserError(
            f"batch_size is {settings.batch_size}, but there are {num_sequences} sequences to train on; "
            f"use at most {num_sequences}"
        )
    return num_sequences // settings.batch_size


def optimizer_of(settings: Settings) -> optax.GradientTransformation:
    """Gradients to directions; the rate is a factor of its own, since it differs from seed to seed."""
    scale = {
        "adam": optax.scale_by_adam(),
        "rmsprop": optax.scale_by_rms(decay=0.99, eps_in_sqrt=False),
    }
    clip = optax.clip_by_global_norm(settings.clip) if settings.clip else optax.identity()
    return optax.chain(clip, scale[settings.optimizer])


def shares_of_rate(settings: Settings, number: int, num_steps: int) -> np.ndarray:
    """The rate of each step of an epoch, as a share of what it is at first."""
    if settings.decay != "cosine":
        return np.ones(num_steps)
    done = (number * num_steps + np.arange(num_steps)) / (settings.epochs * num_steps)
    return (1 + np.cos(np.pi * done)) / 2


def lengths_of(data: Sequences) -> list[int]:
    """A few lengths to which batches are cut, so that about as many sequences fit each."""
    lengths = np.asarray(data.mask).sum(axis=1)
    shares = np.arange(1, NUM_LENGTHS + 1) / NUM_LENGTHS
    return sorted({int(length) for length in np.quantile(lengths, shares, method="higher")})


def scorer(graph: Any, loss: Loss) -> Callable[[Weights, Sequences], np.ndarray]:
    """(weights with an axis of seeds, set) -> the mean loss of each seed."""

    @functools.partial(jax.vmap, in_axes=(0, None))
    def mean_loss(weights: Weights, data: Sequences) -> Array:
        def of_one(sequence: Sequences) -> tuple[Array, Array]:
            batch = jax.tree.map(lambda array: array[None], sequence)
            return loss(nnx.merge(graph, weights)(batch.inputs, mask=batch.mask), batch)

        totals, sizes = lax.map(of_one, data, batch_size=SCORED_AT_ONCE)
        return totals.sum() / sizes.sum()

    def score(weights: Weights, data: Sequences) -> np.ndarray:
        # In all digits of float32, where an accelerator takes fewer of them for training.
        with jax.default_matmul_precision("float32"):
            return np.asarray(jitted(weights, data), np.float64)

    jitted = jax.jit(mean_loss)
    return score


def _epoch(
    update: Callable,
    lengths: list[int],
    batch_size: int,
    seeds: Array,
    state: Any,
    key: Array,
    rates: Array,
    data: Sequences,
) -> tuple[Any, Array]:
    """All batches once, in a new order that the seeds have in common; rates [steps, seeds]."""
    num_steps = len(rates)
    of_order, of_dropout = jax.random.split(key)
    order = jax.random.permutation(of_order, len(data.inputs))[: num_steps * batch_size]

    def step(state: Any, xs: tuple[Array, Array, Array]) -> tuple[Any, Array]:
        rows, key, rate = xs
        batch = jax.tree.map(lambda array: array[rows], data)
        longest = batch.mask.sum(axis=1).max()
        return lax.switch(
            jnp.searchsorted(jnp.asarray(lengths), longest),
            [functools.partial(cut_update, length) for length in lengths],
            *(state, jax.vmap(jax.random.fold_in, (None, 0))(key, seeds), rate, batch),
        )

    def cut_update(length: int, state: Any, keys: Array, rate: Array, batch: Sequences) -> Any:
        batch = jax.tree.map(lambda array: array[:, :length], batch)
        return jax.vmap(update, in_axes=(0, 0, 0, None))(state, keys, rate, batch)

    xs = order.reshape(num_steps, batch_size), jax.random.split(of_dropout, num_steps), rates
    return lax.scan(step, state, xs)


def _update(
    graph: Any, loss: Loss, optimizer: Any, state: Any, key: Array, rate: Array, batch: Sequences
) -> tuple[Any, Array]:
    """One step of one seed."""
    weights, moments = state

    def mean_loss(weights: Weights) -> Array:
        model = nnx.merge(graph, weights)
        total, size = loss(model(batch.inputs, mask=batch.mask, dropout_key=key), batch)
        return total / size

    value, gradients = jax.value_and_grad(mean_loss)(weights)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes types
        directions, moments = optimizer.update(gradients, moments)
    weights = jax.tree.map(lambda w, direction: w - rate * direction, weights, directions)
    return (weights, moments), value


@jax.jit
def _chosen(these: Array, weights: Weights, others: Weights) -> Weights:
    """The weights of these seeds, and of the other seeds the others."""
    return jax.tree.map(
        lambda a, b: jnp.where(these.reshape(-1, *(1,) * (a.ndim - 1)), a, b), weights, others
    )


def _list(numbers: Any) -> str:
    return " ".join(f"{number:.5g}" for number in np.asarray(numbers))
