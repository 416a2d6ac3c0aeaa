"""From mel spectra to sound: three output distributions on the spoken digits, beside Griffin-Lim.

    python experiments/vocoder/run.py categorical     each of the three trains a vocoder and resynthesises 60 recordings
    python experiments/vocoder/run.py logistic
    python experiments/vocoder/run.py gaussian
    python experiments/vocoder/run.py picture         after the three

Each part adds its row to results.json. A part that is interrupted goes on where it was.
"""

import dataclasses
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import wavedil as wd
from wavedil.data import Corpus, CorpusConfig, read_sounds, spread
from wavedil.evaluation import (
    Distances,
    mean_distances,
    resynthesize,
    with_baselines,
)
from wavedil.mel import MelConfig
from wavedil.report import loss_curve, waveform_and_spectrogram
from wavedil.runs import RunFolder
from wavedil.runs import train_as as train
from wavedil.tasks import VocoderTask
from wavedil.training import Progress, RunConfig, TrainingConfig

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
RUNS = HERE / "runs"
DATA = Path(os.environ.get("WAVEDIL_DATA", HERE.parents[2] / "shared" / "data"))
CORPUS = CorpusConfig(
    folder=str(DATA / "fsdd" / "recordings"),
    sample_rate=8000,
    test=r"_[0-4]\.wav$",
)
TASK = VocoderTask(mel=MelConfig(num_mels=40, fft_size=256, hop=64), pitch=False)
# A head of 256 numbers has more weights than one of 30 or 3; wider layers before those make up for it.
HIDDEN_CHANNELS = {"categorical": 128, "logistic": 311, "gaussian": 375}
MODELS = {
    output: wd.WaveNetConfig(
        output=output,
        kernel_size=3,
        dilations=(1, 3, 9, 27, 81, 243),
        cycles=2,
        residual_channels=64,
        skip_channels=128,
        hidden_channels=hidden_channels,
        local_conditioning=wd.LocalConditioningConfig(),  # without a linear prediction
        sample_rate=8000,
    )
    for output, hidden_channels in HIDDEN_CHANNELS.items()
}
TRAINING = TrainingConfig(
    steps=1500,
    batch_size=1,
    window_size=6144,
    optimizer="muon",
    learning_rate=3e-3,
    evaluate_every=500,
    save_every=500,
    log_every=50,
)
# One of every five held-out recordings: every digit of every speaker once.
NUM_RESYNTHESISED = 60
PICTURED = ("3_theo_0.wav", "7_jackson_0.wav")


def main(parts: list[str]) -> None:
    for part in parts or [*MODELS, "picture"]:
        picture() if part == "picture" else train_and_score(part)


def train_and_score(output: str) -> None:
    """Trains one vocoder, and writes its row and those that its resynthesis is measured against."""
    config = _config(output)
    corpus = TASK.read(config)
    print(*corpus.describe(), sep="\n")
    started = time.perf_counter()
    result = train(config, RUNS / output, corpus=corpus, report=_print_progress)
    elapsed = time.perf_counter() - started
    if result.stopped_by:
        sys.exit(f"stopped by {result.stopped_by}; the same command goes on")
    model = wd.load(RUNS / output)
    scores = wd.evaluate(model, corpus.test)
    lines = [line for line in RunFolder(RUNS / output).metrics.read() if "seconds" in line]
    seconds = sum(line["seconds"] for line in lines)
    seen = sum(line["targets_per_second"] * line["seconds"] for line in lines)
    distances, resynthesis_seconds = _distances(model, corpus)
    row = {
        "bits_per_sample": round(scores["bits"], 4),
        "test_samples": scores.num_samples,
        "parameters": model.num_parameters,
        "receptive_field_ms": model.receptive_field.milliseconds(8000),
        "steps": TRAINING.steps,
        "samples_per_second": round(seen / seconds),
        # A run that went on after an interruption counts the steps of its earlier processes.
        "wall_minutes": round(max(elapsed, seconds) / 60, 1),
        "resynthesis_seconds": round(resynthesis_seconds),
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}, no accelerator",
        "training": dataclasses.asdict(TRAINING),
    }
    write_row(output, row | _rounded(distances.pop("this model")))
    for name, distance in distances.items():
        write_row(name, _rounded(distance))
    loss_curve(RunFolder(RUNS / output).metrics.path, HERE / f"loss_{output}.png")


def _config(output: str) -> RunConfig:
    return RunConfig(task=TASK, corpus=CORPUS, model=MODELS[output], training=TRAINING)


def picture() -> None:
    """Two held-out recordings beside all that was made of their mel spectra, and the sound of it."""
    corpus = TASK.read(_config("categorical"))
    by_path = {item.path: item for item in corpus.test}
    chosen = [by_path[path] for path in PICTURED]
    sounds = {"recording": read_sounds(CORPUS, PICTURED)}
    for output in MODELS:
        model = wd.load(RUNS / output)
        sounds[output] = resynthesize(model, chosen, 0)
        sounds |= with_baselines(model, chosen, sounds[output])
    order = ["recording", "levels alone", "Griffin-Lim", *MODELS]
    pairs = [
        (f"{path.removesuffix('.wav')}, {name}", sounds[name][number])
        for number, path in enumerate(PICTURED)
        for name in order
    ]
    waveform_and_spectrogram(pairs, 8000, HERE / "resynthesis.png")
    wd.audio.save(HERE / "resynthesis.flac", np.concatenate([sound for _, sound in pairs]), 8000)


def _distances(model: wd.WaveNet, corpus: Corpus) -> tuple[dict[str, Distances], float]:
    """Of the model's resynthesised, Griffin-Lim's and the levels alone; and the seconds that the model took."""
    chosen = spread(corpus.test, NUM_RESYNTHESISED)
    started = time.perf_counter()
    resynthesised = resynthesize(model, chosen, 0)
    seconds = time.perf_counter() - started
    sounds = read_sounds(CORPUS, [item.path for item in chosen])
    named = with_baselines(model, chosen, resynthesised)
    distances = {
        name: mean_distances(sounds, made, 8000, corpus.mel) for name, made in named.items()
    }
    return distances, seconds


def _rounded(distances: Distances) -> dict[str, float]:
    named = {"stft": distances.stft, **distances._asdict()}
    return {name: round(value, 4) for name, value in named.items()} | {
        "resynthesised": NUM_RESYNTHESISED
    }


def _print_progress(progress: Progress) -> None:
    held_out = f"  held out {progress.held_out['bits']:.3f}" if progress.held_out else ""
    print(
        f"step {progress.step}/{progress.steps}  {progress.metrics['bits']:.3f} bits{held_out}  "
        f"{progress.targets_per_second:.0f} samples/s",
        flush=True,
    )


def write_row(name: str, row: dict[str, Any], group: str | None = None) -> None:
    """Puts a row into results.json, under the name of a group where there is one."""
    row = {
        key: None if value != value else round(value, 4) if isinstance(value, float) else value
        for key, value in row.items()
    }
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows = results if group is None else results.setdefault(group, {})
    rows[name] = row
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(name, row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
