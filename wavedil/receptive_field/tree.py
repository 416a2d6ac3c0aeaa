"""The tree of paths that reach one output, as text for a terminal."""

from collections.abc import Iterator, Sequence

from wavedil.errors import UserError
from wavedil.receptive_field.stack import layer_sizes

_LABEL_WIDTH = 13
_WIDEST_SPACING = 4
_SEEN, _UNSEEN, _HOLE = "●", "·", "○"
# What a rail shows in a column by where strokes leave it: up, down, left, right.
_RAIL = {
    (False, True, False, True): "┌",
    (False, True, True, True): "┬",
    (True, True, True, True): "┼",
    (True, True, True, False): "┤",
    (True, True, False, False): "│",
}
_ASCII = str.maketrans("●·○┌┬┼┤│─", "o.*++++|-")


def seen_lags(layers: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """For the output, and then the input of every layer from the last to the first, the lags that one output sees.

    Args:
      layers: Kernel size and dilation of each, from the input on.

    Example:
      >>> seen_lags([(2, 1), (2, 2)])
      ((0,), (0, 2), (0, 1, 2, 3))
    """
    rows: list[tuple[int, ...]] = [(0,)]
    for taps, dilation in reversed(layers):
        seen = {lag + tap * dilation for lag in rows[-1] for tap in range(taps)}
        rows.append(tuple(sorted(seen)))
    return tuple(rows)


def draw_tree(
    kernel_size: int,
    dilations: Sequence[int],
    *,
    input_kernel_size: int = 1,
    width: int = 80,
    ascii_only: bool = False,
) -> str:
    """The paths from one output down to the inputs it sees, in lines of text.

    The output is at the top right and time goes to the right. A dot `●` is on a path, `·` is not, and an input
    `○` is a hole: inside the field, and on no path. Strokes that cross without a corner do not meet.

        output       ·   ·   ·   ●
        dilation 2       ┌───────┤
        layer 1      ·   ●   ·   ●
        dilation 1   ┌───┤   ┌───┤
        input        ●   ●   ●   ●
        lag          3           0

    Args:
      kernel_size: Taps of every dilated layer.
      dilations: The dilation of each layer.
      input_kernel_size: Taps of an undilated convolution before them; 1 for none.
      width: Columns that the lines may take.
      ascii_only: Whether to draw with `o . * + - |`, for terminals that know no more.

    Raises:
      UserError: If a size is below 1, there is no layer, or the field has too many samples for the width.

    Reference: the drawing is figure 3 of van den Oord et al. 2016, arXiv:1609.03499.
    """
    layers = layer_sizes(kernel_size, dilations, input_kernel_size=input_kernel_size)
    size = 1 + sum((taps - 1) * dilation for taps, dilation in layers)
    spacing = _spacing(f"the tree of a receptive field of {size} samples", size, width)
    rows = seen_lags(layers)
    names = _row_names(len(rows), has_input_layer=input_kernel_size > 1)
    lines = [_nodes(names[0], rows[0], size, spacing)]
    for i, (taps, dilation) in enumerate(reversed(layers), start=1):
        for number, rail in enumerate(_rails(rows[i - 1], taps, dilation, size, spacing)):
            lines.append(f"{f'dilation {dilation}' if number == 0 else '':<{_LABEL_WIDTH}}{rail}")
        lines.append(_nodes(names[i], rows[i], size, spacing))
    lines[-1] = lines[-1].replace(_UNSEEN, _HOLE)
    first = "" if size == 1 else str(size - 1)
    lines.append(f"{'lag':<{_LABEL_WIDTH}}{first:<{(size - 1) * spacing}}0")
    text = "\n".join(line.rstrip() for line in lines)
    return text.translate(_ASCII) if ascii_only else text


def draw_frames(
    name: str, taps: Sequence[int], *, width: int = 80, ascii_only: bool = False
) -> str:
    """The frames that condition one output, of which frame 0 is its own, in two lines of text.

        features     ●   ●   ●   ●   ●
        frame        -3          0

    Raises:
      UserError: If there are too many frames for the width.
    """
    first, last = min(*taps, 0), max(*taps, 0)
    size = last - first + 1
    spacing = _spacing(f"a row of {size} {name}", size, width)
    row = _nodes(name, [last - tap for tap in taps], size, spacing).replace(_UNSEEN, _HOLE)
    number = str(first) if -first * spacing > len(str(first)) else ""
    text = f"{row}\n{'frame':<{_LABEL_WIDTH}}{number:<{-first * spacing}}0"
    return text.translate(_ASCII) if ascii_only else text


def _spacing(what: str, size: int, width: int) -> int:
    spacing = min(_WIDEST_SPACING, (width - _LABEL_WIDTH - 1) // max(1, size - 1))
    if spacing < 1:
        raise UserError(
            f"{what} needs {size + _LABEL_WIDTH} columns, but there are {width}; "
            "widen the terminal, or draw a picture"
        )
    return spacing


def _row_names(num_rows: int, has_input_layer: bool) -> list[str]:
    layers = [f"layer {i}" for i in range(num_rows - (3 if has_input_layer else 2), 0, -1)]
    return ["output", *layers, *(["input conv"] if has_input_layer else []), "input"]


def _nodes(name: str, seen: Sequence[int], size: int, spacing: int) -> str:
    columns = [_UNSEEN] * size
    for lag in seen:
        columns[size - 1 - lag] = _SEEN
    return f"{name:<{_LABEL_WIDTH}}" + (" " * (spacing - 1)).join(columns)


def _rails(seen: Sequence[int], taps: int, dilation: int, size: int, spacing: int) -> Iterator[str]:
    """The lines between two rows of nodes; chains that overlap lie on lines of their own."""
    reach = (taps - 1) * dilation
    # A rail spans from the first node of a chain to the farthest input of its last node. Each goes to
    # the first line on which the rail before it has already ended; rails that overlap, as those of large
    # dilations do, lie on lines of their own, and strokes to a deeper line pass through those above.
    lines: list[list[list[int]]] = []
    for chain in _chains(seen, dilation, reach):
        free = (line for line in lines if line[-1][-1] + reach < chain[0])
        line = next(free, None)
        if line is None:
            lines.append([chain])
        else:
            line.append(chain)
    # The line where the stroke of a node above ends, and that of a node below begins.
    above = {lag: n for n, line in enumerate(lines) for chain in line for lag in chain}
    below = {lag + tap * dilation: n for lag, n in above.items() for tap in range(taps)}
    for n, line in enumerate(lines):
        spans = [(chain[0], chain[-1] + reach) for chain in line]
        text = ""
        for lag in reversed(range(size)):
            left = any(start <= lag < end for start, end in spans)
            right = any(start < lag <= end for start, end in spans)
            up, down = above.get(lag) == n, below.get(lag) == n
            # On the way to a rail further down, or from one further up.
            passes = above.get(lag, -1) > n or (lag in below and below[lag] < n)
            if up or down:
                text += _RAIL[up, down, left, right]
            else:
                text += "│" if passes else "─" if left else " "
            text += ("─" if right else " ") * (spacing - 1)
        yield text


def _chains(seen: Sequence[int], dilation: int, reach: int) -> list[list[int]]:
    """The nodes that share inputs with their neighbours, a dilation or more apart."""
    chains: list[list[int]] = []
    for lag in sorted(seen, key=lambda lag: (lag % dilation, lag)):
        # Nodes whose lags differ by a multiple of the dilation, and by no more than the kernel's reach,
        # have an input in common; in this order of residues they follow each other.
        last = chains[-1][-1] if chains else -1
        if chains and (lag - last) % dilation == 0 and 0 < lag - last <= reach:
            chains[-1].append(lag)
        else:
            chains.append([lag])
    return sorted(chains)
