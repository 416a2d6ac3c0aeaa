"""Peak memory of training: processes of their own that take three steps each.

`python memory.py wavedil|torch NUM_SAMPLES CYCLES [--remat] [--smoke]` is such a process; it prints one JSON object.
"""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sizes import Sizes

from wavedil.models import WaveNetConfig

MIB = 2**20
LIBRARIES = {"wavedil": "wavedil", "torch": "PyTorch"}


def measure(sizes: Sizes) -> dict[str, Any]:
    def process(
        library: str, num_samples: int, cycles: int, *options: str, **environment: str
    ) -> dict[str, Any]:
        command = [sys.executable, __file__, library, str(num_samples), str(cycles), *options]
        command += ["--smoke"] * (sizes == Sizes.smoke())
        output = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | environment
        ).stdout
        return json.loads(output.splitlines()[-1])

    def saving(*options: str) -> dict[str, Any]:
        """A process that reads its compiled step from JAX's cache, into which the one before wrote it."""
        with tempfile.TemporaryDirectory() as cache:
            for _ in range(2):
                row = process("wavedil", full, cycles, *options, JAX_COMPILATION_CACHE_DIR=cache)
        return row

    full, cycles = sizes.num_samples, sizes.model.cycles
    compared = {
        library: [process(library, full, cycles) for _ in range(sizes.processes)]
        for library in LIBRARIES
    }
    medians = {
        library: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for library, rows in compared.items()
    }
    return {
        "num_samples": full,
        "compared": medians,
        "wavedil_over_pytorch": {
            key: medians["wavedil"][key] / medians["torch"][key]
            for key in ("peak_mib", "growth_mib")
        },
        "saving": {
            "--training.remat": process("wavedil", full, cycles, "--remat"),
            "compiled before, JAX_COMPILATION_CACHE_DIR": saving(),
            "both": saving("--remat"),
        },
        "by_length": [process("wavedil", length, cycles) for length in sizes.lengths],
        "by_layers": [process("wavedil", full, cycles) for cycles in sizes.cycles],
    }


def process_main() -> None:
    """Three steps of the library that the command line names, and what they took."""
    library, num_samples, cycles = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    sizes = Sizes.smoke() if "--smoke" in sys.argv else Sizes()
    config = dataclasses.replace(sizes.model, cycles=cycles)
    if library == "torch":
        before, peak, arrays = take_pytorch_steps(config, num_samples)
    else:
        before, peak, arrays = take_steps(config, num_samples, remat="--remat" in sys.argv)
    row = {
        "layers": len(config.layer_dilations),
        "num_samples": num_samples,
        "peak_mib": peak / MIB,
        "growth_mib": (peak - before) / MIB,
    }
    print(json.dumps(row if arrays is None else {**row, "arrays_mib": arrays / MIB}))


def take_steps(
    config: WaveNetConfig, num_samples: int, *, remat: bool
) -> tuple[int, int, int | None]:
    """Bytes resident after the imports and at most, and of the arrays that XLA's plan of the step has at once."""
    import jax
    from ours import initial_state, make_update, random_batch, run_config

    before = resident("VmRSS")
    batch, run = random_batch(config, num_samples), run_config(config)
    run = dataclasses.replace(run, training=dataclasses.replace(run.training, remat=remat))
    update, state = make_update(run), initial_state(run)
    for _ in range(3):
        state, _ = jax.block_until_ready(update(state, batch))
    peak, plan = resident("VmHWM"), update.lower(state, batch).compile().memory_analysis()
    # The state is donated: its outputs lie where its arguments were.
    donated = plan.output_size_in_bytes - plan.alias_size_in_bytes
    return before, peak, plan.temp_size_in_bytes + plan.argument_size_in_bytes + donated


def take_pytorch_steps(config: WaveNetConfig, num_samples: int) -> tuple[int, int, int | None]:
    """Bytes resident after the imports and at most; PyTorch has no plan."""
    import numpy as np
    import peers

    before = resident("VmRSS")
    codes = np.random.default_rng(0).integers(0, config.levels, (1, num_samples + 1))
    step = peers.training_step(peers.WaveNet(config), codes)
    for _ in range(3):
        step()
    return before, resident("VmHWM"), None


def resident(field: str, process: int | str = "self") -> int:
    """Bytes resident of a process: VmRSS now, VmHWM at most so far.

    Not `ru_maxrss`: on Linux it begins with the peak of the process that started this one.
    """
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def table(results: dict[str, Any]) -> list[str]:
    over = results["wavedil_over_pytorch"]
    lines = [
        f"Memory of a process that trains, 1 x {results['num_samples']:,} samples (aim: half of PyTorch's):",
        "",
        "| | peak, whole process | growth since the imports | arrays of the step |",
        "|---|---|---|---|",
    ]
    lines += [f"| {LIBRARIES[name]} | {_cells(row)}" for name, row in results["compared"].items()]
    lines += [f"| wavedil / PyTorch | {over['peak_mib']:.2f} | {over['growth_mib']:.2f} | |", ""]
    lines += [
        "| wavedil with | peak | growth | arrays of the step | growth / PyTorch's |",
        "|---|---|---|---|---|",
    ]
    growth = results["compared"]["torch"]["growth_mib"]
    for name, row in results["saving"].items():
        lines += [f"| {name} | {_cells(row)} {row['growth_mib'] / growth:.2f} |"]
    lines += [""]
    lines += [
        "| wavedil: layers | samples | peak | growth | arrays of the step |",
        "|---|---|---|---|---|",
    ]
    for row in results["by_length"] + results["by_layers"]:
        lines += [f"| {row['layers']} | {row['num_samples']:,} | {_cells(row)}"]
    return lines


def _cells(row: dict[str, Any]) -> str:
    arrays = f"{row['arrays_mib']:,.0f} MiB" if "arrays_mib" in row else ""
    return f"{row['peak_mib']:,.0f} MiB | {row['growth_mib']:,.0f} MiB | {arrays} |"


if __name__ == "__main__":
    process_main()
