"""Training on the devices of a process: the program of `tests/training/test_several_devices.py`."""

import functools
import math
import os
import re
import signal
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import four_devices
import jax
import jax.numpy as jnp
import numpy as np
import training_runs as runs
from on_devices import MOVES

from wavedil.data import Batch
from wavedil.frames import BEYOND
from wavedil.runs import train_as
from wavedil.training import initial_state, loop, make_update
from wavedil.training.parts import everywhere, shared

BATCH_SIZE, WINDOW_SIZE, STEPS = 8, 24, 50


class Steps(NamedTuple):
    losses: Any  # [step, 2], with what each step counted
    moment: Any  # Adam's first after the first step: a tenth of the clipped gradient
    num_weights: int
    text: str  # of the compiled step


def batch(seed):
    """Windows of many lengths: the devices have other numbers of targets that count, one of them none."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, runs.LEVELS, (BATCH_SIZE, WINDOW_SIZE + 1)).astype(np.int32)
    lengths = rng.integers(1, WINDOW_SIZE + 1, BATCH_SIZE)
    lengths[-2:] = 0
    ragged = np.where(np.arange(WINDOW_SIZE) < lengths[:, None], codes[:, 1:], BEYOND)
    return Batch(ragged, codes[:, :1], {})


@functools.cache
def steps(dtype, devices=1, *, dropout=0.0, count=STEPS, accumulate=1):
    config = runs.run_config(
        model=runs.model_config(dropout=dropout),
        **{"steps": STEPS, "warmup_steps": 5, "batch_size": BATCH_SIZE},
        **{"devices": devices, "accumulate": accumulate},
    )
    place = functools.partial(shared, config.training)
    state = jax.tree.map(
        lambda leaf: leaf.astype(dtype) if leaf.dtype == jnp.float32 else leaf,
        initial_state(config),
    )
    num_weights = sum(leaf.size for leaf in state.weights.values())
    state = everywhere(config.training, state)
    update = make_update(config).lower(state, place(batch(0))).compile()
    losses, moment = [], None
    for step in range(count):
        state, metrics = update(state, place(batch(step)))
        losses.append((float(metrics.loss), float(metrics.weight)))
        total, weight = metrics.named["bits"]
        np.testing.assert_allclose(total / weight * np.log(2), metrics.loss, rtol=1e-6)
        if moment is None:
            (adam,) = [part for part in state.optimizer[1] if hasattr(part, "mu")]
            moment = {name: np.array(leaf) for name, leaf in adam.mu.items()}
    return Steps(np.array(losses), moment, num_weights, update.as_text())


def assert_same_gradients(one, other, relative):
    """The norm of the difference, to that of the gradient."""
    scale = math.sqrt(sum(np.sum(np.square(leaf)) for leaf in one.values()))
    apart = math.sqrt(sum(np.sum(np.square(one[name] - other[name])) for name in one))
    assert apart < relative * scale, apart / scale


def gradients():
    for dtype, relative in ("float32", 1e-6), ("float64", 1e-12):
        assert_same_gradients(steps(dtype).moment, steps(dtype, 4).moment, relative)


def losses():
    for dtype, relative in ("float32", 1e-3), ("float64", 1e-9):
        one, four = steps(dtype).losses, steps(dtype, 4).losses
        assert one[-1, 0] < one[0, 0]
        np.testing.assert_allclose(four, one, rtol=relative)


def parts_anywhere():
    """With dropout, whose draws are those of a part."""
    same = {"dropout": 0.5, "count": 3}
    one = steps("float64", accumulate=4, **same)
    two = steps("float64", 2, accumulate=2, **same)
    np.testing.assert_allclose(two.losses, one.losses, rtol=1e-9)
    assert_same_gradients(one.moment, two.moment, 1e-12)


def moves():
    """Once for each weight and few more numbers, outside all loops, and by sums alone."""
    for _, num_weights, text in (
        steps("float32", 4)[1:],
        steps("float64", 2, accumulate=2, dropout=0.5, count=3)[1:],
    ):
        begin = text.index("\nENTRY ")
        # Beside the gradients: the loss, what it counts, and both of the bits. Of what is known to be zero there is
        # no sum: the last block's residual output has no reader.
        for part, most in (text[:begin], 0), (text[begin:], num_weights + 4):
            found = re.findall(rf"= (.*) ({MOVES})(?:-start)?\(", part)
            assert {kind for _, kind in found} <= {"all-reduce"}, found
            shapes = re.findall(r"f\d+\[([\d,]*)\]", " ".join(types for types, _ in found))
            summed = sum(math.prod(map(int, filter(None, shape.split(",")))) for shape in shapes)
            assert 0.9 * most <= summed <= most, (summed, most)


def taken_up():
    """A run that is stopped twice, on one device, on four, and on one again."""
    place, corpus = Path(tempfile.mkdtemp()), runs.corpus()
    loop.make_update = runs.shared_update

    def train(folder, devices, until=None):
        def report(progress):
            if progress.step == until:
                os.kill(os.getpid(), signal.SIGINT)

        own = runs.run_config(devices=devices, batch_size=4, evaluate_every=12)
        return train_as(own, place / folder, corpus=corpus, report=report, warn=runs.fail)

    ended = [train("moved", devices, until) for devices, until in ((1, 3), (4, 7), (1, None))]
    assert [run.stopped_by for run in ended] == ["SIGINT", "SIGINT", None]
    assert ended[-1].step == train("stayed", 1).step == 12
    moved, stayed = (runs.lines(place / folder) for folder in ("moved", "stayed"))
    assert len(moved) == len(stayed)
    for line, other in zip(moved, stayed, strict=True):
        assert line.keys() == other.keys()
        np.testing.assert_allclose(list(line.values()), list(other.values()), rtol=1e-4)
    devices = {leaf.sharding.num_devices for leaf in jax.tree.leaves(ended[1].model)}
    assert devices == {1}


CHECKS = {
    "gradients": gradients,
    "losses": losses,
    "parts anywhere": parts_anywhere,
    "moves": moves,
    "taken up": taken_up,
}

if __name__ == "__main__":
    four_devices.main(CHECKS)
