"""Training that ends at a bad moment: killed, signalled, out of disk, out of numbers."""

import contextlib
import json
import random
import resource
import signal
import time

import jax
import numpy as np
import pytest
import training_runs as runs

import wavedil
from wavedil.data import TrainingWindows
from wavedil.models import named_weights
from wavedil.runs import train_as as train
from wavedil.training import Checkpoints, NonFiniteError, loop

one_compilation = runs.one_compilation
pytestmark = pytest.mark.usefixtures("one_compilation")

LONG = runs.run_config(steps=100, save_every=10, log_every=5, evaluate_every=50)


@pytest.mark.long
def test_a_run_killed_again_and_again_equals_an_uninterrupted_one(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    moments = random.Random(0)
    kills = [at_random(moments), in_a_save, at_random(moments)]
    for kill in kills:
        process = runs.start(killed, LONG)
        try:
            assert kill(killed, process), "the run ended before it could be killed"
        finally:
            process.kill()
            process.communicate()
    for folder in (killed, whole):
        process = runs.start(folder, LONG)
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
        assert json.loads(output.splitlines()[-1])["step"] == 100
    runs.assert_equal_states(runs.final_state(killed, LONG), runs.final_state(whole, LONG))
    assert runs.lines(killed) == runs.lines(whole)
    same = [(run / "model" / "model.safetensors").read_bytes() for run in (killed, whole)]
    assert same[0] == same[1]


def at_random(moments):
    """Kills some steps into what the process adds, at no particular moment of a step."""

    def kill(folder, process):
        before = last_step(folder)
        goal = before + moments.randint(1, 20)
        if not runs.wait_until(lambda: last_step(folder) >= goal, process):
            return False
        time.sleep(moments.uniform(0, 0.02))
        process.kill()
        process.wait()
        return True

    return kill


def in_a_save(folder, process):
    """Kills while a checkpoint is on its way to the disk."""
    left = {path.name for path in unfinished(folder)}  # by the kill before this one

    def begun():
        return any(path.name not in left for path in unfinished(folder))

    if not runs.wait_until(lambda: not unfinished(folder) or begun(), process, pause=0):
        return False
    left.clear()
    if not runs.wait_until(begun, process, pause=0):
        return False
    process.kill()
    process.wait()
    return True


def unfinished(folder):
    return list(folder.glob("checkpoints/*tmp*"))


def last_step(folder):
    with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
        return json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    return 0


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_a_signal_ends_the_step_and_saves_and_the_next_start_goes_on(tmp_path, number):
    config, run, whole = runs.run_config(), tmp_path / "run", tmp_path / "whole"
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]

    def stop_at_7(progress):
        if progress.step == 7 and progress.held_out:
            signal.raise_signal(number)

    result = train(config, run, corpus=runs.corpus(), report=stop_at_7)
    assert (result.step, result.stopped_by) == (7, signal.Signals(number).name)
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before
    state = runs.final_state(run, config)
    assert int(state.step) == 7
    weights = named_weights(wavedil.load(run))
    assert all(np.array_equal(weights[name], state.averaged[name]) for name in state.averaged)

    steps = []
    result = train(
        config, run, corpus=runs.corpus(), report=lambda progress: steps.append(progress.step)
    )
    assert (result.step, result.stopped_by) == (12, None)
    assert steps == [8, 9, 10, 11, 12, 12]  # the last once more, with its held-out bits
    train(config, whole, corpus=runs.corpus())
    runs.assert_equal_states(runs.final_state(run, config), runs.final_state(whole, config))
    assert runs.lines(run) == runs.lines(whole)


@pytest.mark.long
def test_a_signal_just_before_an_evaluation_leaves_it_to_the_next_start(tmp_path):
    config, run, whole = runs.run_config(), tmp_path / "run", tmp_path / "whole"

    def stop_at_6(progress):
        if progress.step == 6:
            signal.raise_signal(signal.SIGTERM)

    result = train(config, run, corpus=runs.corpus(), report=stop_at_6)
    assert (result.step, result.stopped_by, result.held_out) == (6, "SIGTERM", {})
    wavedil.load(run)
    train(config, run, corpus=runs.corpus())
    train(config, whole, corpus=runs.corpus())
    assert runs.lines(run) == runs.lines(whole)


def test_a_second_ctrl_c_loses_no_finished_step(tmp_path):
    config = runs.run_config()

    def stop_twice_at_7(progress):
        if progress.step == 7:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    # Ignored, where a shell started the tests in the background.
    before = signal.getsignal(signal.SIGINT)
    result = train(config, tmp_path / "run", corpus=runs.corpus(), report=stop_twice_at_7)
    assert (result.step, result.stopped_by) == (7, "SIGINT")
    assert signal.getsignal(signal.SIGINT) is before
    assert int(runs.final_state(tmp_path / "run", config).step) == 7
    assert train(config, tmp_path / "run", corpus=runs.corpus()).step == 12


@pytest.mark.parametrize("signals", [1, 2])
def test_an_evaluation_that_was_cut_short_is_made_up_for(tmp_path, monkeypatch, signals):
    """The steps before it are saved already; the metrics are in the end those of a run that was not stopped."""
    config, run, whole = runs.run_config(), tmp_path / "run", tmp_path / "whole"
    score = runs.GeneratorTask.evaluate

    def signalled(task, model, recordings, progress=None):
        for _ in range(signals):
            signal.raise_signal(signal.SIGINT)
        assert signals == 1, "went on after a second Ctrl-C"
        return score(task, model, recordings, progress)

    with monkeypatch.context() as patch:
        patch.setattr(runs.GeneratorTask, "evaluate", signalled)
        result = train(config, run, corpus=runs.corpus())
    assert (result.step, result.stopped_by, result.held_out) == (6, "SIGINT", {})
    assert int(runs.final_state(run, config).step) == 6
    result = train(config, run, corpus=runs.corpus())
    assert (result.step, result.stopped_by) == (12, None)
    train(config, whole, corpus=runs.corpus())
    runs.assert_equal_states(runs.final_state(run, config), runs.final_state(whole, config))
    assert runs.lines(run) == runs.lines(whole)


def test_a_full_disk_stops_the_run_and_leaves_the_checkpoint_before_whole(tmp_path, monkeypatch):
    config, run = runs.run_config(), tmp_path / "run"
    save = Checkpoints.save

    def save_on_a_full_disk(self, state):
        if int(state.step) < 6:
            return save(self, state)
        with largest_file(num_bytes=256):
            return save(self, state)

    monkeypatch.setattr(Checkpoints, "save", save_on_a_full_disk)
    with pytest.raises(Exception, match=r"(?i)file too large|FAILED_PRECONDITION|UNKNOWN"):
        train(config, run, corpus=runs.corpus())
    monkeypatch.setattr(Checkpoints, "save", save)
    assert int(runs.final_state(run, config).step) == 4
    wavedil.load(run)

    train(config, run, corpus=runs.corpus(), warn=runs.fail)
    train(config, tmp_path / "whole", corpus=runs.corpus())
    whole = runs.final_state(tmp_path / "whole", config)
    runs.assert_equal_states(runs.final_state(run, config), whole)


@contextlib.contextmanager
def largest_file(num_bytes):
    """Lets writes beyond a file size fail, as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_loss_that_is_not_finite_names_step_and_batch_and_is_not_saved(tmp_path):
    settings = {"learning_rate": 1e30, "warmup_steps": 0, "save_every": 1, "evaluate_every": 100}
    config, run = runs.run_config(**settings), tmp_path
    with pytest.raises(NonFiniteError, match=r"step \d+: .*\d+ counted targets.*learning rate"):
        train(config, run, corpus=runs.corpus())
    assert_saved_is_finite(run, config)


def test_weights_beyond_the_range_of_their_type_are_not_saved(tmp_path):
    # The first update overflows; its loss and gradient, taken before it, are finite.
    config = runs.run_config(learning_rate=3e38, weight_decay=1e38, save_every=1, warmup_steps=0)
    with pytest.raises(
        NonFiniteError, match=r"step 1: .*weights .*not finite; no checkpoint was saved"
    ):
        train(config, tmp_path, corpus=runs.corpus())
    assert runs.final_state(tmp_path, config) is None
    assert not (tmp_path / "model").exists()


def test_held_out_bits_that_are_not_finite_stop_the_run_before_they_are_saved(tmp_path):
    config = runs.run_config(learning_rate=1e30, warmup_steps=0, save_every=1, evaluate_every=1)
    with pytest.raises(NonFiniteError, match=r"step 1: the bits of the held-out"):
        train(config, tmp_path, corpus=runs.corpus())
    assert runs.final_state(tmp_path, config) is None
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()


def test_a_gradient_that_is_not_finite_stops_the_run_at_its_step(tmp_path, monkeypatch):
    config = runs.run_config()
    make_update = loop.make_update

    def make_failing_update(config):
        update = make_update(config)

        def step(state, batch):
            state, metrics = update(state, batch)
            bad = int(state.step) == 6
            return state, metrics._replace(gradient_norm=np.float32("nan")) if bad else metrics

        return step

    monkeypatch.setattr(loop, "make_update", make_failing_update)
    with pytest.raises(NonFiniteError, match=r"step 6: .*gradient norm nan, on a batch of"):
        train(config, tmp_path, corpus=runs.corpus())
    assert int(runs.final_state(tmp_path, config).step) == 4
    assert [line["step"] for line in runs.lines(tmp_path)] == [1, 2, 3, 4, 5]


def assert_saved_is_finite(run, config):
    state = runs.final_state(run, config)
    assert state is not None
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(state))
    weights = named_weights(wavedil.load(run))
    assert all(np.all(np.isfinite(value)) for value in weights.values())


def test_an_error_in_the_middle_of_a_run_leaves_no_thread_of_its_own(tmp_path, monkeypatch):
    def fail(self, step):
        raise OSError("the disk of the recordings is gone")

    monkeypatch.setattr(TrainingWindows, "batch", fail)
    with pytest.raises(OSError, match="recordings is gone"):
        train(runs.run_config(tensorboard=True), tmp_path, corpus=runs.corpus())
