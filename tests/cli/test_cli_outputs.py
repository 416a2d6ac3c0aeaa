"""The output family, its companding and its levels, from the command line to the sound."""

import json

import numpy as np
import pytest
from command_line import TINY, mistake
from recordings import write, write_silence

from wavedil import audio
from wavedil.cli.main import main
from wavedil.quantizer import Quantizer

SIXTEEN_BITS = [
    "--model.output=logistic", "--model.num-components=3", "--model.levels=65536", "--model.companding=linear",
    "--model.input=scalar",
]  # fmt: skip


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Four recordings of soft noise, 16 bits."""
    folder = tmp_path_factory.mktemp("noise")
    for seed in range(4):
        samples = 0.05 * np.random.default_rng(seed).normal(size=3000)
        write(folder / f"{seed}.wav", samples)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, noise):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", str(noise), str(folder), *TINY, *SIXTEEN_BITS]) == 0
    return folder


def test_info_shows_the_distribution_and_its_grid(capsys, run):
    assert main(["info", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    shown = "LogisticMixture(num_components=3, levels=65536, companding='linear')"
    assert facts["distribution"] == shown
    assert (facts["model"]["output"], facts["model"]["companding"]) == ("logistic", "linear")
    assert facts["task"] == "generator"


def test_evaluate_gives_bits_of_the_grid_beside_the_histogram(capsys, run):
    assert main(["evaluate", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["levels"], facts["companding"]) == (65536, "linear")
    assert 12 < facts["bits"] < 17.2
    assert set(facts["baselines"]) == {"histogram"}  # a bigram of 65536 levels is no table
    assert main(["evaluate", str(run)]) == 0
    assert "3,000 samples of 65,536 linear levels" in capsys.readouterr().out


def test_generated_sound_lies_on_the_grid(tmp_path, run):
    assert main(["generate", str(run), str(tmp_path / "a.wav"), "--seconds", "0.02"]) == 0
    samples, _ = audio.load(tmp_path / "a.wav")
    grid = Quantizer(65536, "linear")
    np.testing.assert_array_equal(grid.decode(grid.encode(samples)), samples)
    assert np.unique(samples).size > 100


def test_recordings_of_fewer_bits_than_levels_stop_training_with_the_remedy(capsys, tmp_path):
    write(tmp_path / "in" / "a.wav", subtype="ULAW")
    line = mistake(capsys, "train", tmp_path / "in", tmp_path / "run", *SIXTEEN_BITS)
    assert "none of the 1 recordings" in line
    assert "a.wav: stores a sample in 8 bits" in line and "use at most 256 levels" in line


def test_silent_recordings_stop_training_by_name(capsys, tmp_path):
    (tmp_path / "in").mkdir()
    write_silence(tmp_path / "in" / "a.wav")
    line = mistake(capsys, "train", tmp_path / "in", tmp_path / "run")
    assert "a.wav: is silent: its 4000 samples" in line


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--model.output=logistics", "output 'logistics' is unknown; did you mean 'logistic'?"),
        ("--model.companding=log", "--model.companding"),
        ("--model.levels=70000", "levels is 70000, but a sample has 2 to 65536"),
        ("--model.num-components=3", "a categorical output has none"),
    ],
)
def test_outputs_that_do_not_exist_are_refused_in_a_line(capsys, option, expected):
    assert expected in mistake(capsys, "train", "a", "b", option)
