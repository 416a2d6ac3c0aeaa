"""Shared by the tasks that predict quantised sound: reading, windows, likelihood, bits per sample.

recording -> codes -> windows (a batch of codes, mask, labels, features) -> log-likelihood of the counted samples
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from wavedil.data.corpus import Corpus
from wavedil.data.reading import read_corpus
from wavedil.data.recording import Recording
from wavedil.data.windows import Batch, TrainingWindows, default_window_size
from wavedil.errors import UserError
from wavedil.evaluation.baselines import baseline_bits
from wavedil.frames import BEYOND
from wavedil.mel import MelConfig
from wavedil.models.wavenet_config import WaveNetConfig
from wavedil.pitch import PitchConfig
from wavedil.training.memory import at_once, bytes_per_sample, require_memory
from wavedil.training.task import Example, Progress, RunConfig

EXAMPLE_SEED, NUM_DRAWN = 0, 3
"""Seed of the examples, and how many are drawn from nothing."""


def read(
    config: RunConfig,
    progress: Progress | None,
    mel: MelConfig | None = None,
    features_hop: int | None = None,
    pitch: PitchConfig | None = None,
) -> Corpus:
    """The recordings as codes of the model's quantizer, with their features."""
    quantizer = config.model.quantizer
    return read_corpus(
        config.corpus,
        quantizer=quantizer,
        mel=mel,
        features_hop=features_hop,
        pitch=pitch,
        progress=progress,
    )


def require_no_features(corpus: Corpus, why: str) -> None:
    """Refuses recordings with features for a model that takes none."""
    if corpus.hop is not None:
        raise UserError(
            f"the corpus has features every {corpus.hop} samples, but {why}; read it without mel and features_hop"
        )


def require_labels_to_drop(label_dropout: float, corpus: Corpus) -> None:
    """Refuses a rate at which labels are left out of recordings that have none."""
    if label_dropout and not corpus.label_values:
        raise UserError(
            f"label_dropout is {label_dropout:g}, but the recordings have no labels that could be left out; name them "
            "(--labels, or columns of a manifest), or leave label_dropout out"
        )


def with_corpus(config: RunConfig, corpus: Corpus) -> RunConfig:
    """The configuration with the sample rate and fingerprint of the recordings, and how they were prepared.

    Raises:
      UserError: If there is nothing to train on.
    """
    if not corpus.train:
        raise UserError(
            f"held_out {config.corpus.held_out:g} leaves no recording to train on; use 0.1, say"
        )
    decided = {**corpus.decided, "sample_rate": corpus.sample_rate}
    return dataclasses.replace(
        config,
        corpus=dataclasses.replace(config.corpus, **decided),
        recordings_fingerprint=corpus.fingerprint,
    )


def with_window_size(config: RunConfig, corpus: Corpus, wavenet: WaveNetConfig) -> RunConfig:
    """The configuration with a window that suits how far the model sees, where it is open.

    Raises:
      UserError: If a training step would not fit in memory.
    """
    training = config.training
    window_size = training.window_size or default_window_size(wavenet.context_samples)
    longest = min(window_size, max(recording.num_samples for recording in corpus.train))
    require_memory(
        longest,
        at_once(training.batch_size or 1, training),
        wavenet.context_samples,
        bytes_per_sample(wavenet, training),
    )
    training = dataclasses.replace(training, window_size=window_size)
    return dataclasses.replace(config, training=training)


def wavenet(config: WaveNetConfig, corpus: Corpus, **changes: Any) -> WaveNetConfig:
    """A WaveNet of the recordings' sample rate and labels, with other changes."""
    require_labels_to_drop(config.label_dropout, corpus)
    return dataclasses.replace(
        config, sample_rate=corpus.sample_rate, labels=corpus.label_values, **changes
    )


def windows(
    config: RunConfig,
    corpus: Corpus,
    wavenet: WaveNetConfig,
    *,
    lookaround_frames: int = 0,
    sound_as_features: bool = False,
) -> TrainingWindows:
    """Windows in which every prediction that counts sees the field of `wavenet`, with frames of features."""
    local, training = wavenet.local_conditioning, config.training
    assert training.window_size is not None  # resolved
    return TrainingWindows(
        corpus.train,
        window_size=training.window_size,
        context_samples=wavenet.context_samples,
        batch_size=training.batch_size,
        label_values=corpus.label_values,
        seed=training.seed,
        levels=wavenet.levels,
        frame_size=wavenet.frame_size,
        hop=1 if local is None else local.sizes[1],
        lookaround_frames=lookaround_frames,
        sound_as_features=sound_as_features,
    )


def loss(
    model: Any, batch: Batch, key: Any, noise: float = 0.0
) -> tuple[Any, Any, dict[str, tuple[Any, Any]]]:
    """Nats of the counted samples and their number; the metric is bits.

    The model sees the codes before with noise of a standard deviation of up to so many codes, drawn for each window.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    codes, context = jnp.asarray(batch.codes), jnp.asarray(batch.context)
    features = None if batch.features is None else jnp.asarray(batch.features)
    named: dict[str, Any] = {}
    if noise:
        key, of_noise = jax.random.split(key)
        both = _with_noise(jnp.concatenate([context, codes], axis=1), noise, model, of_noise)
        context, named["seen"] = both[:, : context.shape[1]], both[:, context.shape[1] :]
    log_prob = model.log_prob(codes, batch.labels, context, features, dropout_key=key, **named)
    counted = codes != BEYOND
    nats = -jnp.sum(jnp.where(counted, log_prob, 0.0))
    count = jnp.sum(counted, dtype=nats.dtype)
    return nats, count, {"bits": (nats / np.log(2.0), count)}


def _with_noise(codes: Any, most: float, model: Any, key: Any) -> Any:
    import jax
    import jax.numpy as jnp

    from wavedil.ops.devices import split_alike

    of_size, of_noise = jax.random.split(key)
    size = jax.random.uniform(of_size, (len(codes), 1), jnp.float32, 0, most)
    noise = jnp.round(size * jax.random.normal(of_noise, codes.shape, jnp.float32))
    noisy = codes + split_alike(noise.astype(codes.dtype), codes)
    return jnp.where(codes == BEYOND, BEYOND, jnp.clip(noisy, 0, model.config.levels - 1))


def evaluate(
    model: Any, recordings: Sequence[Recording], progress: Progress | None
) -> dict[str, tuple[Any, Any]]:
    """Bits of every sample of each recording."""
    from wavedil.evaluation.likelihood import bits

    return {"bits": bits(model, recordings, progress=progress)}


def drawn(model: Any, recordings: Sequence[Recording], progress: Progress | None) -> list[Example]:
    """Sounds of a second that a generator draws, with labels that recordings have."""
    from wavedil.generation.sampler import generate
    from wavedil.labels import Vocabulary

    labelled = example_labels(recordings)
    codes = generate(
        model,
        EXAMPLE_SEED,
        num_samples=model.config.sample_rate,
        batch_size=len(labelled),
        labels=Vocabulary(model.config.labels).rows_of(labelled),
        progress=progress,
    )
    sounds = model.config.quantizer.decode(codes)
    return [Example(sound, labels) for sound, labels in zip(sounds, labelled, strict=True)]


def copies(model: Any, recordings: Sequence[Recording], progress: Progress | None) -> list[Example]:
    """What a vocoder or an autoencoder makes of the scored parts of recordings."""
    from wavedil.evaluation.resynthesis import resynthesize
    from wavedil.generation.latents import as_vocoder
    from wavedil.models.registry import wavenet_of

    if not recordings:
        return []
    config = wavenet_of(model).config
    assert config.local_conditioning is not None
    hop = config.local_conditioning.sizes[1]
    parts = []
    for item in recordings:
        first, end = item.scored or (0, item.num_samples)
        parts.append(item.part(first // hop * hop, end, hop))
    vocoder, parts_with_features = as_vocoder(model, parts)
    sounds = resynthesize(vocoder, parts_with_features, EXAMPLE_SEED, progress)
    return [
        Example(sound, part.labels, part.path, config.quantizer.decode(part.codes))
        for sound, part in zip(sounds, parts, strict=True)
    ]


def example_labels(recordings: Sequence[Recording]) -> list[Mapping[str, str]]:
    """Of each of the examples that are drawn from nothing: those of a recording, or none."""
    labelled: list[Mapping[str, str]] = [item.labels for item in recordings] or [{}]
    return [labelled[number % len(labelled)] for number in range(NUM_DRAWN)]


def baselines(
    config: RunConfig, corpus: Corpus, recordings: Sequence[Recording]
) -> dict[str, dict[str, float]]:
    """Bits per sample of a histogram and a bigram of the training recordings."""
    levels = config.model.quantizer.levels
    found = baseline_bits(corpus.train, recordings, levels)
    return {name: {"bits": bits} for name, bits in found.items()}
