"""Start-up: wall time of whole processes, from their start to their end."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from sizes import Sizes
from timing import alternate, summary

RF = "rf --kernel-size 2 --dilations 1:512 --cycles 3 --sample-rate 16000"


def measure(sizes: Sizes) -> dict[str, Any]:
    script = Path(sys.executable).with_name("wavedil")
    program = [str(script)] if script.exists() else [sys.executable, "-m", "wavedil.cli.main"]
    commands = {
        "wavedil --help": [*program, "--help"],
        f"wavedil {RF}": [*program, *RF.split()],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    times = alternate({name: _process(command) for name, command in commands.items()}, sizes.starts)
    return {
        "console_script": script.exists(),
        "seconds": {name: summary(values) for name, values in times.items()},
    }


def _process(command: list[str]) -> Any:
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def table(results: dict[str, Any]) -> list[str]:
    lines = [
        "Start-up, whole processes (aim below 0.5 s):",
        "",
        "| | median | slowest |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {cell['median']:.2f} s | {cell['highest']:.2f} s |"
        for name, cell in results["seconds"].items()
    ]
    return lines
