"""Tiny training runs of three tasks, in processes that may be killed at any moment.

Processes are forked off a server that has imported wavedil, with what it imports when it is used, and compiled
nothing; compiled steps are kept on the disk. So a start takes some seconds, and a thousand of them an hour or two.
"""

import contextlib
import multiprocessing
import os
import sys
import traceback
from pathlib import Path

import jax
import numpy as np

import wavedil as wd
from wavedil import features
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig
from wavedil.runs import RunFolder, train_as
from wavedil.tasks import EffectTask, GeneratorTask, VocoderTask
from wavedil.training import Checkpoints, initial_state

KINDS = ("generator", "vocoder", "effect")
SAMPLE_RATE = 8000
STEPS, SAVE_EVERY = 48, 8
PROCESSES = multiprocessing.get_context("forkserver")
# Imports what training imports when it comes to it, which else takes each process two seconds.
features.of_sound(
    np.zeros(SAMPLE_RATE, np.float32), MelConfig().at(SAMPLE_RATE), PitchConfig().at(SAMPLE_RATE)
)


def write_recordings(kind: str, folder: Path) -> None:
    """Chords, and for the effect what a distortion makes of them."""
    folder.mkdir(parents=True)
    time = np.arange(4000) / SAMPLE_RATE
    for hertz in (200, 250, 300, 350, 400, 450):
        chord = 0.4 * sum(np.sin(2 * np.pi * f * time) for f in (hertz, 1.5 * hertz))
        chord = chord.astype(np.float32)
        if kind == "effect":
            wd.audio.save(folder / f"{hertz}-dry.wav", chord, SAMPLE_RATE)
            wd.audio.save(folder / f"{hertz}-wet.wav", np.tanh(2 * chord), SAMPLE_RATE)
        else:
            wd.audio.save(folder / f"{hertz}.wav", chord, SAMPLE_RATE)


def config(kind: str, recordings: Path) -> wd.RunConfig:
    """Its settings: all that a step does is there, at a size that takes milliseconds."""
    task = {
        "generator": GeneratorTask(),
        "vocoder": VocoderTask(),
        "effect": EffectTask(size="nano"),
    }[kind]
    training = wd.TrainingConfig(
        steps=STEPS,
        batch_size=2,
        window_size=256,
        log_every=4,
        evaluate_every=24,
        evaluate_seconds=0.5,
        save_every=SAVE_EVERY,
        optimizer="muon" if kind == "generator" else "adamw",
    )
    sizes = {"dilations": (1, 2, 4), "cycles": 1, "residual_channels": 32, "skip_channels": 32}
    model = {} if kind == "effect" else {"model": wd.WaveNetConfig.tiny(**sizes)}
    # An amp model is scored by the engine, which each process compiles for itself: that takes longer than the run.
    held_out = 0.0 if kind == "effect" else 0.3
    corpus = wd.CorpusConfig(folder=str(recordings), sample_rate=SAMPLE_RATE, held_out=held_out)
    return wd.RunConfig(task=task, corpus=corpus, training=training, **model)


def start(kind: str, recordings: Path, run: Path) -> multiprocessing.process.BaseProcess:
    """A process that trains in the folder `run`; what it says goes to `run`.said."""
    process = PROCESSES.Process(target=_train, args=(kind, recordings, run))
    process.start()
    return process


def to_the_end(kind: str, recordings: Path, run: Path) -> tuple[int, str]:
    """Exit code, and what was said, of a process that nothing disturbs."""
    process = start(kind, recordings, run)
    process.join()
    return process.exitcode, said(run)


def said(run: Path) -> str:
    """What the newest process of a run warned of, and the error that ended it."""
    return run.with_suffix(".said").read_text()


def difference(kind: str, recordings: Path, run: Path, whole: Path) -> str:
    """The first thing in which a run is another one than the uninterrupted one, or ""."""
    states = [_state(kind, recordings, folder) for folder in (run, whole)]
    named = [jax.tree_util.tree_leaves_with_path(state) for state in states]
    for (name, value), (_, expected) in zip(*named, strict=True):
        if not np.array_equal(value, expected):
            return f"{jax.tree_util.keystr(name)} differs"
    if _lines(run) != _lines(whole):
        return "metrics.jsonl differs"
    models = [folder / "model" / "model.safetensors" for folder in (run, whole)]
    return "" if models[0].read_bytes() == models[1].read_bytes() else "the saved model differs"


def _train(kind: str, recordings: Path, run: Path) -> None:
    # Of a process group of its own, and with its words in a file: those of a run that was killed stay readable.
    with run.with_suffix(".said").open("w", buffering=1) as file:
        _use_cache(recordings.parent)
        try:
            train_as(
                config(kind, recordings), run, report=None, warn=lambda it: print(it, file=file)
            )
        except Exception as error:
            users = isinstance(error, (wd.UserError, wd.training.TrainingError))
            print(f"{type(error).__name__}: {error}", file=file)
            if not users:
                traceback.print_exc(file=file)
            file.flush()
            os._exit(2 if users else 1)


def _use_cache(folder: Path) -> None:
    jax.config.update("jax_compilation_cache_dir", str(folder / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _state(kind: str, recordings: Path, run: Path) -> object:
    folder = RunFolder(run)
    resolved = folder.read_config()
    checkpoints = Checkpoints(folder.checkpoints)
    with contextlib.closing(checkpoints):
        return checkpoints.restore_newest(jax.eval_shape(lambda: initial_state(resolved)), sys.exit)


def _lines(run: Path) -> list[dict]:
    """The metrics, without the times."""
    times = ("seconds", "targets_per_second")
    return [
        {name: value for name, value in line.items() if name not in times}
        for line in RunFolder(run).metrics.read()
    ]
