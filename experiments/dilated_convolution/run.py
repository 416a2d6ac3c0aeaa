"""The dilated convolution worked by hand, drawn, and measured.

Run from the repository's root; it writes results.json and coverage.png beside this file:

    python experiments/dilated_convolution/run.py
"""

import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy import signal

from wavedil.ops import dilated_conv
from wavedil.receptive_field import ReceptiveField, format_dilations

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).parent
KERNEL = np.arange(1.0, 10.0).reshape(3, 3)
RATE = 3
# "Rows 4-6, columns 3-5": where counting begins is not said; the text in README.md weighs the two.
READINGS = {
    "counted from 1": (slice(3, 6), slice(2, 5)),
    "counted from 0": (slice(4, 7), slice(3, 6)),
}

KERNEL_SIZE, NUM_CHANNELS, NUM_SAMPLES, NUM_ROUNDS = 2, 32, 16000, 61
RATE_SWEEP = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
DEPTHS = [1, 2, 4, 6, 8, 10]
Stack = Callable[[jax.Array], jax.Array]
Row = dict[str, Any]
RATE_RULES: dict[str, Callable[[int], int]] = {
    "every rate 1": lambda layer: 1,
    "every rate 3": lambda layer: 3,
    "rates doubling": lambda layer: 2**layer,
}


def main() -> None:
    """Works the example, measures, draws, and writes what came out."""
    by_rate = [(rate,) for rate in RATE_SWEEP]
    by_depth = [tuple(map(rule, range(depth))) for rule in RATE_RULES.values() for depth in DEPTHS]
    rows = measure(by_rate + by_depth)
    depth_rows = iter(rows[len(by_rate) :])
    results: Row = {
        "textbook": [textbook(name, *where) for name, where in READINGS.items()],
        "rate": rows[: len(by_rate)],
        "depth": {name: [next(depth_rows) for _ in DEPTHS] for name in RATE_RULES},
        "signal": {
            "num_samples": NUM_SAMPLES,
            "num_channels": NUM_CHANNELS,
            "kernel_size": KERNEL_SIZE,
        },
        "num_rounds": NUM_ROUNDS,
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}, {jax.devices()[0].platform}",
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    report(results)
    draw(results["rate"], results["depth"])
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1) + "\n")


def textbook(reading: str, rows: slice, columns: slice) -> Row:
    """The 9 x 9 example at rate 3, "valid", as a convolution, checked against scipy."""
    matrix = np.zeros((9, 9))
    matrix[rows, columns] = 1
    dilated = zero_stuffed(KERNEL, RATE)
    expected = signal.convolve(matrix, dilated, mode="valid", method="direct")
    computed = {
        flip: np.asarray(
            dilated_conv(
                jnp.asarray(matrix, jnp.float32)[None, :, :, None],
                jnp.asarray(KERNEL, jnp.float32)[:, :, None, None],
                rate=RATE,
                padding="valid",
                flip=flip,
            )
        )[0, :, :, 0]
        for flip in (True, False)
    }
    # Small whole numbers are exact in float32, so nothing but equality will do.
    np.testing.assert_array_equal(computed[True], expected)
    return {
        "reading": reading,
        "matrix": matrix.astype(int).tolist(),
        "dilated_kernel": dilated.astype(int).tolist(),
        "convolution": computed[True].astype(int).tolist(),
        "scipy": expected.astype(int).tolist(),
        "correlation": computed[False].astype(int).tolist(),
    }


def zero_stuffed(kernel: npt.NDArray[np.float64], rate: int) -> npt.NDArray[np.float64]:
    """The kernel with `rate - 1` zeros between its taps along every axis."""
    dilated = np.zeros([(size - 1) * rate + 1 for size in kernel.shape])
    dilated[tuple(slice(None, None, rate) for _ in kernel.shape)] = kernel
    return dilated


def measure(stacks: list[tuple[int, ...]]) -> list[Row]:
    """Field and median time of each stack; they take turns in random order to share the noise."""
    x = jax.random.normal(jax.random.key(0), (1, NUM_SAMPLES, NUM_CHANNELS))
    calls: list[Stack] = [jax.jit(stack_of(rates)) for rates in stacks]
    turns: list[tuple[Stack, list[float]]] = [(call, []) for call in calls]
    for call in calls:
        call(x).block_until_ready()
    order = random.Random(0)
    for _ in range(NUM_ROUNDS):
        for call, times in order.sample(turns, len(turns)):
            start = time.perf_counter()
            call(x).block_until_ready()
            times.append(1000 * (time.perf_counter() - start))
    return [
        {
            "rates": format_dilations(rates),
            "num_layers": len(rates),
            "num_parameters": len(rates) * KERNEL_SIZE * NUM_CHANNELS**2,
            "receptive_field": probed_field(call, rates),
            "milliseconds": round(statistics.median(times), 3),
        }
        for (call, times), rates in zip(turns, stacks, strict=True)
    ]


def stack_of(rates: tuple[int, ...]) -> Stack:
    """One causal convolution after another, all of one size."""
    shape = (len(rates), KERNEL_SIZE, NUM_CHANNELS, NUM_CHANNELS)
    kernels = jax.random.normal(jax.random.key(1), shape) / (KERNEL_SIZE * NUM_CHANNELS) ** 0.5

    def run(x: jax.Array) -> jax.Array:
        for kernel, rate in zip(kernels, rates, strict=True):
            x = dilated_conv(x, kernel, rate=rate)
        return x

    return run


def probed_field(call: Stack, rates: tuple[int, ...]) -> int:
    """The field's size by arithmetic, once a NaN sent through the stack has confirmed its taps."""
    field = causal_stack(KERNEL_SIZE, rates)
    x = jnp.zeros((1, NUM_SAMPLES, NUM_CHANNELS)).at[:, 0].set(jnp.nan)
    reached = np.flatnonzero(np.isnan(call(x)).any(axis=(0, 2)))
    np.testing.assert_array_equal(reached, [-tap for tap in reversed(field.taps)])
    return field.size


def causal_stack(kernel_size: int, rates: tuple[int, ...]) -> ReceptiveField:
    """The field of one causal convolution after another."""
    field = ReceptiveField.identity()
    for rate in rates:
        field = field.then(ReceptiveField.conv(kernel_size, rate))
    return field


def report(results: Row) -> None:
    """Prints the example and the measurements as README.md quotes them."""
    for example in results["textbook"]:
        print(f"ones at rows 4-6, columns 3-5, {example['reading']}")
        for name in ("matrix", "dilated_kernel", "convolution", "scipy", "correlation"):
            print(f"\n{name}\n" + "\n".join(" ".join(map(str, row)) for row in example[name]))
        print()
    for name, rows in {"one layer": results["rate"], **results["depth"]}.items():
        print(f"{name}\nlayers    rates  parameters  receptive field  ms per call")
        for row in rows:
            print(
                f"{row['num_layers']:6d}  {row['rates'][:7]:>7s}  {row['num_parameters']:10d}"
                f"  {row['receptive_field']:15d}  {row['milliseconds']:11.2f}"
            )
        print()


def draw(rate_rows: list[Row], depth_rows: dict[str, list[Row]]) -> None:
    """Draws what the rates cover, in one layer and in three, and what they cost."""
    figure, axes = plt.subplots(3, 3, figsize=(11, 10.5), layout="constrained")
    for axis, rate in zip(axes[0], (1, 2, 3), strict=True):
        draw_footprint(axis, rate)
    for axis, rates in zip(axes[1], ((1, 1, 1), (2, 2, 2), (1, 2, 3)), strict=True):
        draw_stack(axis, rates)
    for name, rows in depth_rows.items():
        depths = [row["num_layers"] for row in rows]
        axes[2, 0].plot(depths, [row["receptive_field"] for row in rows], "o-", label=name)
        axes[2, 1].plot(depths, [row["milliseconds"] for row in rows], "o-", label=name)
    axes[2, 0].set(title="field against depth", xlabel="layers", ylabel="samples", yscale="log")
    axes[2, 1].set(
        title="cost against depth", xlabel="layers", ylabel="ms per call", ylim=(0, None)
    )
    costs = [row["milliseconds"] for row in rate_rows]
    axes[2, 2].plot(RATE_SWEEP, costs, "o-", color="k")
    axes[2, 2].set(title="cost of one layer against rate", xlabel="rate", xscale="log")
    axes[2, 2].set(ylabel="ms per call", ylim=(0, 1.5 * max(costs)))
    axes[2, 0].legend()
    axes[2, 1].legend()
    figure.savefig(FOLDER / "coverage.png", dpi=100)
    plt.close(figure)


def draw_footprint(axis: Axes, rate: int) -> None:
    """The inputs that one 3 x 3 layer sees around an output in the middle of 9 x 9."""
    seen = np.zeros((9, 9))
    seen[4 - rate : 5 + rate : rate, 4 - rate : 5 + rate : rate] = 1
    edges, span = np.arange(10) - 0.5, 2 * rate + 1
    axis.pcolormesh(edges, edges, seen, cmap="Blues", ec="0.8", vmax=1.6)
    corner = (3.5 - rate, 3.5 - rate)
    axis.add_patch(Rectangle(corner, span, span, fill=False, ec="C3", lw=2, zorder=3))
    axis.plot(4, 4, "o", color="C3")
    axis.set(title=f"rate {rate}: 9 taps over {span} x {span}", aspect="equal")
    axis.set(xticks=[], yticks=[])


def draw_stack(axis: Axes, rates: tuple[int, ...]) -> None:
    """The samples that three layers of kernel size 3 connect to the last output, layer by layer."""
    width = 13
    reached = {0}
    for level, rate in reversed(list(enumerate(rates))):
        below = {tap - step * rate for tap in reached for step in range(3)}
        for tap in reached:
            for step in range(3):
                axis.plot([tap, tap - step * rate], [level + 1, level], color="C0", lw=1)
        axis.scatter(range(1 - width, 1), [level] * width, s=22, color="0.88", zorder=2)
        axis.scatter(sorted(below), [level] * len(below), s=32, color="C0", zorder=3)
        reached = below
    field = causal_stack(3, rates)
    assert sorted(reached) == list(field.taps)
    axis.plot(0, len(rates), "o", color="C3", zorder=3)
    names = ", ".join(map(str, rates))
    axis.set(title=f"rates {names}: {field.num_taps} of {field.size} samples", xlim=(-width, 1))
    axis.set(xticks=[], yticks=range(4), yticklabels=["input", "1", "2", "3"], ylabel="layer")


if __name__ == "__main__":
    main()
