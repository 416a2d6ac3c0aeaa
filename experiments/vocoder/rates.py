"""How near vocoders come to recordings at three rates of mel spectra: Griffin-Lim, WaveNet, WaveNet with pitch.

    python experiments/vocoder/rates.py [griffin-lim-40-64] [pitch-40-64] ...

A name says what makes the sound, of how many mel bands, and every how many samples. Each part adds its row to
results.json, under "rates"; a training that is interrupted goes on where it was. STOI and PESQ need the extra
`quality`. The part `picture` draws two recordings as Griffin-Lim and the vocoders with a linear prediction make them
again, and writes the sound of it; `temperature` draws from the last of them at lower temperatures.
"""

import dataclasses
import os
import platform
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pesq
import pystoi
from run import (
    CORPUS,
    HERE,
    MODELS,
    NUM_RESYNTHESISED,
    PICTURED,
    RUNS,
    TRAINING,
    _print_progress,
    write_row,
)
from voices import errors, voice

import wavedil as wd
from wavedil.data import read_sounds, spread
from wavedil.evaluation import griffin_lim, mean_distances, resynthesize
from wavedil.mel import MelConfig
from wavedil.report import waveform_and_spectrogram
from wavedil.runs import RunFolder
from wavedil.runs import train_as as train
from wavedil.tasks import VocoderTask
from wavedil.training import RunConfig

PARTS = {
    "griffin-lim-40-64": ("griffin-lim", 40, 64),
    "griffin-lim-20-64": ("griffin-lim", 20, 64),
    "griffin-lim-20-128": ("griffin-lim", 20, 128),
    "prediction-40-64": ("prediction", 40, 64),
    "prediction-20-64": ("prediction", 20, 64),
    "prediction-20-128": ("prediction", 20, 128),
    "pitch-40-64": ("pitch", 40, 64),
    "pitch-20-64": ("pitch", 20, 64),
    "pitch-20-128": ("pitch", 20, 128),
    "mel-20-128": ("mel", 20, 128),
}
STEPS = 3000
# Of all samples, and of those that are voiced.
TEMPERATURES = ((0.8, 0.8), (1.0, 0.6), (0.8, 0.5), (0.6, 0.6))
# Of all cepstra, so that those of different rows compare.
CEPSTRA = MelConfig(num_mels=40, fft_size=256, hop=64).at(8000)


def main(parts: Sequence[str]) -> None:
    for part in parts or (*PARTS, "temperature", "picture"):
        if part == "picture":
            picture()
            continue
        if part == "temperature":
            for plain, voiced in TEMPERATURES:
                row = at_temperature("prediction-20-128", plain, voiced)
                write_row(f"prediction-20-128, temperature {plain}, voiced {voiced}", row, "rates")
            continue
        if part not in PARTS:
            sys.exit(f"{part} is none of {', '.join(PARTS)}, temperature, picture")
        maker, num_mels, hop = PARTS[part]
        mel = MelConfig(num_mels=num_mels, fft_size=256, hop=hop)
        write_row(
            part, griffin(mel) if maker == "griffin-lim" else vocoder(part, mel, maker), "rates"
        )


def griffin(mel: MelConfig) -> dict[str, Any]:
    corpus = VocoderTask(mel=mel).read(_config(mel, "griffin-lim"))
    chosen = spread(corpus.test, NUM_RESYNTHESISED)
    assert corpus.mel is not None
    started = time.perf_counter()
    made = [griffin_lim(np.asarray(r.features), corpus.mel, r.num_samples) for r in chosen]
    return _scores(chosen, made, time.perf_counter() - started)


def vocoder(part: str, mel: MelConfig, maker: str) -> dict[str, Any]:
    """Trains a vocoder, and scores what it makes of recordings."""
    config = _config(mel, maker)
    corpus = config.task.read(config)
    folder = RUNS / f"rates_{part}"
    result = train(config, folder, corpus=corpus, report=_print_progress)
    if result.stopped_by:
        sys.exit(f"stopped by {result.stopped_by}; the same command goes on")
    model = wd.load(folder)
    chosen = spread(corpus.test, NUM_RESYNTHESISED)
    wd.generate(model, 0, features=[np.asarray(chosen[0].features)])  # compiles
    started = time.perf_counter()
    made = resynthesize(model, chosen, 0)
    elapsed = time.perf_counter() - started
    lines = [line for line in RunFolder(folder).metrics.read() if "seconds" in line]
    return {
        "bits_per_sample": wd.evaluate(model, corpus.test)["bits"],
        "parameters": model.num_parameters,
        "steps": config.training.steps,
        "training_minutes": sum(line["seconds"] for line in lines) / 60,
        **_scores(chosen, made, elapsed),
    }


def at_temperature(part: str, plain: float, voiced: float) -> dict[str, Any]:
    """Scores what a trained vocoder makes of recordings at a temperature of its own where they are voiced."""
    maker, num_mels, hop = PARTS[part]
    config = _config(MelConfig(num_mels=num_mels, fft_size=256, hop=hop), maker)
    model = wd.load(RUNS / f"rates_{part}")
    chosen = spread(config.task.read(config).test, NUM_RESYNTHESISED)
    temperatures = {"temperature": plain, "voiced_temperature": voiced}
    resynthesize(model, chosen[:1], 0, **temperatures)  # compiles
    started = time.perf_counter()
    made = resynthesize(model, chosen, 0, **temperatures)
    elapsed = time.perf_counter() - started
    return _scores(chosen, made, elapsed)


def picture() -> None:
    """Two held-out recordings, as Griffin-Lim and the vocoders with a linear prediction make them again."""
    sounds = {"recording": read_sounds(CORPUS, PICTURED)}
    drawn = (part for part in PARTS.items() if part[1][0] in ("griffin-lim", "prediction"))
    for part, (maker, num_mels, hop) in drawn:
        mel = MelConfig(num_mels=num_mels, fft_size=256, hop=hop)
        config = _config(mel, maker)
        corpus = config.task.read(config)
        by_path = {item.path: item for item in corpus.test}
        chosen = [by_path[path] for path in PICTURED]
        if maker == "griffin-lim":
            assert corpus.mel is not None
            sounds[part] = [
                griffin_lim(np.asarray(item.features), corpus.mel, item.num_samples)
                for item in chosen
            ]
        else:
            sounds[part] = resynthesize(wd.load(RUNS / f"rates_{part}"), chosen, 0)
    pairs = [
        (f"{path.removesuffix('.wav')}, {name}", made[number])
        for number, path in enumerate(PICTURED)
        for name, made in sounds.items()
    ]
    waveform_and_spectrogram(pairs, 8000, HERE / "rates.png")
    wd.audio.save(HERE / "rates.flac", np.concatenate([sound for _, sound in pairs]), 8000)


def _config(mel: MelConfig, maker: str) -> RunConfig:
    order = 24 if maker == "prediction" else 0
    local = wd.LocalConditioningConfig(linear_prediction=order)
    return RunConfig(
        task=VocoderTask(mel=mel, pitch=maker in ("pitch", "prediction")),
        corpus=CORPUS,
        model=dataclasses.replace(MODELS["categorical"], local_conditioning=local),
        training=dataclasses.replace(TRAINING, steps=STEPS),
    )


def _scores(chosen: Sequence[Any], made: Sequence[np.ndarray], elapsed: float) -> dict[str, Any]:
    """How near the sounds come to the recordings, and how many times faster than real time they were made."""
    sounds = read_sounds(CORPUS, [item.path for item in chosen])
    distances = mean_distances(sounds, made, 8000, CEPSTRA)
    pairs = list(zip(sounds, made, strict=True))
    heard = [
        pesq.pesq(8000, sound, other, "nb", on_error=pesq.PesqError.RETURN_VALUES)
        for sound, other in pairs
    ]
    judged = [value for value in heard if value >= 0]
    # What is too short for it, less than 30 frames that are not silent, gets 1e-5.
    intelligible = [pystoi.stoi(sound, other, 8000) for sound, other in pairs]
    long_enough = [value for value in intelligible if value != 1e-5]
    return {
        "resynthesised": len(made),
        "stft": distances.stft,
        "mel_cepstral_db": distances.mel_cepstral_db,
        **errors(list(map(voice, sounds)), list(map(voice, made)))._asdict(),
        "stoi": float(np.mean(long_enough)),
        "stoi_judged": len(long_enough),
        "pesq_nb": float(np.mean(judged)),
        "pesq_judged": len(judged),
        "times_faster_than_real_time": sum(map(len, made)) / 8000 / elapsed,
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}, no accelerator",
    }


if __name__ == "__main__":
    main(sys.argv[1:])
