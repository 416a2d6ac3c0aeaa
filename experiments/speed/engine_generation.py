"""The compiled engine drawing samples, beside the scan, PyTorch's queues and the rate at which its weights are read."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import peers
from flax import nnx
from numba import njit
from sizes import Sizes
from timing import alternate, rates, ratio, seconds

from wavedil import WaveNet, WaveNetConfig, generate
from wavedil.engine import Samples, compile_seconds

WEIGHTS = ("float32", "bfloat16", "int8")


def measure(sizes: Sizes) -> dict[str, Any]:
    model = WaveNet(sizes.model, rngs=nnx.Rngs(0))
    small = WaveNet(sizes.small, rngs=nnx.Rngs(0))
    first = seconds(lambda: generate(model, 0, num_samples=10, engine="compiled"))
    return {
        "first_call_seconds": first,
        "compiled_in_seconds": compile_seconds(),
        "one_signal": _one_signal(model, sizes),
        "small": _small(small, sizes),
        "batch": _batch(model, sizes),
    }


def _one_signal(model: WaveNet, sizes: Sizes) -> dict[str, Any]:
    """Loops alone, without JAX's noise, and whole calls of `generate`."""
    count = sizes.engine_drawn
    generator = peers.QueueGenerator(peers.WaveNet(sizes.model))
    calls: dict[str, Any] = {}
    for kind in WEIGHTS:
        calls[kind] = _loop(model, 1, kind, count)
        calls[f"read {kind}"] = _reading(model, kind)
    calls["generate, compiled"] = lambda: generate(model, 0, num_samples=count, engine="compiled")
    calls["generate, scan"] = lambda: generate(model, 0, num_samples=count, engine="scan")
    calls["pytorch"] = lambda: generator.draw(sizes.peer_drawn, sizes.model.levels // 2)
    times = alternate(calls, sizes.rounds)
    megabytes = {kind: 1e-6 * _bytes(model, kind) for kind in WEIGHTS}
    return {
        "samples_per_second": {
            **{name: rates(count, times[name]) for name in (*WEIGHTS, "generate, compiled", "generate, scan")},
            "pytorch": rates(sizes.peer_drawn, times["pytorch"]),
        },
        "megabytes": megabytes,
        "gigabytes_per_second": {
            kind: rates(1e-3 * megabytes[kind] * READS, times[f"read {kind}"]) for kind in WEIGHTS
        },
        "share_of_reading": {
            kind: ratio(times[f"read {kind}"], times[kind], count / READS) for kind in WEIGHTS
        },
        "times_scan": {
            kind: ratio(times["generate, scan"], times[kind]) for kind in WEIGHTS
        },
        "times_pytorch": {
            kind: ratio(times["pytorch"], times[kind], count / sizes.peer_drawn) for kind in WEIGHTS
        },
    }  # fmt: skip


def _small(model: WaveNet, sizes: Sizes) -> dict[str, Any]:
    count = sizes.engine_drawn
    times = alternate({kind: _loop(model, 1, kind, count) for kind in WEIGHTS}, sizes.rounds)
    return {"samples_per_second": {kind: rates(count, times[kind]) for kind in WEIGHTS}}


def _batch(model: WaveNet, sizes: Sizes) -> dict[str, Any]:
    batch_size, count = sizes.engine_batch, sizes.batch_steps
    calls: dict[str, Any] = {kind: _loop(model, batch_size, kind, count) for kind in WEIGHTS}
    calls["scan"] = lambda: generate(
        model, 0, num_samples=count, batch_size=batch_size, engine="scan"
    )
    calls["matmul"] = _matmuls(model, batch_size)
    times = alternate(calls, sizes.rounds)
    return {
        "batch_size": batch_size,
        "samples_per_second": {
            name: rates(batch_size * count, times[name]) for name in (*WEIGHTS, "scan")
        },
        "times_scan": {kind: ratio(times["scan"], times[kind]) for kind in WEIGHTS},
        "share_of_matmul": {
            kind: ratio(times["matmul"], times[kind], count / MATMULS) for kind in WEIGHTS
        },
    }


READS, MATMULS = 200, 20


def _loop(model: WaveNet, batch_size: int, weights: Any, count: int) -> Any:
    samples = Samples(model, batch_size, weights)
    drawn = np.full((batch_size, count), -1, np.int32)
    noise = np.random.default_rng(0).random((batch_size, count, 1), np.float32)
    return lambda: samples.run(None, drawn, noise)


def _bytes(model: WaveNet, weights: Any) -> int:
    return Samples(model, 1, weights).weight_bytes


def _reading(model: WaveNet, weights: Any) -> Any:
    """Reads as many bytes as the weights have, one after the other, and does next to nothing with them."""
    array = np.zeros(_bytes(model, weights) // 4 + 64, np.float32)
    return lambda: _read(array, READS)


@njit(fastmath=True)
def _read(array: Any, times: int) -> float:
    total = np.float32(0.0)
    for n in range(times):
        # Another sum each time, or one would do.
        factor = np.float32(n)
        for i in range(len(array)):
            total += array[i] * factor
    return total


def _matmuls(model: WaveNet, batch_size: int) -> Any:
    """The products of a step of the batch, each a matmul of JAX's own."""
    config: WaveNetConfig = model.config
    width, skip, layers = (
        config.residual_channels,
        config.skip_channels,
        len(config.layer_dilations),
    )
    shapes = [(2 * width, 2 * width), (width, width)] * layers
    shapes += [(layers * width, skip), (skip, skip), (skip, config.levels)]
    pairs = [(jnp.ones((batch_size, n)), jnp.ones((n, m))) for n, m in shapes]
    products = jax.jit(lambda pairs: [x @ w for x, w in pairs])
    return lambda: [jax.block_until_ready(products(pairs)) for _ in range(MATMULS)]


def table(results: dict[str, Any]) -> list[str]:
    one, small, batch = results["one_signal"], results["small"], results["batch"]
    rate = one["samples_per_second"]
    lines = [
        f"First call {results['first_call_seconds']:.1f} s, of which {results['compiled_in_seconds']:.1f} s compiled.",
        "",
        "| one signal | samples/s | read at | share of that rate | times the scan | times PyTorch |",
        "|---|---|---|---|---|---|",
    ]
    for kind in WEIGHTS:
        cells = (
            one[name][kind]["median"]
            for name in ("share_of_reading", "times_scan", "times_pytorch")
        )
        shares = " | ".join(f"{cell:.2f}" for cell in cells)
        read = one["gigabytes_per_second"][kind]["median"]
        lines.append(f"| {kind} | {rate[kind]['median']:,.0f} | {read:.0f} GB/s | {shares} |")
    for name in ("generate, compiled", "generate, scan", "pytorch"):
        lines.append(f"| {name} | {rate[name]['median']:,.0f} | | | | |")
    lines += ["", "| the small net | samples/s |", "|---|---|"]
    lines += [
        f"| {kind} | {cell['median']:,.0f} |" for kind, cell in small["samples_per_second"].items()
    ]
    lines += [
        "",
        f"| batch {batch['batch_size']}, all cores | samples/s | times the scan | share of the matmuls' rate |",
        "|---|---|---|---|",
    ]
    for name, cell in batch["samples_per_second"].items():
        if name == "scan":
            lines.append(f"| scan | {cell['median']:,.0f} | | |")
            continue
        times, share = (batch[part][name]["median"] for part in ("times_scan", "share_of_matmul"))
        lines.append(f"| {name} | {cell['median']:,.0f} | {times:.2f} | {share:.2f} |")
    return lines
