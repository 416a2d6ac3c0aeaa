"""How much of its receptive field a trained WaveNet uses: the effective field of its predictions."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import wavedil as wd
from wavedil.data import Corpus
from wavedil.receptive_field import effective
from wavedil.report import draw_effective_field
from wavedil.runs import RunFolder

NUM_WINDOWS, NUM_OUTPUTS, SPREAD = 32, 64, 512
SHARES = (0.5, 0.9, 0.99)


def measure_used_field(run: str, picture: Path) -> dict[str, Any]:
    """Figures of a run's model, and of the same model before it was trained; draws the former."""
    model = wd.load(run)
    config = RunFolder(run).read_config()
    corpus = config.task.read(config)
    rate = model.config.sample_rate
    results: dict[str, Any] = {
        "size": model.receptive_field.size,
        "milliseconds": model.receptive_field.milliseconds(rate),
    }
    models = {"trained": model, "untrained": wd.WaveNet(model.config, rngs=nnx.Rngs(0))}
    for name, this in models.items():
        codes, labels = held_out_windows(this, corpus)
        field = used_field(this, codes, labels)
        results["windows"] = len(codes)
        results[name] = {f"{share:.0%}": field.within(share) for share in SHARES}
        print(f"{name}, {len(codes)} windows: {field}")
        if name == "trained":
            draw_effective_field(field, picture, sample_rate=rate, title="trained WaveNet")
    print(f"wrote {picture}")
    return results


def used_field(model: wd.WaveNet, codes: Any, labels: dict[str, Any]) -> Any:
    """Energy of the gradient of log p(next sample) by the embedded samples before it."""

    def log_prob_of_next(embedded: Any) -> Any:
        condition = model.conditioning(len(codes), labels)
        _, skip = model.stack(model.input(embedded), condition)
        return model.distribution.log_prob(model.head(skip), codes[:, 1:])

    return effective(
        log_prob_of_next,
        model.enter(codes[:, :-1]),
        receptive_field=model.receptive_field,
        num_outputs=NUM_OUTPUTS,
    )


def held_out_windows(model: wd.WaveNet, corpus: Corpus) -> tuple[jax.Array, dict[str, Any]]:
    """The middle of held-out recordings, long enough for whole fields, spread over all that are; and their labels."""
    length = model.receptive_field.size + SPREAD + 1
    fitting = [recording for recording in corpus.test if len(recording.codes) >= length]
    if not fitting:
        raise wd.UserError(
            f"no held-out recording has {length} samples, the receptive field and {SPREAD} more; hold out longer ones"
        )
    chosen = fitting[:: max(1, len(fitting) // NUM_WINDOWS)][:NUM_WINDOWS]
    windows = []
    for recording in chosen:
        start = (len(recording.codes) - length) // 2
        windows.append(recording.codes[start : start + length].astype(np.int32))
    labels = model.config.labels.rows_of([recording.labels for recording in chosen])
    return jnp.asarray(np.stack(windows)), labels
