"""Music: bits per sample of held-out recordings, and which of their tones come back from a few numbers.

    python experiments/music/run.py unconditional     a WaveNet alone
    python experiments/music/run.py griffin-lim       from 16 mel bands every 32 ms
    python experiments/music/run.py griffin-lim-16ms
    python experiments/music/run.py autoencoder       the same network, conditioned on 16 numbers every 32 ms
    python experiments/music/run.py autoencoder-16ms
    python experiments/music/run.py pitch             a vocoder: 14 mel bands, pitch and voicing every 32 ms
    python experiments/music/run.py pitch-16ms

Each part adds its row to results.json and leaves its sounds in runs/sounds; `unconditional` and `autoencoder` draw
their pictures, and `picture` draws what comes back of one recording from all of them. A part that is interrupted
goes on where it was.
"""

import dataclasses
import functools
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tones import distances

import wavedil as wd
from wavedil.data import Corpus, CorpusConfig, Recording, read_corpus, read_sounds
from wavedil.evaluation import (
    bigram_bits,
    bits,
    griffin_lim,
    histogram_bits,
    mean_distances,
    means,
    resynthesize,
)
from wavedil.generation import as_vocoder, interpolate
from wavedil.mel import MelConfig, mel
from wavedil.report import loss_curve, waveform_and_spectrogram
from wavedil.runs import RunFolder
from wavedil.runs import train_as as train
from wavedil.tasks import AutoencoderTask, GeneratorTask, VocoderTask
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
FRAME = {"": 512, "-16ms": 256}  # samples that the 16 numbers are of
GRIFFIN_LIM = {
    f"griffin-lim{every}": MelConfig(num_mels=16, fft_size=2048, hop=hop).at(RATE)
    for every, hop in FRAME.items()
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
    for part in parts or ("unconditional", *GRIFFIN_LIM, *MODELS_OF_FEATURES, "picture"):
        if part == "picture":
            picture()
        elif part in GRIFFIN_LIM:
            _write(part, _tones(part, _test_sounds(), make(part)))
        else:
            train_and_score(part)


def _of_latents(hop: int) -> RunConfig:
    encoder = wd.EncoderConfig(latent_size=16, hop=hop, channels=32)
    model = wd.AutoencoderConfig(decoder=MODEL, encoder=encoder)
    return RunConfig(task=AutoencoderTask(), corpus=CORPUS, model=model, training=TRAINING)


def _of_pitch(hop: int) -> RunConfig:
    task = VocoderTask(mel=MelConfig(num_mels=14, fft_size=2048, hop=hop), pitch=True)
    return RunConfig(task=task, corpus=CORPUS, model=MODEL, training=TRAINING)


MODELS_OF_FEATURES = {
    **{f"autoencoder{every}": _of_latents(hop) for every, hop in FRAME.items()},
    **{f"pitch{every}": _of_pitch(hop) for every, hop in FRAME.items()},
}
UNCONDITIONAL = RunConfig(task=GeneratorTask(), corpus=CORPUS, model=MODEL, training=TRAINING)


def train_and_score(name: str) -> None:
    """Trains one model, writes its row, and lets it sound."""
    config = UNCONDITIONAL if name == "unconditional" else MODELS_OF_FEATURES[name]
    corpus = config.task.read(config)
    print(*corpus.describe(), sep="\n")
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
    if name == "unconditional":
        improvise(model, corpus)
    else:
        row |= _tones(name, _test_sounds(), make(name))
    if name == "autoencoder":
        row |= make_again(model, corpus)
    if name in ("unconditional", "autoencoder"):
        loss = HERE / f"loss_{name}.png"
        loss_curve(RunFolder(RUNS / name).metrics.path, loss, baselines=baselines)
    _write(name, row)


def make(name: str) -> list[np.ndarray]:
    """The held-out recordings, whole, as a part makes them again from its numbers."""
    if name in GRIFFIN_LIM:
        settings = GRIFFIN_LIM[name]
        return [griffin_lim(mel(sound, settings), settings, len(sound)) for sound in _test_sounds()]
    config = MODELS_OF_FEATURES[name]
    decoder, recordings = as_vocoder(wd.load(RUNS / name), config.task.read(config).test)
    return resynthesize(decoder, recordings, 0)


def picture() -> None:
    """A held-out recording, and what comes back of it from each."""
    index = [path.removesuffix(".flac") for path in _test_paths()].index(EXCERPTS[0])
    made = {name: make(name)[index] for name in (*GRIFFIN_LIM, *MODELS_OF_FEATURES)}
    _show("made_again", [(EXCERPTS[0], _test_sounds()[index]), *made.items()])


@functools.cache
def _test_paths() -> list[str]:
    return [item.path for item in read_corpus(CORPUS).test]


@functools.cache
def _test_sounds() -> list[np.ndarray]:
    return list(read_sounds(CORPUS, _test_paths()))


def _tones(
    name: str, sounds: Sequence[np.ndarray], made: Sequence[np.ndarray]
) -> dict[str, object]:
    """How near sounds made again come to the recordings, and how many numbers a second they are made of."""
    every = "-16ms" if name.endswith("-16ms") else ""
    folder = RUNS / "sounds"
    folder.mkdir(parents=True, exist_ok=True)
    for path, sound in zip(_test_paths(), made, strict=True):
        wd.audio.save(folder / f"{name}-{path}", sound, RATE)
    near = mean_distances(sounds, made, RATE, None)
    found = distances(sounds, made, RATE) | {"stft": near.stft}
    return {
        "numbers_per_second": 16 * RATE // FRAME[every],
        **{key: None if value is None else round(value, 4) for key, value in found.items()},
    }


def improvise(model: wd.WaveNet, corpus: Corpus) -> None:
    """Sound of the model's own, drawn beside a held-out excerpt."""
    generated = wd.synthesize(model, seconds=SECONDS)
    _, sounds = _excerpts(corpus)
    pairs = [
        *((f"{name}, held out", sound) for name, sound in zip(EXCERPTS, sounds, strict=True)),
        ("generated", generated[0]),
    ]
    _show("unconditional", pairs)


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
    return {
        "receptive_field_ms": MODEL.receptive_field.milliseconds(RATE),
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
