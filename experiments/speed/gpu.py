"""One accelerator: training beside its rate at matmuls, generation by batch size, convolutions two ways."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from ours import run_config
from sizes import Sizes
from timing import alternate, rates, ratio, seconds, summary
from training import training_flops

from wavedil import generate
from wavedil.data import Batch
from wavedil.models import WaveNet, WaveNetConfig
from wavedil.ops import dilated_conv
from wavedil.training import initial_state, make_update

PRECISIONS = ("float32", "bfloat16")
SAMPLE_RATE = 16000


def measure(sizes: Sizes) -> dict[str, Any]:
    matmuls = {precision: _matmul(sizes, precision) for precision in PRECISIONS}
    return {
        "device": jax.devices()[0].device_kind,
        "matmul_size": sizes.gpu_matmul,
        "matmul_tflops_per_second": matmuls,
        "training": [
            _training(channels, precision, sizes, matmuls[precision]["median"])
            for channels in sizes.gpu_channels
            for precision in PRECISIONS
        ],
        "generation": _generation(sizes),
        "convolution": [_convolution(channels, sizes) for channels in sizes.gpu_channels],
    }


def _matmul(sizes: Sizes, precision: str) -> dict[str, Any]:
    """Of the precision that a matmul has by default on the device."""
    matrix = jnp.full((sizes.gpu_matmul,) * 2, 1e-3, precision)
    multiply = _many(lambda x: x @ matrix, sizes.gpu_repeats)
    times = alternate({"matmul": lambda: multiply(matrix).block_until_ready()}, sizes.rounds)
    return rates(2 * sizes.gpu_matmul**3 * sizes.gpu_repeats / 1e12, times["matmul"])


def _training(channels: int, precision: str, sizes: Sizes, matmul: float) -> dict[str, Any]:
    """Steps one after another, as a run takes them: the device waits for none."""
    config = _config(channels, sizes)
    run = run_config(config)
    run = dataclasses.replace(run, training=dataclasses.replace(run.training, precision=precision))
    batch = jax.device_put(_batch(config, sizes.gpu_batch, sizes.num_samples))
    state = initial_state(run)
    step = make_update(run).lower(state, batch).compile()

    def steps() -> None:
        nonlocal state
        for _ in range(sizes.gpu_repeats):
            state, metrics = step(state, batch)
        jax.block_until_ready((state, metrics))

    num_samples = sizes.gpu_batch * sizes.num_samples * sizes.gpu_repeats
    found = rates(num_samples, alternate({"steps": steps}, sizes.rounds)["steps"])
    flops = training_flops(config)
    return {
        "channels": channels,
        "precision": precision,
        "samples_per_second": found,
        "share_of_matmul_rate": flops * found["median"] / 1e12 / matmul,
    }


def _generation(sizes: Sizes) -> dict[str, Any]:
    """From every batch size: a step, all signals together, and how many are held in real time at 16 kHz."""
    model = WaveNet(_config(sizes.gpu_channels[0], sizes), rngs=nnx.Rngs(0))
    rows = []
    for batch_size in sizes.gpu_batch_sizes:

        def draw(batch_size: int = batch_size) -> object:
            return generate(
                model, 0, num_samples=sizes.batch_steps, batch_size=batch_size, engine="scan"
            )

        draw()
        step = summary([seconds(draw) / sizes.batch_steps for _ in range(sizes.gpu_draws)])
        rows.append(
            {
                "batch_size": batch_size,
                "microseconds_a_step": 1e6 * step["median"],
                "samples_per_second": batch_size / step["median"],
                "in_real_time": step["median"] < 1 / SAMPLE_RATE,
            }
        )
    held = [row["batch_size"] for row in rows if row["in_real_time"]]
    return {"rows": rows, "streams_in_real_time": max(held, default=0)}


def _convolution(channels: int, sizes: Sizes) -> dict[str, Any]:
    """A dilated causal convolution, forward and backward, as one convolution and as shifted matmuls."""
    kernel_size, dilation = 2, 64
    shape = (sizes.gpu_batch, sizes.num_samples, channels)
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    w = jnp.full((kernel_size, channels, channels), 1e-2)

    def convolved(x: jax.Array, w: jax.Array) -> jax.Array:
        past = (kernel_size - 1) * dilation
        numbers = ("NWC", "WIO", "NWC")
        return lax.conv_general_dilated(
            x, w, (1,), [(past, 0)], rhs_dilation=(dilation,), dimension_numbers=numbers
        )

    def shifted(x: jax.Array, w: jax.Array) -> jax.Array:
        return dilated_conv(x, w, rate=dilation)

    def run(conv: Callable[[jax.Array, jax.Array], jax.Array]) -> Callable[[], object]:
        gradient = jax.grad(lambda x, w: jnp.sum(jnp.square(conv(x, w))), argnums=(0, 1))

        def once(x: jax.Array) -> jax.Array:
            of_x, of_w = gradient(x, w)
            return x + 1e-9 * of_x + 1e-9 * jnp.sum(of_w)

        many = _many(once, sizes.gpu_repeats)
        return lambda: many(x).block_until_ready()

    times = alternate({"lax_conv": run(convolved), "matmuls": run(shifted)}, sizes.rounds)
    return {
        "channels": channels,
        "microseconds": {
            name: summary([1e6 * t / sizes.gpu_repeats for t in values])
            for name, values in times.items()
        },
        "lax_conv_over_matmuls": ratio(times["lax_conv"], times["matmuls"]),
    }


def _many(call: Callable[[jax.Array], jax.Array], repeats: int) -> Callable[[jax.Array], jax.Array]:
    """So many calls in one program, each of what the one before gave: what is timed is the device."""
    return jax.jit(lambda x: lax.fori_loop(0, repeats, lambda _, x: call(x), x))


def _config(channels: int, sizes: Sizes) -> WaveNetConfig:
    return dataclasses.replace(sizes.model, residual_channels=channels)


def _batch(config: WaveNetConfig, batch_size: int, num_samples: int) -> Batch:
    codes = np.random.default_rng(0).integers(
        0, config.levels, (batch_size, num_samples + 1), np.int32
    )
    return Batch(codes[:, 1:], codes[:, :1], {})


def table(results: dict[str, Any]) -> list[str]:
    matmuls = results["matmul_tflops_per_second"]
    generation = results["generation"]
    return [
        f"{results['device']}; matmul of {results['matmul_size']:,} cubed: "
        + ", ".join(f"{rate['median']:.1f} TFLOP/s in {name}" for name, rate in matmuls.items()),
        "",
        "| channels | precision | training, samples/s | share of the matmul rate (aim 0.4 from 128 on) |",
        "|---|---|---|---|",
        *(
            f"| {row['channels']} | {row['precision']} | {row['samples_per_second']['median']:,.0f} | "
            f"{row['share_of_matmul_rate']:.3f} |"
            for row in results["training"]
        ),
        "",
        "| batch | us a step | samples/s, all signals (aim 10 M) |",
        "|---|---|---|",
        *(
            f"| {row['batch_size']:,} | {row['microseconds_a_step']:,.0f} | {row['samples_per_second']:,.0f} |"
            for row in generation["rows"]
        ),
        "",
        f"{generation['streams_in_real_time']:,} streams are held in real time at 16 kHz.",
        "",
        "| channels | `lax.conv`, us | shifted matmuls, us | ratio |",
        "|---|---|---|---|",
        *(
            f"| {row['channels']} | {row['microseconds']['lax_conv']['median']:,.0f} | "
            f"{row['microseconds']['matmuls']['median']:,.0f} | {row['lax_conv_over_matmuls']['median']:.2f} |"
            for row in results["convolution"]
        ),
    ]
