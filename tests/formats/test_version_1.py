"""Runs and models of format version 1, written before the change to version 2, are read and gone on with."""

import json
import warnings
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

import wavedil as wd
from wavedil.cli.main import main
from wavedil.data import Batch
from wavedil.frames import BEYOND, crop, stretch
from wavedil.models import named_weights
from wavedil.runs import RunFolder, train_as
from wavedil.training import Checkpoints, make_update, take_up

ARCHIVE = Path(__file__).parent / "version_1.zip"
TASKS = ("generator", "vocoder", "autoencoder")
pytestmark = [pytest.mark.filterwarnings("ignore:.*format version 1"), pytest.mark.newest]


@pytest.fixture
def old(tmp_path):
    """The folder of the runs: of six steps each, the generator's stopped after three of them."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path)
    return tmp_path


@pytest.mark.parametrize("task", TASKS)
def test_a_model_gives_the_log_probabilities_that_it_gave(old, task):
    expected = json.loads((old / "expected.json").read_text())
    model = wd.load(old / task)
    features = None
    if task == "vocoder":
        features = jnp.asarray(np.random.default_rng(1).uniform(size=(1, 4, 6)), jnp.float32)
    codes = jnp.asarray([expected["codes"]])
    log_prob = model.log_prob(codes, {"speaker": "ben"}, features=features)
    np.testing.assert_allclose(log_prob[0], expected["log_prob"][task], atol=1e-5)
    assert model.task.name == task


@pytest.mark.parametrize("task", TASKS)
def test_a_model_says_that_it_has_no_checksum_and_has_one_when_it_is_saved_again(
    old, task, tmp_path
):
    with pytest.warns(UserWarning, match="version 1, which has no checksum; save it again"):
        model = wd.load(old / task)
    wd.save(model, tmp_path / "again")
    again = wd.load(tmp_path / "again")  # warnings are errors
    assert (again.config, again.task) == (model.config, model.task)
    for name, weight in named_weights(model).items():
        np.testing.assert_array_equal(named_weights(again)[name], weight)


@pytest.mark.parametrize("task", TASKS)
def test_the_configuration_of_a_run_has_its_task_and_is_the_same_in_version_2(old, task):
    config = RunFolder(old / task).read_config()
    assert config.task.name == task
    assert config.model == wd.load(old / task).config
    assert config.corpus.labels == "(?P<speaker>[a-z]+)_"
    assert wd.runs.from_values(json.loads(json.dumps(wd.runs.to_values(config)))) == config


# Recording, first and last sample + 1 of the windows that version 1 took in the steps after the stop.
WINDOWS = {
    3: ((1, 22, 130), (1, 42, 150)),
    4: ((1, 34, 142), (2, 26, 134)),
    5: ((1, 0, 74), (0, 26, 134)),
}


@pytest.mark.long
def test_the_state_of_a_run_goes_on_to_the_weights_that_version_1_came_to(old, monkeypatch):
    """The names of weights changed, and with them the order of what the optimizer keeps of each."""
    finished = named_weights(wd.load(old / "generator"))
    monkeypatch.chdir(old)
    write_recordings(old / "recordings")
    folder = RunFolder(old / "generator")
    config = folder.read_config()
    corpus = config.task.read(config)
    config = config.task.resolve(config, corpus)
    checkpoints = Checkpoints(folder.checkpoints, folder.stored_name)
    state = take_up(config, checkpoints, warn=print)
    checkpoints.close()
    update = make_update(config)
    for step, windows in WINDOWS.items():
        assert step == int(state.step)
        rows = [row(corpus.train[number], begin, end) for number, begin, end in windows]
        codes, context, labels = zip(*rows, strict=True)
        rows_of_labels = config.model.labels.rows_of(labels)
        state, _ = update(state, Batch(np.stack(codes), np.stack(context), rows_of_labels))
    for name, weight in state.averaged.items():
        np.testing.assert_allclose(weight, finished[name], atol=1e-6, err_msg=name)


def row(recording, begin, end):
    """Targets, context and labels of a window of the generator, 108 of which 20 come before."""
    context = stretch(recording.codes, begin - 21, 21)
    if begin == 0:
        context[-1] = 16  # silence
    codes = crop(stretch(recording.codes, begin, end - begin), 0, 108, BEYOND)
    return codes, context, recording.labels


@pytest.mark.long
def test_a_run_that_was_stopped_goes_on_and_can_be_stopped_again(old, monkeypatch):
    monkeypatch.chdir(old)
    write_recordings(old / "recordings")
    run = train_as(RunFolder(old / "generator").read_config(), old / "generator")
    assert (run.step, run.stopped_by) == (6, None)
    # Its own checkpoints keep its names, so that it can be stopped and go on once more.
    again = train_as(RunFolder(old / "generator").read_config(), old / "generator")
    assert again.step == 6


@pytest.mark.long
def test_the_command_line_takes_its_settings_and_says_the_warning_in_a_line(old, capsys):
    write_recordings(old / "recordings")
    code = main([
        "train", str(old / "recordings"), str(old / "new"), "--config", str(old / "vocoder" / "config.json"),
        "--training.steps", "1",
    ])  # fmt: skip
    assert code == 0
    new, given = (RunFolder(old / name).read_config() for name in ("new", "vocoder"))
    assert new.task == given.task and new.model == given.model and new.training.steps == 1
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["info", str(old / "autoencoder" / "model")]) == 0
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("wavedil: ") and "has no checksum" in said


def write_recordings(folder):
    """Sawtooths of whole numbers, which are the same on every machine."""
    folder.mkdir()
    sounds = [("anna", 20, 700), ("anna", 25, 400), ("ben", 32, 500), ("ben", 40, 600)]
    for number, (speaker, period, num_samples) in enumerate(sounds):
        steps = np.arange(num_samples) * (40000 // period)
        samples = (steps % 40000 - 20000).astype(np.int16)
        soundfile.write(folder / f"{speaker}_{number}.wav", samples, 8000, subtype="PCM_16")
