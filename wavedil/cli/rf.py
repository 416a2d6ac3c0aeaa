"""`wavedil rf`: the receptive field of a stack of dilated causal convolutions, without JAX."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from wavedil.receptive_field import LayerRow, format_dilations, parse_dilations, stack_dilations
from wavedil.receptive_field import table as layer_table


@dataclass(frozen=True, kw_only=True)
class Rf:
    """Receptive field of a stack of dilated causal convolutions, layer by layer.

    Example: wavedil rf --kernel-size 2 --dilations 1:512 --cycles 3 --sample-rate 16000
    """

    kernel_size: int = 2
    """Taps of every dilated layer."""
    dilations: str = "1:512"
    """Samples between taps, layer by layer: 1:512 for 1, 2, 4 ... 512, or a list such as 1,2,4."""
    cycles: int = 1
    """How often the dilations are repeated."""
    input_kernel_size: int = 1
    """Taps of an undilated convolution before the stack; 1 for none."""
    sample_rate: int = 16000
    """Samples per second, in Hz."""
    json: bool = False
    """Print one JSON object: size, past, future, num_taps (samples), milliseconds, layers."""


def rf(args: Rf) -> None:
    """Prints what `args` asks for.

    Raises:
      UserError: If a size is below 1 or the dilations cannot be read.
    """
    dilations = stack_dilations(args.dilations, args.cycles)
    rows = layer_table(args.kernel_size, dilations, input_kernel_size=args.input_kernel_size)
    print(_as_json(args, rows) if args.json else _as_text(args, rows))


def _as_json(args: Rf, rows: Sequence[LayerRow]) -> str:
    field = rows[-1].receptive_field
    layers = [
        {
            "name": row.name,
            "kernel_size": row.kernel_size,
            "dilation": row.dilation,
            "size": row.receptive_field.size,
            "milliseconds": row.receptive_field.milliseconds(args.sample_rate),
        }
        for row in rows
    ]
    return json.dumps(
        {
            "size": field.size,
            "past": field.past,
            "future": field.future,
            "num_taps": field.num_taps,
            "milliseconds": field.milliseconds(args.sample_rate),
            "sample_rate": args.sample_rate,
            "layers": layers,
        }
    )


def _as_text(args: Rf, rows: Sequence[LayerRow]) -> str:
    field = rows[-1].receptive_field
    milliseconds = field.milliseconds(args.sample_rate)
    cycles = f", {args.cycles} times" if args.cycles > 1 else ""
    dilations = format_dilations(parse_dilations(args.dilations))
    lines = [
        f"receptive field: {field.size} samples, {milliseconds:g} ms at {args.sample_rate} Hz",
        f"an output sees {field.past} samples before its own and {field.future} after it",
        f"{len(rows)} layers, kernel size {args.kernel_size}, dilations {dilations}{cycles}",
    ]
    if field.num_taps < field.size:
        lines.append(
            f"holes: only {field.num_taps} of the {field.size} samples are seen; "
            f"begin the dilations with 1 and let them grow at most {args.kernel_size}-fold"
        )
    return "\n".join([*lines, "", *_table_lines(args, rows)])


def _table_lines(args: Rf, rows: Sequence[LayerRow]) -> list[str]:
    cells: list[tuple[str, ...]] = [
        ("layer", "kernel size", "dilation", "adds", "receptive field", "ms")
    ]
    for row in rows:
        size = row.receptive_field.size
        adds = (row.kernel_size - 1) * row.dilation
        milliseconds = f"{row.receptive_field.milliseconds(args.sample_rate):.3f}"
        counts = (row.kernel_size, row.dilation, f"+{adds}", size)
        cells.append((row.name, *map(str, counts), milliseconds))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.rjust, line, widths)) for line in cells]
