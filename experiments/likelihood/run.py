"""The worth of a larger receptive field at the same number of parameters: bits per sample of spoken digits.

    python experiments/likelihood/run.py
    python experiments/likelihood/run.py NAME ...   only these rows

Each row goes into results.json as it ends; a row that is interrupted goes on where it was.
"""

import dataclasses
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from linear_prediction import RECENT, bits_per_sample, fit

import wavedil as wd
from wavedil.data import Corpus, CorpusConfig, read_corpus
from wavedil.evaluation import bigram_bits, histogram_bits
from wavedil.runs import train_as as train
from wavedil.tasks import GeneratorTask
from wavedil.training import Progress, RunConfig, TrainingConfig

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
DATA = Path(os.environ.get("WAVEDIL_DATA", HERE.parents[2] / "shared" / "data"))
CORPUS = CorpusConfig(folder=str(DATA / "fsdd" / "recordings"), test=r"_[0-4]\.wav$")
SAMPLE_RATE = 8000
ORDERS = {"linear prediction, order 2": 2, "linear prediction, order 32": 32}
# What the past 30 ms do not hold, at a 32nd of the rate.
FAR = wd.ContextStackConfig(factor=32, channels=32, dilations=(1, 2, 4, 8, 16))


def _wavenet(dilations: tuple[int, ...], cycles: int, **settings: Any) -> wd.WaveNetConfig:
    return wd.WaveNetConfig(
        kernel_size=3,
        dilations=dilations,
        cycles=cycles,
        residual_channels=64,
        skip_channels=128,
        sample_rate=SAMPLE_RATE,
        **settings,
    )


# Twelve layers of three taps in all but the last two, so that those have equally many parameters; the context stack
# costs a hundredth of the layers that it conditions.
MODELS = {
    "WaveNet, undilated": _wavenet((1,), 12),
    "WaveNet, dilations to 3": _wavenet((1, 3), 6),
    "WaveNet, dilations to 9": _wavenet((1, 3, 9), 4),
    "WaveNet, dilations to 27": _wavenet((1, 3, 9, 27), 3),
    "WaveNet, dilations to 243": _wavenet((1, 3, 9, 27, 81, 243), 2),
    "WaveNet, context stack": _wavenet((1, 3, 9, 27), 3, context_stack=FAR),
    "WaveNet, three cycles to 243": _wavenet((1, 3, 9, 27, 81, 243), 3),
}
TRAINING = TrainingConfig(
    steps=1500,
    batch_size=1,
    window_size=6144,
    optimizer="muon",
    learning_rate=3e-3,
    evaluate_every=500,
    save_every=500,
    log_every=100,
)
# The larger fields of equal cost again, for six times as long.
LONGER = ("dilations to 9", "dilations to 27", "dilations to 243", "context stack")
LONG = dataclasses.replace(TRAINING, steps=9000, evaluate_every=1500, save_every=1500)
TRAINED = {name: (model, TRAINING) for name, model in MODELS.items()} | {
    f"WaveNet, {name}, 9,000 steps": (MODELS[f"WaveNet, {name}"], LONG) for name in LONGER
}


def main(names: list[str]) -> None:
    corpus = read_corpus(CORPUS)
    print(*corpus.describe(), sep="\n")
    for name in names or ["histogram", "bigram", *ORDERS, *TRAINED]:
        write(name, row_of(name, corpus))
    draw(HERE / "bits_by_field.png")


def row_of(name: str, corpus: Corpus) -> dict[str, Any]:
    """Bits per sample of every held-out sample, and how far back the model looks."""
    if name in TRAINED:
        return wavenet(name, corpus)
    if name in ORDERS:
        bits = bits_per_sample(fit(corpus.train, ORDERS[name]), corpus.test)
        # The oldest residual that its variance follows looks as far back once more.
        return {"bits_per_sample": round(bits, 4), "past_samples": ORDERS[name] + RECENT}
    bits = {"histogram": histogram_bits, "bigram": bigram_bits}[name](corpus.train, corpus.test)
    return {"bits_per_sample": round(bits, 4), "past_samples": int(name == "bigram")}


def wavenet(name: str, corpus: Corpus) -> dict[str, Any]:
    """Trains one WaveNet and scores it."""
    model, training = TRAINED[name]
    folder = HERE / "runs" / name.removeprefix("WaveNet, ").replace(", ", "-").replace(" ", "-")
    config = RunConfig(task=GeneratorTask(), corpus=CORPUS, model=model, training=training)
    result = train(config, folder, corpus=corpus, report=print_progress)
    if result.stopped_by:
        sys.exit(f"stopped by {result.stopped_by}; the same command goes on")
    trained = wd.load(folder)
    scores = wd.evaluate(trained, corpus.test)
    return {
        "bits_per_sample": round(scores["bits"], 4),
        "past_samples": trained.receptive_field.size,
        "test_samples": scores.num_samples,
        "parameters": trained.num_parameters,
        "layers": len(model.layer_dilations),
        "steps": training.steps,
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}, no accelerator",
    }


def print_progress(progress: Progress) -> None:
    held_out = f"  held out {progress.held_out['bits']:.3f}" if progress.held_out else ""
    print(f"step {progress.step}  {progress.metrics['bits']:.3f} bits{held_out}", flush=True)


def write(name: str, row: dict[str, Any]) -> None:
    row = {**row, "past_ms": round(1000 * row["past_samples"] / SAMPLE_RATE, 3)}
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**results, name: row}, indent=2) + "\n")
    print(name, row, flush=True)


def draw(path: Path) -> None:
    """Bits per sample against the field."""
    results = json.loads(RESULTS.read_text())
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    layers = [
        name for name in MODELS if name.startswith(("WaveNet, undilated", "WaveNet, dilations"))
    ]
    lines = {
        "WaveNets of 12 layers, 1,500 steps": layers,
        "the same, 9,000 steps": [f"{name}, 9,000 steps" for name in layers],
        "linear prediction": list(ORDERS),
    }
    for label, names in lines.items():
        rows = [results[name] for name in names if name in results]
        fields = [row["past_ms"] for row in rows]
        if rows:
            axes.plot(fields, [row["bits_per_sample"] for row in rows], "o-", label=label)
    in_lines = {name for names in lines.values() for name in names} | {"histogram"}
    for name in (name for name in results if name not in in_lines):
        row = results[name]
        axes.plot(row["past_ms"], row["bits_per_sample"], "o", label=name)
    axes.set(xscale="log", xlabel="receptive field (ms)", ylabel="bits per sample, held out")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
