"""Imports go down the floors, and what needs no JAX does not load it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "wavedil"
# From the ground up; a part may import from its own floor's parts only itself.
FLOORS = [
    {"errors"},
    {"settings"},
    {"receptive_field", "mu_law"},
    {"levels"},
    {"audio", "features"},
    {"ops", "data", "spectral_distance", "griffin_lim"},
    {"nn", "distributions"},
    {"models"},
    {"formats", "generation"},
    {"training"},
    {"report"},
    {"cli"},
]
FLOOR = {part: number for number, parts in enumerate(FLOORS) for part in parts}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("wavedil.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    part = part_of(path)
    for other in imported_parts(path) - {part}:
        assert FLOOR[other] < FLOOR[part], f"{part} imports {other}, which is not below it"


def test_data_and_audio_know_nothing_of_models() -> None:
    seen = {
        other
        for path in FILES
        if part_of(path) in ("data", "audio")
        for other in imported_parts(path)
    }
    assert not seen & {"models", "nn", "training"}


@pytest.mark.parametrize(
    "code",
    [
        "import wavedil",
        "import wavedil.receptive_field, wavedil.mu_law",
        "import wavedil.cli.main",
        "import wavedil.training.config",
        "import wavedil as wd; wd.WaveNetConfig().receptive_field",
        "import wavedil.data.corpus, wavedil.data.windows",
    ],
)
def test_does_not_load_jax(code: str) -> None:
    check = f"{code}\nimport sys; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
