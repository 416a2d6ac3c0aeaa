"""Receptive fields of well-known networks, traced and probed, beside what was published of them.

From the repository's root:

    python experiments/receptive_fields/run.py                 traces, probes, prints the tables, writes results.json
    python experiments/receptive_fields/run.py --model RUN     how much of its field a trained WaveNet uses

The second needs the recordings that RUN was trained on; it draws effective.png and adds its figures to results.json.
"""

import argparse
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from networks import NETWORKS, Network
from used_field import measure_used_field

import wavedil as wd
from wavedil.receptive_field import TracedField, probe, trace

FOLDER = Path(__file__).parent
PROBE_WIDTH, PROBE_COLUMNS = 4, 8
LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
NUM_ROUNDS = 5
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", metavar="RUN", help="the folder of a training run")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    if arguments.model:
        part = "effective", measure_used_field(arguments.model, FOLDER / "effective.png")
    else:
        part = "structural", {"networks": trace_and_probe(), "lengths": time_lengths()}
    write(*part, round(time.perf_counter() - begun))


def trace_and_probe() -> list[Row]:
    """A row for each network, printed as it comes."""
    print("| network | published | traced | before, after | seen | probed | first trace | again |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for network in NETWORKS:
        row = measure(network)
        rows.append(row)
        print(
            f"| {row['name']} | {_size(row['published'])} / {row['published_stride']} "
            f"| {_size(row['size'])} / {row['stride']} | {_size(row['past'])}, {_size(row['future'])} "
            f"| {_size(row['num_taps'])} | {row['probe']} "
            f"| {row['first_trace_seconds']:.2f} s | {row['trace_seconds']:.2f} s |",
            flush=True,
        )
    print()
    for row in rows:
        if row["why"]:
            print(f"- {row['name']}: {row['why']}.")
    return rows


def measure(network: Network) -> Row:
    """The traced and probed fields of one network."""
    signal = network.signal(network.num_samples)
    seconds = []
    for _ in range(NUM_ROUNDS):
        begun = time.perf_counter()
        traced = trace(network.function(network.width), signal)
        seconds.append(time.perf_counter() - begun)
    bounded = math.inf not in (traced.past, traced.future)
    return {
        "name": network.name,
        "published": network.published,
        "published_stride": network.stride,
        "source": network.source,
        "why": network.why,
        "size": traced.size if bounded else "all",
        "stride": str(traced.stride),
        "past": traced.past if bounded else "all",
        "future": traced.future if bounded else "all",
        "num_taps": len(traced.taps) if bounded else "all",
        "causal": traced.causal,
        "probe": probed(network, traced),
        "first_trace_seconds": round(seconds[0], 3),
        "trace_seconds": round(statistics.median(seconds[1:]), 3),
        "num_samples": network.num_samples,
    }


def probed(network: Network, traced: TracedField) -> str:
    """Probes a narrow copy and says how; fails where it finds another field than the tracer."""
    size = traced.size if traced.size != math.inf else network.published or 0
    num_samples, inputs = network.num_samples, None
    if network.probed is not None:
        # Whole strides, because "same" padding depends on what is left over at the end.
        strides = (2 * int(size) + 2 * network.probed) // network.stride + 8
        num_samples = strides * network.stride
        middle = strides // 2 * network.stride
        inputs = range(middle, middle + network.probed)
    channels = min(network.shape[-1], PROBE_WIDTH)
    shape = (channels,) if len(network.shape) == 1 else (PROBE_COLUMNS, channels)
    narrow, signal = network.function(PROBE_WIDTH), network.signal(num_samples, shape)
    field = probe(narrow, signal, inputs=inputs)
    again = trace(narrow, signal)
    for t in range(0, field.num_outputs, max(1, field.num_outputs // 16)):
        expected = tuple(s for s in again.inputs(t) if s in field.probed)
        assert field.inputs(t) == expected, f"{network.name}: output {t}"
    if traced.size != math.inf:
        assert field.receptive_field == traced.receptive_field, network.name
    return f"{len(field.probed):,} of {num_samples:,} inputs"


def time_lengths() -> list[Row]:
    """How long tracing takes as the signal grows: wavedil's WaveNet of 30 layers, from its codes."""
    model = wd.WaveNet(wd.WaveNetConfig.paper(), rngs=nnx.Rngs(0))
    rows = []
    print("\n| samples | trace | JAX's make_jaxpr alone | field |\n|---|---|---|---|")
    for num_samples in LENGTHS:
        codes = jax.ShapeDtypeStruct((1, num_samples), jnp.int32)
        field = trace(model, codes)
        assert field.num_outputs == num_samples
        assert num_samples < 5000 or field.receptive_field == model.receptive_field
        row = {
            "num_samples": num_samples,
            "trace_seconds": median_seconds(lambda x=codes: trace(model, x)),
            "make_jaxpr_seconds": median_seconds(
                lambda x=codes: jax.make_jaxpr(lambda x: model(x))(x)
            ),
            "size": field.size,
        }
        rows.append(row)
        print(
            f"| {num_samples:,} | {row['trace_seconds']:.3f} s | {row['make_jaxpr_seconds']:.3f} s "
            f"| {row['size']} |",
            flush=True,
        )
    return rows


def median_seconds(call: Callable[[], Any]) -> float:
    """The median of a few calls."""
    seconds = []
    for _ in range(NUM_ROUNDS):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return round(statistics.median(seconds), 4)


def _size(size: Any) -> str:
    return f"{size:,}" if isinstance(size, int) else size or "not said"


def write(name: str, results: Row, seconds: int) -> None:
    """results.json, where the part not measured this time stays as it was."""
    path = FOLDER / "results.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    surroundings = {
        "seconds": seconds,
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}, {jax.devices()[0].platform}",
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    path.write_text(json.dumps({**before, name: {**results, **surroundings}}, indent=1) + "\n")
    print(f"\nwrote {path} in {seconds} s")


if __name__ == "__main__":
    main()
