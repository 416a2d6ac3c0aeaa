"""wavedil's training step, apart from its peers, so that a process can load one library without the other."""

from typing import Any

import jax
import numpy as np

from wavedil.data import Batch, CorpusConfig
from wavedil.models import WaveNetConfig
from wavedil.tasks import GeneratorTask
from wavedil.training import RunConfig, TrainingConfig, initial_state, make_update

TRAINING = TrainingConfig()


def run_config(model: WaveNetConfig) -> RunConfig:
    """A run of a model, with the training settings that are the default."""
    corpus = CorpusConfig(folder=".")
    return RunConfig(task=GeneratorTask(), corpus=corpus, model=model, training=TRAINING)


def compiled_step(config: WaveNetConfig, batch: Batch) -> Any:
    """The training step, traced and compiled anew: no cache of an earlier call serves it."""
    jax.clear_caches()
    state = jax.eval_shape(lambda: initial_state(run_config(config)))
    return make_update(run_config(config)).lower(state, batch).compile()


def random_batch(config: WaveNetConfig, num_samples: int) -> Batch:
    """One window in which every sample counts."""
    codes = np.random.default_rng(0).integers(0, config.levels, (1, num_samples + 1), np.int32)
    return Batch(codes[:, 1:], codes[:, :1], {})
