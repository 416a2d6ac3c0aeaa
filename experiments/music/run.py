"""Music: bits per sample of held-out recordings, of a WaveNet alone and of an autoencoder.

    python experiments/music/run.py unconditional
    python experiments/music/run.py autoencoder       the same network, conditioned on 16 numbers every 32 ms

Each part adds its row to results.json, draws its picture and leaves its sounds in runs/sounds. A part that is
interrupted goes on where it was.
"""

import dataclasses
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import wavedil as wd
from wavedil.data import Corpus, CorpusConfig, Recording, read_corpus, read_sounds
from wavedil.evaluation import (
    bigram_bits,
    bits,
    histogram_bits,
    mean_distances,
    means,
    resynthesize,
)
from wavedil.generation import as_vocoder, interpolate
from wavedil.report import loss_curve, waveform_and_spectrogram
from wavedil.runs import RunFolder
from wavedil.runs import train_as as train
from wavedil.tasks import AutoencoderTask, GeneratorTask
from wavedil.training import Progress, RunConfig, TrainingConfig

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
RUNS = HERE / "runs"
DATA = Path(os.environ.get("WAVEDIL_DATA", HERE.parents[2] / "shared" / "data"))
RATE = 16000
# Whole files, and none that is another take of one that is trained on.
CORPUS = CorpusConfig(
    folder=str(DATA / "music-cc0"),
    sample_rate=RATE,
    test=r"^(guit_e_slide|loop_garzul|elec_chime)\.flac$",
)
MODEL = wd.WaveNetConfig(
    kernel_size=3,
    dilations=(1, 3, 9, 27, 81, 243),
    cycles=2,
    residual_channels=64,
    skip_channels=128,
    sample_rate=RATE,
)
ENCODERS = {
    "unconditional": None,
    "autoencoder": wd.EncoderConfig(latent_size=16, hop=512, channels=32),
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
SECONDS = 4
EXCERPTS = ("guit_e_slide", "loop_garzul")


def main(parts: list[str]) -> None:
    for part in parts or ENCODERS:
        train_and_score(part)


def train_and_score(name: str) -> None:
    """Trains one model, writes its row, and lets it sound."""
    corpus = read_corpus(CORPUS)
    print(*corpus.describe(), sep="\n")
    encoder = ENCODERS[name]
    config = RunConfig(
        task=GeneratorTask() if encoder is None else AutoencoderTask(),
        corpus=CORPUS,
        model=MODEL if encoder is None else wd.AutoencoderConfig(decoder=MODEL, encoder=encoder),
        training=TRAINING,
    )
    started = time.perf_counter()
    result = train(config, RUNS / name, corpus=corpus, report=_print_progress)
    elapsed = time.perf_counter() - started
    if result.stopped_by:
        sys.exit(f"stopped by {result.stopped_by}; the same command goes on")
    model = wd.load(RUNS / name)
    baselines = {
        "histogram": histogram_bits(corpus.train, corpus.test, 256),
        "bigram": bigram_bits(corpus.train, corpus.test, 256),
    }
    for baseline, score in baselines.items():
        _write(baseline, {"bits_per_sample": round(score, 4)})
    row = _scores(model, corpus) | _costs(name, elapsed) | {"parameters": model.num_parameters}
    loss_curve(RunFolder(RUNS / name).metrics.path, HERE / f"loss_{name}.png", baselines=baselines)
    sound = improvise if name == "unconditional" else make_again
    _write(name, row | sound(model, corpus))


def improvise(model: wd.WaveNet, corpus: Corpus) -> dict[str, object]:
    """Sound of the model's own, drawn beside a held-out excerpt."""
    generated = wd.synthesize(model, seconds=SECONDS)
    _, sounds = _excerpts(corpus)
    pairs = [
        *((f"{name}, held out", sound) for name, sound in zip(EXCERPTS, sounds, strict=True)),
        ("generated", generated[0]),
    ]
    _show("unconditional", pairs)
    return {}


def make_again(model: wd.Autoencoder, corpus: Corpus) -> dict[str, object]:
    """Two held-out excerpts made again from their latents, and what lies between them."""
    recordings, sounds = _excerpts(corpus)
    decoder, with_latents = as_vocoder(model, recordings)
    again = resynthesize(decoder, with_latents, 0)
    first_latents, second_latents = (item.features for item in with_latents)
    between = interpolate(first_latents, second_latents, 3)
    halfway = wd.generate(decoder, 0, features=between[1])[0]
    first, second = EXCERPTS
    pairs = [
        (f"{first}, held out", sounds[0]),
        (f"{first}, from its latents", again[0]),
        ("halfway", model.config.quantizer.decode(halfway)[: min(map(len, sounds))]),
        (f"{second}, held out", sounds[1]),
        (f"{second}, from its latents", again[1]),
    ]
    _show("autoencoder", pairs)
    return {"stft_of_excerpts": round(mean_distances(sounds, again, RATE, None).stft, 4)}


def _scores(model: wd.WaveNet | wd.Autoencoder, corpus: Corpus) -> dict[str, object]:
    """Held-out bits; of an autoencoder also with every latent zero, to see how much the decoder relies on them."""
    wavenet, recordings = as_vocoder(model, corpus.test)
    totals, counts = bits(wavenet, recordings)
    scores: dict[str, object] = {
        "bits_per_sample": round(float(totals.sum() / counts.sum()), 4),
        "bits_per_file": {
            item.path: round(float(total / count), 4)
            for item, total, count in zip(recordings, totals, counts, strict=True)
        },
        "test_samples": int(counts.sum()),
    }
    if wavenet is not model:
        blank = [
            dataclasses.replace(item, features=np.zeros_like(item.features)) for item in recordings
        ]
        scores["bits_with_zero_latents"] = round(means({"bits": bits(wavenet, blank)})["bits"], 4)
    return scores


def _costs(name: str, elapsed: float) -> dict[str, object]:
    """The cost of the training."""
    lines = [line for line in RunFolder(RUNS / name).metrics.read() if "seconds" in line]
    seconds = sum(line["seconds"] for line in lines)
    seen = sum(line["targets_per_second"] * line["seconds"] for line in lines)
    encoder = ENCODERS[name]
    return {
        "receptive_field_ms": MODEL.receptive_field.milliseconds(RATE),
        "encoder": None if encoder is None else encoder.to_dict(),
        "steps": TRAINING.steps,
        "samples_per_second": round(seen / seconds),
        # A run that went on after an interruption counts the steps of its earlier processes.
        "wall_minutes": round(max(elapsed, seconds) / 60, 1),
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}, no accelerator",
        "training": dataclasses.asdict(TRAINING),
    }


def _excerpts(corpus: Corpus) -> tuple[list[Recording], list[np.ndarray]]:
    """The beginnings of two held-out recordings, as codes and as sound."""
    by_path = {item.path: item for item in corpus.test}
    paths, length = [f"{name}.flac" for name in EXCERPTS], SECONDS * RATE
    recordings = [
        dataclasses.replace(by_path[path], codes=by_path[path].codes[:length]) for path in paths
    ]
    return recordings, [sound[:length] for sound in read_sounds(CORPUS, paths)]


def _show(name: str, pairs: Sequence[tuple[str, np.ndarray]]) -> None:
    """A picture, and a sound file of each; the sounds are not part of the repository."""
    waveform_and_spectrogram(pairs, RATE, HERE / f"{name}.png")
    folder = RUNS / "sounds"
    folder.mkdir(exist_ok=True)
    for title, sound in pairs:
        file = f"{name}, {title}.flac".replace(", ", "-").replace(" ", "_")
        wd.audio.save(folder / file, sound, RATE)


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
