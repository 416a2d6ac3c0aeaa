"""Training runs: what they leave, what they refuse, that they learn, and that they go on where they were."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
import training_runs as runs

import wavedil
from wavedil import UserError
from wavedil.data import Corpus, Recording, TrainingWindows
from wavedil.files import replacing
from wavedil.models import named_weights
from wavedil.runs import RunFolder
from wavedil.runs import train_as as train
from wavedil.training import MetricsFile, learning_rate

one_compilation = runs.one_compilation
pytestmark = pytest.mark.usefixtures("one_compilation")


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory):
    folder, config = tmp_path_factory.mktemp("finished"), runs.run_config()
    return folder, config, train(config, folder, corpus=runs.corpus())


@pytest.fixture
def finished(finished_once, tmp_path):
    """A run of twelve steps, its settings and its result."""
    folder, config, result = finished_once
    return shutil.copytree(folder, tmp_path / "finished"), config, result


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.newest
def test_a_run_leaves_configuration_metrics_checkpoints_and_a_model(finished):
    folder, config, result = finished
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", "checkpoints", "config.json", "metrics.jsonl", "model", "recordings.jsonl",
    ]  # fmt: skip
    assert RunFolder(folder).read_config() == runs.resolve(config, runs.corpus())
    assert (result.step, result.stopped_by) == (12, None)
    model = wavedil.load(folder)
    scores = wavedil.evaluate(model, runs.corpus().test)
    assert scores == pytest.approx(result.held_out, rel=1e-6)


def test_the_saved_model_has_the_averaged_weights(finished):
    folder, config, _ = finished
    state = runs.final_state(folder, config)
    weights = named_weights(wavedil.load(folder))
    assert weights.keys() == state.averaged.keys()
    assert all(np.array_equal(weights[name], state.averaged[name]) for name in weights)
    assert not np.array_equal(weights["output.bias"], state.weights["output.bias"])


def test_the_metrics_have_each_step_once_with_all_its_numbers(tmp_path):
    config = runs.run_config(log_every=5)
    seen = []
    train(config, tmp_path, corpus=runs.corpus(), report=seen.append)
    written = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in written if "bits" in line]
    assert [line["step"] for line in steps] == [5, 10, 12]
    schedule = learning_rate(config.training)
    for line in steps:
        assert line.keys() == {
            "step", "bits", "gradient_norm", "learning_rate", "targets_per_second", "seconds",
        }  # fmt: skip
        assert all(np.isfinite(value) for value in line.values())
        assert line["targets_per_second"] > 0
        # Updates are counted from 0: the rate of the update that made this step.
        np.testing.assert_allclose(line["learning_rate"], schedule(line["step"] - 1), rtol=1e-6)
    evaluations = [line for line in written if "held_out_bits" in line]
    assert [line["step"] for line in evaluations] == [6, 12]
    assert [now.step for now in seen] == [5, 6, 10, 12, 12]
    assert seen[-1].held_out == {"bits": evaluations[-1]["held_out_bits"]}
    assert {now.steps for now in seen} == {12}


def test_a_finished_run_started_again_changes_nothing(finished):
    folder, config, result = finished
    before, seen = contents(folder), []
    again = train(config, folder, corpus=runs.corpus(), report=seen.append, warn=runs.fail)
    assert (again.step, again.stopped_by) == (12, None)
    assert again.held_out == result.held_out
    assert contents(folder) == before
    assert not seen


def test_a_damaged_newest_checkpoint_is_named_and_the_run_ends_as_it_would_have(finished):
    folder, config, _ = finished
    whole, metrics = runs.final_state(folder, config), runs.lines(folder)
    (data,) = (folder / "checkpoints" / "12" / "default" / "d").iterdir()
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    said, steps = [], []
    train(
        config,
        folder,
        corpus=runs.corpus(),
        warn=said.append,
        report=lambda progress: steps.append(progress.step),
    )
    assert len(said) == 1
    assert "checkpoint 12 cannot be read" in said[0]
    assert min(steps) == 9  # on from the checkpoint of step 8
    runs.assert_equal_states(runs.final_state(folder, config), whole)
    assert runs.lines(folder) == metrics


def test_a_run_of_another_configuration_is_refused_with_both_values_and_left_alone(finished):
    folder, _, _ = finished
    before = contents(folder)
    other = runs.run_config(learning_rate=0.25, steps=9)
    with pytest.raises(UserError) as refused:
        train(other, folder, corpus=runs.corpus())
    message = str(refused.value)
    assert "training.learning_rate: 0.01 -> 0.25" in message
    assert "training.steps: 12 -> 9;" in message
    assert "batch_size" not in message
    assert "choose another folder" in message
    assert contents(folder) == before


def test_reports_and_a_moved_corpus_may_change_between_starts_and_the_recordings_may_not(tmp_path):
    config = runs.run_config()
    train(config, tmp_path, corpus=runs.corpus())
    moved = dataclasses.replace(config.corpus, folder="elsewhere", strict=True)
    often = runs.run_config(log_every=3, evaluate_every=2, save_every=5, evaluate_seconds=1.0)
    resumed = dataclasses.replace(often, corpus=moved)
    assert train(resumed, tmp_path, corpus=runs.corpus()).step == 12
    corpus = runs.corpus()
    other = dataclasses.replace(corpus, train=(corpus.train[0], *corpus.train[2:]))
    with pytest.raises(UserError, match=r"other recordings: removed: note_300\.wav; restore"):
        train(config, tmp_path, corpus=other)


def test_the_fingerprint_tells_recordings_labels_and_split_apart():
    corpus = runs.corpus(labels=True)
    first, *rest = corpus.train
    changed = np.array(first.codes)
    changed[-1] ^= 1
    others = [
        runs.corpus(),
        dataclasses.replace(corpus, train=(dataclasses.replace(first, codes=changed), *rest)),
        dataclasses.replace(corpus, train=tuple(rest), test=(first, *corpus.test)),
        dataclasses.replace(corpus, train=(dataclasses.replace(first, path="other.wav"), *rest)),
    ]
    prints = [item.fingerprint for item in (corpus, *others)]
    assert len(set(prints)) == len(prints)
    assert runs.corpus(labels=True).fingerprint == corpus.fingerprint


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    config = runs.run_config()
    hold = (
        "import sys; from wavedil.runs import RunFolder\n"
        "with RunFolder(sys.argv[1]).locked(): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match="another process is training in"):
            train(config, tmp_path, corpus=runs.corpus())
        other.kill()
    assert train(config, tmp_path, corpus=runs.corpus()).step == 12


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("forty pages")
    with pytest.raises(UserError, match=r"not empty and holds no run; choose a new folder"):
        train(runs.run_config(), tmp_path, corpus=runs.corpus())
    assert contents(tmp_path) == {"thesis.txt": b"forty pages"}


def test_a_config_json_of_something_else_is_refused_and_left_alone(tmp_path):
    for content in ('{"name": "something else"}', "{ cut", "[]"):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(UserError, match=r"config\.json (is|holds)"):
            train(runs.run_config(), tmp_path, corpus=runs.corpus())
        assert contents(tmp_path) == {"config.json": content.encode()}


def test_a_crash_while_the_configuration_was_written_does_not_lock_the_folder(tmp_path):
    config = runs.resolve(runs.run_config(), runs.corpus())
    with contextlib.suppress(KeyboardInterrupt), replacing(tmp_path / "config.json") as scratch:
        scratch.write_text('{"corpus": ')
        os.link(scratch, tmp_path / ".new-left")  # as a kill would leave it
        raise KeyboardInterrupt
    folder = RunFolder(tmp_path)
    with folder.locked():
        folder.claim(config)
    assert folder.read_config() == config
    assert sorted(contents(tmp_path)) == [".lock", "config.json"]


def test_metrics_that_a_crash_cut_short_are_mended(tmp_path):
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    for step in (5, 10, 15, 20):
        metrics.append({"step": step, "bits": 1.5})
    with metrics.path.open("a") as file:
        file.write('{"step": 25, "bi')
    metrics.forget_after(15)
    metrics.append({"step": 20, "bits": 1.25})
    assert [line["step"] for line in metrics.read()] == [5, 10, 15, 20]
    assert metrics.read()[-1]["bits"] == 1.25


@pytest.mark.parametrize("window_size", [1, 10**6])
def test_windows_of_one_sample_and_of_more_than_there_are_train(tmp_path, window_size):
    config = runs.run_config(window_size=window_size, steps=2, batch_size=3)
    run = train(config, tmp_path, corpus=runs.corpus())
    assert run.step == 2 and 0 < run.held_out["bits"] < 10


def test_tensorboard_files_exist_only_when_asked_for_and_json_lines_always(finished, tmp_path):
    plain, _, _ = finished
    folder = tmp_path / "with"
    train(runs.run_config(tensorboard=True), folder, corpus=runs.corpus())
    (events,) = (folder / "tensorboard").glob("events.out.tfevents.*")
    content = events.read_bytes()
    for name in (b"bits", b"gradient_norm", b"learning_rate", b"held_out_bits"):
        assert name in content
    assert not (plain / "tensorboard").exists()
    assert runs.lines(folder) == runs.lines(plain)


@pytest.mark.long
def test_the_order_of_the_data_depends_on_seed_and_step_alone(tmp_path, monkeypatch):
    asked = []
    batch = TrainingWindows.batch

    def remember(self, step):
        asked.append((step, batch(self, step)))
        return asked[-1][1]

    monkeypatch.setattr(TrainingWindows, "batch", remember)
    train(runs.run_config(), tmp_path / "one", corpus=runs.corpus())
    first, asked[:] = list(asked), []
    train(runs.run_config(), tmp_path / "two", corpus=runs.corpus())
    assert [step for step, _ in first] == list(range(12))
    for (step, one), (_, two) in zip(first, asked, strict=True):
        assert jax.tree.all(jax.tree.map(np.array_equal, one, two)), step
    asked.clear()
    train(runs.run_config(seed=1), tmp_path / "three", corpus=runs.corpus())
    assert not all(
        np.array_equal(one.codes, other.codes)
        for (_, one), (_, other) in zip(first, asked, strict=True)
    )


def test_the_corpus_decides_labels_rate_and_levels_of_the_model():
    model = runs.resolve(runs.run_config(), runs.corpus(labels=True)).model
    assert model.labels == {"note": ("200", "300", "400", "500")}
    assert (model.sample_rate, model.levels) == (runs.SAMPLE_RATE, runs.LEVELS)


@pytest.mark.long
@pytest.mark.parametrize(
    "output", ["categorical", pytest.param("gaussian", marks=pytest.mark.long)]
)
def test_a_constant_recording_trains_to_a_finite_loss(tmp_path, output):
    silence = Recording("silence.wav", np.full(300, runs.LEVELS // 2, np.uint8))
    corpus = dataclasses.replace(runs.corpus(), train=(silence,), test=(silence,))
    config = runs.run_config(learning_rate=0.1, evaluate_every=12, save_every=12)
    model = runs.model_config(output=output, input="scalar")
    result = train(dataclasses.replace(config, model=model), tmp_path / "run", corpus=corpus)
    assert np.isfinite(result.held_out["bits"]) and result.held_out["bits"] >= 0


@pytest.mark.parametrize(
    "output",
    [
        "categorical",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("logistic", "gaussian")),
    ],
)
def test_a_chord_of_three_sines_is_learned(tmp_path, output):
    """From 5 bits, which know nothing, to less than what the one sample before can tell."""
    notes = (261.6, 329.6, 392.0)
    chord = Corpus(
        train=(runs.sines("train.wav", 8000, *notes),),
        test=(runs.sines("test.wav", 4000, *notes),),
        sample_rate=runs.SAMPLE_RATE,
        skipped=(),
        trimmed_seconds=0.0,
        label_values={},
        unlabelled={},
    )
    config = runs.run_config(
        steps=300, window_size=512, log_every=100, save_every=300, evaluate_every=100
    )
    model = runs.model_config(output=output)
    result = train(dataclasses.replace(config, model=model), tmp_path, corpus=chord)
    bits = [line["bits"] for line in runs.lines(tmp_path) if "bits" in line]
    assert bits == sorted(bits, reverse=True)
    counts = np.zeros((runs.LEVELS, runs.LEVELS))
    codes = chord.train[0].codes
    np.add.at(counts, (codes[:-1], codes[1:]), 1)
    rows = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(rows, 1)
    bigram = -np.sum(counts[counts > 0] * np.log2(share[counts > 0])) / counts.sum()
    assert result.held_out["bits"] < bigram < 5.0
