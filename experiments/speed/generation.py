"""Generation: samples a second beside a PyTorch queue generator, and what a later sample or a batch costs."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import peers
from flax import nnx
from sizes import Sizes
from timing import alternate, rates, ratio, seconds, summary

# The compiled loop of `generate`, called in windows of other lengths than its own.
from wavedil.generation import sampler, step
from wavedil.models import WaveNet
from wavedil.models import named_weights


class Loop:
    """`wavedil.generate`'s compiled loop, drawn from in windows."""

    def __init__(self, model: WaveNet, batch_size: int) -> None:
        self.graph, self.weights = nnx.split(model)
        self.keys = jax.random.split(jax.random.key(0), batch_size)
        self.silence = jnp.full((batch_size, 1), model.config.levels // 2, jnp.int32)
        self.restart()

    def restart(self) -> None:
        rings = sampler._absorb(self.graph, self.weights, self.silence[:, :0], {})
        position = jnp.zeros((), jnp.int32)
        self.state = jax.block_until_ready(step.Loop(rings, position, self.silence[:, 0]))
        self.position = 0

    def draw(self, num_samples: int) -> None:
        times = self.position + jnp.arange(num_samples)
        self.state, codes = sampler._draw(
            self.graph, self.weights, {}, 1.0, self.state, self.keys, times
        )
        codes.block_until_ready()
        self.position += num_samples


def measure(sizes: Sizes) -> dict[str, Any]:
    model = WaveNet(sizes.model, rngs=nnx.Rngs(0))
    return {
        "layers": len(sizes.model.layer_dilations),
        **_against_pytorch(model, sizes),
        "by_position": _early_and_late(model, sizes),
        "by_batch_size": _batch_sizes(model, sizes),
    }


def _against_pytorch(model: WaveNet, sizes: Sizes) -> dict[str, Any]:
    silence = sizes.model.levels // 2
    peer = peers.WaveNet(sizes.model)
    codes = np.random.default_rng(0).integers(0, sizes.model.levels, (1, 300))
    expected = np.asarray(nnx.jit(model)(codes.astype(np.int32)))
    peers.check(peer, named_weights(model), codes, expected)
    generator = peers.QueueGenerator(peer)
    key = jax.random.key(0)
    times = alternate(
        {
            "wavedil": lambda: sampler.generate(model, key, num_samples=sizes.drawn),
            "pytorch": lambda: generator.draw(sizes.peer_drawn, silence),
        },
        sizes.rounds,
    )
    return {
        "samples_per_second": {
            "wavedil": rates(sizes.drawn, times["wavedil"]),
            "pytorch": rates(sizes.peer_drawn, times["pytorch"]),
        },
        "times_pytorch": ratio(times["pytorch"], times["wavedil"], sizes.drawn / sizes.peer_drawn),
    }


def _early_and_late(model: WaveNet, sizes: Sizes) -> dict[str, Any]:
    """Windows around two samples, in turns. The late one is reached by drawing all that come before."""
    early, late = Loop(model, batch_size=1), Loop(model, batch_size=1)
    before_early, before_late = sizes.early - sizes.window // 2, sizes.late - sizes.window // 2
    while late.position + sizes.window <= before_late:
        late.draw(sizes.window)
    times: dict[str, list[float]] = {"early": [], "late": []}
    for _ in range(sizes.rounds):
        early.restart()
        if before_early:
            early.draw(before_early)
        times["early"].append(seconds(lambda: early.draw(sizes.window)) / sizes.window)
        times["late"].append(seconds(lambda: late.draw(sizes.window)) / sizes.window)
    return {
        "window": sizes.window,
        "samples": {"early": sizes.early, "late": sizes.late},
        "microseconds": {
            name: summary([1e6 * t for t in values]) for name, values in times.items()
        },
        "late_over_early": ratio(times["late"], times["early"]),
    }


def _batch_sizes(model: WaveNet, sizes: Sizes) -> dict[str, Any]:
    loops = {str(size): Loop(model, size) for size in sizes.batch_sizes}
    draws = {name: functools.partial(loop.draw, sizes.batch_steps) for name, loop in loops.items()}
    times = alternate(draws, sizes.rounds)
    *_, second_largest, largest = times
    return {
        "microseconds": {
            name: summary([1e6 * t / sizes.batch_steps for t in values])
            for name, values in times.items()
        },
        "largest_over_second_largest": ratio(times[largest], times[second_largest]),
    }


def table(results: dict[str, Any]) -> list[str]:
    rate, times = results["samples_per_second"], results["times_pytorch"]
    position, batch = results["by_position"], results["by_batch_size"]
    at, step = position["samples"], position["microseconds"]
    growth, cost = position["late_over_early"], batch["largest_over_second_largest"]
    *_, second_largest, largest = batch["microseconds"]
    steps = [
        f"| {size} | {cell['median']:,.0f} | {int(size) * 1e6 / cell['median']:,.0f} |"
        for size, cell in batch["microseconds"].items()
    ]
    return [
        f"Generation, {results['layers']} layers, batch 1, float32 (aim 6x):",
        "",
        "| | samples/s | ratio |",
        "|---|---|---|",
        f"| wavedil | {rate['wavedil']['median']:,.0f} | |",
        f"| PyTorch, queues | {rate['pytorch']['median']:,.0f} | wavedil {times['median']:.2f}x as fast "
        f"({times['lowest']:.2f} to {times['highest']:.2f}) |",
        "",
        f"A sample takes {step['early']['median']:.0f} us around sample {at['early']:,} and "
        f"{step['late']['median']:.0f} us around sample {at['late']:,}, {growth['median']:.2f}x "
        f"({growth['lowest']:.2f} to {growth['highest']:.2f}; aim 1).",
        "",
        "| batch | us a step | samples/s, all signals |",
        "|---|---|---|",
        *steps,
        "",
        f"A step at batch {largest} costs {cost['median']:.2f}x a step at batch {second_largest} "
        f"({cost['lowest']:.2f} to {cost['highest']:.2f}; aim below 4).",
    ]
