"""The training loop: take up the state, then step, report, evaluate and save until the end or a signal."""

import contextlib
import dataclasses
import functools
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from wavedil.data.corpus import Corpus, Recording, read_corpus
from wavedil.data.windows import Batch, TrainingWindows
from wavedil.errors import UserError
from wavedil.formats.saved_model import save
from wavedil.models.autoencoder_config import EncoderConfig
from wavedil.models.kinds import Model, abstract_model
from wavedil.models.local import LocalConfig
from wavedil.models.weights import with_weights
from wavedil.training.checkpoints import Checkpoints
from wavedil.training.evaluation import choose_recordings, evaluate
from wavedil.training.metrics import MetricsLog, Progress
from wavedil.training.run_folder import RunFolder
from wavedil.training.settings import RunConfig
from wavedil.training.signals import StopSignal
from wavedil.training.state import TrainingState, initial_state
from wavedil.training.step import Metrics, make_step

_REMEDY = (
    "nothing of this step was saved, and the run folder holds the last good checkpoint; "
    "lower the learning rate"
)


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """How a run ended."""

    step: int
    stopped_by: str | None
    """Name of the signal that ended it early, or None."""
    held_out_bits: float | None
    seconds: float


class NonFiniteError(RuntimeError):
    """Training met a loss or gradient that is not a number; nothing of that step was saved."""


def resolve(config: RunConfig, corpus: Corpus) -> RunConfig:
    """The configuration with what the corpus decides: rate, grid of levels, labels, features and fingerprint."""
    encoder = None if config.encoder is None else config.encoder.at(corpus.sample_rate)
    model = dataclasses.replace(
        config.model,
        sample_rate=corpus.sample_rate,
        levels=config.corpus.levels,
        scale=config.corpus.scale,
        labels=corpus.label_values,
        local=_local_config(config.model.local, corpus, encoder),
    )
    settings = dataclasses.replace(config.corpus, sample_rate=corpus.sample_rate, mel=corpus.mel)
    return dataclasses.replace(
        config,
        model=model,
        encoder=encoder,
        corpus=settings,
        recordings_fingerprint=corpus.fingerprint,
    )


def train(
    config: RunConfig,
    folder: str | os.PathLike[str],
    *,
    corpus: Corpus | None = None,
    report: Callable[[Progress], None] | None = None,
    warn: Callable[[str], None] = print,
) -> TrainingResult:
    """Trains a WaveNet, or an autoencoder, in a folder, from the start or from the newest whole checkpoint there.

    At every step the parameters are a function of the configuration and the
    recordings alone: a run that was killed and started again goes through the
    same states, bit for bit on CPU, as one that was not. SIGTERM and Ctrl-C end
    the run after the step under way, with everything saved.

    Args:
      config: Corpus, model and training settings.
      folder: The run folder; see `run_folder`.
      corpus: The corpus that `config.corpus` describes, if it is read already.
      report: Called every `log_every` steps and after each evaluation.
      warn: Called with a line about a checkpoint that cannot be read.

    Raises:
      UserError: If the folder belongs to another configuration, another process trains in it, or
        the corpus cannot be used.
      NonFiniteError: If a loss or gradient is not finite.
    """
    corpus = corpus or read_corpus(config.corpus)
    config = resolve(config, corpus)
    run = RunFolder(folder)
    windows = _make_windows(config, corpus)
    run.claim(config)
    with run.locked(), contextlib.closing(Checkpoints(run.checkpoints)) as checkpoints:
        # The initial weights are drawn only where there is no checkpoint to go on from.
        fresh = functools.partial(initial_state, config.network, config.training)
        state = checkpoints.restore_newest(jax.eval_shape(fresh), warn) or fresh()
        run.forget_metrics_after(int(state.step))
        return _run(config, corpus, run, checkpoints, windows, state, report)


def _run(
    config: RunConfig,
    corpus: Corpus,
    run: RunFolder,
    checkpoints: Checkpoints,
    windows: TrainingWindows,
    state: TrainingState,
    report: Callable[[Progress], None] | None,
) -> TrainingResult:
    settings = config.training
    model = abstract_model(config.network)
    held_out = choose_recordings(corpus.test, settings.evaluate_seconds, corpus.sample_rate)
    update = make_step(config.network, settings)
    log = MetricsLog(run, settings, report)
    begun = time.perf_counter()

    def save_all() -> None:
        _require_finite_state(state)
        checkpoints.save(state)
        save(with_weights(model, state.averaged, "training"), run.model, overwrite=True)

    with contextlib.closing(log), StopSignal() as stop:
        step = int(state.step)
        while step < settings.steps and stop.received is None:
            batch = windows.batch(step)
            state, metrics = update(state, batch)
            step += 1
            _require_finite(metrics, step, batch)
            log.step(step, metrics, batch)
            if step % settings.evaluate_every == 0 or step == settings.steps:
                with log.not_training():
                    log.held_out(step, _held_out_bits(model, state, held_out))
            if step % settings.save_every == 0:
                with log.not_training():
                    save_all()
        save_all()
    seconds = time.perf_counter() - begun
    return TrainingResult(step, stop.received, log.held_out_bits, seconds)


def _local_config(
    local: LocalConfig | None, corpus: Corpus, encoder: EncoderConfig | None
) -> LocalConfig | None:
    """What the model takes of the corpus's features or the encoder's codes, at the sizes that `local` gives."""
    if encoder is not None and corpus.hop is not None:
        raise UserError(
            f"the corpus has features every {corpus.hop} samples, but an autoencoder learns its own; leave mel and "
            "features_hop out, or the encoder"
        )
    if encoder is None and corpus.hop is None:
        return None
    kind: dict[str, Any] = {
        "num_features": encoder.code_size if encoder else corpus.num_features,
        "hop": encoder.hop if encoder else corpus.hop,
        "mel": corpus.mel,
    }
    return LocalConfig(**kind) if local is None else dataclasses.replace(local, **kind)


def _make_windows(config: RunConfig, corpus: Corpus) -> TrainingWindows:
    local, encoder = config.model.local, config.encoder
    reach = 0 if encoder is None else encoder.context_frames
    return TrainingWindows(
        corpus.train,
        window_size=config.training.window_size,
        context_size=config.model.receptive_field.size,
        batch_size=config.training.batch_size,
        label_values=corpus.label_values,
        seed=config.training.seed,
        levels=config.model.levels,
        hop=1 if local is None else local.hop,
        context_frames=0 if local is None else local.context_frames + reach,
        sound_as_features=encoder is not None,
    )


def _held_out_bits(model: Model, state: TrainingState, recordings: Sequence[Recording]) -> float:
    bits = evaluate(with_weights(model, state.averaged, "training"), recordings).bits_per_sample
    if not math.isfinite(bits):
        raise NonFiniteError(
            f"step {int(state.step)}: the held-out recordings score {bits} bits per sample; {_REMEDY}"
        )
    return bits


def _require_finite(metrics: Metrics, step: int, batch: Batch) -> None:
    bits, norm = float(metrics.bits), float(metrics.gradient_norm)
    if math.isfinite(bits) and math.isfinite(norm):
        return
    raise NonFiniteError(
        f"step {step}: the loss is {bits} bits and the gradient norm {norm}, on a batch of "
        f"{int(np.sum(batch.mask))} counted samples (codes {batch.codes.min()} to {batch.codes.max()}); {_REMEDY}"
    )


def _require_finite_state(state: TrainingState) -> None:
    """A finite gradient can still take the weights beyond the range of their type."""
    leaves = jax.tree.leaves((state.weights, state.averaged, state.optimizer))
    if not all(np.all(np.isfinite(leaf)) for leaf in leaves):
        raise NonFiniteError(
            f"step {int(state.step)}: its update left weights that are not finite; {_REMEDY}"
        )
