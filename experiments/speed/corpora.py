"""Training and evaluation at default settings on recordings of all lengths: counted targets a second.

The peer's loop is PyTorch's, with windows whose every target counts, as wavenet_vocoder has them: the first of them see
zeros for the sound before the window, which costs nothing. It gets the best of several windows.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import peers
from flax import nnx
from ours import TRAINING, compiled_step, run_config
from sizes import Sizes
from timing import alternate, rates, ratio, seconds, summary
from training import training_flops

from wavedil.data import BEYOND, Recording, TrainingWindows, default_window_size
from wavedil.evaluation import bits
from wavedil.models import WaveNet
from wavedil.training import initial_state


def measure(sizes: Sizes) -> dict[str, Any]:
    config = sizes.model
    state = initial_state(run_config(config))
    calls: dict[str, Any] = {}
    targets: dict[str, float] = {}
    shares: dict[str, dict[str, float]] = {}
    steps: dict[Any, Any] = {}
    for name, recordings in sizes.corpora.items():
        windows = _windows(config, recordings.lengths)
        batches = [windows.batch(step) for step in range(sizes.batches)]
        for batch in batches:
            shape = batch.codes.shape, batch.context.shape
            if shape not in steps:
                steps[shape] = compiled_step(config, batch)

        def train(batches: Any = batches) -> None:
            nonlocal state
            for batch in batches:
                state, metrics = steps[batch.codes.shape, batch.context.shape](state, batch)
            jax.block_until_ready((state, metrics))

        counted = sum(int(np.sum(batch.codes != BEYOND)) for batch in batches)
        layers = sum(b.codes.size + len(b.codes) * (b.context.shape[1] - 1) / 2 for b in batches)
        calls[name], targets[name] = train, counted
        shares[name] = {
            "head": counted / sum(batch.codes.size for batch in batches),
            "layers": counted / layers,
        }
    torch_model = peers.WaveNet(config)
    rng = np.random.default_rng(0)
    for window in sizes.peer_windows:
        codes = rng.integers(0, config.levels, (1, window + 1))
        calls[f"pytorch {window}"] = peers.training_step(torch_model, codes)
        targets[f"pytorch {window}"] = window
    matrix = jnp.ones((sizes.matmul, sizes.matmul))
    matmul = jax.jit(jnp.matmul)
    calls["matmul"] = lambda: matmul(matrix, matrix).block_until_ready()
    times = alternate(calls, sizes.corpora_rounds)
    best = max(
        (f"pytorch {window}" for window in sizes.peer_windows),
        key=lambda name: targets[name] / np.median(times[name]),
    )
    gflops = 2 * sizes.matmul**3 / 1e9 / np.median(times["matmul"])
    scored = _evaluation(config, sizes)
    rows = {}
    for name in sizes.corpora:
        trained = rates(targets[name], times[name])
        rows[name] = {
            "recordings": len(sizes.corpora[name].lengths),
            "counted_share_of_head": shares[name]["head"],
            "counted_share_of_layers": shares[name]["layers"],
            "targets_per_second": trained,
            "times_pytorch": ratio(times[best], times[name], targets[name] / targets[best]),
            "share_of_matmul_rate": training_flops(config) * trained["median"] / 1e9 / gflops,
            "scored_samples_per_second": scored[name],
            "scored_over_trained": scored[name]["median"] / trained["median"],
        }
    return {
        "layers": len(config.layer_dilations),
        "receptive_field": config.receptive_field.size,
        "peer": {"window": targets[best], **rates(targets[best], times[best])},
        "rows": rows,
    }


def _recordings(lengths: tuple[int, ...], levels: int) -> list[Recording]:
    longest = np.random.default_rng(0).integers(0, levels, max(lengths)).astype(np.uint8)
    return [Recording(f"{n}.wav", longest[:length]) for n, length in enumerate(lengths)]


def _windows(config: Any, lengths: tuple[int, ...]) -> TrainingWindows:
    return TrainingWindows(
        _recordings(lengths, config.levels),
        window_size=default_window_size(config.context_samples),
        context_samples=config.context_samples,
        label_values={},
        seed=TRAINING.seed,
    )


def _evaluation(config: Any, sizes: Sizes) -> dict[str, Any]:
    """Samples scored a second, of as much of each corpus as an evaluation during training takes."""
    model = WaveNet(config, rngs=nnx.Rngs(0))
    rows = {}
    for name, recordings in sizes.corpora.items():
        left, chosen = sizes.scored, []
        for recording in _recordings(recordings.lengths, config.levels):
            chosen.append(Recording(recording.path, recording.codes[: max(1, left)]))
            left -= recording.num_samples
            if left <= 0:
                break
        num_samples = sum(recording.num_samples for recording in chosen)
        bits(model, chosen[:1])  # compiles
        taken = [seconds(lambda c=chosen: bits(model, c)) for _ in range(sizes.corpora_rounds)]
        rows[name] = summary([num_samples / t for t in taken])
    return rows


def table(results: dict[str, Any]) -> list[str]:
    lines = [
        f"{results['layers']} layers, field {results['receptive_field']:,}; PyTorch with windows of "
        f"{results['peer']['window']:,.0f}: {results['peer']['median']:,.0f} targets/s",
        "",
        "recordings | targets/s | counted, of the head's and the layers' work | times PyTorch | share of a matmul | "
        "scored samples/s | over trained",
        "---|---|---|---|---|---|---",
    ]
    for name, row in results["rows"].items():
        lines.append(
            f"{name} | {row['targets_per_second']['median']:,.0f} | {row['counted_share_of_head']:.2f}, "
            f"{row['counted_share_of_layers']:.2f} | {row['times_pytorch']['median']:.2f} | "
            f"{row['share_of_matmul_rate']:.2f} | {row['scored_samples_per_second']['median']:,.0f} | "
            f"{row['scored_over_trained']:.1f}"
        )
    return lines
