"""What a model is, in facts and in lines for people."""

import shlex
from pathlib import Path
from typing import Any

from wavedil.models.registry import Model, abstract_model, wavenet_of
from wavedil.models.wavenet import WaveNet
from wavedil.models.weights import named_weights
from wavedil.training.task import RunConfig


def model_facts(model: Model) -> dict[str, Any]:
    """How large a model is, how far it sees, and what it keeps while it generates."""
    from wavedil.generation import state_bytes

    facts: dict[str, Any] = {
        "architecture": model.config.name,
        "parameters": sum(weight.size for weight in named_weights(model).values()),
    }
    wavenet: Any = wavenet_of(model)
    field, mel = wavenet.receptive_field, getattr(wavenet.config, "mel", None)
    # Of frames, the samples from the first of the first to the last of the last.
    samples = field.size if mel is None else (field.size - 1) * mel.hop + mel.fft_size
    facts |= {
        "receptive_field_samples": samples,
        "receptive_field_ms": 1000 * samples / wavenet.config.sample_rate,
    }
    if isinstance(wavenet, WaveNet):
        facts["generation_state_bytes"] = state_bytes(wavenet.config)
    elif not field.future:  # what sees none streams
        facts["stream_state_bytes"] = _stream_state_bytes(wavenet)
    return facts


def _stream_state_bytes(model: Any) -> int:
    """What a model keeps of one signal that comes block by block; its weights may be shapes alone."""
    import jax
    from flax import nnx

    graph, weights = nnx.split(model)
    knobs = getattr(model.config, "lowest_settings", {})
    setting = {"knobs": knobs} if knobs else {}
    state = jax.eval_shape(lambda it: nnx.merge(graph, it).init_state(1, **setting), weights)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


def describe(config: RunConfig) -> list[str]:
    """The device and the model of a resolved configuration, in lines for people."""
    import jax

    facts = model_facts(abstract_model(config.model))
    parts = [f"{facts['architecture']}: {facts['parameters']:,} parameters"]
    if "receptive_field_samples" in facts:
        samples, ms = facts["receptive_field_samples"], facts["receptive_field_ms"]
        parts.append(f"receptive field {samples:,} samples ({ms:.3g} ms)")
    if "generation_state_bytes" in facts:
        parts.append(f"{facts['generation_state_bytes']:,} bytes of state while it generates")
    if "stream_state_bytes" in facts:
        parts.append(f"{facts['stream_state_bytes']:,} bytes of state while it follows a stream")
    device = jax.local_devices()[0]
    return [f"device: {device.device_kind} ({device.platform})", ", ".join(parts)]


def what_next(config: RunConfig, folder: Path, out: str | Path = "out.wav") -> str:
    """What to do with a trained model, with the command for it.

    Args:
      config: Resolved.
      folder: Of the run.
      out: The sound file that the command writes, where it writes one.
    """
    run, to, task = shlex.quote(str(folder)), shlex.quote(str(out)), config.task.name
    if task == "classifier":
        return f"ask it: wavedil classify {run} a.wav"
    if task == "effect":
        knobs = "".join(
            f" --knob {knob.knob}={(knob.least + knob.most) / 2:g}" for knob in config.model.knobs
        )
        return f"play through it: wavedil apply {run} in.wav {to}{knobs}"
    if task == "features":
        return f"hear it with a vocoder: wavedil generate {run} {to} --vocoder VOCODER_RUN"
    local = getattr(config.model, "local_conditioning", None)
    resynthesizes = local is not None and (local.mel is not None or task == "autoencoder")
    like = (
        " --like recording.wav" if resynthesizes else "" if local is None else " --features x.npy"
    )
    return f"hear it: wavedil generate {run} {to}{like}"
