"""What is compiled is kept where that is possible, and works where it is not."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wavedil.engine import compilation


def double(x):
    return 2 * x


@pytest.mark.parametrize("place", ["a file", "read-only", "writable"])
def test_a_function_is_compiled_whether_or_not_it_can_be_kept(monkeypatch, tmp_path, place) -> None:
    folder = tmp_path / "cache"
    if place == "a file":
        folder.write_text("")
    elif place == "read-only":
        folder = Path("/proc/none")
    monkeypatch.setattr(compilation, "_folder", lambda given: folder)
    assert compilation.Cached(double).compiled(3)(3) == 6
    assert compilation.Cached(double).compiled(np.float32(1.5))(np.float32(1.5)) == 3.0
    assert bool(list(tmp_path.rglob("*.nbc"))) == (place == "writable")


def test_damaged_files_are_compiled_anew(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(compilation, "_folder", lambda given: tmp_path)
    compilation.Cached(double).compiled(3)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[:10])
    assert compilation.Cached(double).compiled(3)(3) == 6


@pytest.mark.long
def test_several_processes_may_compile_at_once(tmp_path) -> None:
    code = (
        "from wavedil.engine import player\n"
        "from wavedil import AmpModel, AmpModelConfig\n"
        "from flax import nnx\n"
        "import numpy as np\n"
        "made = player(AmpModel(AmpModelConfig.nano(), rngs=nnx.Rngs(0)))\n"
        "print(made.push(np.ones((1, 9, 1), np.float32)).sum())"
    )
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PATH": "", "HOME": str(tmp_path)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = {one.communicate()[0] for one in running}
    assert len(said) == 1 and all(one.returncode == 0 for one in running)
