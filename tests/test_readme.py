"""The README's code runs as it stands."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = [code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL)]
# The block that trains needs recordings and an hour; tests of training and of the command line cover its calls.
RUNNABLE = [code for code in BLOCKS if "train(" not in code]


@pytest.mark.parametrize("code", RUNNABLE, ids=lambda code: code.splitlines()[0])
def test_code_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_each_use_takes_about_ten_lines() -> None:
    assert len(RUNNABLE) >= 2
    assert all(len([line for line in code.splitlines() if line.strip()]) <= 15 for code in BLOCKS)
