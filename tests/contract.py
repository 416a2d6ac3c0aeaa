"""The contract that every layer and model is put through. A new layer is one line in `LAYERS`."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from wavedil import WaveNet, WaveNetConfig
from wavedil.nn import Conv1d, DilatedStack, GatedBlock, Sequential

BATCH_SIZE = 2


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer, and how to feed it."""

    make: Callable[[nnx.Rngs], Any]
    channels: int | None = 3
    """Channels of the input; None: codes."""
    condition: int | None = None
    """Channels of a condition with a value at every sample."""
    labels: tuple[str, ...] = ()

    @functools.cache  # noqa: B019  the cases live as long as the tests
    def layer(self) -> Any:
        return self.make(nnx.Rngs(0))

    def signal(self, num_samples: int, seed: int = 0, batch_size: int = BATCH_SIZE) -> Any:
        key = jax.random.key(seed)
        if self.channels is None:
            return jax.random.randint(key, (batch_size, num_samples), 0, 256)
        return jax.random.normal(key, (batch_size, num_samples, self.channels))

    def extras(self, num_samples: int, batch_size: int = BATCH_SIZE) -> dict[str, Any]:
        """What the layer is called with beside the signal."""
        if self.condition is not None:
            shape = (batch_size, num_samples, self.condition)
            return {"condition": jax.random.normal(jax.random.key(9), shape)}
        if self.labels:
            return {"labels": {name: jnp.arange(batch_size) % 3 for name in self.labels}}
        return {}


def whole(layer: Any, x: Any, extras: dict[str, Any]) -> Any:
    """The outputs on the whole signal."""
    return jax.jit(layer)(x, **extras)


def stream(layer: Any, x: Any, extras: dict[str, Any], blocks: list[int]) -> Any:
    """The outputs of `step` on consecutive blocks, joined."""
    step = jax.jit(layer.step)
    state = layer.init_state(x.shape[0])
    outputs, start = [], 0
    for length in blocks:
        block_extras = {
            name: value[:, start : start + length] if name == "condition" else value
            for name, value in extras.items()
        }
        y, state = step(x[:, start : start + length], state, **block_extras)
        outputs.append(y)
        start += length
    return jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), *outputs)


def assert_close(actual: Any, expected: Any, rtol: float = 1e-5, atol: float = 1e-5) -> None:
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, e, rtol=rtol, atol=atol)


def loss(y: Any) -> Any:
    """A scalar to which every output contributes its own weight."""
    return sum(
        jnp.sum(part * jnp.cos(jnp.arange(part.size, dtype=part.dtype)).reshape(part.shape))
        for part in jax.tree.leaves(y)
    )


def _conv(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    return lambda rngs: Conv1d(3, 4, **{"kernel_size": 3, **settings}, rngs=rngs)


def _block(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    return lambda rngs: GatedBlock(3, **{"kernel_size": 2, "dilation": 4, **settings}, rngs=rngs)


def _stack(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    sizes = {"kernel_size": 2, "dilations": (1, 3), "cycles": 2}
    return lambda rngs: DilatedStack(3, 5, **{**sizes, **settings}, rngs=rngs)


def _wavenet(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    sizes = {"dilations": (1, 3), "cycles": 2, "residual_channels": 4, "skip_channels": 8}
    return lambda rngs: WaveNet(WaveNetConfig(**{**sizes, **settings}), rngs=rngs)


_TWO_LABELS = {"digit": ("0", "1"), "speaker": ("a", "b", "c")}

LAYERS = {
    "conv": Case(_conv()),
    "conv of one tap": Case(_conv(kernel_size=1)),
    "conv dilated": Case(_conv(kernel_size=4, dilation=5, use_bias=False)),
    "conv grouped": Case(lambda r: Conv1d(4, 6, kernel_size=3, groups=2, rngs=r), channels=4),
    "conv of many taps": Case(_conv(kernel_size=20, dilation=2)),
    "conv same": Case(_conv(kernel_size=4, dilation=3, padding="same")),
    "gated block": Case(_block(skip_channels=5)),
    "gated block of one tap": Case(_block(kernel_size=1)),
    "gated block conditioned": Case(
        _block(kernel_size=3, condition_channels=2, skip_channels=5), condition=2
    ),
    "stack": Case(_stack()),
    "stack of three taps": Case(_stack(kernel_size=3, dilations=(3, 1, 2))),
    "stack of one tap": Case(_stack(kernel_size=1)),
    "stack conditioned": Case(_stack(condition_channels=2), condition=2),
    "sequential": Case(
        lambda r: Sequential(
            Conv1d(3, 4, kernel_size=2, dilation=2, rngs=r),
            jax.nn.tanh,
            Conv1d(4, 2, kernel_size=3, rngs=r),
        )
    ),
    "sequential same": Case(
        lambda r: Sequential(
            Conv1d(3, 4, kernel_size=2, dilation=3, rngs=r),
            Conv1d(4, 2, kernel_size=5, padding="same", rngs=r),
        )
    ),
    "wavenet": Case(_wavenet(), channels=None),
    "wavenet scalar": Case(_wavenet(input="scalar", kernel_size=3), channels=None),
    "wavenet logistic": Case(
        _wavenet(output="logistic", scale="linear", input="scalar"), channels=None
    ),
    "wavenet gaussian": Case(_wavenet(output="gaussian", num_components=2), channels=None),
    "wavenet labelled": Case(
        _wavenet(labels=_TWO_LABELS), channels=None, labels=tuple(_TWO_LABELS)
    ),
}
CAUSAL = {name: case for name, case in LAYERS.items() if case.layer().receptive_field.future <= 0}
