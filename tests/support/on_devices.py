"""What layers do on the devices of a process: the program of `tests/nn/test_devices.py`."""

import functools
import math
import re
from collections.abc import Callable
from typing import Any

import contract
import four_devices
import jax
import jax.numpy as jnp
from contract import CAUSAL, COMPILED, LAYERS, assert_close
from flax import nnx
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from wavedil.nn import DilatedStack
from wavedil.ops import time_blocks

BATCH_SIZE, NUM_SAMPLES = 4, 12
# The operations of XLA that move numbers from one device to another.
MOVES = "all-gather|all-to-all|collective-permute|reduce-scatter|all-reduce"


def signals(name: str) -> tuple[Any, Any]:
    """A signal, and what comes with it; all of it is split by its first axis."""
    case = LAYERS[name]
    return case.signal(NUM_SAMPLES, 0, BATCH_SIZE), case.extras(NUM_SAMPLES, BATCH_SIZE)


def run(
    graph: Any, causal: bool, blocks: tuple[int, ...], weights: Any, x: Any, extras: Any
) -> tuple[Any, Any]:
    """The gradient of the weights, and the outputs: of the whole signal, and of steps from a state made here."""

    def loss(weights: Any) -> Any:
        y = nnx.merge(graph, weights)(x, **extras)
        return sum(jnp.sum(jnp.sin(3 * leaf)) for leaf in jax.tree.leaves(y)), y

    gradients, y = jax.grad(loss, has_aux=True)(weights)
    layer, steps, first = nnx.merge(graph, weights), [], 0
    state = contract.initial_state(layer, x) if causal else None
    for length in blocks if causal else ():
        block = slice(first, first + length)
        given = {
            name: value[:, block] if name in contract.AT_EVERY_SAMPLE else value
            for name, value in extras.items()
        }
        step, state = layer.step(x[:, block], state, **given)
        steps.append(step)
        first += length
    return gradients, (y, steps)


def in_shards(call: Callable[..., Any]) -> Callable[..., Any]:
    """`run` under `jax.shard_map`, which sums the gradients of what is the same on all devices."""
    return jax.shard_map(
        call,
        mesh=mesh(AxisType.Auto),
        in_specs=(P(), P("devices"), P("devices")),
        out_specs=(P(), P("devices")),
    )


def mesh(kind: AxisType) -> Any:
    return jax.make_mesh((4,), ("devices",), axis_types=(kind,))


def split(tree: Any, axis: str | None = "devices") -> Any:
    """Arrays, or their shapes, on the devices of the mesh that is set, each with its part of the first axis."""
    # Not P(None), which is of one axis at least.
    sharding = NamedSharding(jax.sharding.get_mesh(), P() if axis is None else P(axis))
    return jax.tree.map(
        lambda leaf: (
            jax.device_put(leaf, sharding)
            if isinstance(leaf, jax.Array)
            else jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
        ),
        tree,
    )


def types_agree(name: str) -> None:
    """In shards, and with explicit axes, where what comes with a signal may be whole; blocks are empty, and short."""
    graph, weights = nnx.split(LAYERS[name].abstract_layer())
    call = functools.partial(run, graph, name in CAUSAL, (0, 3))
    x, extras = jax.eval_shape(lambda: signals(name))
    jax.eval_shape(in_shards(call), weights, x, extras)
    with jax.set_mesh(mesh(AxisType.Explicit)):
        x = split(x)
        placed = split(weights, None), x, split(extras)
        for given in (split(extras), extras) if extras else (extras,):
            _, outputs = jax.eval_shape(call, weights, x, given)
            for leaf in jax.tree.leaves(outputs):
                assert leaf.sharding.spec[0] == "devices", leaf
    # The whole signal, placed on a mesh that is not set.
    _, (y, _) = jax.eval_shape(functools.partial(run, graph, False, ()), *placed)
    for leaf in jax.tree.leaves(y):
        assert leaf.sharding.spec[0] == "devices", leaf


def numbers_are_those_of_one_device(name: str) -> None:
    graph, weights = nnx.split(LAYERS[name].layer())
    call, given = functools.partial(run, graph, name in CAUSAL, (3, 9)), signals(name)
    expected = jax.jit(call)(weights, *given)
    assert_close(jax.jit(in_shards(call))(weights, *given), expected, rtol=2e-4, atol=2e-4)
    with jax.set_mesh(mesh(AxisType.Explicit)):
        actual = jax.jit(call)(weights, *split(given))
    assert_close(actual, expected, rtol=2e-4, atol=2e-4)


def nothing_moves_but_gradients(layer: Any, loss: Callable[..., Any], *given: Any) -> None:
    """The gradient of the weights, compiled for split signals: devices sum as many numbers as there are weights."""
    graph, weights = nnx.split(layer)
    gradient = jax.grad(lambda weights, *given: loss(nnx.merge(graph, weights), *given))
    for kind in AxisType.Auto, AxisType.Explicit:
        with jax.set_mesh(mesh(kind)):
            lowered = jax.jit(gradient).lower(split(weights, None), *split(given))
        moves = re.findall(rf"= (.*) ({MOVES})(?:-start)?\(", lowered.compile().as_text())
        assert {move for _, move in moves} == {"all-reduce"}, (kind, moves)
        shapes = re.findall(r"f32\[([\d,]*)\]", " ".join(types for types, _ in moves))
        summed = sum(math.prod(map(int, filter(None, shape.split(",")))) for shape in shapes)
        assert summed == sum(leaf.size for leaf in jax.tree.leaves(weights)), (kind, summed)


def stack_moves() -> None:
    layer = DilatedStack(6, 5, dilations=(1, 2), condition_channels=2, rngs=nnx.Rngs(0))
    shape = 2 * BATCH_SIZE, time_blocks._SAMPLES_ON_CPU  # several blocks of time
    nothing_moves_but_gradients(
        layer,
        lambda layer, *given: sum(jnp.sum(jnp.sin(y)) for y in layer(*given)),
        *(jnp.ones((*shape, 6)), jnp.ones((*shape, 2))),
    )


def wavenet_moves() -> None:
    layer = LAYERS["wavenet labelled"].layer()
    rows = {label: jnp.zeros(BATCH_SIZE, jnp.int32) for label in layer.config.labels}
    nothing_moves_but_gradients(
        layer,
        lambda layer, *given: -layer.log_prob(*given).sum(),
        *(jnp.ones((BATCH_SIZE, NUM_SAMPLES), jnp.int32), rows),
    )


def log_prob_begins_anywhere() -> None:
    """With explicit axes: silence before the signals, and values of labels, are made where they are."""
    model = LAYERS["wavenet labelled"].layer()
    codes, _ = signals("wavenet labelled")
    labels = {"digit": "1", "speaker": ["a", "b", "c", "a"]}
    with jax.set_mesh(mesh(AxisType.Explicit)):
        actual = jax.jit(lambda codes: model.log_prob(codes, labels))(split(codes))
    assert_close(actual, jax.jit(lambda codes: model.log_prob(codes, labels))(codes))


def a_kernel_in_parts_is_refused() -> None:
    """With explicit axes, where every device has a tap of its own: it is no kernel of one tap."""
    graph, weights = nnx.split(DilatedStack(3, 3, kernel_size=4, dilations=(1,), rngs=nnx.Rngs(0)))
    with jax.set_mesh(mesh(AxisType.Explicit)):
        weights = jax.tree.map(
            lambda leaf: split(leaf, "devices" if leaf.ndim == 3 and len(leaf) == 4 else None),
            weights,
        )
        try:
            jax.eval_shape(
                lambda weights, x: nnx.merge(graph, weights)(x), weights, split(jnp.ones((4, 9, 3)))
            )
        except ValueError as error:
            assert "in_specs" in str(error), error
        else:
            raise AssertionError("not refused")


CHECKS: dict[str, Callable[[], None]] = {
    **{f"types: {name}": functools.partial(types_agree, name) for name in LAYERS},
    **{
        f"numbers: {name}": functools.partial(numbers_are_those_of_one_device, name)
        for name in COMPILED
    },
    "moves: stack": stack_moves,
    "moves: wavenet": wavenet_moves,
    "explicit: log_prob": log_prob_begins_anywhere,
    "explicit: kernel in parts": a_kernel_in_parts_is_refused,
}

if __name__ == "__main__":
    four_devices.main(CHECKS)
