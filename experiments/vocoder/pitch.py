"""Where a vocoder sees what was a pitch period ago: nowhere, at its input, in every block of its last cycle; and at its
input with a linear prediction of every sample.

    python experiments/vocoder/pitch.py estimator    period and voicing against librosa's pyin, on 100 recordings
    python experiments/vocoder/pitch.py cost         a training step and a generated sample of each, against none
    python experiments/vocoder/pitch.py none         each of the three trains a vocoder of equal parameters and steps
    python experiments/vocoder/pitch.py input
    python experiments/vocoder/pitch.py blocks
    python experiments/vocoder/pitch.py prediction   the tables of the prediction are 82,000 parameters more
    python experiments/vocoder/pitch.py noise        the same, with noise on what it sees in training
    python experiments/vocoder/pitch.py prediction-temperature   lower temperatures, everywhere and where voiced
    python experiments/vocoder/pitch.py noise-temperature

Each part adds its row to results.json, under "pitch". A part that is interrupted goes on where it was; another number
of steps, `--steps 6000`, is another row.
"""

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from run import CORPUS, RUNS, TRAINING, _print_progress, write_row
from voices import HOP, Voice, errors, voice

import wavedil as wd
from wavedil import audio
from wavedil.data import read_sounds, spread
from wavedil.evaluation import mean_distances, resynthesize
from wavedil.generation import Condition, with_pitch
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig, pitch
from wavedil.runs import train_as as train
from wavedil.tasks import VocoderTask
from wavedil.training import RunConfig

TASK = VocoderTask(mel=MelConfig(num_mels=40, fft_size=256, hop=HOP))
# The taps at the input have 2,560 weights; a wider layer before the output makes up for them.
HIDDEN_CHANNELS = {"none": 135, "input": 128, "blocks": 135, "prediction": 128, "noise": 128}
CONDITIONING = {
    "none": wd.LocalConditioningConfig(pitch_taps="none"),
    "input": wd.LocalConditioningConfig(pitch_taps="input"),
    "blocks": wd.LocalConditioningConfig(pitch_taps="blocks"),
    "prediction": wd.LocalConditioningConfig(linear_prediction=24),
    "noise": wd.LocalConditioningConfig(linear_prediction=24),
}
NUM_RESYNTHESISED = 20
NUM_ESTIMATED = 100
PITCH_FACTOR = 1.2
# Of all samples, and of those that are voiced.
TEMPERATURES = ((1.0, 1.0), (0.8, 0.8), (1.0, 0.8), (1.0, 0.6), (0.8, 0.6))


def main(arguments: list[str]) -> None:
    steps = TRAINING.steps
    if "--steps" in arguments:
        at = arguments.index("--steps")
        steps = int(arguments[at + 1])
        del arguments[at : at + 2]
    for part in arguments or ["estimator", "cost", *HIDDEN_CHANNELS]:
        if part == "estimator":
            write_row(part, estimator(), "pitch")
        elif part == "cost":
            write_row(part, cost(), "pitch")
        elif part.endswith("-temperature"):
            taps = part.removesuffix("-temperature")
            for plain, voiced in TEMPERATURES:
                name = f"{taps}, {steps} steps, temperature {plain}, voiced {voiced}"
                write_row(name, at_temperature(taps, steps, plain, voiced), "pitch")
        else:
            write_row(f"{part}, {steps} steps", train_and_score(part, steps), "pitch")


def config_of(taps: str, steps: int) -> RunConfig:
    model = wd.WaveNetConfig(
        kernel_size=3,
        dilations=(1, 3, 9, 27, 81, 243),
        cycles=2,
        residual_channels=64,
        skip_channels=128,
        hidden_channels=HIDDEN_CHANNELS[taps],
        sample_rate=8000,
        local_conditioning=CONDITIONING[taps],
    )
    training = dataclasses.replace(TRAINING, steps=steps)
    task = TASK if taps == "noise" else dataclasses.replace(TASK, input_noise=0.0)
    return RunConfig(task=task, corpus=CORPUS, model=model, training=training)


def estimator() -> dict[str, float]:
    """Period and voicing of the library against pyin, and the share of real time that both take."""
    files = sorted(Path(CORPUS.folder).glob("*.wav"))
    sounds = [audio.load(path, 8000)[0] for path in spread(files, NUM_ESTIMATED)]
    seconds = sum(map(len, sounds)) / 8000
    started = time.perf_counter()
    reference = [voice(sound) for sound in sounds]
    of_pyin = time.perf_counter() - started
    started = time.perf_counter()
    frames = [pitch(sound, PitchConfig().at(8000), HOP) for sound in sounds]
    ours = time.perf_counter() - started
    found = [
        Voice(np.where(rows[:, 1] > 0, 8000 / rows[:, 0], np.nan), rows[:, 1] > 0)
        for rows in frames
    ]
    scores = errors(reference, found)
    octaves = [
        np.abs(np.log2(b.hz / a.hz[: len(b.hz)]))[np.isfinite(b.hz + a.hz[: len(b.hz)])]
        for a, b in zip(reference, found, strict=True)
    ]
    return {
        "recordings": len(sounds),
        "voicing_agreement": 1 - scores.voicing_error,
        "beyond_50_cents": scores.f0_gross,
        "beyond_a_minor_third": float((np.concatenate(octaves) > 0.25).mean()),
        "median_cents_of_the_others": scores.f0_cents,
        "share_of_real_time": ours / seconds,
        "pyin_share_of_real_time": of_pyin / seconds,
    }


def cost() -> dict[str, float]:
    """Medians of a training step and of a generated sample, each over that without taps in the same round."""
    steps: dict[str, Callable[[], object]] = {}
    samples: dict[str, Callable[[], object]] = {}
    for taps in HIDDEN_CHANNELS:
        config = config_of(taps, TRAINING.steps)
        # Equal sizes otherwise, so that the taps alone make the difference.
        narrow = dataclasses.replace(config.model, hidden_channels=128)
        corpus = TASK.read(config)
        config = TASK.resolve(dataclasses.replace(config, model=narrow), corpus)
        model = wd.WaveNet(config.model, rngs=nnx.Rngs(0))
        batch = TASK.windows(config, corpus).batch(0)
        steps[taps] = _gradient(config, model, batch)
        frames = np.asarray(corpus.test[0].features)[:60]
        samples[taps] = lambda model=model, frames=frames: wd.generate(model, 0, features=frames)
    return _ratios("training_step", steps, 7) | _ratios("generated_sample", samples, 7)


def _gradient(config: RunConfig, model: wd.WaveNet, batch: object) -> Callable[[], object]:
    graph, weights = nnx.split(model)

    def loss(weights: object) -> object:
        total, count, _ = config.task.loss(nnx.merge(graph, weights), batch, jax.random.key(0))
        return total / count

    gradient = jax.jit(jax.grad(loss))
    return lambda: jax.block_until_ready(gradient(weights))


def _ratios(name: str, calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the call without taps, and the median ratio of each of the others to it, round by round."""
    seconds: dict[str, list[float]] = {taps: [] for taps in calls}
    for number in range(rounds + 1):
        for taps, call in calls.items():
            started = time.perf_counter()
            call()
            if number:  # the first compiles
                seconds[taps].append(time.perf_counter() - started)
    base = np.array(seconds["none"])
    ratios = {
        f"{name}_{taps}": round(float(np.median(np.array(values) / base)), 3)
        for taps, values in seconds.items()
    }
    return ratios | {f"{name}_none_seconds": round(float(np.median(base)), 4)}


def train_and_score(taps: str, steps: int) -> dict[str, object]:
    """Trains a vocoder, and scores what it makes of recordings, as they are and at another pitch."""
    config, folder = config_of(taps, steps), RUNS / f"pitch_{taps}_{steps}"
    corpus = TASK.read(config)
    result = train(config, folder, corpus=corpus, report=_print_progress)
    if result.stopped_by:
        sys.exit(f"stopped by {result.stopped_by}; the same command goes on")
    model = wd.load(folder)
    chosen = spread(corpus.test, NUM_RESYNTHESISED)
    sounds = read_sounds(CORPUS, [item.path for item in chosen])
    made = resynthesize(model, chosen, 0)
    wanted = list(map(voice, sounds))
    distances = mean_distances(sounds, made, 8000, corpus.mel)
    row: dict[str, object] = {
        "bits_per_sample": wd.evaluate(model, corpus.test)["bits"],
        "parameters": model.num_parameters,
        "steps": steps,
        "resynthesised": NUM_RESYNTHESISED,
        "stft": distances.stft,
        "mel_cepstral_db": distances.mel_cepstral_db,
        **errors(wanted, list(map(voice, made)))._asdict(),
    }
    known = [
        (item, target)
        for item, target in zip(chosen, wanted, strict=True)
        if np.asarray(item.features)[:, -2].min() / PITCH_FACTOR
        > PitchConfig().at(8000).shortest_period
    ]
    conditions = [Condition(np.asarray(item.features), item.num_samples) for item, _ in known]
    higher = with_pitch(model, conditions, factor=PITCH_FACTOR)
    codes = wd.generate(model, 0, features=[item.features for item in higher])
    voices = [
        voice(model.config.quantizer.decode(row[: item.num_samples]))
        for row, item in zip(codes, higher, strict=True)
    ]
    of_higher = errors([target for _, target in known], voices, PITCH_FACTOR)
    return row | {f"higher_{name}": value for name, value in of_higher._asdict().items()}


def at_temperature(taps: str, steps: int, plain: float, voiced: float) -> dict[str, object]:
    """Scores what a vocoder makes of recordings at a temperature of its own where they are voiced."""
    model = wd.load(RUNS / f"pitch_{taps}_{steps}")
    chosen = spread(TASK.read(config_of(taps, steps)).test, NUM_RESYNTHESISED)
    sounds = read_sounds(CORPUS, [item.path for item in chosen])
    made = resynthesize(model, chosen, 0, temperature=plain, voiced_temperature=voiced)
    local = model.config.local_conditioning
    distances = mean_distances(sounds, made, 8000, None if local is None else local.mel)
    return {
        "stft": distances.stft,
        "mel_cepstral_db": distances.mel_cepstral_db,
        **errors(list(map(voice, sounds)), list(map(voice, made)))._asdict(),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
