"""The README's code runs as it stands."""

import re
from pathlib import Path

import pytest
import soundfile

from wavedil.data import write_plucked_strings

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = [code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL)]
TRAINING = [code for code in BLOCKS if "train(" in code]
RUNNABLE = [code for code in BLOCKS if code not in TRAINING]


@pytest.mark.parametrize("code", RUNNABLE, ids=lambda code: code.splitlines()[0])
def test_code_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.slow
def test_code_that_trains_runs_with_a_smaller_model_fewer_steps_and_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_plucked_strings(tmp_path / "recordings")
    (code,) = TRAINING
    shorter = code.replace("2 * model.config.sample_rate", "100").replace(
        "TrainingConfig(steps=4000)",
        "TrainingConfig(steps=1), model=wd.WaveNetConfig.tiny()",
    )
    assert shorter.count("steps=1)") == shorter.count("num_samples=100") == 1
    exec(compile(shorter, "README.md", "exec"), {})
    assert soundfile.info("generated.wav").frames == 100


def test_each_use_takes_about_ten_lines() -> None:
    assert len(RUNNABLE) >= 2
    assert all(len([line for line in code.splitlines() if line.strip()]) <= 15 for code in BLOCKS)
