"""Output distributions: what mixtures cost beside a categorical output, by themselves and in a training step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ours import compiled_step, random_batch, run_config
from sizes import Sizes
from timing import alternate, rates, ratio, summary

from wavedil import distributions
from wavedil.models import WaveNetConfig
from wavedil.training import initial_state

# Changes to the network; the first is what the others are compared with. Up to the last layer all are the same,
# except that 65,536 levels enter as amplitudes: an embedding of each would be most of the network.
OUTPUTS: dict[str, dict[str, Any]] = {
    "categorical, 256 levels": {},
    "10 logistics, 256 levels": {"output": "logistic"},
    "1 Gaussian, 256 levels": {"output": "gaussian"},
    "10 logistics, 65,536 linear levels": {
        **{"output": "logistic", "levels": 65536, "companding": "linear", "input": "scalar"},
    },
}


def measure(sizes: Sizes) -> dict[str, Any]:
    configs = {
        name: WaveNetConfig.from_dict({**sizes.model.to_dict(), **changes})
        for name, changes in OUTPUTS.items()
    }
    losses = {name: _loss(config, sizes.num_samples) for name, config in configs.items()}
    steps = {name: _step(config, sizes.num_samples) for name, config in configs.items()}
    loss_times = alternate(losses, sizes.rounds)
    step_times = alternate(steps, sizes.rounds)
    first = next(iter(OUTPUTS))
    return {
        "num_samples": sizes.num_samples,
        "layers": len(sizes.model.layer_dilations),
        "rows": {
            name: {
                "loss_seconds": summary(loss_times[name]),
                "loss_times_categorical": ratio(loss_times[name], loss_times[first]),
                "samples_per_second": rates(sizes.num_samples, step_times[name]),
                "step_times_categorical": ratio(step_times[name], step_times[first]),
            }
            for name in OUTPUTS
        },
    }


def _loss(config: WaveNetConfig, num_samples: int) -> Callable[[], object]:
    """Value and gradient of the loss alone, by the parameters of the distribution."""
    family = distributions.make(
        config.output, config.levels, config.companding, config.num_components
    )
    rng = np.random.default_rng(0)
    parameters = jnp.asarray(rng.normal(size=(1, num_samples, family.num_outputs)), jnp.float32)
    codes = jnp.asarray(rng.integers(0, config.levels, (1, num_samples)))
    loss = jax.jit(jax.value_and_grad(lambda p: -family.log_prob(p, codes).mean()))
    return lambda: jax.block_until_ready(loss(parameters))


def _step(config: WaveNetConfig, num_samples: int) -> Callable[[], object]:
    """The training step that `wavedil train` runs."""
    batch = random_batch(config, num_samples)
    step, state = compiled_step(config, batch), initial_state(run_config(config))

    def call() -> None:
        nonlocal state
        state, metrics = step(state, batch)
        jax.block_until_ready((state, metrics))

    return call


def table(results: dict[str, Any]) -> list[str]:
    def times(value: dict[str, Any]) -> str:
        return f"{value['median']:.2f}x ({value['lowest']:.2f} to {value['highest']:.2f})"

    return [
        f"Output distributions, {results['layers']} layers, 1 x {results['num_samples']:,} samples, float32 "
        "(aim: a step of at most 1.15x the categorical's):",
        "",
        "| | loss and its gradient, ms | ratio | training step, samples/s | time of a step, ratio |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {1e3 * row['loss_seconds']['median']:.0f} | {times(row['loss_times_categorical'])} "
            f"| {row['samples_per_second']['median']:,.0f} | {times(row['step_times_categorical'])} |"
            for name, row in results["rows"].items()
        ),
    ]
