"""Masks by distance, held as their diagonals: what NumPy says of all elements, at no cost for their number."""

import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from wavedil.receptive_field import probe, trace
from wavedil.receptive_field.tracing.diagonals import Diagonals
from wavedil.receptive_field.tracing.domain.known import relation, shortest, varying_axes
from wavedil.receptive_field.tracing.domain.sets import union, within
from wavedil.receptive_field.tracing.evaluation import compact

LONG = 16_000


@st.composite
def arrays(draw: st.DrawFn) -> Diagonals:
    """Truth values or small integers; of up to two more axes, along which it may repeat itself."""
    ndim = draw(st.integers(2, 4))
    axes = tuple(sorted(draw(st.permutations(range(ndim)))[:2]))
    shape = [draw(st.integers(2, 5)) if i in axes else draw(st.integers(1, 3)) for i in range(ndim)]
    sizes = [draw(st.sampled_from([1, size])) for size in shape]
    sizes[axes[0]], sizes[axes[1]] = shape[axes[0]] + shape[axes[1]] - 1, 1
    most = draw(st.integers(1, 3))
    values = draw(st.lists(st.integers(0, most), min_size=math.prod(sizes), max_size=100))
    numbers = np.resize(np.array(values or [0]), sizes)
    return Diagonals(numbers > 0 if draw(st.booleans()) else numbers, shape, axes)


def as_array(array: Any) -> np.ndarray:
    return np.array(np.asarray(array))


@given(arrays(), st.data())
@settings(max_examples=150, deadline=None)
def test_operations_are_those_of_the_array_that_the_diagonals_stand_for(
    array: Diagonals, data: st.DataObject
) -> None:
    dense = as_array(array)
    rows, columns = array.axes
    places = np.indices(array.shape)
    at = tuple(
        places[rows] - places[columns] + array.shape[columns] - 1
        if i == rows
        else np.minimum(places[i], size - 1)
        for i, size in enumerate(array.numbers.shape)
    )
    np.testing.assert_array_equal(dense, array.numbers[at])
    assert (array.size, array.ndim) == (dense.size, dense.ndim)
    assert (array.min(), array.max()) == (dense.min(), dense.max())
    order = data.draw(st.permutations(range(array.ndim)))
    np.testing.assert_array_equal(as_array(array.transpose(order)), dense.transpose(order))
    wider = [1, *itertools.chain(*([size, 1] for size in array.shape))]
    np.testing.assert_array_equal(as_array(array.reshape(wider)), dense.reshape(wider))
    starts = [data.draw(st.integers(0, size - 1)) for size in array.shape]
    stops = [
        data.draw(st.integers(first + 1, size))
        for first, size in zip(starts, array.shape, strict=True)
    ]
    part = tuple(map(slice, starts, stops))
    np.testing.assert_array_equal(as_array(array.cut(starts, stops, None)), dense[part])
    for count in range(array.ndim + 1):
        for axes in itertools.combinations(range(array.ndim), count):
            np.testing.assert_array_equal(as_array((array > 0).any(axes)), (dense > 0).any(axes))
            np.testing.assert_array_equal(as_array(array.all(axes)), dense.all(axes))
    np.testing.assert_array_equal(
        np.sort(array[array > 0]), np.sort(array.numbers[array.numbers > 0])
    )
    np.testing.assert_array_equal(as_array(2 - array * 3), 2 - dense * 3)
    slopes = np.arange(array.shape[0]).reshape(-1, *[1] * (array.ndim - 1))
    np.testing.assert_array_equal(as_array(array * slopes), dense * slopes)
    np.testing.assert_array_equal(as_array(array & array.compact), dense)


@given(arrays())
@settings(max_examples=150, deadline=None)
def test_an_array_of_numbers_shows_its_diagonals(array: Diagonals) -> None:
    dense = as_array(array)
    found = Diagonals.found_in(dense)
    if found is not None:
        np.testing.assert_array_equal(as_array(found), dense)
    if all(size > 1 for size in array.shape) and array.axes[1] - array.axes[0] == 1:
        assert array.axes[1] < array.ndim - 1 or found is not None
    assert varying_axes(array) == varying_axes(dense)
    np.testing.assert_array_equal(as_array(shortest(array)), shortest(dense))
    other = dense.astype(float)
    other.flat[-1] += 0.5
    nearly = Diagonals.found_in(other)
    if nearly is not None:
        np.testing.assert_array_equal(as_array(nearly), other)


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0))
@settings(max_examples=100, deadline=None)
def test_a_row_reads_the_columns_of_a_mask_in_either_form(
    rows: int, columns: int, bits: int
) -> None:
    numbers = np.array([bits >> k & 1 for k in range(rows + columns - 1)], bool)
    table = Diagonals(numbers[:, None], (rows, columns), (0, 1))
    dense = as_array(table)
    maps = [relation(table), relation(dense)]
    for q in range(rows):
        seen = [within(union(m.at(q) for m in found or []), 0, columns) for found in maps]
        assert seen[0] == seen[1], q
        members = [] if seen[0] is None else list(seen[0].offsets)
        assert members == np.flatnonzero(dense[q]).tolist()


def spec(num_samples: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, num_samples, 2), jnp.float32)


def scores(x: Any) -> Any:
    return 0.1 * jnp.einsum("bqc,bkc->bqk", x, x)


def distance(x: Any) -> Any:
    return jnp.arange(x.shape[1])[:, None] - jnp.arange(x.shape[1])


def attend(x: Any, weights: Any) -> Any:
    return weights @ jnp.concatenate([x, x**2], -1)


def causal(x: Any) -> Any:
    mask = jnp.tril(jnp.ones(scores(x).shape[1:], bool))
    return attend(x, jax.nn.softmax(jnp.where(mask, scores(x), -jnp.inf)))


def sliding(x: Any) -> Any:
    ahead = distance(x)
    near = (ahead >= 0) & (ahead < 5)
    return attend(x, jax.nn.softmax(scores(x) + (1 - near.astype(x.dtype)) * -1e9))


def dilated(x: Any) -> Any:
    ahead = distance(x)
    mask = (ahead >= 0) & (ahead % 3 == 0) & (ahead < 9)
    return attend(x, scores(x) * mask.astype(x.dtype))


def with_slopes(x: Any) -> Any:
    """Two heads with a bias by distance each (arXiv:2108.12409), whose weights are averaged."""
    ahead = distance(x)
    slopes = jnp.array([0.1, 0.2])[:, None, None]
    bias = jnp.where(ahead >= 0, -slopes * ahead.astype(x.dtype), -1e9)
    heads = jax.nn.softmax(scores(x)[:, None] + bias)
    return attend(x, heads.mean(1))


def of_two_masks(x: Any) -> Any:
    ahead = distance(x)
    near = jnp.where(jnp.abs(ahead) < 4, scores(x), -jnp.inf)
    return attend(x, jax.nn.softmax(jnp.where(ahead >= -ahead, near, -jnp.inf)))


def of_a_larger_mask(x: Any) -> Any:
    mask = jnp.tril(jnp.ones((2 * x.shape[1], 2 * x.shape[1]), bool))
    part = mask[None, 2 : 2 + x.shape[1], 1 : 1 + x.shape[1]]
    return attend(x, jax.nn.softmax(jnp.where(part, scores(x), -jnp.inf)))


def by_queries(x: Any) -> Any:
    """A softmax over the queries, of scores [key, query]."""
    weights = jax.nn.softmax(jnp.where(distance(x) <= 0, scores(x), -jnp.inf), -2)
    return attend(x, jnp.swapaxes(weights, 1, 2))


def in_jax(x: Any) -> Any:
    heads = x[:, :, None]
    return jax.nn.dot_product_attention(
        heads, heads, jnp.concatenate([heads, heads**2], -1)[..., :2], is_causal=True,
        local_window_size=(3, 0),
    )[:, :, 0]  # fmt: skip


# Each with the first and the last input of output t, relative to it; None for an end of the signal.
ATTENTION: dict[Callable[[Any], Any], tuple[int | None, int | None]] = {
    causal: (None, 0),
    sliding: (-4, 0),
    dilated: (-6, 0),
    with_slopes: (None, 0),
    of_two_masks: (-3, 0),
    of_a_larger_mask: (None, 1),
    by_queries: (None, 0),
    in_jax: (-3, 0),
}


@pytest.mark.parametrize("fn", ATTENTION, ids=lambda fn: fn.__name__)
def test_attention_is_exact(fn: Callable[[Any], Any]) -> None:
    field = trace(fn, spec(19), time_axis=1)
    x = jax.random.uniform(jax.random.key(0), (1, 19, 2), minval=1.0, maxval=2.0)
    found = probe(fn, x, time_axis=1, by="change")
    assert field.upper_bounds == ()
    for t in range(19):
        assert field.inputs(t) == found.inputs(t), t


@pytest.mark.parametrize("fn", ATTENTION, ids=lambda fn: fn.__name__)
def test_attention_is_exact_and_costs_the_same_however_long_the_signal_is(
    fn: Callable[[Any], Any],
) -> None:
    first, last = ATTENTION[fn]
    start = time.perf_counter()
    field = trace(fn, spec(LONG), time_axis=1)
    assert time.perf_counter() - start < 2
    assert field.upper_bounds == ()
    for t in (0, 7, LONG // 2, LONG - 1):
        seen = field.inputs(t)
        assert min(seen) == (0 if first is None else max(0, t + first))
        assert max(seen) == (LONG - 1 if last is None else min(LONG - 1, t + last))


def sums_that_wrap(x: Any) -> Any:
    """The scores of four heads, of which what is hidden adds up to 0 in 32 bits."""
    heads = (100 * jnp.stack([scores(x)] * 4, 1)).astype(jnp.int32)
    total = jnp.where(distance(x) >= 0, heads, -(2**30)).sum(1)
    return attend(x, jax.nn.softmax(total.astype(x.dtype) * 1e-3))


def frames_by_index(x: Any) -> Any:
    places = jnp.clip(jnp.arange(x.shape[1])[:, None] - jnp.arange(3), 0, x.shape[1] - 1)
    return lax.map(lambda row: x[0, row].sum(0), places)[None]


def a_row_of_weights_at_a_time(x: Any) -> Any:
    weights = (distance(x) >= 0).astype(x.dtype)
    return lax.scan(lambda _, row: (None, row @ x[0]), None, weights)[1][None]


def heads_one_after_the_other(x: Any) -> Any:
    ahead = distance(x) - jnp.arange(2)[:, None, None]

    def head(total: Any, mask: Any) -> Any:
        return total + jnp.where(mask, scores(x), 0.0) @ x, None

    return lax.scan(head, jnp.zeros_like(x), ahead >= 0)[0]


def signs_of_zero(x: Any) -> Any:
    at = jnp.arange(x.shape[1])
    first = (at[:, None] == 0) | (at == 0)
    zeros = jnp.where(first, jnp.float32(-0.0), jnp.float32(0.0))
    seen = scores(x) + zeros
    return jnp.where(1 / zeros > 0, seen, 0.0).sum(-1, keepdims=True) * jnp.ones(2)


@pytest.mark.parametrize(
    "fn",
    [
        sums_that_wrap, frames_by_index, a_row_of_weights_at_a_time, heads_one_after_the_other,
        signs_of_zero,
    ],
    ids=lambda fn: fn.__name__,
)  # fmt: skip
def test_nothing_is_lost_where_diagonals_are_no_more(fn: Callable[[Any], Any]) -> None:
    field = trace(fn, spec(11), time_axis=1)
    x = jax.random.uniform(jax.random.key(0), (1, 11, 2), minval=1.0, maxval=2.0)
    found = probe(fn, x, time_axis=1, by="change")
    for t in range(11):
        assert field.inputs(t) >= found.inputs(t), t
        assert field.upper_bounds or field.inputs(t) == found.inputs(t), t


@pytest.mark.parametrize("num_samples", [19, LONG])
def test_a_mask_of_more_than_distance_is_exact_or_a_bound(num_samples: int) -> None:
    def fn(x: Any) -> Any:
        here = jnp.arange(x.shape[1]) < 12
        mask = (distance(x) >= 0) & here
        return attend(x, jax.nn.softmax(jnp.where(mask, scores(x), -jnp.inf)))

    def in_blocks(x: Any) -> Any:
        block = jnp.arange(x.shape[1]) // 4
        near = jnp.where(distance(x) >= 0, scores(x), -jnp.inf)
        return attend(x, jax.nn.softmax(jnp.where(block[:, None] == block, near, -jnp.inf)))

    for each, seen in ((fn, (*range(12), 15)), (in_blocks, range(12, 16))):
        field = trace(each, spec(num_samples), time_axis=1)
        assert set(field.inputs(15)) >= {*seen}
        assert bool(field.upper_bounds) == (num_samples == LONG)
        if num_samples < LONG:
            assert set(field.inputs(15)) == {*seen}


def test_a_known_matrix_larger_than_what_is_computed_is_followed_by_its_diagonals() -> None:
    near = np.tri(5000, dtype=bool) & ~np.tri(5000, k=-3, dtype=bool)
    field = trace(lambda x: jnp.einsum("qk,bkc->bqc", jnp.asarray(near, x.dtype), x), spec(5000))
    assert (field.past, field.future, field.upper_bounds) == (2, 0, ())


def test_one_number_is_repeated_along_both_axes() -> None:
    same = Diagonals(np.ones((5, 1), bool), (3, 3), (0, 1))
    assert shortest(same).shape == (1, 1)
    assert compact(same).shape == (3, 3)
