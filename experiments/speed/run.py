"""wavedil's speed and memory, beside PyTorch's in the same run.

From the repository's root, with the `bench` extra, on a machine that does nothing else:

    python experiments/speed/run.py [SECTION ...] [--smoke]

Sections are training, layers, temporal, corpora, folders, shards, hosts, outputs, conditioning, generation,
engine_generation, engine_effects, wavelets, memory and startup; and gpu, for a machine with one.
Without a name it measures all but gpu. It prints Markdown tables and writes results.json beside this file,
where the parts not measured this time stay as they were. `--smoke` takes tiny sizes and writes elsewhere.
"""

import argparse
import importlib
import json
import tempfile
from pathlib import Path
from typing import Any

from sizes import Sizes
from timing import machine, seconds

SECTIONS = (
    *("training", "layers", "temporal", "corpora", "folders", "shards", "hosts"),
    *("outputs", "conditioning", "generation", "engine_generation", "engine_effects"),
    *("wavelets", "memory", "startup"),
)
GPU = "gpu"
FOLDER = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join([*SECTIONS, GPU]))
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: does it work?")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - {*SECTIONS, GPU}:
        parser.error(f"{', '.join(sorted(unknown))} is none of {', '.join(SECTIONS)}, {GPU}")
    sizes = Sizes.smoke() if arguments.smoke else Sizes()
    folder = Path(tempfile.mkdtemp()) if arguments.smoke else FOLDER
    for name in arguments.sections or SECTIONS:
        save(folder / "results.json", name, measured(name, sizes))
    print(f"wrote {folder / 'results.json'}")


def measured(name: str, sizes: Sizes) -> dict[str, Any]:
    """One section measured and printed, with the machine it was measured on."""
    section = importlib.import_module(name)
    surroundings = machine()
    results: dict[str, Any] = {}
    taken = seconds(lambda: results.update(section.measure(sizes)))
    print(f"## {name}\n", *section.table(results), "", sep="\n")
    kind = ", ".join(f"{key} {value}" for key, value in surroundings.items())
    print(f"{kind}; measured in {taken:.0f} s\n", flush=True)
    return {**results, "machine": surroundings, "measured_in_seconds": round(taken)}


def save(path: Path, name: str, results: dict[str, Any]) -> None:
    """Puts one section into the file and leaves the others."""
    saved = json.loads(path.read_text()) if path.exists() else {}
    saved[name] = results
    path.write_text(
        json.dumps({key: saved[key] for key in (*SECTIONS, GPU) if key in saved}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
