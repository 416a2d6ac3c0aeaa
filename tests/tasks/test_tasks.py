"""A task that wavedil has never heard of: it trains, resumes, evaluates and loads without a line in the package.

As a program it trains in a folder: python test_tasks.py FOLDER
"""

import dataclasses
import signal
import sys
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
import training_runs as runs
from flax import nnx

import wavedil as wd
from wavedil.cli.main import main
from wavedil.config import Config
from wavedil.models import MODELS
from wavedil.runs import RunFolder, train_as
from wavedil.tasks import TASKS
from wavedil.training import TrainingConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilterConfig(Config):
    name: ClassVar[str] = "Filter"
    kernel_size: int = 4


class Filter(nnx.Module):
    config_class: ClassVar[type] = FilterConfig

    def __init__(self, config: FilterConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.conv = wd.nn.Conv1d(1, 1, kernel_size=config.kernel_size, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.conv(x[..., None])[..., 0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilterTask(Config):
    """Learn a causal filter from sounds and what it makes of them."""

    name: ClassVar[str] = "filter"
    taps: tuple[int, ...] = (1, 0, -1)

    def model(self):
        return FilterConfig()

    def training(self):
        return TrainingConfig()

    def read(self, config, progress=None):
        return runs.corpus(labels=True)

    def resolve(self, config, corpus):
        return dataclasses.replace(config, recordings_fingerprint=corpus.fingerprint)

    def windows(self, config, corpus):
        return FilterWindows(self, corpus.train, config.training)

    def pair(self, recording):
        sound = recording.codes.astype(np.float32)[:200] / 16 - 1
        return sound, np.convolve(sound, self.taps)[: len(sound)].astype(np.float32)

    def loss(self, model, batch, key):
        error = jnp.sum(jnp.square(model(batch[0]) - batch[1]))
        return (
            error,
            jnp.asarray(batch[1].size, error.dtype),
            {"squared_error": (error, batch[1].size)},
        )

    def evaluate(self, model, recordings, progress=None):
        pairs = [self.pair(recording) for recording in recordings]
        errors = [np.sum(np.square(model(jnp.asarray(x[None]))[0] - y)) for x, y in pairs]
        return {"squared_error": (np.array(errors), np.array([y.size for _, y in pairs]))}

    def examples(self, model, recordings, progress=None):
        return []

    def baselines(self, config, corpus, recordings):
        return {}


@dataclasses.dataclass
class FilterWindows:
    task: FilterTask
    recordings: Any
    training: Any

    def batch(self, step):
        rng = np.random.default_rng([self.training.seed, step])
        pairs = [self.task.pair(self.recordings[i]) for i in rng.integers(4, size=2)]
        return tuple(np.stack(part) for part in zip(*pairs, strict=True))

    def describe(self, steps):
        return [f"{steps} pairs of sounds"]


# One line each: all that the package learns of it.
TASKS["filter"], MODELS["Filter"] = FilterTask, Filter


def configuration(**changes):
    return dataclasses.replace(runs.run_config(**changes), task=FilterTask(), model=FilterConfig())


@pytest.mark.newest
def test_it_learns_the_filter_and_is_evaluated_and_loaded(tmp_path):
    run = train_as(
        configuration(steps=200, learning_rate=0.1, ema_decay=0.9, evaluate_every=100),
        tmp_path / "run",
    )
    assert run.held_out["squared_error"] < 1e-3  # of 0.1 before
    model = wd.load(tmp_path / "run")
    assert (model.task, model.config) == (FilterTask(), FilterConfig())
    scores = wd.evaluate(model, runs.corpus(labels=True).test)
    assert scores == pytest.approx(run.held_out, rel=1e-5)
    assert RunFolder(tmp_path / "run").read_config() == run.config


def test_it_scores_each_value_of_a_label_by_itself(tmp_path):
    model = Filter(FilterConfig(), rngs=nnx.Rngs(0))
    model.task = FilterTask()
    recordings = runs.corpus(labels=True).train
    for value, scores in wd.evaluate(model, recordings).by_label["note"].items():
        alone = [item for item in recordings if item.labels["note"] == value]
        assert scores == pytest.approx(wd.evaluate(model, alone), rel=1e-6)


@pytest.mark.long
@pytest.mark.newest
def test_killed_it_goes_on_bit_for_bit(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    process = start(cut)
    assert runs.wait_until(lambda: (cut / "checkpoints" / "4").is_dir(), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for folder in (cut, whole):
        process = start(folder)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    files = [folder / "model" / "model.safetensors" for folder in (whole, cut)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert runs.lines(whole) == runs.lines(cut)


def start(folder):
    """This file as a program, in a process of its own."""
    return runs.start_program(Path(__file__).resolve(), folder)


def test_its_options_are_those_of_the_command_line(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "--task", "filter", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "--taps" in shown and "--model.kernel-size" in shown and "--model.dilations" not in shown


def slow_report(progress):
    """Leaves time to be killed in."""
    import time

    time.sleep(0.2)


if __name__ == "__main__":
    train_as(configuration(steps=12, log_every=1), sys.argv[1], report=slow_report)
