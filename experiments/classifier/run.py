"""Which digit is spoken: a classifier with the task's defaults, chosen on a part of the training recordings.

    python experiments/classifier/run.py validation     indices 5 to 9 held out, 10 to 49 trained on
    python experiments/classifier/run.py test           the official split: 0 to 4 held out, 5 to 49 trained on

Each part adds its row to results.json, and goes on where it was interrupted.
"""

import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import wavedil as wd
from wavedil.data import CorpusConfig
from wavedil.evaluation import confusion, probabilities
from wavedil.report import draw_confusion
from wavedil.runs import RunFolder
from wavedil.runs import train_as as train
from wavedil.tasks import ClassifierTask
from wavedil.training import Progress, RunConfig

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
RUNS = HERE / "runs"
DATA = Path(os.environ.get("WAVEDIL_DATA", HERE.parents[2] / "shared" / "data"))
RECORDINGS = DATA / "fsdd" / "recordings"
LABELS = r"(?P<digit>\d)_(?P<speaker>\w+)_"


def main(parts: list[str]) -> None:
    for part in parts or ["validation", "test"]:
        with tempfile.TemporaryDirectory() as folder:
            train_and_score(part, _corpus(part, Path(folder)))


def train_and_score(name: str, corpus_config: CorpusConfig) -> None:
    """Trains one classifier and writes its row."""
    config = RunConfig(task=ClassifierTask(target="digit"), corpus=corpus_config)
    corpus = config.task.read(config)
    print(*corpus.describe(), sep="\n")
    started = time.perf_counter()
    run = train(config, RUNS / name, corpus=corpus, report=_print_progress)
    elapsed = time.perf_counter() - started
    if run.stopped_by:
        sys.exit(f"stopped by {run.stopped_by}; the same command goes on")
    scores = wd.evaluate(run.model, corpus.test)
    lines = [line for line in RunFolder(RUNS / name).metrics.read() if "seconds" in line]
    row = {
        "accuracy": round(scores["accuracy"], 4),
        "recordings": scores.num_recordings,
        "accuracy_by_speaker": {
            speaker: round(share["accuracy"], 4)
            for speaker, share in scores.by_label["speaker"].items()
        },
        "baselines": config.task.baselines(run.config, corpus, corpus.test),
        "parameters": sum(w.size for w in wd.models.named_weights(run.model).values()),
        "receptive_field_frames": run.model.receptive_field.size,
        "steps": run.step,
        # A run that went on after an interruption counts the steps of its earlier processes.
        "wall_minutes": round(max(elapsed, sum(line["seconds"] for line in lines)) / 60, 1),
        "hardware": f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}, no accelerator",
        "config": run.config.model.to_dict(),
        "training": run.config.training.to_dict(),
    }
    _write(name, row)
    counts = confusion(run.model, corpus.test, probabilities(run.model, corpus.test))
    draw_confusion(counts, run.model.config.values, HERE / f"confusion_{name}.png", target="digit")


def _corpus(part: str, folder: Path) -> CorpusConfig:
    if part == "test":
        return CorpusConfig(folder=str(RECORDINGS), labels=LABELS, test=r"_[0-4]\.wav$")
    # Links to the training recordings alone, so that nothing is chosen by those of the test.
    for path in RECORDINGS.glob("*.wav"):
        if int(path.stem.rpartition("_")[2]) >= 5:
            (folder / path.name).symlink_to(path)
    return CorpusConfig(folder=str(folder), labels=LABELS, test=r"_[5-9]\.wav$")


def _print_progress(progress: Progress) -> None:
    held_out = f"  held out {progress.held_out['accuracy']:.3f}" if progress.held_out else ""
    print(
        f"step {progress.step}/{progress.steps}  {progress.metrics['accuracy']:.3f} right{held_out}",
        flush=True,
    )


def _write(name: str, row: dict[str, object]) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = row
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(name, row)


if __name__ == "__main__":
    main(sys.argv[1:])
