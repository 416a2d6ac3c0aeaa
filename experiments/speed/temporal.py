"""Temporal convolutional networks beside pytorch-tcn and keras-tcn: forward + backward, and one frame at a time."""

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import numpy as np
import pytorch_tcn
import torch
from flax import nnx
from sizes import Sizes, TemporalSizes
from tcn import TCN as KerasTCN  # noqa: N811
from timing import alternate, rates, ratio, summary

from wavedil.nn import TemporalConvNet

Call = Callable[[], Any]


def measure(sizes: Sizes) -> dict[str, Any]:
    return {
        "gradient": {size.name: _gradients(size, sizes.rounds) for size in sizes.temporal},
        "streaming": _streaming(sizes),
    }


def _gradients(size: TemporalSizes, rounds: int) -> dict[str, Any]:
    """The gradient of all weights of a mean square, each library with its own initial weights."""
    shape = size.batch_size, size.num_samples, size.channels
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    calls = {
        "wavedil": _ours(size, x),
        "pytorch-tcn": _pytorch_tcn(size, x),
        "keras-tcn": _keras_tcn(size, x),
    }
    times = alternate(calls, rounds)
    return {
        "milliseconds": {name: summary([1e3 * t for t in of]) for name, of in times.items()},
        **{f"times_as_fast_as_{name}": ratio(times[name], times["wavedil"]) for name in calls},
    }


def _ours(size: TemporalSizes, x: Any) -> Call:
    net = TemporalConvNet(
        size.channels,
        [size.channels] * size.levels,
        kernel_size=size.kernel_size,
        rngs=nnx.Rngs(0),
    )
    graph, weights = nnx.split(net)
    gradient = jax.jit(jax.grad(lambda weights, x: jnp.mean(nnx.merge(graph, weights)(x) ** 2)))
    x = jnp.asarray(x)
    return lambda: jax.block_until_ready(gradient(weights, x))


def _pytorch_tcn(size: TemporalSizes, x: Any) -> Call:
    net = _peer(size)
    signal = torch.from_numpy(x).transpose(1, 2).contiguous()

    def call() -> None:
        net.zero_grad()
        (net(signal) ** 2).mean().backward()

    return call


def _peer(size: TemporalSizes) -> Any:
    return pytorch_tcn.TCN(
        size.channels, [size.channels] * size.levels, kernel_size=size.kernel_size, dropout=0.0
    )


def _keras_tcn(size: TemporalSizes, x: Any) -> Call:
    """With the JAX backend, jitted; it has no weight normalisation, and so does less."""
    layer = KerasTCN(
        size.channels,
        size.kernel_size,
        dilations=[2**level for level in range(size.levels)],
        use_skip_connections=False,
        return_sequences=True,
    )
    layer.build(x.shape)
    trained = [variable.value for variable in layer.trainable_variables]
    others = [variable.value for variable in layer.non_trainable_variables]

    def loss(trained: Any, x: Any) -> Any:
        return jnp.mean(layer.stateless_call(trained, others, x)[0] ** 2)

    gradient = jax.jit(jax.grad(loss))
    x = jnp.asarray(x)
    return lambda: jax.block_until_ready(gradient(trained, x))


def _streaming(sizes: Sizes) -> dict[str, Any]:
    """Frames one after the other; batch 1, of which alone pytorch-tcn streams."""
    size, num_frames = sizes.streamed, sizes.streamed_frames
    net = TemporalConvNet(
        size.channels,
        [size.channels] * size.levels,
        kernel_size=size.kernel_size,
        rngs=nnx.Rngs(0),
    )
    graph, weights = nnx.split(net)
    step = jax.jit(lambda weights, x, state: nnx.merge(graph, weights).step(x, state))
    frame = jnp.ones((1, 1, size.channels))

    def ours() -> None:
        state = net.init_state(1)
        for _ in range(num_frames):
            y, state = step(weights, frame, state)
            np.asarray(y)  # a live stream takes every frame out

    peer = _peer(size).eval()
    signal = torch.ones(1, size.channels, 1)

    def theirs() -> None:
        with torch.inference_mode():
            peer.reset_buffers()
            for _ in range(num_frames):
                peer(signal, inference=True).numpy()

    times = alternate({"wavedil": ours, "pytorch-tcn": theirs}, sizes.rounds)
    return {
        "levels": size.levels,
        "frames_per_second": {name: rates(num_frames, of) for name, of in times.items()},
        "times_as_fast": ratio(times["pytorch-tcn"], times["wavedil"]),
    }


def table(results: dict[str, Any]) -> list[str]:
    lines = [
        "Temporal convolutional networks, float32: the gradient of all weights (aim: 1.3x as fast as either).",
        "",
        "| | wavedil, ms | as fast as pytorch-tcn | as fast as keras-tcn on JAX |",
        "|---|---|---|---|",
    ]
    form = "{median:.2f}x ({lowest:.2f} to {highest:.2f})"
    for name, found in results["gradient"].items():
        ratios = [
            form.format(**found[f"times_as_fast_as_{peer}"])
            for peer in ("pytorch-tcn", "keras-tcn")
        ]
        own = found["milliseconds"]["wavedil"]["median"]
        lines.append(f"| {name} | {own:.1f} | {ratios[0]} | {ratios[1]} |")
    streaming = results["streaming"]
    speeds = {name: of["median"] for name, of in streaming["frames_per_second"].items()}
    return [
        *lines,
        "",
        f"One frame at a time through {streaming['levels']} levels: {speeds['wavedil']:,.0f} frames/s, pytorch-tcn "
        f"{speeds['pytorch-tcn']:,.0f}: {form.format(**streaming['times_as_fast'])} as fast (aim 3x).",
    ]
