"""Receptive fields for people to read in a terminal: a stack, designs to choose from, declared beside traced."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from wavedil.models.context_stack import ContextStackConfig
from wavedil.receptive_field import (
    Design,
    ReceptiveField,
    format_dilations,
    paths_per_lag,
    samples_text,
    table,
)

# Counting the paths of longer fields may take many seconds.
MOST_LAGS_COUNTED = 2**17
_DESIGNS_SHOWN = 10


def stack_text(stack: Design, sample_rate: float) -> str:
    """The field of a stack, the paths to each sample, and its layers one by one."""
    field = stack.receptive_field
    milliseconds = field.milliseconds(sample_rate)
    cycles = f", {stack.cycles} times" if stack.cycles > 1 else ""
    num_layers = stack.num_layers + (stack.input_kernel_size > 1)
    lines = [
        f"receptive field: {samples_text(field.size)}, {milliseconds:g} ms at {sample_rate:g} Hz",
        f"an output sees {samples_text(field.past)} before its own and {field.future} after it",
        f"{num_layers} layers, kernel size {stack.kernel_size}, "
        f"dilations {format_dilations(stack.dilations)}{cycles}",
    ]
    if stack.size <= MOST_LAGS_COUNTED:
        lines.append(f"paths to each sample: {spread_of_paths(stack)}")
    if stack.has_holes:
        lines.append(
            f"holes: only {field.num_taps} of the {field.size} samples are seen; "
            f"begin the dilations with 1 and let them grow at most {stack.kernel_size}-fold"
        )
    return "\n".join([*lines, "", _layers(stack, sample_rate)])


def context_text(context: ContextStackConfig, field: ReceptiveField, sample_rate: float) -> str:
    """The field of a network with a context stack, and the sizes of that stack."""
    far = context.receptive_field
    cycles = f", {context.cycles} times" if context.cycles > 1 else ""
    return "\n".join(
        [
            f"with its context stack, the network sees {samples_text(field.size)}, "
            f"{field.milliseconds(sample_rate):g} ms at {sample_rate:g} Hz",
            f"context stack: {len(context.layer_dilations)} layers once every {samples_text(context.factor)}, "
            f"kernel size {context.kernel_size}, dilations {format_dilations(context.dilations)}{cycles}; "
            f"it sees {samples_text(far.size)}, {far.milliseconds(sample_rate):g} ms",
            "the stack that it conditions, by itself:",
        ]
    )


def spread_of_paths(stack: Design) -> str:
    """The fewest and the most paths from the output to a sample of the field, and their evenness."""
    paths = paths_per_lag(
        stack.kernel_size, stack.layer_dilations, input_kernel_size=stack.input_kernel_size
    )
    # Counts of deep stacks are beyond any float.
    fewest, most = (str(n) if n < 10**9 else f"{Decimal(n):.3g}" for n in (min(paths), max(paths)))
    spread = fewest if fewest == most else f"{fewest} to {most}"
    return f"{spread}, evenness {float(stack.evenness):.3g}"


def designs_text(designs: Sequence[Design], wanted: int, sample_rate: float) -> str:
    """The first of a ranked list of designs, a line each, with what they cost."""
    best = designs[0]
    rows: list[tuple[str, ...]] = [
        (
            "", "kernel", "cycles", "layers", "samples", "ms", "parameters", "multiply-adds",
            "state", "holes", "evenness", "dilations",
        )
    ]  # fmt: skip
    for rank, found in enumerate(designs[:_DESIGNS_SHOWN], start=1):
        counts = (rank, found.kernel_size, found.cycles, found.num_layers, found.size)
        counted = found.size <= MOST_LAGS_COUNTED
        rows.append(
            (
                *map(str, counts),
                f"{1000 * found.size / sample_rate:.1f}",
                f"{found.parameters:,}",
                f"{found.multiply_adds:,}",
                f"{found.state_bytes / 1024:,.0f} KiB",
                str(found.num_holes),
                f"{float(found.evenness):.2f}" if counted else "-",
                format_dilations(found.dilations),
            )
        )
    hidden = len(designs) - _DESIGNS_SHOWN
    more = [f"{hidden} more; --json lists all"] if hidden > 0 else []
    header = [
        f"at least {samples_text(wanted)}, {1000 * wanted / sample_rate:g} ms at {sample_rate:g} Hz: "
        f"{len(designs)} stacks reach it, the cheapest first",
        f"counted with {best.residual_channels} residual and {best.skip_channels} skip channels, "
        "multiply-adds for a sample, state of one signal in float32",
    ]
    return "\n".join([*header, "", _aligned(rows, last_to_the_left=True), *more])


def comparison_text(fields: Mapping[str, ReceptiveField], sample_rate: float) -> str:
    """Fields of the same network from several sources, side by side, and whether they agree."""
    rows: list[tuple[str, ...]] = [("", "past", "future", "size", "taps", "stride", "ms")]
    for source, field in fields.items():
        counts = (field.past, field.future, field.size, field.num_taps, field.stride)
        milliseconds = f"{field.milliseconds(sample_rate):.3f}"
        rows.append((source, *map(str, counts), milliseconds))
    first, *others = fields.values()
    verdict = "they agree" if all(other == first for other in others) else "THEY DIFFER"
    return "\n".join([_aligned(rows), verdict])


def frames_text(name: str, hop: int | None, field: ReceptiveField) -> str:
    """The frames of features or latents, one every `hop` samples, that a sample depends on."""
    return (
        f"{name}, a frame every {hop} samples: a sample depends on {field.past} frames before its own "
        f"and {field.future} after it"
    )


def _layers(stack: Design, sample_rate: float) -> str:
    rows = [("layer", "kernel size", "dilation", "adds", "receptive field", "ms")]
    for row in table(
        stack.kernel_size, stack.layer_dilations, input_kernel_size=stack.input_kernel_size
    ):
        adds = f"+{(row.kernel_size - 1) * row.dilation}"
        milliseconds = f"{row.receptive_field.milliseconds(sample_rate):.3f}"
        size = str(row.receptive_field.size)
        rows.append((row.name, str(row.kernel_size), str(row.dilation), adds, size, milliseconds))
    return _aligned(rows)


def _aligned(rows: Sequence[tuple[str, ...]], last_to_the_left: bool = False) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = list(map(str.rjust, row, widths))
        if last_to_the_left:
            cells[-1] = row[-1]
        lines.append("  ".join(cells))
    return "\n".join(lines)
