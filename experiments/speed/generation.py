"""Generation by the scan: samples a second beside a PyTorch queue generator; what a later sample or a batch costs."""

import time
from typing import Any

import numpy as np
import peers
from flax import nnx
from sizes import Sizes
from timing import alternate, rates, ratio, summary

from wavedil import generate
from wavedil.models import WaveNet, named_weights


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
    times = alternate(
        {
            "wavedil": lambda: generate(model, 0, num_samples=sizes.drawn, engine="scan"),
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
    """Two stretches of one long sound, timed as they are drawn: generation reports after each."""
    times: dict[str, list[float]] = {"early": [], "late": []}
    window = 0
    for _ in range(sizes.rounds):
        ends, clock = [0], [time.perf_counter()]

        def note(done: int, total: int, ends: Any = ends, clock: Any = clock) -> None:
            ends.append(done)
            clock.append(time.perf_counter())

        generate(model, 0, num_samples=sizes.late, progress=note, engine="scan")
        window = ends[2] - ends[1]
        # Not the first, which also sets up, and not the last, which may be cut short.
        times["early"].append((clock[2] - clock[1]) / window)
        times["late"].append((clock[-2] - clock[-3]) / window)
    return {
        "window": window,
        "samples": {"early": 2 * window, "late": sizes.late},
        "microseconds": {
            name: summary([1e6 * t for t in values]) for name, values in times.items()
        },
        "late_over_early": ratio(times["late"], times["early"]),
    }


def _batch_sizes(model: WaveNet, sizes: Sizes) -> dict[str, Any]:
    def draw(batch_size: int) -> Any:
        return lambda: generate(
            model, 0, num_samples=sizes.batch_steps, batch_size=batch_size, engine="scan"
        )

    times = alternate({str(size): draw(size) for size in sizes.batch_sizes}, sizes.rounds)
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
