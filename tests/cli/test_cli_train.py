"""`wavedil train` on what is there already, on one recording and on all; and what it says of it."""

import json
import re
import shutil

import pytest
import training_runs
from command_line import TINY, mistake
from recordings import tone, write

import wavedil as wd
from wavedil import UserError
from wavedil.cli.main import main
from wavedil.cli.options import parse
from wavedil.cli.train import Train
from wavedil.runs import RunFolder, settings_of

one_compilation = training_runs.one_compilation
pytestmark = pytest.mark.usefixtures("one_compilation")
LABELS = r"--labels=(?P<note>[a-z]+)_\d"


def train(*arguments):
    return main(["train", *map(str, arguments)])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Four recordings of two notes, one of them held out, and a run of four steps on them."""
    folder = tmp_path_factory.mktemp("place")
    for name, hz in (("low", 200), ("high", 700)):
        for take in range(2):
            write(folder / "sounds" / f"{name}_{take}.wav", tone(1000 + 200 * take, frequency=hz))
    assert train(folder / "sounds", folder / "run", LABELS, "--test=low_1", *TINY) == 0
    return folder


@pytest.fixture
def own(place, tmp_path):
    """A copy of the run and of its recordings, to which the copy points."""
    copy = shutil.copytree(place, tmp_path / "own")
    config = json.loads((copy / "run" / "config.json").read_text())
    config["corpus"]["folder"] = str(copy / "sounds")
    (copy / "run" / "config.json").write_text(json.dumps(config))
    return copy


def test_a_run_alone_is_resumed_with_its_own_settings_and_trained_further(own, capsys):
    before = RunFolder(own / "run").read_config()
    model = (own / "run" / "model" / "model.safetensors").read_bytes()
    assert train(own / "run") == 0
    assert RunFolder(own / "run").read_config() == before
    assert (own / "run" / "model" / "model.safetensors").read_bytes() == model
    assert train(own / "run", "--training.steps=6") == 0
    after = RunFolder(own / "run").read_config()
    assert (after.training.steps, after.training.earlier) == (6, ((4, 4),))
    assert after.corpus == before.corpus and after.model == before.model
    assert "held out: " in capsys.readouterr().out
    assert wd.train(None, own / "run", report=None).step == 6


def test_a_run_whose_recordings_were_moved_says_where_to_name_them_and_goes_on_there(own, capsys):
    (own / "sounds").rename(own / "elsewhere")
    line = mistake(capsys, "train", own / "run")
    assert f"are no longer in {own / 'sounds'}; if they were moved" in line
    assert f"wavedil train NEW_PLACE {own / 'run'}" in line
    assert train(own / "elsewhere", own / "run", "--training.steps=6") == 0
    assert RunFolder(own / "run").read_config().corpus.folder == str(own / "elsewhere")
    assert train(own / "run") == 0


def test_a_run_on_recordings_that_are_others_lists_them_in_a_line(own, capsys):
    (own / "sounds" / "low_0.wav").rename(own / "sounds" / "high_5.wav")
    write(own / "sounds" / "high_0.wav", tone(900))
    write(own / "sounds" / "high_7.wav", tone(950))
    (own / "sounds" / "high_1.wav").unlink()
    assert train(own / "run") == 2
    err = capsys.readouterr().err
    (line,) = (line for line in err.splitlines() if "error" in line)
    for expected in (
        "added: high_7.wav",
        "removed: high_1.wav",
        "renamed: low_0.wav -> high_5.wav",
        "changed: high_0.wav (its sound)",
    ):
        assert expected in line
    assert "Traceback" not in err


@pytest.mark.long
def test_a_run_is_fine_tuned_with_its_own_settings_and_refuses_a_place_that_is_none(
    own, capsys, tmp_path
):
    other = tmp_path / "other"
    for name in ("high_0", "high_1", "middle_0", "middle_1"):
        write(other / f"{name}.wav", tone(800 + 10 * len(name), frequency=300 + ord(name[-1])))
    new, options = tmp_path / "new", ("--test=_1", "--training.steps=2")
    assert train(other, new, "--start-from", own / "run", *options) == 0
    config = RunFolder(new).read_config()
    assert config.start_from == str(own / "run")
    assert (config.corpus.labels, config.training.steps) == (LABELS.partition("=")[2], 2)
    assert config.model.labels == {"note": ("high", "middle")}
    assert config.model.dilations == (1, 2, 4, 8)
    assert train(new) == 0
    capsys.readouterr()
    line = mistake(capsys, "train", other, tmp_path / "c", "--start-from", own / "sounds")
    assert "config.json cannot be read" in line


@pytest.mark.parametrize("option", ["--config", "--start-from"])
def test_dilations_are_given_beside_a_configuration_of_another_number_of_them(own, option):
    source = own / "run" / "config.json" if option == "--config" else own / "run"
    words = [own / "sounds", own / "new", f"{option}={source}", "--model.dilations=1,3,9"]
    config = parse(Train, "wavedil train", [*map(str, words)]).run_config
    assert RunFolder(own / "run").read_config().model.dilations == (1, 2, 4, 8)
    assert config.model.dilations == (1, 3, 9)
    assert config.model.residual_channels == 8


def test_a_saved_model_gives_its_settings_too_if_it_knows_its_recordings(own, tmp_path):
    run = RunFolder(own / "run")
    given, of_run = settings_of(run.model), settings_of(run.path)
    assert (given.task, given.model) == (of_run.task, of_run.model)
    assert given.corpus.labels == of_run.corpus.labels
    model = wd.load(run.path)
    model.task = model.corpus = None
    wd.save(model, tmp_path / "model")
    with pytest.raises(
        UserError, match=r"is not the configuration of a training run.*; give a run folder"
    ):
        settings_of(tmp_path / "model")


def test_of_a_single_recording_the_end_is_held_out_and_said(tmp_path, capsys):
    file = write(tmp_path / "one.wav", tone(4000))
    assert train(file, tmp_path / "run", *TINY) == 0
    out = capsys.readouterr().out
    assert "train: 1 recordings, 0.5 s at 8000 Hz" in out  # 0.45 s, rounded
    assert "held out: the last 0.1 s of one.wav, the only recording" in out
    assert re.search(r"held out: \d\.\d+ bits per sample", out)
    assert main(["evaluate", str(tmp_path / "run"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["num_samples"] == 400
    assert main(["evaluate", str(tmp_path / "run"), str(file), "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["num_samples"] == 400
    assert "one.wav was trained on up to sample 3,600; what comes after it is scored" in output.err


def test_with_nothing_held_out_training_says_so_and_evaluate_what_to_give(tmp_path, capsys):
    for number in range(2):
        write(tmp_path / "in" / f"{number}.wav", tone(900 + 10 * number))
    assert train(tmp_path / "in", tmp_path / "run", "--held-out=0", *TINY) == 0
    out = capsys.readouterr().out
    assert "train: 2 recordings" in out
    assert "held out: nothing; all recordings are trained on" in out
    assert "held out: nothing after 4 steps" in out
    line = mistake(capsys, "evaluate", tmp_path / "run")
    assert "held nothing out" in line and f"wavedil evaluate {tmp_path / 'run'} FOLDER" in line


def test_evaluate_scores_apart_what_was_trained_on_whatever_its_name(own, tmp_path, capsys):
    mixed = tmp_path / "mixed"
    shutil.copytree(own / "sounds", mixed)
    (mixed / "high_0.wav").rename(mixed / "low_9.wav")
    write(mixed / "low_5.wav", tone(640, frequency=210))
    assert main(["evaluate", str(own / "run"), str(mixed), "--json"]) == 0
    output = capsys.readouterr()
    facts = json.loads(output.out)
    assert "3 of 5 recordings were trained on; they are scored apart" in output.err
    assert facts["num_files"] == 5
    assert facts["trained_on"]["num_files"] == 3
    assert facts["not_trained_on"]["num_files"] == 2
    assert facts["not_trained_on"]["num_samples"] == 1200 + 640
    total = sum(facts[part]["bits"] * facts[part]["num_samples"] for part in PARTS)
    assert total / facts["num_samples"] == pytest.approx(facts["bits"], rel=1e-6)
    assert main(["evaluate", str(own / "run"), str(mixed)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith(("trained on", "not trained on")) for line in lines) == 2


PARTS = ("trained_on", "not_trained_on")


def test_training_says_at_the_start_what_it_is_and_on_what(own, capsys, tmp_path):
    assert train(own / "sounds", tmp_path / "run", LABELS, "--test=low_1", *TINY) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^device: \w.* \(cpu\)$", out, re.M)
    field = r"receptive field 17 samples \(2\.12 ms\), 512 bytes of state while it generates"
    assert re.search(rf"^WaveNet: [\d,]+ parameters, {field}$", out, re.M)
    assert re.search(r"4 steps are .* passes over the recordings", out)
    assert re.search(r"^wavedil: expected time: \d+ s for \d steps$", err, re.M)
    progress = [line for line in err.splitlines() if line.startswith("training: ")]
    assert re.search(r"2/4  .* bits .* targets/s  \d+ s elapsed, \d+ s left$", progress[0])
    assert re.search(r"4/4  .* held out .* \d+ s elapsed$", progress[-1])
