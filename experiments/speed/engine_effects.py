"""The compiled engine as an effect: blocks of an amp model against the time that they may take."""

import gc
import time
from typing import Any

import numpy as np
from flax import nnx
from sizes import Sizes
from timing import summary

from wavedil import AmpModel, AmpModelConfig
from wavedil.engine import compile_seconds, player

MODELS = {"A1 standard": AmpModelConfig.standard(), "A2": AmpModelConfig.a2()}


def measure(sizes: Sizes) -> dict[str, Any]:
    results = {}
    for name, config in MODELS.items():
        model = AmpModel(config, rngs=nnx.Rngs(0))
        for block in sizes.effect_blocks:
            results[f"{name}, blocks of {block}"] = _played(model, block, sizes.effect_seconds)
    return results


def _played(model: AmpModel, block: int, length: float) -> dict[str, Any]:
    """Every block of so many seconds of noise, timed; the garbage collector is off, as a live program has it."""
    rate = model.config.sample_rate
    rng = np.random.default_rng(0)
    blocks = rng.standard_normal((64, 1, block, 1), np.float32) * np.float32(0.1)
    made = player(model)
    for x in blocks:
        made.push(x)
    compiled, collected = compile_seconds(), []
    gc.callbacks.append(lambda phase, info: collected.append(phase))
    gc.disable()
    times = np.empty(max(10, round(length * rate / block)))
    for n in range(len(times)):
        x = blocks[n % len(blocks)]
        start = time.perf_counter()
        made.push(x)
        times[n] = time.perf_counter() - start
    gc.enable()
    gc.callbacks.pop()
    deadline = block / rate
    return {
        "microseconds_a_sample": summary(list(1e6 * times / block)),
        "share_of_deadline": {
            "p50": float(np.quantile(times, 0.5) / deadline),
            "p99": float(np.quantile(times, 0.99) / deadline),
            "worst": float(times.max() / deadline),
        },
        "deadline_ms": 1e3 * deadline,
        "collections": len(collected),
        "compiled_meanwhile_seconds": compile_seconds() - compiled,
    }


def table(results: dict[str, Any]) -> list[str]:
    lines = [
        "| | us a sample | times real time | deadline of a block | p50 | p99 | worst | collections, compilations |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, cell in results.items():
        if name in ("machine", "measured_in_seconds"):
            continue
        micro, share = cell["microseconds_a_sample"]["median"], cell["share_of_deadline"]
        block = name.rpartition(" ")[2]
        factor = 1e3 * cell["deadline_ms"] / int(block) / micro
        lines.append(
            f"| {name} | {micro:.2f} | {factor:.0f} | {cell['deadline_ms']:.2f} ms | {share['p50']:.3f} | "
            f"{share['p99']:.3f} | {share['worst']:.3f} | {cell['collections']}, "
            f"{'none' if not cell['compiled_meanwhile_seconds'] else 'some'} |"
        )
    return lines
