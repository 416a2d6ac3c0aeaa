"""Training: samples a second beside PyTorch's and beside a matmul's rate, and the time to compile."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import peers
from flax import nnx
from ours import compiled_step, random_batch, run_config
from sizes import Sizes
from timing import alternate, rates, ratio, seconds, summary

from wavedil.models import WaveNet, WaveNetConfig, named_weights
from wavedil.training import initial_state


def measure(sizes: Sizes) -> dict[str, Any]:
    config = sizes.model
    batch = random_batch(config, sizes.num_samples)
    compilations = [
        seconds(lambda: compiled_step(config, batch)) for _ in range(sizes.compilations)
    ]
    usual, joined = peers.WaveNet(config), peers.WaveNet(config, joined_skips=True)
    check_peers(config, usual, joined)

    step, state = compiled_step(config, batch), initial_state(run_config(config))

    def ours() -> None:
        nonlocal state
        state, metrics = step(state, batch)
        jax.block_until_ready((state, metrics))

    matrix = jnp.ones((sizes.matmul, sizes.matmul))
    matmul = jax.jit(jnp.matmul)
    times = alternate(
        {
            "wavedil": ours,
            "pytorch": peers.training_step(usual, batch.codes),
            "pytorch_joined_skips": peers.training_step(joined, batch.codes),
            "matmul": lambda: matmul(matrix, matrix).block_until_ready(),
        },
        sizes.rounds,
    )
    flops = training_flops(config) * sizes.num_samples
    matmul_flops = 2 * sizes.matmul**3
    libraries = [name for name in times if name != "matmul"]
    return {
        "layers": len(config.layer_dilations),
        "parameters": usual.num_parameters,
        "num_samples": sizes.num_samples,
        "samples_per_second": {name: rates(sizes.num_samples, times[name]) for name in libraries},
        "times_pytorch": ratio(times["pytorch"], times["wavedil"]),
        "times_pytorch_joined_skips": ratio(times["pytorch_joined_skips"], times["wavedil"]),
        "flops_per_sample": training_flops(config),
        "matmul_size": sizes.matmul,
        "matmul_gflops_per_second": rates(matmul_flops / 1e9, times["matmul"]),
        "share_of_matmul_rate": {
            name: ratio(times["matmul"], times[name], flops / matmul_flops) for name in libraries
        },
        "compile_seconds": summary(compilations),
    }


def training_flops(config: WaveNetConfig) -> int:
    """Floating-point operations of a training step for one sample, those of the matmuls alone.

    Forward, with 2 for a multiplication and its addition; K taps, R residual, S skip channels, Q levels:

        input conv  2 K_in R R
        a layer     2 K R 2R  (filter and gate)  +  2 R R  (residual)  +  2 R S  (skip)
        head        2 S S  +  2 S Q

    The backward pass has two matmuls for each of these, for the gradients of input and weights: 3x forward.
    Recomputation is not counted: it is no progress.
    """
    r, s = config.residual_channels, config.skip_channels
    layer = 2 * config.kernel_size * r * 2 * r + 2 * r * r + 2 * r * s
    head = 2 * s * s + 2 * s * config.levels
    forward = 2 * config.input_kernel_size * r * r + len(config.layer_dilations) * layer + head
    return 3 * forward


def check_peers(config: WaveNetConfig, *models: peers.WaveNet) -> None:
    """Every PyTorch model against wavedil's, on a few hundred samples."""
    ours = WaveNet(config, rngs=nnx.Rngs(1))
    codes = random_batch(config, 299).codes
    expected = np.asarray(nnx.jit(ours)(codes.astype(np.int32)))
    for model in models:
        peers.check(model, named_weights(ours), codes, expected)


def table(results: dict[str, Any]) -> list[str]:
    def row(name: str, key: str, times: str) -> str:
        rate = results["samples_per_second"][key]["median"]
        share = results["share_of_matmul_rate"][key]["median"]
        return f"| {name} | {rate:,.0f} | {times} | {share:.2f} |"

    def faster(key: str) -> str:
        r = results[key]
        return f"wavedil {r['median']:.2f}x as fast ({r['lowest']:.2f} to {r['highest']:.2f})"

    matmul = results["matmul_gflops_per_second"]["median"]
    compilation = results["compile_seconds"]
    return [
        f"Training step, {results['layers']} layers, {results['parameters']:,} parameters, "
        f"1 x {results['num_samples']:,} samples, float32 (aim 1.2x; 0.6):",
        "",
        "| | samples/s | ratio | share of the matmul rate |",
        "|---|---|---|---|",
        row("wavedil, AdamW", "wavedil", ""),
        row("PyTorch, Adam", "pytorch", faster("times_pytorch")),
        row(
            "PyTorch, Adam, skips joined",
            "pytorch_joined_skips",
            faster("times_pytorch_joined_skips"),
        ),
        "",
        f"{results['flops_per_sample'] / 1e6:.2f} MFLOP a sample; a matmul of {results['matmul_size']:,} cubed in the "
        f"same rounds: {matmul:,.0f} GFLOP/s. Tracing and compiling wavedil's step: {compilation['median']:.1f} s "
        f"(slowest of {compilation['count']}: {compilation['highest']:.1f} s; aim below 15 s).",
    ]
