"""What `--training.remat` saves and costs: `python remat.py [--rounds 9]`, one step of 1 x 16,384 and 65,536 samples.

The memory is that of the compiler's plan; of the shorter step both kinds take their turns.
"""

import argparse
import dataclasses
import os
from typing import Any

import jax
from ours import random_batch, run_config
from sizes import Sizes
from timing import alternate, ratio

from wavedil.training import initial_state, make_update


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    model, timed = Sizes().model, Sizes().num_samples
    print("samples | temporary memory (MiB) | with remat | share | time with remat over without")
    print("---|---|---|---|---")
    for num_samples in (timed, 4 * timed):
        steps = {remat: _step(model, num_samples, remat) for remat in (False, True)}
        kept, again = (
            step.memory_analysis().temp_size_in_bytes / 2**20 for _, step in steps.values()
        )
        cost = ""
        if num_samples == timed:
            taken = alternate({str(remat): _turn(*step) for remat, step in steps.items()}, rounds)
            found = ratio(taken["True"], taken["False"])
            cost = "{median:.3f} ({lowest:.3f} to {highest:.3f})".format(**found)
        print(f"{num_samples:,} | {kept:.0f} | {again:.0f} | {again / kept:.2f} | {cost}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _step(model: Any, num_samples: int, remat: bool) -> tuple[Any, Any]:
    """A run's settings with one window, and the compiled step."""
    config = run_config(model)
    config = dataclasses.replace(config, training=dataclasses.replace(config.training, remat=remat))
    batch = random_batch(model, num_samples)
    state = jax.eval_shape(lambda: initial_state(config))
    return (config, batch), make_update(config).lower(state, batch).compile()


def _turn(given: tuple[Any, Any], step: Any) -> Any:
    config, batch = given
    state = initial_state(config)

    def take() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(step(state, batch))

    return take


if __name__ == "__main__":
    main()
