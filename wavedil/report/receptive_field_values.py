"""Receptive fields as plain values for JSON: a stack, designs to choose from, declared beside traced."""

from collections.abc import Mapping, Sequence
from typing import Any

from wavedil.models.context_stack import ContextStackConfig
from wavedil.receptive_field import Design, ReceptiveField, holes, table
from wavedil.report.receptive_field_text import MOST_LAGS_COUNTED


def stack_values(stack: Design, sample_rate: float) -> dict[str, Any]:
    """A stack, its field and its layers; lags with no path, and evenness, unless the field is very long."""
    entry = {"input_kernel_size": stack.input_kernel_size}
    counted = stack.size <= MOST_LAGS_COUNTED
    return {
        **field_values(stack.receptive_field, sample_rate),
        "sample_rate": sample_rate,
        **_sizes(stack),
        "num_holes": stack.num_holes,
        "holes": holes(stack.kernel_size, stack.layer_dilations, **entry) if counted else None,
        "evenness": float(stack.evenness) if counted else None,
        "layers": _layers(stack, sample_rate),
    }


def context_values(
    context: ContextStackConfig, field: ReceptiveField, sample_rate: float
) -> dict[str, Any]:
    """The values that a context stack changes: the field of both stacks together, and the context stack's sizes.

    The layers stay those of the stack by itself; paths through both are not counted.
    """
    num_holes = field.size - field.num_taps
    return {
        **field_values(field, sample_rate),
        "num_holes": num_holes,
        "holes": field.holes if field.size <= MOST_LAGS_COUNTED else None,
        "evenness": None,
        "context": {
            **context.to_dict(),
            **field_values(context.receptive_field, sample_rate),
            "layers": _layers(context.stack, sample_rate, context.factor),
        },
    }


def frames_values(hop: int, field: ReceptiveField, sample_rate: float) -> dict[str, Any]:
    """The frames of features or latents, one every `hop` samples, that a sample depends on."""
    return {**field_values(field, sample_rate / hop), "hop": hop, "frames": list(field.taps)}


def designs_values(designs: Sequence[Design], wanted: int, sample_rate: float) -> dict[str, Any]:
    """A ranked list of designs, each with its sizes and what it costs."""
    return {
        "target_samples": wanted,
        "target_milliseconds": 1000 * wanted / sample_rate,
        "sample_rate": sample_rate,
        "residual_channels": designs[0].residual_channels,
        "skip_channels": designs[0].skip_channels,
        "designs": [
            {
                **_sizes(found),
                "size": found.size,
                "milliseconds": 1000 * found.size / sample_rate,
                "num_layers": found.num_layers,
                "parameters": found.parameters,
                "multiply_adds": found.multiply_adds,
                "state_bytes": found.state_bytes,
                "num_holes": found.num_holes,
                "evenness": float(found.evenness) if found.size <= MOST_LAGS_COUNTED else None,
            }
            for found in designs
        ],
    }


def comparison_values(fields: Mapping[str, ReceptiveField], sample_rate: float) -> dict[str, Any]:
    """Fields of the same network from several sources, and whether they are equal."""
    first, *others = fields.values()
    return {
        **{source: field_values(field, sample_rate) for source, field in fields.items()},
        "agree": all(other == first for other in others),
    }


def field_values(field: ReceptiveField, sample_rate: float) -> dict[str, Any]:
    """A field in samples, and its length in milliseconds."""
    return {
        "size": field.size,
        "past": field.past,
        "future": field.future,
        "num_taps": field.num_taps,
        "stride": str(field.stride),
        "milliseconds": field.milliseconds(sample_rate),
    }


def _layers(stack: Design, sample_rate: float, step: int = 1) -> list[dict[str, Any]]:
    """The layers of a stack that runs once every `step` samples; dilations are in steps."""
    rows = table(
        stack.kernel_size, stack.layer_dilations, input_kernel_size=stack.input_kernel_size
    )
    return [
        {
            "name": row.name,
            "kernel_size": row.kernel_size,
            "dilation": row.dilation,
            "size": step * row.receptive_field.size,
            "milliseconds": step * row.receptive_field.milliseconds(sample_rate),
        }
        for row in rows
    ]


def _sizes(stack: Design) -> dict[str, Any]:
    return {
        "kernel_size": stack.kernel_size,
        "dilations": stack.dilations,
        "cycles": stack.cycles,
        "input_kernel_size": stack.input_kernel_size,
    }
