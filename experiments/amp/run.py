"""An amplifier learnt from pairs: four sizes of model at one setting, and one model over its gain knob.

    python experiments/amp/run.py [standard] [lite] [feather] [nano] [knob] [picture]

A name trains that model, or goes on where it was, and writes its row of results.json; `picture` draws amp.png and
writes amp.flac of the rows that are there. `WAVEDIL_DATA` says where the recordings are.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import amplifier
import matplotlib.pyplot as plt
import numpy as np
import recordings
from matplotlib.ticker import FixedLocator, NullLocator

import wavedil as wd
from wavedil.models import num_weights
from wavedil.runs import RunFolder, train_as
from wavedil.tasks import EffectTask

HERE = Path(__file__).parent
DATA = Path(os.environ.get("WAVEDIL_DATA", HERE.parents[2] / "shared" / "data"))
RUNS, RESULTS = HERE / "runs", HERE / "results.json"
SIZES = ("standard", "lite", "feather", "nano")
KNOB = "knob"
# Of the gain knob in the rows of one setting: a crunch.
GAIN = 0.4
TRAINING = wd.TrainingConfig(
    steps=3000,
    batch_size=8,
    window_size=8192,
    optimizer="muon",
    weight_decay=0.0,
    log_every=50,
    evaluate_every=500,
    save_every=250,
)
# Samples of a block, and seconds of sound, that speed is measured with.
BLOCKS, TIMED_SECONDS = (64, 512, 4096), 10


def main(rows: Sequence[str]) -> None:
    for name in rows or (*SIZES, KNOB, "picture"):
        if name == "picture":
            picture()
        else:
            row(name)


def row(name: str) -> None:
    """Trains a model, and writes what it came to."""
    config = _knob() if name == KNOB else _one_setting(name)
    corpus = config.task.read(config)
    folder = RUNS / name
    run = train_as(config, folder, corpus=corpus, report=lambda it: print(name, it, flush=True))
    if run.stopped_by:
        sys.exit(f"stopped by {run.stopped_by}; the same command goes on")
    scores = wd.evaluate(run.model, corpus.test)
    baseline = config.task.baselines(run.config, corpus, corpus.test)["scaled dry"]["esr"]
    lines = [line for line in RunFolder(folder).metrics.read() if "seconds" in line]
    found: dict[str, Any] = {
        "esr": scores["esr"],
        "esr_of_scaled_dry": baseline,
        "parameters": num_weights(run.model.config),
        "training_minutes": round(sum(line["seconds"] for line in lines) / 60, 1),
        "training": run.config.training.to_dict(),
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}, no accelerator",
    }
    if name == KNOB:
        found["esr_by_gain"] = {
            setting: share["esr"] for setting, share in scores.by_label["gain"].items()
        }
    found["times_faster_than_real_time"] = _speed(run.model)
    _write_row(name, found)


def picture() -> None:
    """ESR against speed, ESR over the knob, and the sounds of the recording that was held out."""
    rows = json.loads(RESULTS.read_text())
    dry = recordings.held_out(DATA)
    sounds = [dry, amplifier.amplify(dry, recordings.SAMPLE_RATE, GAIN)]
    sizes = [name for name in SIZES if name in rows]
    for name in sizes:
        sounds.append(_played(wd.load(RUNS / name), dry))
    if KNOB in rows:
        for gain in recordings.BETWEEN:
            volume = recordings.VOLUME_OF_SETTINGS
            sounds.append(amplifier.amplify(dry, recordings.SAMPLE_RATE, gain, volume))
            sounds.append(_played(wd.load(RUNS / KNOB), dry, knobs={"gain": gain}))
    gap = np.zeros(recordings.SAMPLE_RATE // 4, np.float32)
    joined = np.concatenate([part for sound in sounds for part in (_limited(sound), gap)])
    wd.audio.save(HERE / "amp.flac", joined, recordings.SAMPLE_RATE)

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name in sizes:
        speed = rows[name]["times_faster_than_real_time"]["4096"]
        left.plot(speed, rows[name]["esr"], "o")
        left.annotate(name, (speed, rows[name]["esr"]), (5, 5), textcoords="offset points")
    left.set(xscale="log", yscale="log", xlabel="times faster than real time", ylabel="ESR")
    left.margins(0.15)
    _plain_ticks(left.xaxis, (20, 40, 60, 100))
    _plain_ticks(left.yaxis, (0.01, 0.02, 0.05, 0.1))
    if KNOB in rows:
        by_gain = {float(gain): esr for gain, esr in rows[KNOB]["esr_by_gain"].items()}
        for gains, label, marker in (
            (recordings.GAINS, "settings trained on", "o"),
            (recordings.BETWEEN, "between them", "s"),
        ):
            right.plot(gains, [by_gain[gain] for gain in gains], marker, label=label)
        right.set(yscale="log", ylim=(0.008, 0.08), xlabel="gain knob", ylabel="ESR")
        _plain_ticks(right.yaxis, (0.01, 0.02, 0.05))
        right.legend()
    figure.savefig(HERE / "amp.png", dpi=120)


def _plain_ticks(axis: Any, values: Sequence[float]) -> None:
    """Of an axis in logarithms: these alone, without powers of ten."""
    axis.set_major_locator(FixedLocator(values))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def _one_setting(size: str) -> wd.RunConfig:
    folder = RUNS / "pairs"
    share = recordings.write(DATA, folder, GAIN)
    return wd.RunConfig(
        task=EffectTask(size=size),
        corpus=wd.CorpusConfig(folder=str(folder), held_out=share),
        training=TRAINING,
    )


def _knob() -> wd.RunConfig:
    manifest = recordings.write_settings(DATA, RUNS / "settings")
    return wd.RunConfig(
        task=EffectTask(size="standard", knobs="gain"),
        corpus=wd.CorpusConfig(folder=str(manifest)),
        training=TRAINING,
    )


def _played(model: wd.AmpModel, dry: np.ndarray, **condition: Any) -> np.ndarray:
    return wd.Stream(model, **condition).push(dry[None, :, None])[0, :, 0]


def _speed(model: wd.AmpModel) -> dict[str, float]:
    """Seconds of sound in a second, by the samples of a block, compiled before."""
    if model.config.knobs:
        model = model.at({"gain": GAIN})
    stream, speeds = wd.Stream(model), {}
    for size in BLOCKS:
        block = np.zeros((1, size, 1), np.float32)
        stream.push(block)
        count = TIMED_SECONDS * model.config.sample_rate // size
        started = time.perf_counter()
        for _ in range(count):
            stream.push(block)
        seconds = time.perf_counter() - started
        speeds[str(size)] = round(count * size / model.config.sample_rate / seconds, 2)
    return speeds


def _limited(sound: np.ndarray) -> np.ndarray:
    return np.clip(sound, -1, 1)


def _write_row(name: str, found: dict[str, Any]) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = found
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(name, {key: found[key] for key in ("esr", "training_minutes")}, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
