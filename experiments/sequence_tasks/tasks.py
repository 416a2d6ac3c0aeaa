"""The tasks: their data, what an answer costs, and the settings that the published code has for them."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jax import Array

from experiments.sequence_tasks.data import (
    NUM_SYMBOLS,
    Sequences,
    Splits,
    adding_problem,
    copy_memory,
    read_piano_rolls,
)
from wavedil.errors import UserError, require_positive, require_whole

Loss = Callable[[Array, Sequences], tuple[Array, Array]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """A network and how it is trained; a clip of 0 is none."""

    network: Literal["tcn", "gated"] = "tcn"
    kernel_size: int
    levels: int
    channels: int
    dropout: float = 0.0
    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float
    decay: Literal["constant", "plateau", "cosine"] = "constant"
    clip: float = 0.0
    batch_size: int
    epochs: int

    def check(self) -> None:
        """Refuses sizes below 1 and rates that train nothing; the layers check the rest.

        Raises:
          UserError: With the first.
        """
        require_positive(levels=self.levels, batch_size=self.batch_size, epochs=self.epochs)
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise UserError(f"{name} is {value}, but it must be a number of 0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A task, and what was published of it.

    `read` takes the length of the sequences, or where this is None a file.
    """

    what: str
    length: int | None = None
    read: Callable[..., Splits]
    loss: Loss
    out_channels: Callable[[Splits], int]
    published: float
    unit: str
    settings: Settings


def squared_error(outputs: Array, batch: Sequences) -> tuple[Array, Array]:
    """Of the output at the last step, over sequences."""
    errors = optax.losses.squared_error(outputs[:, -1], batch.targets)
    return errors.sum(), jnp.asarray(errors.size, errors.dtype)


def cross_entropy(outputs: Array, batch: Sequences) -> tuple[Array, Array]:
    """In nats, over all steps."""
    nats = optax.losses.softmax_cross_entropy_with_integer_labels(outputs, batch.targets)
    return jnp.where(batch.mask, nats, 0).sum(), batch.mask.sum().astype(nats.dtype)


def frame_nll(outputs: Array, batch: Sequences) -> tuple[Array, Array]:
    """In nats: the sum over keys, over frames."""
    targets = batch.targets.astype(outputs.dtype)
    nats = optax.losses.sigmoid_binary_cross_entropy(outputs, targets).sum(axis=-1)
    return jnp.where(batch.mask, nats, 0).sum(), batch.mask.sum().astype(nats.dtype)


def _made(make: Callable[[Array, int, int], Sequences], *counts: int) -> Callable[[int], Splits]:
    """A reader that makes its sets, of these sizes, on the device."""

    def read(length: int) -> Splits:
        require_whole("length", length, least=2)
        keys = jax.random.split(jax.random.key(1111), len(counts))
        jitted = jax.jit(make, static_argnums=(1, 2))
        return Splits(
            *(jitted(key, count, length) for key, count in zip(keys, counts, strict=True))
        )

    return read


TASKS: dict[str, Task] = {
    "adding": Task(
        what="the sum of two marked numbers",
        length=600,
        read=_made(adding_problem, 50_000, 1000, 1000),
        loss=squared_error,
        out_channels=lambda splits: 1,
        published=5.8e-5,
        unit="mean squared error",
        settings=Settings(
            kernel_size=8, levels=8, channels=24, learning_rate=4e-3, batch_size=32, epochs=10
        ),
    ),
    "copy": Task(
        what="ten symbols after many blanks",
        length=1000,
        read=_made(copy_memory, 10_000, 1000, 1000),
        loss=cross_entropy,
        out_channels=lambda splits: NUM_SYMBOLS,
        published=3.5e-5,
        unit="nats a step",
        settings=Settings(
            kernel_size=8,
            levels=8,
            channels=10,
            optimizer="rmsprop",
            learning_rate=5e-4,
            clip=1.0,
            batch_size=32,
            epochs=50,
        ),
    ),
    "jsb": Task(
        what="the next frame of a piano roll",
        read=read_piano_rolls,
        loss=frame_nll,
        out_channels=lambda splits: splits.train.targets.shape[-1],
        published=8.10,
        unit="nats a frame",
        settings=Settings(
            kernel_size=3,
            levels=2,
            channels=150,
            dropout=0.5,
            learning_rate=1e-3,
            decay="plateau",
            clip=0.4,
            batch_size=1,
            epochs=100,
        ),
    ),
}
