"""Paths per lag and holes: exact, against counting the paths one by one."""

import itertools
import math
import time
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavedil import UserError
from wavedil.receptive_field import ReceptiveField, evenness, holes, paths_per_lag, table

KERNEL_SIZES = st.integers(1, 4)
DILATIONS = st.lists(st.integers(1, 9), min_size=1, max_size=5).map(tuple)


def walked(kernel_size, dilations, input_kernel_size):
    """The lag at the end of every single path."""
    layers = [(input_kernel_size, 1), *((kernel_size, dilation) for dilation in dilations)]
    taps = [[tap * dilation for tap in range(size)] for size, dilation in layers]
    return Counter(map(sum, itertools.product(*taps)))


@given(KERNEL_SIZES, DILATIONS, KERNEL_SIZES)
def test_paths_are_those_that_one_can_walk(kernel_size, dilations, input_kernel_size):
    walks = walked(kernel_size, dilations, input_kernel_size)
    paths = paths_per_lag(kernel_size, dilations, input_kernel_size=input_kernel_size)
    assert dict(enumerate(paths)) == {lag: walks[lag] for lag in range(max(walks) + 1)}


@given(KERNEL_SIZES, DILATIONS, KERNEL_SIZES)
def test_holes_are_the_lags_without_a_path_and_the_offsets_without_a_tap(
    kernel_size, dilations, input_kernel_size
):
    sizes = {"input_kernel_size": input_kernel_size}
    found = holes(kernel_size, dilations, **sizes)
    paths = paths_per_lag(kernel_size, dilations, **sizes)
    assert found == tuple(lag for lag, count in enumerate(paths) if count == 0)
    field = table(kernel_size, dilations, **sizes)[-1].receptive_field
    assert {-lag for lag in found} == set(range(-field.past, 1)) - set(field.taps)


@given(KERNEL_SIZES, DILATIONS)
def test_a_shortcut_past_a_layer_changes_no_hole(kernel_size, dilations):
    field = ReceptiveField.identity()
    for dilation in dilations:
        block = ReceptiveField.conv(kernel_size, dilation).union(ReceptiveField.identity())
        field = field.then(block)
    assert tuple(-offset for offset in reversed(field.holes)) == holes(kernel_size, dilations)


def test_three_layers_of_dilation_2_miss_every_other_sample():
    assert holes(2, (2, 2, 2)) == (1, 3, 5)
    assert paths_per_lag(2, (2, 2, 2)) == (1, 0, 3, 0, 3, 0, 1)
    assert holes(3, (2, 2, 2)) == (1, 3, 5, 7, 9, 11)
    assert holes(2, (2, 2, 2), input_kernel_size=2) == ()


def test_holes_of_fields_with_a_future_lie_on_both_sides():
    assert ReceptiveField.conv(3, dilation=2, padding="same").holes == (-1, 1)
    assert ReceptiveField(past=9, future=-9).holes == ()


@pytest.mark.parametrize("kernel_size", [2, 3, 5])
def test_powers_of_the_kernel_size_reach_every_lag_on_one_path(kernel_size):
    paths = paths_per_lag(kernel_size, [kernel_size**i for i in range(5)])
    assert paths == (1,) * kernel_size**5
    assert evenness(paths) == 1


def test_plain_convolutions_count_binomial_coefficients():
    assert paths_per_lag(2, (1,) * 100) == tuple(math.comb(100, lag) for lag in range(101))


@pytest.mark.parametrize("layers", [7, 8, 15, 16, 31, 32, 63, 64, 65, 200])
def test_counts_are_exact_at_every_width_of_integer(layers):
    paths = paths_per_lag(2, (1,) * layers)
    assert max(paths) == math.comb(layers, layers // 2)
    assert sum(paths) == 2**layers


def test_thirty_layers_take_milliseconds():
    begun = time.process_time()
    paths = paths_per_lag(2, tuple(2**i for i in range(10)) * 3)
    seconds = time.process_time() - begun
    assert (len(paths), sum(paths), max(paths)) == (3070, 2**30, 786432)
    assert paths == paths[::-1]
    assert seconds < 0.1  # 0.2 ms on a machine that does nothing else


def test_evenness_is_the_share_of_lags_that_would_hold_all_paths_evenly():
    assert evenness((5, 5, 5, 5)) == 1
    assert evenness((1, 0, 1, 0)) == Fraction(1, 2)
    assert evenness((1, 2, 1)) == Fraction(16, 18)


@pytest.mark.parametrize("ask", [paths_per_lag, holes])
@pytest.mark.parametrize(
    ("arguments", "sizes", "message"),
    [
        ((0, (1,)), {}, "kernel size is 0"),
        ((2, ()), {}, "at least one layer"),
        ((2, (1, 0)), {}, "dilation is 0"),
        ((2, (1,)), {"input_kernel_size": 0}, "input kernel size is 0"),
    ],
)
def test_bad_sizes_are_named(ask, arguments, sizes, message):
    with pytest.raises(UserError, match=message):
        ask(*arguments, **sizes)


def test_counts_that_no_memory_holds_are_refused():
    with pytest.raises(UserError, match="a receptive field of 100000002 samples and 2 layers has"):
        paths_per_lag(2, (1, 10**8))
