"""The tree as text: its strokes are followed from node to node, and it fits where it is drawn."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavedil import UserError
from wavedil.receptive_field import draw_tree, holes, layer_sizes, seen_lags

WIDTH = 200
KERNEL_SIZES = st.integers(1, 3)
DILATIONS = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


def drawing(text):
    return textwrap.dedent(text).strip("\n")


def test_two_layers_are_drawn_as_in_the_documentation():
    assert draw_tree(2, (1, 2)) == drawing("""
        output       ·   ·   ·   ●
        dilation 2       ┌───────┤
        layer 1      ·   ●   ·   ●
        dilation 1   ┌───┤   ┌───┤
        input        ●   ●   ●   ●
        lag          3           0
    """)


def test_holes_are_open_circles():
    assert draw_tree(2, (2, 2), ascii_only=False) == drawing("""
        output       ·   ·   ·   ·   ●
        dilation 2           ┌───────┤
        layer 1      ·   ·   ●   ·   ●
        dilation 2   ┌───────┼───────┤
        input        ●   ○   ●   ○   ●
        lag          4               0
    """)


def test_strokes_that_overlap_lie_on_lines_of_their_own():
    assert draw_tree(2, (2, 1), input_kernel_size=2, width=26) == drawing("""
        output       ·  ·  ·  ·  ●
        dilation 1            ┌──┤
        layer 1      ·  ·  ·  ●  ●
        dilation 2         ┌──│──┤
                        ┌──│──┤  │
        input conv   ·  ●  ●  ●  ●
        dilation 1   ┌──┼──┼──┼──┤
        input        ●  ●  ●  ●  ●
        lag          4           0
    """)


def test_plain_letters_draw_the_same_tree():
    fancy, plain = draw_tree(3, (1, 3)), draw_tree(3, (1, 3), ascii_only=True)
    assert plain.isascii()
    assert [len(line) for line in plain.splitlines()] == [len(line) for line in fancy.splitlines()]


@given(KERNEL_SIZES, DILATIONS, KERNEL_SIZES)
def test_strokes_lead_from_every_node_to_the_inputs_of_its_taps(
    kernel_size, dilations, input_kernel_size
):
    sizes = {"input_kernel_size": input_kernel_size}
    layers = layer_sizes(kernel_size, dilations, **sizes)
    rows = seen_lags(layers)
    size = 1 + rows[-1][-1]
    lines = [
        line.ljust(WIDTH)
        for line in draw_tree(kernel_size, dilations, width=WIDTH, **sizes).splitlines()
    ]
    right = len(lines[0].rstrip()) - 1  # the output's column
    spacing = 1 if size == 1 else (right - lines[-2].index("●", 12)) // (size - 1)
    nodes = [i for i, line in enumerate(lines) if not line.startswith(("dilation", "lag", " "))]
    for depth, (taps, dilation) in enumerate(reversed(layers)):
        upper, lower = nodes[depth], nodes[depth + 1]
        found = {lag for lag in range(size) if lines[upper][right - lag * spacing] == "●"}
        assert found == set(rows[depth])
        for lag in found:
            column = right - lag * spacing
            rail = next(
                i
                for i in range(upper + 1, lower)
                if lines[i][column] in ("┤┼" if taps > 1 else "│")
            )
            assert all(lines[i][column] == "│" for i in range(upper + 1, rail))
            for tap in range(taps):
                end = column - tap * dilation * spacing
                assert lines[rail][end] in "┌┬┼┤│"
                assert " " not in lines[rail][end : column + 1]
                assert all(lines[i][end] == "│" for i in range(rail + 1, lower))
                assert lines[lower][end] == "●"
    missed = {lag for lag in range(size) if lines[nodes[-1]][right - lag * spacing] == "○"}
    assert missed == set(holes(kernel_size, dilations, **sizes))


@given(KERNEL_SIZES, DILATIONS, st.integers(20, 90))
def test_the_drawing_keeps_to_its_width_or_says_what_it_needs(kernel_size, dilations, width):
    size = 1 + (kernel_size - 1) * sum(dilations)
    if size + 13 <= width:
        lines = draw_tree(kernel_size, dilations, width=width).splitlines()
        assert max(map(len, lines)) <= width
    else:
        with pytest.raises(UserError, match=f"needs {size + 13} columns, but there are {width}"):
            draw_tree(kernel_size, dilations, width=width)


def test_bad_sizes_are_named():
    with pytest.raises(UserError, match="kernel size is 0"):
        draw_tree(0, (1,))
    with pytest.raises(UserError, match="at least one layer"):
        draw_tree(2, ())
