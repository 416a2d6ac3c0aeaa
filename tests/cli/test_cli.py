"""The command line: help, and a user's mistakes as one line and exit code 2."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from command_line import TINY, mistake

from wavedil import load
from wavedil.cli.main import VERBS, main
from wavedil.data import CorpusConfig, read_corpus, write_plucked_strings
from wavedil.data.plucked_strings import NOTES

# The promise is half a second on a machine that does nothing else; this one may be busy.
START_UP_SECONDS = 1.5


def wavedil(*arguments):
    """A process of its own: exit codes, start-up and what is imported are real."""
    command = [sys.executable, "-m", "wavedil.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def help_of(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--help"])
    assert stop.value.code in (0, None)
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for number, file in enumerate(write_plucked_strings(folder)):
        if number % 7:
            file.unlink()
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, recordings):
    """A run of four steps, conditioned on the note."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    labels = r"--labels=pluck_(?P<note>\w+?)_"
    assert main(["train", str(recordings), str(folder), labels, *TINY]) == 0
    return folder


def test_help_lists_every_verb_with_what_it_does(capsys):
    text = help_of(capsys)
    for name, verb in VERBS.items():
        assert f"{name} " in text
        assert verb.summary in text


def test_help_is_printed_in_an_encoding_that_lacks_its_characters():
    command = [sys.executable, "-m", "wavedil", "--help"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(command, env=ascii_only, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(verb.summary in done.stdout for verb in VERBS.values())


@pytest.mark.parametrize("name", VERBS)
def test_the_summary_of_a_verb_is_how_its_own_help_begins(name):
    first_line = VERBS[name].options_class.__doc__.splitlines()[0]
    first_words = VERBS[name].summary.split()[:2]
    assert first_line.startswith(" ".join(first_words))


@pytest.mark.parametrize("name", VERBS)
def test_help_of_a_verb_shows_defaults_and_an_example(capsys, name):
    text = help_of(capsys, name)
    assert f"Example: wavedil {name}" in text
    assert "(default:" in text
    assert "MISSING" not in text


def test_help_of_train_is_grouped_and_leaves_out_what_the_corpus_decides(capsys):
    text = help_of(capsys, "train")
    assert text.index(" model options ") < text.index("--model.dilations 1:512|1,2,4")
    assert text.index(" training options ") < text.index("--training.steps INT")
    for decided in ("--model.sample-rate", "--model.labels", "--levels", "--folder"):
        assert decided + " " not in text


@pytest.mark.parametrize("arguments", [["--help"], ["rf", "--json"]], ids=["help", "rf"])
def test_help_and_the_calculator_start_at_once_without_jax(arguments):
    program = (
        "import sys\nfrom wavedil.cli.main import main\ntry:\n    main(sys.argv[1:])\n"
        "finally:\n    print(sorted({'jax', 'flax', 'librosa', 'grain'} & sys.modules.keys()), file=sys.stderr)"
    )
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - begun)
        assert done.stderr.strip() == "[]"
    assert min(times) < START_UP_SECONDS


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tarin"], "unknown verb 'tarin'; did you mean 'train'?"),
        (["--frobnicate"], "unknown option --frobnicate"),
        (["train", "a", "b", "--model.cycle", "3"], "unknown option --model.cycle; did you mean --model.cycles?"),
        (["train", "a", "b", "c"], "too many arguments: c"),
        (["train", "a"], "missing RUN; see wavedil train --help"),
        (["train", "a", "b", "--model.cycles", "two"], "--model.cycles is 'two', but it must be a whole number"),
        (["train", "a", "b", "--model.dilations", "1:5"], "never meet 5"),
        (["train", "a", "b", "--model.dilations", "1,0"], "dilation is 0, but it must be a"),
        (["train", "a", "b", "--model.kernel-size", "0"], "--model.kernel-size is 0, but it must be a whole number"),
        (["train", "a", "b", "--labels", r"(\d)"], "names no label"),
        (["train", "a", "b", "--model.context-stack.factor", "0"], "--model.context-stack.factor is 0, but it must be"),
        (["train", "a", "b", "--model.context-stack.factor", "x"], "is 'x', but it must be a whole number or None"),
        (["train", "a", "b", "--model.context-stack.dilations", "1:5"], "never meet 5"),
        (
            ["train", "a", "b", "--model.context-stack.factor", "8", "--model.context-stack.channels", "0"],
            "--model.context-stack.channels is 0",
        ),
        (["train", "a", "b", "--model.context-stack.channels", "8"], "needs the setting 'factor'"),
        (["train", "a", "b", "--task", "vocodr"], "task 'vocodr' is unknown; did you mean 'vocoder'?"),
        (["train", "a", "b", "--config", "absent.json"], "absent.json cannot be read (No such file or directory)"),
        (["rf", "--kernel-size", "0"], "kernel size is 0"),
        (["generate", "a", "b.mp3"], "suffix must be .wav or .flac"),
        (["generate", "a", "b.wav", "--label", "digit"], "label 'digit' is not NAME=VALUE"),
        (["apply", "a", "b.wav", "c.wav", "--knob", "=1"], "knob '=1' has no name"),
        (["generate", "a", "b.wav", "--seconds", "0"], "seconds is 0, but it must be above 0"),
        (["generate", "a", "b.wav", "--seconds", "two"], "--seconds is 'two', but it must be a number or None"),
        (["generate", "a", "b.wav", "--between", "c.wav"], "--between is 'c.wav', but it takes two files"),
        (["generate", "a", "b.wav", "--temperature", "-1"], "temperature is -1, but it must be above 0"),
        (["generate", "a", "b.wav", "--temperature", "inf"], "temperature is inf, but it must be above 0 and finite"),
        (["info", "absent"], "absent does not exist"),
        (["evaluate", "absent"], "absent holds no training run"),
        (["demo", "absent"], "absent does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_mistake_is_one_line_that_says_what_to_do(
    capsys, tmp_path, monkeypatch, arguments, expected
):
    monkeypatch.chdir(tmp_path)
    assert expected in mistake(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_recordings_that_are_not_there_are_named(capsys, tmp_path):
    assert str(tmp_path / "absent") in mistake(
        capsys, "train", tmp_path / "absent", tmp_path / "run"
    )
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in mistake(capsys, "train", tmp_path / "empty", tmp_path / "run")


@pytest.mark.long
def test_a_place_that_cannot_be_written_is_named(capsys, tmp_path, recordings, run):
    (tmp_path / "file").write_text("")
    inside = tmp_path / "file" / "run"
    code = main(["train", str(recordings), str(inside), *TINY])
    assert code == 2
    assert str(tmp_path / "file") in capsys.readouterr().err.splitlines()[-1]
    assert "is no folder" in mistake(capsys, "generate", run, tmp_path / "file" / "a.wav")
    assert str(tmp_path / "file") in mistake(capsys, "demo", "--out", tmp_path / "file" / "demo")


def test_a_configuration_with_an_unknown_key_suggests_the_nearest(capsys, tmp_path, run):
    config = json.loads((run / "config.json").read_text())
    config["model"]["cycels"] = config["model"].pop("cycles")
    (tmp_path / "config.json").write_text(json.dumps(config))
    line = mistake(capsys, "train", "a", "b", "--config", tmp_path / "config.json")
    assert "no setting 'cycels'; did you mean 'cycles'?" in line
    (tmp_path / "config.json").write_text("{")
    assert "not JSON" in mistake(capsys, "train", "a", "b", "--config", tmp_path / "config.json")


def test_a_run_folder_of_another_configuration_is_refused_with_both_values(capsys, recordings, run):
    labels = r"--labels=pluck_(?P<note>\w+?)_"
    changed = [*TINY, labels, "--model.residual-channels=4", "--training.seed=7"]
    assert main(["train", str(recordings), str(run), *changed]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "--model.residual-channels: 8 -> 4" in line
    assert "training.seed: 0 -> 7" in line


def test_a_finished_run_is_taken_up_and_left_as_it_is(capsys, recordings, run):
    before = (run / "model" / "model.safetensors").read_bytes()
    config = f"--config={run / 'config.json'}"
    assert main(["train", str(recordings), str(run), config]) == 0
    assert (run / "model" / "model.safetensors").read_bytes() == before


def test_unknown_labels_are_refused_with_those_the_model_knows(capsys, tmp_path, run):
    out = tmp_path / "a.wav"
    assert "did you mean 'note'?" in mistake(capsys, "generate", run, out, "--label", "not=A3")
    assert ", ".join(sorted(NOTES)) in mistake(capsys, "generate", run, out, "--label", "note=C9")
    assert not out.exists()


def test_generated_sounds_have_the_length_asked_for_and_are_not_overwritten(capsys, tmp_path, run):
    out, picture = tmp_path / "a.wav", tmp_path / "a.png"
    arguments = ["generate", run, out, "--seconds", "0.05", "--count", "2", "--picture", picture]
    assert main([*map(str, arguments), "--label", "note=A3"]) == 0
    capsys.readouterr()
    for number in (1, 2):
        assert main(["info", str(tmp_path / f"a-{number}.wav"), "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert (facts["num_samples"], facts["sample_rate"]) == (400, 8000)
    assert picture.stat().st_size > 10_000
    assert (tmp_path / "a-1.wav").read_bytes() != (tmp_path / "a-2.wav").read_bytes()
    assert "a-1.wav exists" in mistake(capsys, *arguments)
    assert main([*map(str, arguments), "--overwrite"]) == 0


def test_a_seed_or_picture_that_cannot_be_is_refused_before_the_work(capsys, tmp_path, run):
    arguments = ["generate", run, tmp_path / "a.wav", "--seconds", "0.01"]
    assert "seed is" in mistake(capsys, *arguments, "--seed", 2**40)
    assert ".png" in mistake(capsys, *arguments, "--picture", tmp_path / "a.xyz")
    assert not list(tmp_path.iterdir())


def test_a_prompt_at_another_rate_is_resampled_and_said_so(capsys, tmp_path, run):
    import numpy as np

    from wavedil import audio

    audio.save(tmp_path / "prompt.wav", np.zeros(1600), 16000)
    arguments = ["generate", run, tmp_path / "a.wav", "--seconds", "0.01"]
    assert main([*map(str, arguments), "--prompt", str(tmp_path / "prompt.wav")]) == 0
    assert "is at 16000 Hz; resampled to the model's 8000 Hz" in capsys.readouterr().err


def test_evaluate_puts_the_model_beside_baselines(capsys, run, recordings):
    assert main(["evaluate", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    num_files = len(list(recordings.iterdir()))
    assert facts["num_files"] == round(0.1 * num_files)
    assert 0 < facts["bits"] < 8.5
    assert set(facts["baselines"]) == {"histogram", "bigram"}
    assert main(["evaluate", str(run), str(recordings), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_files"] == num_files


def test_evaluate_scores_a_single_file_and_needs_no_training_data_for_it(
    capsys, tmp_path, run, recordings
):
    one = tmp_path / "one"
    one.mkdir()
    file = sorted(recordings.iterdir())[0]
    shutil.copy(file, one / file.name)
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    config = json.loads((copy / "config.json").read_text())
    config["corpus"]["folder"] = str(tmp_path / "gone")
    (copy / "config.json").write_text(json.dumps(config))
    assert main(["evaluate", str(copy), str(one), "--json"]) == 0
    output = capsys.readouterr()
    facts = json.loads(output.out)
    assert facts["num_files"] == 1 and facts["bits"] > 0
    assert facts["baselines"] == {} and "no baselines" in output.err
    assert "gone does not exist" in mistake(capsys, "evaluate", copy)


def test_info_says_what_the_arithmetic_says(capsys, run):
    assert main(["info", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["receptive_field_samples"] == 1 + 1 + (1 + 2 + 4 + 8)
    assert facts["receptive_field_ms"] == 1000 * 17 / 8000
    # The input's one past sample and the layers' past samples, 8 channels of 4 bytes each.
    assert facts["generation_state_bytes"] == 4 * 8 * (1 + 1 + 2 + 4 + 8)
    assert facts["checkpoints"][-1] == 4
    assert main(["info", str(run / "model"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == facts["parameters"]


@pytest.mark.long
def test_a_model_with_a_context_stack_is_trained_scored_heard_and_taken_up(
    capsys, tmp_path, recordings
):
    run, context = (
        tmp_path / "run",
        [
            "--model.context-stack.factor=16",
            "--model.context-stack.dilations=1,2",
        ],
    )
    command = [
        "train",
        str(recordings),
        str(run),
        *TINY,
        *context,
        "--model.context-stack.channels=4",
    ]
    assert main(command) == 0
    assert main(["train", str(recordings), str(run), f"--config={run / 'config.json'}"]) == 0
    capsys.readouterr()
    assert main(["info", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"]["context_stack"] == {
        "factor": 16, "channels": 4, "kernel_size": 2, "dilations": [1, 2], "cycles": 1
    }  # fmt: skip
    assert facts["receptive_field_samples"] == 4 * 16 + 15 + (2 + 4 + 8)
    # Samples of a frame, what is held, and the frames before it; then input and stack, as above.
    assert facts["generation_state_bytes"] == 4 * (15 * 8 + 4 + 3 * 4) + 4 * 8 * 16
    assert main(["evaluate", str(run), "--json"]) == 0
    assert 0 < json.loads(capsys.readouterr().out)["bits"] < 8.5
    assert main(["generate", str(run), str(tmp_path / "a.wav"), "--seconds=0.05"]) == 0


def test_the_demo_leaves_a_folder_of_someone_elses_alone(capsys, tmp_path):
    (tmp_path / "thesis.txt").write_text("words")
    assert "is no demo's" in mistake(capsys, "demo", "--out", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_demo_does_not_write_among_the_recordings(capsys, tmp_path, monkeypatch, recordings):
    folder = tmp_path / "mine"
    shutil.copytree(recordings, folder)
    monkeypatch.chdir(folder)
    assert "lies among the recordings" in mistake(capsys, "demo", ".")
    assert not (folder / "demo").exists()


def test_the_demo_leaves_sound_and_pictures_and_can_be_run_again(
    capsys, tmp_path, monkeypatch, recordings
):
    from wavedil.cli import demo

    model = {"dilations": (1, 2), "residual_channels": 4, "skip_channels": 4}
    monkeypatch.setattr(demo, "_MODEL", dataclasses.replace(demo._MODEL, **model))
    training = {"steps": 2, "log_every": 1, "evaluate_every": 2, "save_every": 2}
    monkeypatch.setattr(demo, "_TRAINING", dataclasses.replace(demo._TRAINING, **training))
    out = tmp_path / "demo"
    for _ in range(2):
        assert main(["demo", str(recordings), "--out", str(out)]) == 0
        text = capsys.readouterr().out
        assert all(name in text for name in ("this model", "histogram", "bigram"))
        assert all(name in text for name in ("generated.wav", "picture.png", "loss.png"))
        assert f"{out / 'page.html'}: a page of " in text
    page = (out / "page.html").read_text()
    assert "samples/1.wav" in page and "<h1>demo</h1>" in page
    assert main(["info", str(out / "generated.wav"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] == 2.0
    assert "holds a demo of" in mistake(capsys, "demo", "--out", out)


def test_the_demo_says_how_far_its_notes_are_from_recordings_of_the_same_note(recordings, run):
    from wavedil.cli import demo

    corpus = read_corpus(CorpusConfig(folder=str(recordings), labels=demo._LABELS))
    distances = demo._distances_db(load(run / "model"), corpus)
    # A model of four steps makes noise.
    assert 0 < 2 * distances["training recordings"] < distances["this model"]
