"""Dilations as text, and stacks layer by layer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavedil import UserError
from wavedil.receptive_field import format_dilations, parse_dilations, stack_dilations, table


@pytest.mark.parametrize(
    ("text", "dilations"),
    [
        ("1:512", (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)),
        ("3:12", (3, 6, 12)),
        ("7", (7,)),
        ("1,2", (1, 2)),
        ("1,3,9", (1, 3, 9)),
        ("1:8,3,1:4", (1, 2, 4, 8, 3, 1, 2, 4)),
    ],
)
def test_dilations_read_and_write_their_short_form(text, dilations):
    assert parse_dilations(text) == dilations
    assert format_dilations(dilations) == text


@given(st.lists(st.integers(1, 64), min_size=1, max_size=8).map(tuple))
def test_parsing_undoes_formatting(dilations):
    assert parse_dilations(format_dilations(dilations)) == dilations


def test_spaces_around_dilations_do_not_matter():
    assert parse_dilations(" 1 : 4 , 8") == (1, 2, 4, 8)


def test_table_grows_layer_by_layer_from_the_input():
    rows = table(3, (1, 2, 4), input_kernel_size=2)
    assert [row.name for row in rows] == ["input", "1", "2", "3"]
    assert [(row.kernel_size, row.dilation) for row in rows] == [(2, 1), (3, 1), (3, 2), (3, 4)]
    assert [row.receptive_field.size for row in rows] == [2, 4, 8, 16]
    assert [row.name for row in table(3, (1, 2))] == ["1", "2"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: table(2, ()), "at least one layer"),
        (lambda: table(0, (1,)), "kernel size is 0"),
        (lambda: table(2, (1,), input_kernel_size=0), "input kernel size is 0"),
        (lambda: stack_dilations("1:4", 0), "number of cycles is 0"),
        (lambda: parse_dilations("0,1"), "dilation is 0"),
        (lambda: parse_dilations("1,-2"), "dilation is -2"),
        (lambda: parse_dilations(""), "hold '', which is no whole number; write 1:512"),
        (lambda: parse_dilations("1,two"), "hold 'two'"),
        (lambda: parse_dilations("1:"), "hold ''"),
        (lambda: parse_dilations("1:500"), "double from 1 and never meet 500; use 1:256"),
        (lambda: parse_dilations("8:1"), "double from 8 and never meet 1"),
    ],
)
def test_bad_input_is_named_with_its_remedy(make, message):
    with pytest.raises(UserError, match=message):
        make()
