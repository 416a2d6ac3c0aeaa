"""What a run keeps: all of it in the run's folder, by the one host that has it; by the others of several, nothing."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

import wavedil
from wavedil.data.corpus import spread
from wavedil.data.fingerprints import Fingerprint, num_trained
from wavedil.formats.saved_model import save
from wavedil.models.registry import Model
from wavedil.runs.config import to_values
from wavedil.runs.folder import RunFolder
from wavedil.runs.samples import EXAMPLE_SECONDS, NUM_EXAMPLES, SampleFiles, forget_after
from wavedil.runs.start import weights_from, with_scales
from wavedil.training.checkpoints import Checkpoints
from wavedil.training.loop import Sampler, Saves, take_up
from wavedil.training.metrics import MetricsFile, MetricsLog, Report
from wavedil.training.parts import require_divided
from wavedil.training.state import TrainingState, initial_state
from wavedil.training.task import Corpus, RunConfig, Windows


class Kept(NamedTuple):
    """A run that is begun or taken up, and where what it makes goes."""

    config: RunConfig
    windows: Windows
    state: TrainingState
    held_out: Sequence[Any]
    checkpoints: Saves
    log: MetricsLog
    publish: Callable[[Model], None]
    sampler: Sampler


@contextlib.contextmanager
def kept(
    config: RunConfig,
    corpus: Corpus,
    folder: str | os.PathLike[str],
    report: Report | None,
    warn: Callable[[str], None],
) -> Iterator[Kept]:
    """The run in a folder, which is locked inside; arguments and errors are those of `train_as`.

    Args:
      config: Resolved.
      corpus: Of it.
      folder: The run folder.
      report: Called with the progress of the training.
      warn: Called with a line for people.
    """
    config = with_scales(config, folder)
    windows = windows_of(config, corpus)
    held_out = corpus.held_out(config.training.evaluate_seconds)
    run = RunFolder(folder)
    start = functools.partial(weights_from, config) if config.start_from else None
    with contextlib.ExitStack() as stack:
        stack.enter_context(run.locked())
        before = () if run.config.exists() else _recordings_before(config, corpus, warn)
        run.claim(config, getattr(corpus, "fingerprints", ()), before)
        checkpoints = stack.enter_context(
            contextlib.closing(Checkpoints(run.checkpoints, run.stored_name))
        )
        state = take_up(config, checkpoints, warn, start)
        config = run.go_on(config, int(state.step))
        run.metrics.forget_after(int(state.step))
        forget_after(run, int(state.step))
        tensorboard = run.tensorboard if config.training.tensorboard else None
        log = stack.enter_context(
            contextlib.closing(MetricsLog(run.metrics, tensorboard, config.training, report))
        )
        publish = functools.partial(_publish, config, run.model)
        excerpts = corpus.held_out(EXAMPLE_SECONDS)
        excerpts = spread(excerpts, min(NUM_EXAMPLES, len(excerpts)))
        sampler = SampleFiles(run, config, excerpts, log, warn)
        yield Kept(config, windows, state, held_out, checkpoints, log, publish, sampler)


def kept_elsewhere(config: RunConfig, corpus: Corpus, newest: int | None) -> Kept:
    """The same run where another host keeps it: with a state that has types and shapes alone, and nothing held out.

    Args:
      config: Resolved, as that host has taken it up.
      corpus: Of it.
      newest: Step of the newest checkpoint there.
    """
    log = MetricsLog(_NoMetrics(Path(os.devnull)), None, config.training, None)
    return Kept(
        config,
        windows_of(config, corpus),
        jax.eval_shape(lambda: initial_state(config)),
        (),
        _NoCheckpoints(newest),
        log,
        lambda model: None,
        _NoSamples(),
    )


def windows_of(config: RunConfig, corpus: Corpus) -> Windows:
    """The training batches, which the devices can share."""
    windows = config.task.windows(config, corpus)
    # A task of one's own need not say; its batches are looked at as they come.
    require_divided(config.training, getattr(windows, "batch_sizes", ()))
    return windows


def same_on_all_hosts(config: RunConfig, corpus: Corpus) -> dict[str, str]:
    """What hosts must have in common to train together, by its name; where the files lie is each one's own."""
    values = to_values(config)
    values["corpus"]["folder"] = values["start_from"] = values["recordings_fingerprint"] = ""
    root = Path(wavedil.__file__).parent
    code = hashlib.sha256(jax.__version__.encode())
    for path in sorted(root.rglob("*.py")):
        code.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return {
        "the_code_of_wavedil_or_jax": code.hexdigest(),
        "the_configuration": json.dumps(values, sort_keys=True),
        "the_recordings": corpus.fingerprint,
    }


def as_trained(model: Model, config: RunConfig) -> Model:
    """The model, which knows from then on what it was trained for, and on recordings read how."""
    model.task, model.corpus = config.task, config.corpus
    return model


def _publish(config: RunConfig, folder: Path, model: Model) -> None:
    save(as_trained(model, config), folder, overwrite=True)


def _recordings_before(
    config: RunConfig, corpus: Corpus, warn: Callable[[str], None]
) -> Sequence[Fingerprint]:
    """The recordings of the run whose weights a new one starts from; says which of them the new one holds out."""
    if not config.start_from:
        return ()
    listed = RunFolder(config.start_from).read_recordings()
    if not listed:
        return ()
    before = [dataclasses.replace(item, before=True) for item in listed]
    counts = num_trained(corpus.test, before)
    firsts = [0 if item.scored is None else item.scored[0] for item in corpus.test]
    num_seen = sum(map(operator.gt, counts, firsts))
    if num_seen:
        warn(
            f"{num_seen} of {len(firsts)} held-out recordings were trained on in {config.start_from}; scores of them "
            "are not of sound that is new to the model"
        )
    return before


class _NoMetrics(MetricsFile):
    def append(self, values: Mapping[str, Any]) -> None:
        pass

    def read(self) -> list[dict[str, Any]]:
        return []


class _NoCheckpoints:
    def __init__(self, newest: int | None) -> None:
        self.newest = newest

    def save(self, state: TrainingState) -> None:
        self.newest = int(state.step)

    def discard(self, step: int) -> None:
        pass


class _NoSamples:
    def due(self, step: int) -> bool:
        return False

    def draw(self, step: int, model: Model, progress: Callable[[int, int], None]) -> None:
        pass
