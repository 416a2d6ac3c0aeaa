"""The README's code runs as it stands."""

import re
from pathlib import Path

import pytest
import soundfile

from wavedil import CorpusConfig, RunConfig, WaveNetConfig
from wavedil.data import write_plucked_strings
from wavedil.tasks import GeneratorTask

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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_plucked_strings(tmp_path / "recordings")
    (code,) = TRAINING
    shorter = code.replace("seconds=2", "seconds=0.0125").replace(
        'train("recordings", "my-run", steps=4000)',
        'train("recordings", "my-run", steps=1, config=TINY)',
    )
    assert shorter.count("config=TINY") == shorter.count("seconds=0.0125") == 1
    config = RunConfig(
        task=GeneratorTask(), corpus=CorpusConfig(folder="."), model=WaveNetConfig.tiny()
    )
    exec(compile(shorter, "README.md", "exec"), {"TINY": config})
    assert soundfile.info("generated.wav").frames == 100
    assert "bits" in capsys.readouterr().out


def test_each_use_takes_about_ten_lines() -> None:
    assert len(RUNNABLE) >= 2
    assert all(len([line for line in code.splitlines() if line.strip()]) <= 15 for code in BLOCKS)
