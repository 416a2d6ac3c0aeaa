"""The answers of `wavedil rf`, in words and as values: on a stack, a configuration, a model, and on a target."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavedil.errors import UserError
from wavedil.receptive_field import (
    Design,
    ReceptiveField,
    design,
    samples_text,
    target_samples,
)
from wavedil.report.receptive_field_text import (
    comparison_text,
    context_text,
    designs_text,
    frames_text,
    stack_text,
)
from wavedil.report.receptive_field_values import (
    comparison_values,
    context_values,
    designs_values,
    frames_values,
    stack_values,
)

if TYPE_CHECKING:
    from wavedil.models import ContextStackConfig, WaveNet, WaveNetConfig
    from wavedil.receptive_field import TracedField


@dataclass(frozen=True)
class Answer:
    """One answer, as text or as JSON values, and what trees and files show: a stack, or where there is none a trace.

    Attributes:
      context: The context stack that conditions the stack.
      frames: What the frames are that condition it, features or latents; the samples to each, and those an output sees.
    """

    stack: Design | None
    sample_rate: int
    text: Callable[[], str]
    values: Callable[[], dict[str, Any]]
    traced: "TracedField | None" = None
    context: "ContextStackConfig | None" = None
    frames: tuple[str, int, ReceptiveField] | None = None


def of_stack(stack: Design, sample_rate: int) -> Answer:
    """The receptive field of a stack, layer by layer."""
    return Answer(
        stack,
        sample_rate,
        lambda: stack_text(stack, sample_rate),
        lambda: stack_values(stack, sample_rate),
    )


def of_target(target: str, sample_rate: int, *, dilations: Any = None, **limits: Any) -> Answer:
    """Stacks that reach a target such as 300ms, 0.3s or 4800 samples, the best first.

    Raises:
      UserError: If the target cannot be read, or nothing within the limits reaches it.
    """
    wanted = target_samples(**_length_of(target), sample_rate=sample_rate)
    designs = design(samples=wanted, sample_rate=sample_rate, rates=dilations, **limits)
    return Answer(
        designs[0],
        sample_rate,
        lambda: designs_text(designs, wanted, sample_rate),
        lambda: designs_values(designs, wanted, sample_rate),
    )


def of_config(path: Path) -> Answer:
    """The receptive field of a WaveNet of these settings.

    Raises:
      UserError: If the file holds no settings of a WaveNet.
    """
    return _of_network(_read_config(path))


def of_model(folder: Path) -> Answer:
    """The receptive field that a saved model declares, beside the one traced through its code.

    A WaveNet is a stack of layers too.

    Raises:
      UserError: If the folder holds no model.
    """
    import jax
    import jax.numpy as jnp

    from wavedil.formats import load
    from wavedil.models import WaveNet, wavenet_of
    from wavedil.receptive_field import trace

    loaded = load(folder)
    model: Any = wavenet_of(loaded)
    if not isinstance(model, WaveNet):
        return _of_other(model)
    answer = _of_network(model.config)
    declared = model.receptive_field
    # Twice the field, so that there are outputs with all of it inside the signal.
    codes = jax.ShapeDtypeStruct((1, 2 * declared.size), jnp.int32)
    local = model.config.local_conditioning
    # Zeros: which codes are seen does not depend on the values of the condition.
    condition = None if local is None else jnp.zeros((1, codes.shape[1], local.channels))
    traced = trace(lambda codes: model(codes, local=condition), codes)
    fields = {"declared": declared, "traced": traced.receptive_field}
    rate = answer.sample_rate
    compared = replace(
        answer,
        text=lambda: f"{answer.text()}\n\n{comparison_text(fields, rate)}",
        values=lambda: answer.values() | comparison_values(fields, rate),
    )
    if local is None or local.hop is None:
        return compared
    name, hop = "features" if loaded is model else "latents", local.hop
    frames = _field_of_frames(model)
    return replace(
        compared,
        text=lambda: f"{compared.text()}\n\n{frames_text(name, hop, frames)}",
        values=lambda: compared.values() | {name: frames_values(hop, frames, rate)},
        frames=(name, hop, frames),
    )


def _of_other(model: Any) -> Answer:
    """The field of a model that is no WaveNet; of one of frames, such as mel spectra, in frames too."""
    import jax
    import jax.numpy as jnp

    from wavedil.models import AmpModel, DiffWave
    from wavedil.receptive_field import trace
    from wavedil.runs.description import model_facts

    declared, hop = model.receptive_field, getattr(model.config, "hop", 1)
    rate = model.config.sample_rate
    x = jax.ShapeDtypeStruct((1, 2 * declared.size, model.in_channels), jnp.float32)
    given: dict[str, Any] = {}  # which samples are seen does not depend on its values
    if isinstance(model, DiffWave):
        given = {"noise_step": jnp.ones(1, jnp.int32)}
    elif isinstance(model, AmpModel) and model.config.knobs:
        given = {"knobs": model.config.lowest_settings}
    traced = trace(lambda x: model(x, **given), x)
    fields = {"declared": declared, "traced": traced.receptive_field}
    facts = {name: value for name, value in model_facts(model).items() if "state" not in name}
    samples, milliseconds = facts["receptive_field_samples"], facts["receptive_field_ms"]
    lines = [
        f"{facts['architecture']}, receptive field: {samples_text(samples)}, {milliseconds:g} ms at {rate:g} Hz",
        *([f"in frames, one every {hop} samples:"] if hop > 1 else []),
    ]
    return Answer(
        None,
        rate,
        lambda: "\n".join([*lines, "", comparison_text(fields, rate / hop)]),
        lambda: facts | {"sample_rate": rate, "hop": hop} | comparison_values(fields, rate / hop),
        traced,
    )


def _field_of_frames(model: "WaveNet") -> ReceptiveField:
    """The frames of features, or latents, that a sample depends on, by a trace."""
    import jax
    import jax.numpy as jnp

    from wavedil.receptive_field import trace

    local = model.config.local_conditioning
    assert local is not None and local.hop is not None
    # A sample sees the condition of all samples of its field, and each of these frames around its own.
    num_frames = 2 * (-(-model.receptive_field.size // local.hop) + 2 * local.lookaround_frames + 2)
    codes = jnp.zeros((1, num_frames * local.hop), jnp.int32)

    def outputs(features: jax.Array) -> jax.Array:
        return model(codes, local=model.conditioning.upsample(features, codes.shape[1]))

    features = jax.ShapeDtypeStruct((1, num_frames, local.num_features), jnp.float32)
    return trace(outputs, features).receptive_field


def _of_network(config: "WaveNetConfig") -> Answer:
    """The receptive field of a WaveNet; with a context stack, of both together and then of the stack by itself."""
    stack, context, sample_rate = _stack_of(config), config.context_stack, config.sample_rate
    answer = of_stack(stack, sample_rate)
    if context is None:
        return answer
    field = config.receptive_field
    return replace(
        answer,
        text=lambda: f"{context_text(context, field, sample_rate)}\n\n{answer.text()}",
        values=lambda: answer.values() | context_values(context, field, sample_rate),
        context=context,
    )


def _stack_of(config: "WaveNetConfig") -> Design:
    return Design(
        kernel_size=config.kernel_size,
        dilations=config.dilations,
        cycles=config.cycles,
        input_kernel_size=config.input_kernel_size,
        residual_channels=config.residual_channels,
        skip_channels=config.skip_channels,
    )


def _length_of(text: str) -> dict[str, Any]:
    """A length of time as `target_samples` takes it."""
    remedy = "write 300ms, 0.3s, or a number of samples such as 4800"
    match = re.fullmatch(r"\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*([A-Za-z]*)\s*", text)
    if match is None:
        raise UserError(f"target {text!r} is no length of time; {remedy}")
    number, unit = Fraction(match[1]), match[2].lower()
    if unit in ("ms", "s"):
        return {"milliseconds": float(number * (1000 if unit == "s" else 1))}
    if unit not in ("", "sample", "samples"):
        raise UserError(f"target {text!r} has the unknown unit {unit!r}; {remedy}")
    if number.denominator > 1:
        raise UserError(f"target {text!r} is no whole number of samples; {remedy}")
    return {"samples": int(number)}


def _read_config(path: Path) -> "WaveNetConfig":
    """The settings of a WaveNet by themselves, or within those of a run or a saved model, of this version or before."""
    from wavedil.files import read_json
    from wavedil.formats import version_1
    from wavedil.models import WaveNetConfig

    values = read_json(path, "give settings of a WaveNet")
    # Version 1 had a saved model's settings in "config".
    found: Any = values.get("config", values.get("model", values))
    if isinstance(found, dict):
        found = found.get("decoder", found)
    if found == {}:
        raise UserError(
            f"{path} holds no settings; give those of a WaveNet, or options such as --kernel-size and --dilations"
        )
    if isinstance(found, dict) and "name" not in found:
        found = version_1.wavenet(found)
    return WaveNetConfig.from_dict(found)
