"""Small training runs for tests: a corpus of sines, and runs of it in processes of their own.

As a program it trains in a folder, with the configuration it is given as JSON:
    python tests/support/training_runs.py FOLDER CONFIG
"""

import dataclasses
import functools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from wavedil import CorpusConfig, RunConfig, TrainingConfig, WaveNetConfig, mu_law
from wavedil.data import Corpus, Recording
from wavedil.labels import Vocabulary
from wavedil.runs import RunFolder, from_values, to_values, train_as
from wavedil.tasks import GeneratorTask
from wavedil.training import Checkpoints, initial_state, loop, make_update

LEVELS, SAMPLE_RATE = 32, 8000


def sines(path, num_samples, *frequencies, **labels):
    """A recording of a chord."""
    time = np.arange(num_samples) / SAMPLE_RATE
    chord = sum(np.sin(2 * np.pi * frequency * time) for frequency in frequencies)
    return Recording(path, mu_law.encode(0.9 * chord / len(frequencies), LEVELS), labels)


def corpus(labels=False):
    """Four recordings to train on and two held out, of various lengths."""
    notes = {f"note_{hz}.wav": (hz, 200 + hz) for hz in (200, 300, 400, 500)}
    held_out = {"long.wav": (300, 500), "short.wav": (400, 77)}
    label = (lambda hz: {"note": str(hz)}) if labels else (lambda hz: {})
    parts = [
        tuple(sines(path, length, hz, **label(hz)) for path, (hz, length) in part.items())
        for part in (notes, held_out)
    ]
    return Corpus(
        train=parts[0],
        test=parts[1],
        sample_rate=SAMPLE_RATE,
        skipped=(),
        trimmed_seconds=0.0,
        label_values=Vocabulary(note=("200", "300", "400", "500")) if labels else Vocabulary(),
        unlabelled={"note": 0} if labels else {},
    )


def model_config(**changes):
    sizes = {"dilations": (1, 2), "cycles": 1, "residual_channels": 4, "skip_channels": 8}
    return WaveNetConfig.tiny(**({**sizes, "levels": LEVELS, "sample_rate": SAMPLE_RATE} | changes))


def run_config(task=None, model=None, **changes):
    """A run of twelve steps, or as `changes` of its training say."""
    training = {"steps": 12, "batch_size": 2, "window_size": 64, "learning_rate": 1e-2}
    often = {"log_every": 1, "evaluate_every": 6, "save_every": 4}
    return RunConfig(
        task=task or GeneratorTask(),
        corpus=CorpusConfig(folder="sines"),
        model=model or model_config(),
        training=TrainingConfig(**(training | often | changes)),
    )


@pytest.fixture(scope="module")
def one_compilation():
    """Runs of the same settings share their compiled step: most of a short run is compilation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "make_update", shared_update)
        yield


def shared_update(config):
    """The update of a run, compiled once for all that take the same steps."""
    often = {"log_every": 1, "evaluate_every": 1, "save_every": 1}
    often |= {"sample_every": 0, "tensorboard": False}
    training = dataclasses.replace(config.training, **often)
    corpus = CorpusConfig(folder="any")
    same = {"corpus": corpus, "recordings_fingerprint": "", "start_from": ""}
    return _make_update(dataclasses.replace(config, training=training, **same))


_make_update = functools.cache(make_update)


def resolve(config, corpus):
    """The configuration with what the corpus decides."""
    return config.task.resolve(config, corpus)


def final_state(folder, config):
    """The newest state in the checkpoints of a run."""
    config = resolve(config, corpus())
    checkpoints = Checkpoints(RunFolder(folder).checkpoints)
    like = jax.eval_shape(lambda: initial_state(config))
    state = checkpoints.restore_newest(like, warn=fail)
    checkpoints.close()
    return state


def fail(line):
    raise AssertionError(f"warned: {line}")


def assert_equal_states(state, expected):
    """Step, weights, average and optimizer, bit for bit."""
    assert jax.tree.structure(state) == jax.tree.structure(expected)
    paths = jax.tree_util.tree_leaves_with_path(state)
    for (path, leaf), other in zip(paths, jax.tree.leaves(expected), strict=True):
        assert leaf.dtype == other.dtype, path
        assert np.array_equal(leaf, other), jax.tree_util.keystr(path)


def lines(folder):
    """The metrics, without what depends on the clock."""
    clock = ("seconds", "targets_per_second")
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in clock} for line in metrics]


def start(folder, config):
    """Trains in a process of its own."""
    return start_program(Path(__file__).resolve(), folder, json.dumps(to_values(config)))


def start_program(program, folder, *arguments):
    """A Python program that trains in a folder, in a process of its own."""
    # What one process compiled the next one finds: most of a short run's time is compilation.
    compiled = {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    root = Path(__file__).resolve().parents[2]
    places = [str(root), str(root / "tests" / "support"), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, str(program), str(folder), *arguments],
        env=os.environ | compiled | {"PYTHONPATH": os.pathsep.join(places)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until(condition, process, *, seconds=120, pause=0.002):
    """Waits for the condition while the process runs; False if the process ended first."""
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(pause)
    return True


def main(folder, config):
    config = from_values(json.loads(config))
    run = train_as(config, folder, corpus=corpus(), warn=fail)
    print(json.dumps({"step": run.step, "stopped_by": run.stopped_by, **run.held_out}))


if __name__ == "__main__":
    main(*sys.argv[1:])
