"""Imports go down the floors and never in a circle, and what needs no JAX does not load it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "wavedil"
# From the ground up; a part may import from its own floor's parts only itself.
FLOORS = [
    {"errors"},
    {"full_scale"},
    {"files", "config", "frames", "labels", "receptive_field", "mu_law"},
    {"quantizer", "pitch", "mel"},
    {"audio", "features"},
    {"ops", "data"},
    {"nn", "distributions"},
    {"models"},
    {"engine"},
    {"generation"},
    {"evaluation"},
    {"training"},
    {"tasks"},
    {"formats", "report"},
    {"runs"},
    {"cli"},
]
FLOOR = {part: number for number, parts in enumerate(FLOORS) for part in parts}
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in FILES
}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports anywhere in it: in functions, and for types alone, too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            folder = ".".join(path.parent.relative_to(ROOT).parts)
            module = f"{folder}.{node.module}" if node.level else node.module
            names = {f"{module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else module for name in names}
    return found & MODULES.keys()


def test_imports_go_down() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in FILES
        if path.parent != PACKAGE or path.stem not in ("__init__", "__main__")
        for module in imported(path) - {"wavedil"}
        if (other := part_of(MODULES[module])) != part_of(path)
        if FLOOR[other] >= FLOOR[part_of(path)]
    ]
    assert not wrong


def test_no_file_imports_itself_through_others() -> None:
    graph = {name: imported(path) for name, path in MODULES.items()}
    for (
        name,
        path,
    ) in MODULES.items():  # a door says in a stub beside it what it loads when it is asked
        stub = path.with_suffix(".pyi")
        if stub.exists() and name != "wavedil":
            graph[name] |= imported(stub)
    # Taken away as long as something imports nothing that is left: what remains lies on circles.
    left = dict(graph)
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert not left


def test_contributing_names_the_floors_in_their_order() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    listing = text.partition("## Floors")[2].partition("```\n")[2].partition("```")[0]
    named = [set(re.findall(r"`?(\w+)", line.split("  ")[0])) for line in listing.splitlines()]
    assert named[::-1] == FLOORS


@pytest.mark.parametrize(
    "code",
    [
        "import wavedil",
        "import wavedil.receptive_field, wavedil.mu_law",
        "import wavedil.cli.main",
        "from wavedil.training import RunConfig, TrainingConfig",
        "import wavedil as wd; wd.WaveNetConfig().receptive_field",
        "from wavedil.tasks import TASKS; [task() for task in TASKS.values()]",
        "from wavedil.data import read_corpus, TrainingWindows",
    ],
)
def test_does_not_load_jax(code: str) -> None:
    check = f"{code}\nimport sys; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
