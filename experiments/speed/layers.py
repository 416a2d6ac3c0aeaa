"""One `DilatedStack` beside the same layers of plain Flax and PyTorch convolutions: forward, and forward + backward."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from sizes import Sizes
from timing import alternate, ratio, summary

from wavedil.nn import DilatedStack

DILATIONS = tuple(2**n for n in range(10))


class FlaxStack(nnx.Module):
    """As it is usually written with `nnx.Conv`: convolutions and a skip 1x1 for every layer."""

    def __init__(self, channels: int, skip_channels: int, rngs: nnx.Rngs) -> None:
        def conv(out_channels: int, **settings: Any) -> nnx.Conv:
            sizes = {"kernel_size": (1,), "rngs": rngs, **settings}
            return nnx.Conv(channels, out_channels, **sizes)

        self.layers = nnx.List(
            nnx.List(
                [
                    conv(2 * channels, kernel_size=(2,), kernel_dilation=d, padding="CAUSAL"),
                    conv(channels),
                    conv(skip_channels),
                ]
            )
            for d in DILATIONS
        )

    def __call__(self, x: Any) -> Any:
        total = jnp.float32(0)
        for dilated, residual, skip in self.layers:
            filtered, gate = jnp.split(dilated(x), 2, axis=-1)
            z = jnp.tanh(filtered) * jax.nn.sigmoid(gate)
            x, total = x + residual(z), total + skip(z)
        return x, total


class TorchStack(torch.nn.Module):
    """The same in PyTorch."""

    def __init__(self, channels: int, skip_channels: int) -> None:
        super().__init__()
        conv = torch.nn.Conv1d
        self.layers = torch.nn.ModuleList(
            torch.nn.ModuleList(
                [
                    conv(channels, 2 * channels, 2, dilation=d),
                    conv(channels, channels, 1),
                    conv(channels, skip_channels, 1),
                ]
            )
            for d in DILATIONS
        )

    def forward(self, x: Any) -> Any:
        total = torch.zeros(())
        for dilation, (dilated, residual, skip) in zip(DILATIONS, self.layers, strict=True):
            filtered, gate = dilated(torch.nn.functional.pad(x, (dilation, 0))).chunk(2, 1)
            z = torch.tanh(filtered) * torch.sigmoid(gate)
            x, total = x + residual(z), total + skip(z)
        return x, total


def measure(sizes: Sizes) -> dict[str, Any]:
    return {
        f"{channels} channels, {batch_size} x {num_samples}": _compared(
            channels, batch_size, num_samples, sizes.rounds
        )
        for channels, batch_size, num_samples in sizes.stacks
    }


def _compared(channels: int, batch_size: int, num_samples: int, rounds: int) -> dict[str, Any]:
    skip_channels = 4 * channels
    x = np.random.default_rng(0).normal(size=(batch_size, num_samples, channels)).astype(np.float32)
    ours = DilatedStack(channels, skip_channels, dilations=DILATIONS, rngs=nnx.Rngs(0))
    flax = FlaxStack(channels, skip_channels, nnx.Rngs(0))
    _give_weights(ours, flax)
    peer = TorchStack(channels, skip_channels)
    calls = {
        "wavedil": _jax_calls(ours, x),
        "flax": _jax_calls(flax, x),
        "torch": _torch_calls(peer, x),
    }
    for a, b in zip(calls["wavedil"][0](), calls["flax"][0](), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    results: dict[str, Any] = {}
    for i, part in enumerate(("forward", "forward + backward")):
        times = alternate({name: pair[i] for name, pair in calls.items()}, rounds)
        results[part] = {
            "milliseconds": {name: summary([1e3 * t for t in of]) for name, of in times.items()},
            "times_flax": ratio(times["wavedil"], times["flax"]),
            "times_torch": ratio(times["wavedil"], times["torch"]),
        }
    return results


def _jax_calls(layer: Any, x: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    graph, weights = nnx.split(layer)
    x = jnp.asarray(x)

    def loss(weights: Any, x: Any) -> Any:
        return sum(jnp.vdot(y, y) for y in nnx.merge(graph, weights)(x))

    forward = jax.jit(lambda weights, x: nnx.merge(graph, weights)(x))
    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)))
    return (
        lambda: jax.block_until_ready(forward(weights, x)),
        lambda: jax.block_until_ready(gradient(weights, x)),
    )


def _torch_calls(layer: Any, x: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    signal = torch.tensor(x).transpose(1, 2).contiguous()

    def forward() -> Any:
        with torch.inference_mode():
            return layer(signal)

    def gradient() -> None:
        layer.zero_grad()
        leaf = signal.clone().requires_grad_()
        sum((y * y).sum() for y in layer(leaf)).backward()

    return forward, gradient


def _give_weights(ours: Any, flax: Any) -> None:
    """The weights of our stack, so that both compute the same."""
    channels = ours.in_channels
    for i, (block, (dilated, residual, skip)) in enumerate(
        zip(ours.blocks, flax.layers, strict=True)
    ):
        dilated.kernel[...], residual.kernel[...] = (
            block.conv.kernel[...],
            block.residual.kernel[...],
        )
        skip.kernel[...] = ours.skip_kernel[i * channels : (i + 1) * channels][None]


def table(results: dict[str, Any]) -> list[str]:
    lines = [
        "Ten layers of kernel size 2, float32, beside the same of plain `nnx.Conv` and `torch.nn.Conv1d` (times over",
        "theirs; aim: forward 1.0x, forward + backward 0.6x of Flax's):",
        "",
        "| | wavedil, ms | times Flax's | times PyTorch's |",
        "|---|---|---|---|",
    ]
    for size, parts in results.items():
        for part, found in parts.items() if isinstance(parts, dict) and "forward" in parts else ():
            ratios = [
                "{median:.2f}x ({lowest:.2f} to {highest:.2f})".format(**found[name])
                for name in ("times_flax", "times_torch")
            ]
            own = found["milliseconds"]["wavedil"]["median"]
            lines.append(f"| {size}, {part} | {own:.1f} | {ratios[0]} | {ratios[1]} |")
    return lines
