"""What is trained to judge and to draw digits, and how each generator draws a sound for each digit and speaker."""

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from judges import Labels
from run import DATA, LABELS, MODEL, TRAINING

import wavedil as wd
from wavedil.data import CorpusConfig, Recording, read_sounds
from wavedil.evaluation import griffin_lim, resynthesize
from wavedil.generation import draw_frames, known_labels
from wavedil.mel import MelConfig
from wavedil.runs import RunFolder
from wavedil.runs import train_as as train
from wavedil.tasks import ClassifierTask, FeaturesTask, GeneratorTask
from wavedil.training import Progress, RunConfig

CORPUS = CorpusConfig(
    folder=str(DATA / "fsdd" / "recordings"),
    sample_rate=8000,
    test=r"_[0-4]\.wav$",
    labels=LABELS["conditional"],
)
# So that guidance has a model without labels to go away from.
_LABEL_DROPOUT = 0.15
TRAININGS = {
    "digit": RunConfig(task=ClassifierTask(target="digit"), corpus=CORPUS),
    "speaker": RunConfig(task=ClassifierTask(target="speaker"), corpus=CORPUS),
    "samples": RunConfig(
        task=GeneratorTask(),
        corpus=CORPUS,
        model=dataclasses.replace(MODEL, label_dropout=_LABEL_DROPOUT),
        training=TRAINING,
    ),
    # The mel spectra, pitch and voicing are those of the vocoder (experiments/vocoder/pitch.py).
    "features": RunConfig(
        task=FeaturesTask(mel=MelConfig(num_mels=40, fft_size=256, hop=64), pitch=True),
        corpus=CORPUS,
        model=wd.FeatureNetConfig(label_dropout=_LABEL_DROPOUT),
    ),
}
Pair = tuple[str, str]
PAIRS: list[Pair] = [
    (str(digit), speaker)
    for digit in range(10)
    for speaker in ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
]
# Sounds of one stage drawn at once.
_BATCH_SIZE = 60
# Of the vocoder of two stages, where a sound is voiced.
_VOICED_TEMPERATURE = 0.6
# No recording is as long.
_MOST_SECONDS = 3


class Drawn(NamedTuple):
    """Sounds, and the mean log-likelihood of a sample, or of a frame, of each under what drew it."""

    sounds: list[np.ndarray]
    likelihood: np.ndarray


Draw = Callable[[Labels, int, float, float], Drawn]
"""Draws a sound for each of the labels, with a seed, a temperature and a guidance."""


def labels_of(count: int) -> Labels:
    """Those of so many sounds of each digit and speaker."""
    pairs = [pair for pair in PAIRS for _ in range(count)]
    return {
        "digit": [digit for digit, _ in pairs],
        "speaker": [speaker for _, speaker in pairs],
    }


def recordings() -> tuple[dict[Pair, list[np.ndarray]], dict[Pair, list[np.ndarray]]]:
    """The sound of those to train on, and of the held-out ones, of each digit and speaker."""
    train, test = ({pair: [] for pair in PAIRS} for _ in range(2))
    names = sorted(path.name for path in Path(CORPUS.folder).glob("*.wav"))
    for name, sound in zip(names, read_sounds(CORPUS, names), strict=True):
        digit, speaker, index = name.removesuffix(".wav").split("_")
        (test if int(index) < 5 else train)[digit, speaker].append(sound)
    return train, test


def trained(name: str, runs: Path, steps: int | None = None) -> dict[str, Any]:
    """Trains what TRAININGS says, or goes on with it, and returns its row."""
    config = TRAININGS[name]
    if steps is not None:
        training = dataclasses.replace(config.training, steps=steps)
        config = dataclasses.replace(config, training=training)
    corpus = config.task.read(config)
    print(*corpus.describe(), sep="\n")
    started = time.perf_counter()
    run = train(config, runs / name, corpus=corpus, report=_print_progress)
    elapsed = time.perf_counter() - started
    if run.stopped_by:
        sys.exit(f"stopped by {run.stopped_by}; the same command goes on")
    lines = [line for line in RunFolder(runs / name).metrics.read() if "seconds" in line]
    return {
        **dict(wd.evaluate(run.model, corpus.test)),
        "recordings": len(corpus.test),
        "parameters": sum(w.size for w in wd.models.named_weights(run.model).values()),
        "steps": run.step,
        # A run that went on after an interruption counts the steps of its earlier processes.
        "wall_minutes": max(elapsed, sum(line["seconds"] for line in lines)) / 60,
    }


def samples(model: wd.WaveNet, lengths: Mapping[Pair, Sequence[int]]) -> Draw:
    """One stage: a model draws the sound itself.

    Args:
      model: Conditioned on digit and speaker.
      lengths: Of recordings of each digit and speaker, for it does not say when a sound is to end.
    """

    def draw(labels: Labels, seed: int, temperature: float, guidance: float) -> Drawn:
        random = np.random.default_rng(seed)
        of_each = _of_each(labels)
        counts = [int(random.choice(lengths[one["digit"], one["speaker"]])) for one in of_each]
        codes: list[Any] = [None] * len(counts)
        # Those of like length at once: each is cut off where it is to end.
        order = np.argsort(counts, kind="stable").tolist()
        for first in range(0, len(order), _BATCH_SIZE):
            rows = order[first : first + _BATCH_SIZE]
            found = wd.generate(
                model,
                seed * len(order) + first,
                num_samples=counts[rows[-1]],
                batch_size=len(rows),
                labels={name: [values[row] for row in rows] for name, values in labels.items()},
                temperature=temperature,
                guidance=guidance,
            )
            for row, one in zip(rows, found, strict=True):
                codes[row] = one[: counts[row]].astype(np.uint8)
        items = [Recording("", one, given) for one, given in zip(codes, of_each, strict=True)]
        bits, weights = GeneratorTask().evaluate(model, items)["bits"]
        return Drawn([model.config.quantizer.decode(one) for one in codes], -bits / weights)

    return draw


def stages(model: wd.FeatureNet, vocoder: wd.WaveNet) -> Draw:
    """Two stages: a model draws frames, and with them the length, and a vocoder makes sound of them.

    The temperature is that of both, but where a sound is voiced; the likelihood is that of the frames.
    """

    def draw(labels: Labels, seed: int, temperature: float, guidance: float) -> Drawn:
        of_each = _of_each(labels)
        frames = draw_frames(
            model,
            seed,
            seconds=_MOST_SECONDS,
            batch_size=len(of_each),
            labels=labels,
            temperature=temperature,
            guidance=guidance,
        )
        known = known_labels(vocoder, labels)
        codes = wd.generate(
            vocoder,
            seed,
            features=frames,
            labels=known,
            temperature=temperature,
            voiced_temperature=_VOICED_TEMPERATURE,
        )
        counts = [len(rows) * model.config.hop for rows in frames]
        items = [
            Recording("", np.zeros(count, np.uint16), given, rows)
            for count, given, rows in zip(counts, of_each, frames, strict=True)
        ]
        nats, weights = FeaturesTask().evaluate(model, items)["nats_per_frame"]
        decode = vocoder.config.quantizer.decode
        sounds = [decode(row[:count]) for row, count in zip(codes, counts, strict=True)]
        return Drawn(sounds, -nats / weights)

    return draw


def copies(vocoder: wd.WaveNet, plain: float, voiced: float) -> list[np.ndarray]:
    """The held-out recordings as a vocoder makes them again, at a temperature of its own where they are voiced."""
    return resynthesize(vocoder, _held_out(), 0, temperature=plain, voiced_temperature=voiced)


def griffin_lim_copies() -> list[np.ndarray]:
    """The held-out recordings from the mel spectra of the same frames alone."""
    task = TRAININGS["features"].task
    return [
        griffin_lim(
            np.asarray(item.features)[:, : task.mel.num_mels], task.mel.at(8000), item.num_samples
        )
        for item in _held_out()
    ]


@functools.cache
def _held_out() -> list[Recording]:
    """The held-out recordings with their frames, in the order of the pairs."""
    config = TRAININGS["features"]
    items = config.task.read(config).test
    place = {pair: i for i, pair in enumerate(PAIRS)}
    return sorted(items, key=lambda item: place[item.labels["digit"], item.labels["speaker"]])


def _of_each(labels: Labels) -> list[dict[str, str]]:
    """The labels of each sound."""
    return [dict(zip(labels, values, strict=True)) for values in zip(*labels.values(), strict=True)]


def _print_progress(progress: Progress) -> None:
    values = "".join(f"  {name} {value:.3f}" for name, value in progress.metrics.items())
    held_out = "".join(
        f"  held out {name} {value:.3f}" for name, value in (progress.held_out or {}).items()
    )
    print(f"step {progress.step}/{progress.steps}{values}{held_out}", flush=True)
