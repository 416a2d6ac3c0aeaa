"""The commands of data/README.md: their patterns fit the layouts that it describes."""

import re
import shlex
from pathlib import Path

import pytest

from wavedil.data import CorpusConfig
from wavedil.data.labels import find_labels
from wavedil.data.listing import Entry
from wavedil.data.split import held_out_paths

README = Path(__file__).parents[2] / "data" / "README.md"

# Run folder in the command -> example paths, the labels of the first, and which are held out.
LAYOUTS = {
    "runs/digits": (
        ["7_jackson_3.wav", "0_theo_32.wav", "7_jackson_13.wav"],
        {"digit": "7", "speaker": "jackson"},
        {"7_jackson_3.wav"},
    ),
    "runs/ljspeech": (["LJ001-0050.wav", "LJ050-0001.wav"], {}, {"LJ050-0001.wav"}),
    "runs/vctk": (
        [
            "wav48_silence_trimmed/p225/p225_001_mic1.flac",
            "wav48_silence_trimmed/s5/s5_022_mic1.flac",
        ],
        {"speaker": "p225"},
        {"wav48_silence_trimmed/s5/s5_022_mic1.flac"},
    ),
}


def settings_of(run):
    """The corpus settings that the README's command for a run folder gives."""
    text = re.sub(r"\\\n", " ", README.read_text(encoding="utf-8"))
    (line,) = [line for line in text.splitlines() if "wavedil train" in line and run in line]
    words = shlex.split(line)
    values = {
        word[2:].replace("-", "_"): words[place + 1]
        for place, word in enumerate(words)
        if word.startswith("--")
    }
    values["sample_rate"] = int(values.get("sample_rate", 8000))
    return CorpusConfig(folder=".", **values)


@pytest.mark.parametrize("run", LAYOUTS)
def test_patterns_fit_the_paths_of_their_corpus(run):
    paths, labels, held_out = LAYOUTS[run]
    settings = settings_of(run)
    entries = [Entry(path, Path(path)) for path in paths]
    assert find_labels(entries, settings.labels)[0][paths[0]] == labels
    assert held_out_paths(entries, settings) == held_out
