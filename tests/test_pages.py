"""The code of the README and of the pages of docs/ runs as it stands, in order, and gives what it says."""

import re
import sys
from pathlib import Path

import contract
import pages
import pytest
import soundfile

from wavedil import CorpusConfig, RunConfig, WaveNetConfig
from wavedil.data import write_plucked_strings
from wavedil.tasks import GeneratorTask

TRAINING = [code for code in pages.PAGES["README.md"] if "train(" in code]
RUNNABLE = {
    page: [code for code in blocks if code not in TRAINING]
    for page, blocks in pages.PAGES.items()
    if blocks
}
# What a page needs that wavedil does not install.
NEEDED = {"import torch": "torch", "import equinox": "equinox", ".serialize()": "flatbuffers"}


@pytest.mark.parametrize(
    "page",
    [
        # Their blocks are those that the tests of the layers run, within another library.
        pytest.param(page, marks=pytest.mark.long) if page.startswith("docs/importing/") else page
        for page in RUNNABLE
    ],
)
def test_code_runs_and_prints_what_its_comments_say(page: str) -> None:
    for code, module in NEEDED.items():
        if code in "".join(RUNNABLE[page]):
            pytest.importorskip(module)
    lines: list[str] = []
    printed: list[str] = []

    def show(*values: object) -> None:
        printed.append(" ".join(map(str, values)))
        _, _, comment = lines[sys._getframe(1).f_lineno - 1].partition("  # ")
        # A comment with a number is the result.
        assert not re.search(r"\d", comment) or printed[-1] in comment, (printed[-1], comment)

    names = {"print": show, "__name__": page}
    for code in RUNNABLE[page]:
        lines[:], before = code.splitlines(), len(printed)
        with contract.unchecked():
            exec(compile(code, page, "exec"), names)
        assert len(printed) > before or "\nassert " in code


def test_pages_about_importing_can_be_copied_whole() -> None:
    folder = pages.ROOT / "docs" / "importing"
    lengths = {path.name: len(path.read_text().splitlines()) for path in folder.glob("*.md")}
    assert len(lengths) >= 7 and max(lengths.values()) < 40, lengths


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
    model = WaveNetConfig.tiny(dilations=(1, 2), cycles=1)
    config = RunConfig(task=GeneratorTask(), corpus=CorpusConfig(folder="."), model=model)
    exec(compile(shorter, "README.md", "exec"), {"TINY": config})
    assert soundfile.info("generated.wav").frames == 100
    assert "bits" in capsys.readouterr().out


def test_each_use_takes_about_ten_lines() -> None:
    assert len(RUNNABLE["README.md"]) >= 2
    assert all(
        len([line for line in code.splitlines() if line.strip()]) <= 15
        for code in pages.PAGES["README.md"]
    )
