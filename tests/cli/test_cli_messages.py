"""Messages to people: in the words that they typed, with the file, and without advice on something else."""

import shutil

import numpy as np
import pytest
import training_runs
from command_line import TINY, mistake
from recordings import tone, write, write_empty

from wavedil import audio, features
from wavedil.cli.main import main
from wavedil.files import read_json

one_compilation = training_runs.one_compilation


@pytest.fixture(scope="module")
def place(one_compilation, tmp_path_factory):
    """Three recordings and a run on them."""
    folder = tmp_path_factory.mktemp("place")
    for number in range(3):
        write(folder / "in" / f"{number}_a.wav", tone(700 + 100 * number))
    arguments = [str(folder / "in"), str(folder / "run"), r"--labels=(?P<who>[a-z])\.", *TINY]
    assert main(["train", *arguments]) == 0
    return folder


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # Patterns as they were typed, without doubled backslashes.
        ([r"--labels=(\d)"], r"'(\d)' names no label"),
        ([r"--labels=(?P<n>\d"], r"'(?P<n>\d' is not a regular expression"),
        ([r"--test=\d[z"], r"--test '\d[z' is not a regular expression"),
        ([r"--test=\d_z"], r"test pattern '\d_z' leaves none of 3 usable recordings to hold out"),
        # Options, not the names of fields.
        (["--training.batch-size=0"], "--training.batch-size is 0"),
        (["--training.evaluate-seconds=-1"], "--training.evaluate-seconds is -1.0"),
        (["--training.learning-rate=0"], "--training.learning-rate is 0.0 and --training.clip-norm"),
        (["--held-out=2"], "--held-out is 2.0"),
        (["--held-out=1"], "--held-out 1 leaves no recording to train on"),
        (["--trim-db=-1"], "--trim-db is -1.0"),
        (["--task=vocoder", "--features-hop=9", "--trim-db=3"], "leave --trim-db out"),
        (["--task=vocoder", "--mel.hop=0"], "--mel.hop is 0"),
        (["--task=vocoder", "--model.local-conditioning.channels=0"], "local-conditioning.channels is 0"),
        (["--config=absent"], "absent cannot be read (No such file or directory); give a run folder, or the config"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_was_typed_is_named_as_it_was_typed(capsys, place, options, expected):
    line = mistake(capsys, "train", place / "in", place / "new", *options)
    assert expected in line
    assert "\\\\" not in line


def test_settings_that_a_run_does_not_have_are_named_as_options(capsys, place):
    options = [r"--labels=(?P<letter>[a-z])\.", "--held-out=0.4", "--training.seed=3"]
    assert main(["train", str(place / "in"), str(place / "run"), *options]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert r"--labels: '(?P<who>[a-z])\.' -> '(?P<letter>[a-z])\.'" in line
    assert "--held-out: 0.1 -> 0.4" in line and "--training.seed: 0 -> 3" in line


def test_the_settings_of_a_run_are_given_by_its_folder(place, tmp_path):
    assert main(["train", str(place / "in"), str(tmp_path), "--config", str(place / "run")]) == 0
    configs = [(folder / "config.json").read_text() for folder in (place / "run", tmp_path)]
    assert configs[0] == configs[1]


def test_advice_in_answer_to_generate_is_on_generating(capsys, place, tmp_path):
    out, run = tmp_path / "a.wav", place / "run"
    answers = {
        ("--features", "absent.npy"): "absent.npy",
        ("--prompt", write_empty(tmp_path / "empty.wav")): "empty.wav",
        ("--like", place / "in" / "0_a.wav"): "is no vocoder",
        ("--label", "hwo=a"): "did you mean 'who'?",
        ("--label", "who=z"): "known: a",
        ("--label", "who="): "is not NAME=VALUE",
        ("--between", place / "in" / "0_a.wav", place / "in" / "1_a.wav"): "no autoencoder",
    }
    for options, expected in answers.items():
        line = mistake(capsys, "generate", run, out, *options)
        assert expected in line, line
        assert not any(word in line for word in ("train", "held", "features_hop"))
    assert not out.exists()


def test_a_label_that_is_given_twice_is_refused_also_with_one_value(capsys, place, tmp_path):
    for labels in (["who=a", "who=b"], ["who=a", "who=a"]):
        options = [word for label in labels for word in ("--label", label)]
        line = mistake(capsys, "generate", place / "run", tmp_path / "a.wav", *options)
        assert "label who is given twice" in line


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "text": lambda data: b"These are notes.\n",
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_error_of_a_damaged_file_names_the_file(place, tmp_path, damage):
    run = shutil.copytree(place / "run", tmp_path / "run")
    np.save(tmp_path / "x.npy", np.ones((40, 3), np.float32))
    write(tmp_path / "x.wav")
    write(tmp_path / "x.flac")
    readers = {
        tmp_path / "x.npy": features.read,
        tmp_path / "x.wav": audio.load,
        tmp_path / "x.flac": audio.load,
        run / "config.json": lambda path: read_json(path, "restore it"),
    }
    for path, read in readers.items():
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
        with pytest.raises(ValueError, match=path.name):
            read(path)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["model/model.safetensors", "model/config.json", "config.json"])
def test_every_error_of_a_damaged_run_names_the_file(capsys, place, tmp_path, damage, name):
    run = shutil.copytree(place / "run", tmp_path / "run")
    (run / name).write_bytes(DAMAGES[damage]((run / name).read_bytes()))
    assert str(run / name) in mistake(capsys, "evaluate", run)


@pytest.mark.parametrize("peak", [1 + 2.0**-23, 1.0004, 1.24, 1.999, 30000.0])
def test_a_peak_beyond_full_scale_is_shown_as_one(tmp_path, peak):
    shown, remedy = audio.over_full_scale(peak).split(" (")[0], audio.over_full_scale(peak)
    assert float(shown) > 1 and float(shown) == pytest.approx(peak, rel=5e-3)
    assert remedy.endswith(f"divide the samples by {shown}")
