"""Spoken digits: bits per sample of held-out recordings, without and with labels, and the digits it speaks.

    python experiments/spoken_digits/run.py unconditional     about 30 minutes on two cores
    python experiments/spoken_digits/run.py conditional       the same again, conditioned on digit and speaker
    python experiments/spoken_digits/run.py speak             under a minute, after both
    python experiments/spoken_digits/run.py weights           a minute, after the first: what fewer bits a weight cost

Each part adds its row to results.json. A part that is interrupted goes on where it was.
"""

import dataclasses
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

import wavedil as wd
from wavedil.data import CorpusConfig, read_corpus
from wavedil.engine import Samples
from wavedil.evaluation import bigram_bits, histogram_bits
from wavedil.report import loss_curve, waveform_and_spectrogram
from wavedil.runs import RunFolder
from wavedil.runs import train_as as train
from wavedil.tasks import GeneratorTask
from wavedil.training import Progress, RunConfig, TrainingConfig

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
RUNS = HERE / "runs"
DATA = Path(os.environ.get("WAVEDIL_DATA", HERE.parents[2] / "shared" / "data"))
LABELS = {"unconditional": None, "conditional": r"(?P<digit>\d)_(?P<speaker>\w+)_"}
MODEL = wd.WaveNetConfig(
    kernel_size=3,
    dilations=(1, 3, 9, 27, 81, 243),
    cycles=2,
    residual_channels=64,
    skip_channels=128,
    sample_rate=8000,
)
TRAINING = TrainingConfig(
    steps=9000,
    batch_size=1,
    window_size=6144,
    optimizer="muon",
    learning_rate=3e-3,
    evaluate_every=1500,
    save_every=1500,
    log_every=100,
)
SPEAKER = "theo"


def main(parts: list[str]) -> None:
    for part in parts or ["unconditional", "conditional", "speak"]:
        if part == "speak":
            speak()
        elif part == "weights":
            weights()
        else:
            train_and_score(part)


def train_and_score(name: str) -> None:
    """Trains one model and writes its row."""
    corpus = read_corpus(_corpus_settings(name))
    print(*corpus.describe(), sep="\n")
    config = RunConfig(
        task=GeneratorTask(), corpus=_corpus_settings(name), model=MODEL, training=TRAINING
    )
    started = time.perf_counter()
    result = train(config, RUNS / name, corpus=corpus, report=_print_progress)
    elapsed = time.perf_counter() - started
    if result.stopped_by:
        sys.exit(f"stopped by {result.stopped_by}; the same command goes on")
    model = wd.load(RUNS / name)
    scores = wd.evaluate(model, corpus.test)
    lines = [line for line in RunFolder(RUNS / name).metrics.read() if "seconds" in line]
    seconds = sum(line["seconds"] for line in lines)
    seen = sum(line["targets_per_second"] * line["seconds"] for line in lines)
    row = {
        "bits_per_sample": round(scores["bits"], 4),
        "test_samples": scores.num_samples,
        "parameters": model.num_parameters,
        "receptive_field_ms": model.receptive_field.milliseconds(8000),
        "steps": TRAINING.steps,
        "samples_per_second": round(seen / seconds),
        # A run that went on after an interruption counts the steps of its earlier processes.
        "wall_minutes": round(max(elapsed, seconds) / 60, 1),
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}, no accelerator",
        "training": dataclasses.asdict(TRAINING),
    }
    _write(name, row)
    baselines = {
        "histogram": histogram_bits(corpus.train, corpus.test, 256),
        "bigram": bigram_bits(corpus.train, corpus.test, 256),
    }
    for baseline, bits in baselines.items():
        _write(baseline, {"bits_per_sample": round(bits, 4)})
    loss_curve(RunFolder(RUNS / name).metrics.path, HERE / f"loss_{name}.png", baselines=baselines)


def weights(run: Path = RUNS / "unconditional") -> None:
    """Bits per sample with the weights as the compiled engine may keep them, on a fifth of the held-out recordings."""
    model = wd.load(run)
    held_out = [
        r.codes.astype(np.int32) for r in read_corpus(_corpus_settings("unconditional")).test
    ]
    held_out, silence = held_out[::5], model.config.quantizer.silence
    row = {}
    for kind in ("float32", "bfloat16", "int8"):
        samples = Samples(model, 1, kind)
        total = 0.0
        for codes in held_out:
            samples.reset()
            outputs = samples.outputs(None, np.append(silence, codes[:-1])[None])
            total -= float(model.distribution.log_prob(outputs[0], codes).sum()) / np.log(2.0)
        row[kind] = round(total / sum(map(len, held_out)), 5)
    print(row)
    _write("weights", row)


def speak() -> None:
    """One speaker's ten digits, a picture of them beside the recordings, and the sound."""
    model = wd.load(RUNS / "conditional")
    corpus = read_corpus(_corpus_settings("conditional"))
    digits = [str(digit) for digit in range(10)]
    sounds = wd.synthesize(
        model, seconds=0.5, labels={"digit": digits, "speaker": SPEAKER}, temperature=0.9
    )
    recorded = {r.labels["digit"]: r for r in corpus.test if r.labels["speaker"] == SPEAKER}
    pairs = []
    for digit in (0, 3, 7):
        real = wd.mu_law.decode(recorded[str(digit)].codes)
        pairs += [(f"{digit}, recorded", real), (f"{digit}, generated", sounds[digit])]
    waveform_and_spectrogram(pairs, 8000, HERE / "digits.png")
    wd.audio.save(HERE / "digits.flac", np.concatenate(list(sounds)), 8000)


def _corpus_settings(name: str) -> CorpusConfig:
    folder = str(DATA / "fsdd" / "recordings")
    return CorpusConfig(folder=folder, test=r"_[0-4]\.wav$", labels=LABELS[name])


def _print_progress(progress: Progress) -> None:
    held_out = f"  held out {progress.held_out['bits']:.3f}" if progress.held_out else ""
    print(
        f"step {progress.step}/{progress.steps}  {progress.metrics['bits']:.3f} bits{held_out}  "
        f"{progress.targets_per_second:.0f} samples/s",
        flush=True,
    )


def _write(name: str, row: dict[str, object]) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = row
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(name, row)


if __name__ == "__main__":
    main(sys.argv[1:])
