"""Speech in noise: a network of centred blocks beside a Wiener filter, whole and streamed with its delay.

From the repository's root:

    python experiments/denoise/run.py [train] [score]

`train` writes its weights to runs/; `score` writes results.json, denoised.png and denoised.flac beside this file.
`WAVEDIL_DATA` says where the recordings are.
"""

import functools
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mixtures
import numpy as np
import optax
from flax import nnx
from mixtures import SAMPLE_RATE, si_sdr_db
from safetensors.numpy import load_file, save_file
from spectra import DELAY, HOP, NUM_BINS, features, overlapping, spectra
from wiener import wiener

import wavedil as wd
from wavedil.models import named_weights, with_weights
from wavedil.nn import Conv1d, Delayed, Sequential, TemporalBlock
from wavedil.report import waveform_and_spectrogram

HERE = Path(__file__).parent
DATA = Path(os.environ.get("WAVEDIL_DATA", HERE.parents[2] / "shared" / "data"))
WEIGHTS = HERE / "runs" / "weights.safetensors"
CHANNELS = 96
# Of the blocks, and whether each is centred: what comes soon after a frame is worth waiting for, and the
# noise is known from what was long before.
BLOCKS = ((1, True), (2, True), (4, False), (8, False), (16, False))
STEPS, BATCH_SIZE, WINDOW_FRAMES, LEARNING_RATE = 2500, 8, 250, 2e-3
SNRS_DB = (0, 5)
NUM_UTTERANCES = 24
# Frames of a block of the stream, 64 ms.
BLOCK = 8


def main(parts: list[str]) -> None:
    for part in parts or ["train", "score"]:
        {"train": train, "score": score}[part]()


def make_model() -> Sequential:
    """From the features of noisy frames to the gain of every bin: centred and causal gated blocks in a row."""
    rngs = nnx.Rngs(0)
    blocks = [
        TemporalBlock(
            CHANNELS,
            CHANNELS,
            kernel_size=3,
            dilation=dilation,
            norm=None,
            activation="gated",
            padding="same" if centred else "causal",
            rngs=rngs,
        )
        for dilation, centred in BLOCKS
    ]
    return Sequential(
        Conv1d(NUM_BINS, CHANNELS, kernel_size=1, rngs=rngs),
        *blocks,
        Conv1d(CHANNELS, NUM_BINS, kernel_size=1, rngs=rngs),
        jax.nn.sigmoid,
    )


def batches() -> Iterator[list[np.ndarray]]:
    """Features and spectra of noisy speech, and spectra of the clean one: every step other mixtures."""
    recordings, rng = mixtures.read(DATA, test=False), np.random.default_rng(0)
    num_samples = WINDOW_FRAMES * HOP + DELAY
    while True:
        rows = []
        for number in range(BATCH_SIZE):
            speech = mixtures.utterance(recordings, rng)
            kind = mixtures.NOISES[number % len(mixtures.NOISES)]
            noise = mixtures.noise(recordings, kind, len(speech), rng, vary=True)
            noisy = mixtures.mix(speech, noise, rng.uniform(-3, 9))
            first = rng.integers(max(1, len(speech) - num_samples))
            loudness = 10 ** (rng.uniform(-10, 10) / 20)
            pair = [
                spectra(loudness * np.pad(sound, (0, num_samples))[first:][:num_samples])
                for sound in (noisy, speech)
            ]
            rows.append((features(pair[0]), *pair))
        yield [np.stack(part) for part in zip(*rows, strict=True)]


def loss(model: Sequential, seen: Any, noisy: Any, speech: Any) -> Any:
    """Minus the ratio of speech to distortion in dB, limited to 30 dB, of the spectra of every mixture."""
    distortion = jnp.sum(jnp.square(jnp.abs(model(seen) * noisy - speech)), axis=(1, 2))
    energy = jnp.sum(jnp.square(jnp.abs(speech)), axis=(1, 2))
    floor = 1e-3 * jnp.sum(jnp.square(jnp.abs(noisy)), axis=(1, 2))
    return jnp.mean(10 * jnp.log10((distortion + floor) / (energy + floor)))


def train() -> None:
    model = make_model()
    graph, weights = nnx.split(model)
    rate = optax.warmup_cosine_decay_schedule(
        0.0, LEARNING_RATE, STEPS // 20, STEPS, 1e-2 * LEARNING_RATE
    )
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, b2=0.99))

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(weights: Any, state: Any, *batch: Any) -> Any:
        value, gradient = jax.value_and_grad(
            lambda weights: loss(nnx.merge(graph, weights), *batch)
        )(weights)
        updates, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, updates), state, value

    state, values, started = optimizer.init(weights), [], time.perf_counter()
    for number, batch in zip(range(1, STEPS + 1), batches(), strict=False):
        weights, state, value = step(weights, state, *batch)
        values.append(value)
        if number % 50 == 0:
            seconds = time.perf_counter() - started
            print(
                f"step {number}/{STEPS}  {np.mean(values[-50:]):.2f} dB  {seconds:.0f} s",
                flush=True,
            )
    WEIGHTS.parent.mkdir(exist_ok=True)
    trained = named_weights(nnx.merge(graph, weights))
    save_file({name: np.asarray(weight) for name, weight in trained.items()}, WEIGHTS)
    seconds = round(time.perf_counter() - started)
    _write("training", {"steps": STEPS, "seconds": seconds, "hardware": _hardware()})


def score() -> None:
    """SI-SDR of every mixture of held-out speakers in held-out noise, the picture and the sounds."""
    model = with_weights(make_model(), load_file(WEIGHTS), str(WEIGHTS))
    denoise = jax.jit(model)
    recordings = mixtures.read(DATA, test=True)
    rows: dict[str, Any] = {"utterances": NUM_UTTERANCES}
    shown: list[tuple[str, np.ndarray]] = []
    heard: list[np.ndarray] = []
    for kind in mixtures.NOISES:
        for snr_db in SNRS_DB:
            of_all = [
                _sounds(denoise, recordings, kind, snr_db, seed) for seed in range(NUM_UTTERANCES)
            ]
            ratios = [
                {
                    name: si_sdr_db(sound, sounds["clean"])
                    for name, sound in sounds.items()
                    if name != "clean"
                }
                for sounds in of_all
            ]
            means = {
                name: round(float(np.mean([of_one[name] for of_one in ratios])), 2)
                for name in ratios[0]
            }
            rows[f"{kind}, {snr_db} dB"] = means
            if snr_db == 0:
                heard += [np.pad(sound, (0, 2000)) for sound in of_all[0].values()]
                shown += [
                    (f"{kind}, {name}" + (f", {ratios[0][name]:.1f} dB" if name in means else ""), of_all[0][name])
                    for name in ("noisy", "network", "clean")
                ]  # fmt: skip
    _write("si_sdr_db", rows)
    _write("stream", _stream(model, shown[0][1]))
    sizes = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model)))
    field = model.receptive_field
    _write("model", {"parameters": sizes, "past_frames": field.past, "future_frames": field.future})
    waveform_and_spectrogram(
        [(title, _limited(sound)) for title, sound in shown], SAMPLE_RATE, HERE / "denoised.png"
    )
    wd.audio.save(HERE / "denoised.flac", _limited(np.concatenate(heard)), SAMPLE_RATE)


def _sounds(
    denoise: Any, recordings: mixtures.Recordings, kind: str, snr_db: float, seed: int
) -> dict[str, np.ndarray]:
    """A mixture, what each way makes of it, and the speech in it, which is the same at every ratio."""
    rng = np.random.default_rng([1, seed])
    speech = mixtures.utterance(recordings, rng)
    noise = mixtures.noise(recordings, kind, len(speech), rng, vary=False)
    noisy = mixtures.mix(speech, noise, snr_db)
    lead = noisy[: round(mixtures.LEAD_SECONDS * SAMPLE_RATE)]
    return {
        "noisy": noisy,
        "Wiener, noise of the first 0.25 s": wiener(noisy, lead),
        "Wiener, this noise's mean spectrum known": wiener(noisy, noisy - speech),
        "network": _whole(denoise, noisy),
        "clean": speech,
    }


def _whole(gains_of: Any, noisy: np.ndarray) -> np.ndarray:
    """The denoised signal, of as many samples."""
    # Complete frames, and after them as many as its last samples need.
    silence = -len(noisy) % HOP + DELAY
    frames = spectra(np.pad(noisy, (DELAY, silence)))
    gains = np.asarray(gains_of(features(frames)[None])[0])
    return overlapping(gains * frames, np.zeros(DELAY, np.float32))[0][DELAY:][: len(noisy)]


def _stream(model: Sequential, noisy: np.ndarray) -> dict[str, Any]:
    """The same weights block by block of 64 ms, with the delay that the network and the frames have."""
    layer = Delayed(model)
    graph, weights = nnx.split(layer)
    step = jax.jit(lambda weights, x, state: nnx.merge(graph, weights).step(x, state))
    delay = HOP * layer.delay + DELAY
    noisy = noisy[: len(noisy) // (BLOCK * HOP) * BLOCK * HOP]
    state, past = layer.init_state(1), np.zeros(DELAY, np.float32)
    incomplete = np.zeros(DELAY, np.float32)
    waiting = np.zeros((layer.delay, NUM_BINS), np.complex64)
    outputs, seconds = [], []
    for block in np.split(noisy, len(noisy) // (BLOCK * HOP)):
        started = time.perf_counter()
        extended = np.concatenate([past, block])
        frames, past = spectra(extended), extended[-DELAY:]
        gains, state = step(weights, features(frames)[None], state)
        waiting = np.concatenate([waiting, frames])
        sound, incomplete = overlapping(np.asarray(gains[0]) * waiting[:BLOCK], incomplete)
        waiting = waiting[BLOCK:]
        seconds.append(time.perf_counter() - started)
        outputs.append(sound)
    streamed = np.concatenate(outputs)[delay:]
    whole = _whole(jax.jit(model), noisy)[: len(streamed)]
    return {
        "delay_samples": delay,
        "delay_ms": 1000 * delay / SAMPLE_RATE,
        "largest_difference_from_whole": float(np.abs(streamed - whole).max()),
        "largest_output": float(np.abs(whole).max()),
        "block_ms": 1000 * BLOCK * HOP / SAMPLE_RATE,
        "computing_ms_a_block": round(1000 * float(np.median(seconds)), 1),
    }


def _limited(sound: np.ndarray) -> np.ndarray:
    return np.clip(sound, -1, 1)


def _hardware() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, {jax.default_backend()}"


def _write(name: str, value: dict[str, Any]) -> None:
    path = HERE / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results[name] = value
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(name, value, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
