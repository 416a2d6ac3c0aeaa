"""Local conditioning: what 80 mels cost in a training step, and sounds of different lengths in generation."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx
from ours import compiled_step, random_batch, run_config
from sizes import Sizes
from timing import alternate, rates, ratio

from wavedil.data import Batch
from wavedil.frames import num_frames
from wavedil.generation import generate
from wavedil.mel import MelConfig
from wavedil.models import LocalConditioningConfig, WaveNet, WaveNetConfig
from wavedil.training import initial_state


def measure(sizes: Sizes) -> dict[str, Any]:
    mel = MelConfig().at(sizes.model.sample_rate)
    local = LocalConditioningConfig(num_features=mel.num_mels, hop=mel.hop, mel=mel)
    with_mels = dataclasses.replace(sizes.model, local_conditioning=local)
    return {
        "num_samples": sizes.num_samples,
        "layers": len(sizes.model.layer_dilations),
        "mels": mel.num_mels,
        "hop": mel.hop,
        "training": _training(sizes, with_mels),
        "generation": _generation(sizes, with_mels),
    }


def _training(sizes: Sizes, with_mels: WaveNetConfig) -> dict[str, Any]:
    times = alternate(
        {
            "unconditional": _step(sizes.model, random_batch(sizes.model, sizes.num_samples)),
            "mels": _step(
                with_mels, _with_features(random_batch(with_mels, sizes.num_samples), with_mels)
            ),
        },
        sizes.rounds,
    )
    return {
        "samples_per_second": {name: rates(sizes.num_samples, times[name]) for name in times},
        "times_unconditional": ratio(times["mels"], times["unconditional"]),
    }


def _with_features(batch: Batch, config: WaveNetConfig) -> Batch:
    assert config.local_conditioning is not None
    frames = (
        num_frames(batch.codes.shape[1], config.local_conditioning.hop)
        + 2 * config.local_conditioning.lookaround_frames
    )
    features = np.random.default_rng(0).normal(
        size=(1, frames, config.local_conditioning.num_features)
    )
    return batch._replace(features=features.astype(np.float32))


def _step(config: WaveNetConfig, batch: Batch) -> Callable[[], object]:
    """The training step that `wavedil train` runs."""
    step, state = compiled_step(config, batch), initial_state(run_config(config))

    def call() -> None:
        nonlocal state
        state, metrics = step(state, batch)
        jax.block_until_ready((state, metrics))

    return call


def _generation(sizes: Sizes, with_mels: WaveNetConfig) -> dict[str, Any]:
    """Sounds of different lengths beside as long a batch of equal ones."""
    model = WaveNet(with_mels, rngs=nnx.Rngs(0))
    return {
        str(len(ragged)): {
            "frames": [min(ragged), max(ragged)],
            "equal": [num_equal, sum(ragged) // num_equal],
            "times_equal": _ragged(model, ragged, num_equal, sizes.rounds),
        }
        for ragged, num_equal in sizes.ragged
    }


def _ragged(model: WaveNet, ragged: tuple[int, ...], num_equal: int, rounds: int) -> dict[str, Any]:
    equal = (sum(ragged) // num_equal,) * num_equal
    assert sum(equal) == sum(ragged)

    def draw(lengths: tuple[int, ...]) -> Callable[[], object]:
        assert model.config.local_conditioning is not None
        rng, width = np.random.default_rng(0), model.config.local_conditioning.num_features
        features = [rng.normal(size=(length, width)).astype(np.float32) for length in lengths]
        return lambda: generate(model, jax.random.key(0), features=features)

    times = alternate({"ragged": draw(ragged), "equal": draw(equal)}, rounds)
    return ratio(times["ragged"], times["equal"])


def table(results: dict[str, Any]) -> list[str]:
    def times(value: dict[str, Any]) -> str:
        return f"{value['median']:.2f}x ({value['lowest']:.2f} to {value['highest']:.2f})"

    training = results["training"]
    rate = {name: value["median"] for name, value in training["samples_per_second"].items()}
    return [
        f"Training step conditioned on {results['mels']} mels every {results['hop']} samples, "
        f"{results['layers']} layers, 1 x {results['num_samples']:,} samples, float32: "
        f"{rate['mels']:,.0f} samples/s against {rate['unconditional']:,.0f} unconditional, "
        f"{times(training['times_unconditional'])} the time (aim: at most 1.3x).",
        "",
        "| sounds of different lengths (frames) | equal ones of the same total | time, ratio (aim: at most 1.1x) |",
        "|---|---|---|",
        *(
            f"| {count} of {row['frames'][0]} to {row['frames'][1]} | {row['equal'][0]} of {row['equal'][1]} "
            f"| {times(row['times_equal'])} |"
            for count, row in results["generation"].items()
        ),
    ]
