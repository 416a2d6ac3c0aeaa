"""Plucked strings by diffusion: a small DiffWave, sampled in 6 and in 50 steps.

    python experiments/diffusion/run.py train       makes the recordings of `wavedil demo`, and trains on them
    python experiments/diffusion/run.py score       draws, measures, writes results.json, the picture and the sound

A training that is interrupted goes on where it was.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import wavedil as wd
from wavedil.data import Corpus, write_plucked_strings
from wavedil.frames import crop
from wavedil.generation import diffuse
from wavedil.report import waveform_and_spectrogram
from wavedil.runs import RunFolder, train_as
from wavedil.tasks import DiffusionTask

HERE = Path(__file__).parent
SAMPLE_RATE = 8000
NOTES = {"A3": 220.00, "B3": 246.94, "C4": 261.63, "E4": 329.63, "G4": 392.00}
RUN, RECORDINGS = HERE / "runs" / "run", HERE / "runs" / "corpus"
TASK = DiffusionTask()
CONFIG = wd.RunConfig(
    task=TASK,
    corpus=wd.CorpusConfig(folder=str(RECORDINGS), labels=r"pluck_(?P<note>\w+)_(?P<index>\d+)"),
    # Kernels of three taps reach as far in six layers as dilations 1, 2, 4 ... 256 in nine: 728 samples each way in two
    # cycles, 20 to 36 periods of the notes.
    model=wd.DiffWaveConfig(
        channels=32, dilations=(1, 3, 9, 27, 81, 243), cycles=2, embedding_channels=64
    ),
    training=wd.TrainingConfig(
        steps=7000,
        optimizer="muon",
        log_every=50,
        evaluate_every=500,
        evaluate_seconds=4,
        save_every=250,
    ),
)
# As long as the shortest recording, for comparison; as long as most, to be heard.
COMPARED, HEARD = 2000, 3200
TAKES = 8
FRAME, HOP = 256, 64
# Quieter than this, relative to the loudest, counts as this.
FLOOR_DB = -70.0


def main(parts: Sequence[str]) -> None:
    for part in parts or ("train", "score"):
        {"train": train, "score": score}[part]()


def train() -> None:
    if not RECORDINGS.exists():
        write_plucked_strings(RECORDINGS)
    run = train_as(CONFIG, RUN, report=lambda progress: print(progress, flush=True))
    if run.stopped_by:
        sys.exit(f"stopped by {run.stopped_by}; the same command goes on")
    print(run.held_out)


def score() -> None:
    """Draws as many takes of each note as are held out, and compares both with the recordings trained on."""
    corpus = TASK.read(CONFIG)
    config, model = TASK.resolve(CONFIG, corpus), wd.load(RUN)
    scores = wd.evaluate(model, corpus.test)
    lines = [line for line in RunFolder(RUN).metrics.read() if "seconds" in line]
    trained, held_out = (_takes(corpus, part) for part in (corpus.train, corpus.test))
    following = {note: held_out[other] for note, other in zip(NOTES, _turned(NOTES), strict=True)}
    results = {
        "squared_error_of_noise": {
            "this model": scores["squared_error_of_noise"],
            **{
                name: metrics["squared_error_of_noise"]
                for name, metrics in TASK.baselines(config, corpus, corpus.test).items()
            },
        },
        "sounds": {
            "held-out recordings": _measures(held_out, trained),
            "held-out recordings of another note": _measures(following, trained),
        },
        "parameters": sum(weight.size for weight in wd.models.named_weights(model).values()),
        "receptive_field_samples": model.receptive_field.size,
        "training_minutes": round(sum(line["seconds"] for line in lines) / 60, 1),
        "training": config.training.to_dict(),
        "model": model.config.to_dict(),
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}, no accelerator",
    }
    heard = {}
    for steps in (6, 50):
        drawn = {note: _drawn(model, note, COMPARED, TAKES, steps) for note in NOTES}
        results["sounds"][f"{steps} steps"] = _measures(drawn, trained) | {
            "times_faster_than_real_time": _speed(model, steps)
        }
        heard[f"{steps} steps"] = np.concatenate(
            [_drawn(model, note, HEARD, 1, steps)[0] for note in NOTES]
        )
    quantizer = model.config.quantizer
    firsts = [
        next(item for item in corpus.test if item.labels["note"] == note and len(item.codes) > 3000)
        for note in NOTES
    ]
    heard["held-out recordings"] = np.concatenate(
        [crop(quantizer.decode(item.codes), 0, HEARD) for item in firsts]
    )
    waveform_and_spectrogram(list(heard.items()), SAMPLE_RATE, HERE / "plucks.png")
    wd.audio.save(HERE / "plucks.flac", np.concatenate(list(heard.values())), SAMPLE_RATE)
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps({key: results[key] for key in ("squared_error_of_noise", "sounds")}, indent=2))


def _takes(corpus: Corpus, recordings: Sequence[wd.data.Recording]) -> dict[str, np.ndarray]:
    """The beginnings of the first takes of each note, [takes, time]."""
    decode = CONFIG.model.quantizer.decode
    named = {
        note: [item for item in recordings if item.labels["note"] == note][:TAKES] for note in NOTES
    }
    return {
        note: np.stack([crop(decode(item.codes), 0, COMPARED) for item in items])
        for note, items in named.items()
    }


def _drawn(model: wd.DiffWave, note: str, num_samples: int, count: int, steps: int) -> np.ndarray:
    labels = {"note": note}
    return diffuse(model, 0, num_samples=num_samples, batch_size=count, labels=labels, steps=steps)


def _speed(model: wd.DiffWave, steps: int) -> float:
    """Seconds of sound in a second, of a sound of 10 s, compiled before."""
    for _ in range(2):
        started = time.perf_counter()
        diffuse(model, 0, num_samples=10 * SAMPLE_RATE, labels={"note": "A3"}, steps=steps)
    return round(10 / (time.perf_counter() - started), 2)


def _measures(sounds: dict[str, np.ndarray], references: dict[str, np.ndarray]) -> dict[str, float]:
    distances = [
        np.sqrt(np.mean((_spectrogram_db(sounds[note]) - _spectrogram_db(references[note])) ** 2))
        for note in NOTES
    ]
    cents = [_cents(take, NOTES[note]) for note in NOTES for take in sounds[note]]
    return {
        "log_spectral_distance_db": round(float(np.mean(distances)), 2),
        "median_mistuning_cents": round(float(np.median(np.abs(cents))), 1),
        "worst_mistuning_cents": round(float(np.max(np.abs(cents))), 1),
        "root_mean_square": round(float(np.mean([np.std(each) for each in sounds.values()])), 4),
    }


def _spectrogram_db(takes: np.ndarray) -> np.ndarray:
    """Power of every frame and frequency, a mean over takes of equal power each, in dB of the loudest."""
    takes = takes / np.sqrt(np.mean(takes**2, axis=1, keepdims=True))
    frames = np.lib.stride_tricks.sliding_window_view(takes, FRAME, axis=1)[:, ::HOP]
    power = np.mean(np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=-1)) ** 2, axis=0)
    return np.maximum(10 * np.log10(power / power.max() + 1e-12), FLOOR_DB)


def _cents(sound: np.ndarray, frequency: float) -> float:
    """How far the pitch is off, by the peak of the autocorrelation within a whole tone and a half."""
    period = SAMPLE_RATE / frequency
    lags = np.arange(int(period * 0.85), int(period * 1.18) + 2)
    body = sound[200:]
    correlation = np.array([np.dot(body[:-lag], body[lag:]) for lag in lags])
    best = int(np.clip(np.argmax(correlation), 1, len(lags) - 2))
    before, here, after = correlation[best - 1 : best + 2]
    bend = before - 2 * here + after
    lag = lags[best] + (0.5 * (before - after) / bend if bend else 0.0)
    return float(1200 * np.log2(period / lag))


def _turned(names: Sequence[str]) -> list[str]:
    """Each name's successor."""
    listed = list(names)
    return [*listed[1:], listed[0]]


if __name__ == "__main__":
    main(sys.argv[1:])
