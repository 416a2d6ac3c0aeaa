"""Run folders for the page to listen on: settings, recordings, metrics and sounds, without a training."""

import dataclasses
import json

import numpy as np
from recordings import tone, write

from wavedil import CorpusConfig, RunConfig, WaveNetConfig
from wavedil.runs import RunFolder
from wavedil.tasks import GeneratorTask

SECONDS, SAMPLE_RATE = 0.5, 8000


def recordings(folder):
    """Four recordings of a note and labels in their names, two of them held out."""
    folder.mkdir()
    for number in range(4):
        samples = tone(int(SECONDS * SAMPLE_RATE), frequency=200.0 * (number + 1))
        write(folder / f"{number}_theo.wav", samples)
    return folder


def listening_run(path, corpus, *sounds, steps=40):
    """A run whose folder holds noise under the names of `sounds`."""
    labels = r"^(?P<digit>\d)_(?P<speaker>\w+)\.wav"
    reading = CorpusConfig(folder=str(corpus), labels=labels, test=r"^[23]_")
    config = RunConfig(task=GeneratorTask(), corpus=reading, model=WaveNetConfig.tiny())
    read = config.task.read(config)
    config = config.task.resolve(config, read)
    training = dataclasses.replace(config.training, steps=steps)
    run = RunFolder(path)
    path.mkdir(parents=True)
    run.claim(dataclasses.replace(config, training=training), read.fingerprints)
    for step in range(10, steps + 1, 10):
        run.metrics.append({"step": step, "bits": 8 - step / 20, "gradient_norm": 1.0})
        run.metrics.append({"step": step, "held_out_bits": 8.25 - step / 20})
    for seed, name in enumerate(sounds):
        (path / name).parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(seed).uniform(-0.2, 0.2, int(SECONDS * SAMPLE_RATE))
        write(path / name, noise)
    return path


def record_steps(run, *steps, recordings=False):
    """Two sounds of each step, as a training draws them, and what they should sound like."""
    folders = [f"step-{step:06d}" for step in steps] + ["recordings"] * recordings
    for folder in folders:
        names = [f"{number}.wav" for number in (1, 2)]
        for number, name in enumerate(names):
            write(run / "samples" / folder / name, tone(2000, frequency=300 + 100 * number))
        made = {"sounds": names, "labels": [{"digit": "1"}, {"digit": "2"}], "of": ["", "a.wav"]}
        (run / "samples" / folder / "made.json").write_text(json.dumps(made))


def record(run, sound, **labels):
    """What `generate` writes beside a sound."""
    made = {"sounds": [sound], "temperature": 0.9, "seed": 3, "labels": labels}
    (run / sound).with_suffix(".json").write_text(json.dumps(made))
