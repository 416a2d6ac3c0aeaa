"""Pictures of stacks: written for small and large ones alike, and what they draw is what the arithmetic says."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavedil import UserError
from wavedil.receptive_field import Design, layer_sizes, seen_lags
from wavedil.report import receptive_field_pictures
from wavedil.report.receptive_field_pictures import draw_stack

DOUBLINGS = tuple(2**i for i in range(10))
STACKS = {
    "one layer": Design(kernel_size=2, dilations=(1,)),
    "one sample": Design(kernel_size=1, dilations=(1,)),
    "holes": Design(kernel_size=3, dilations=(2, 2, 2)),
    "input": Design(kernel_size=3, dilations=(1, 2, 4), cycles=2, input_kernel_size=2),
    "30 layers": Design(kernel_size=2, dilations=DOUBLINGS, cycles=3),
    "100 layers": Design(kernel_size=2, dilations=(1, 2, 4, 8), cycles=25),
    "sparse": Design(kernel_size=2, dilations=(1, 4, 16, 64, 256, 1024)),
}


@pytest.mark.sampled
@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_any_stack_is_drawn(tmp_path, stack):
    from matplotlib.image import imread

    draw_stack(stack, tmp_path / "tree.png", sample_rate=16000)
    height, width, _ = (pixels := imread(tmp_path / "tree.png")).shape
    assert 500 < width < 1600
    assert 300 < height < 2400
    assert pixels.std() > 0


def test_a_picture_in_lines_names_every_layer_and_stays_small(tmp_path):
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none"}):  # text as text
        draw_stack(STACKS["30 layers"], tmp_path / "tree.svg", sample_rate=16000)
    text = (tmp_path / "tree.svg").read_text()
    assert "receptive field 3070 samples, 191.875 ms at 16000 Hz" in text
    assert "paths from the output to each sample: 1 to 786432, evenness 0.606" in text
    for number, dilation in enumerate(DOUBLINGS * 3, start=1):
        assert f">layer {number}, dilation {dilation}<" in text
    assert len(text) < 500_000


def test_thirty_layers_are_drawn_in_seconds(tmp_path):
    begun = time.process_time()
    draw_stack(STACKS["30 layers"], tmp_path / "tree.png", sample_rate=16000)
    assert time.process_time() - begun < 8  # below 1 s on a machine that does nothing else


@given(st.integers(1, 4), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_rows_are_what_the_paths_come_by(kernel_size, dilations):
    layers = layer_sizes(kernel_size, dilations)
    rows = receptive_field_pictures._seen_rows(layers, 1 + (kernel_size - 1) * sum(dilations))
    assert [tuple(np.flatnonzero(row)) for row in rows] == list(seen_lags(layers))


@given(st.sets(st.integers(0, 40), min_size=1), st.floats(0, 5))
def test_runs_join_what_is_near_and_nothing_else(lags, gap):
    row = np.zeros(41, bool)
    row[list(lags)] = True
    runs = list(receptive_field_pictures._runs(row, gap))
    edges = np.array(runs)
    assert (edges[:, 0] <= edges[:, 1]).all()
    assert (edges[1:, 0] - edges[:-1, 1] > gap).all()
    for lag in lags:
        assert any(start <= lag <= end for start, end in runs)
    for start, end in runs:
        inside = sorted(lag for lag in lags if start <= lag <= end)
        assert (inside[0], inside[-1]) == (start, end)
        assert all(after - before <= gap for before, after in itertools.pairwise(inside))


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    stack = STACKS["one layer"]
    with pytest.raises(UserError, match=r"absent/a\.svg cannot be written"):
        draw_stack(stack, tmp_path / "absent" / "a.svg", sample_rate=16000)
    with pytest.raises(UserError, match=r"a\.xyz cannot be written: Format 'xyz' is not supported"):
        draw_stack(stack, tmp_path / "a.xyz", sample_rate=16000)
    with pytest.raises(UserError, match="sample rate is 0 Hz"):
        draw_stack(stack, tmp_path / "a.svg", sample_rate=0)
