"""`trace` of loops that write to arrays in place: what they see is what a probe finds, however long they are."""

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from wavedil.receptive_field import probe, trace
from wavedil.receptive_field.tracing.rules import loops

N = 26
LONG = 16000
Loop = Callable[[Any], Any]


def spec(num_samples: int = N) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, num_samples, 1), jnp.float32)


def every_index(x: Any, first: int, step: Callable[[Any, Any], Any], y: Any) -> Any:
    return lax.fori_loop(first, x.shape[1], step, y)


def one_pole(x: Any) -> Any:
    return every_index(x, 1, lambda i, y: y.at[:, i].set(x[:, i] + 0.5 * y[:, i - 1]), x)


def two_poles(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        return y.at[:, i].set(x[:, i] + 0.5 * y[:, i - 1] + 0.1 * y[:, i - 2])

    return every_index(x, 2, step, x)


def comb(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        return y.at[:, i].set(x[:, i] + 0.5 * y[:, i - 5])

    return every_index(x, 0, step, jnp.zeros_like(x))


def comb_where_there_is_a_past(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        return y.at[:, i].set(x[:, i] + jnp.where(i >= 5, y[:, i - 5], 0))

    return every_index(x, 0, step, jnp.zeros_like(x))


def added_in_place(x: Any) -> Any:
    return every_index(x, 1, lambda i, y: y.at[:, i].add(0.5 * y[:, i - 1]), x)


def scanned_indices(x: Any) -> Any:
    def step(y: Any, i: Any) -> Any:
        new = lax.dynamic_slice_in_dim(x, i, 1, 1) + lax.dynamic_slice_in_dim(y, i - 3, 1, 1)
        return lax.dynamic_update_slice_in_dim(y, new, i, 1), None

    return lax.scan(step, jnp.zeros_like(x), jnp.arange(3, x.shape[1]))[0]


def while_there_are_samples(x: Any) -> Any:
    def step(carry: Any) -> Any:
        i, y = carry
        return i + 1, y.at[:, i].add(0.5 * y[:, i - 1])

    return lax.while_loop(lambda carry: carry[0] < x.shape[1], step, (1, x))[1]


def backwards(x: Any) -> Any:
    last = x.shape[1] - 1

    def step(i: Any, y: Any) -> Any:
        return y.at[:, last - i].set(x[:, last - i] + 0.5 * y[:, last - i + 1])

    return every_index(x, 1, step, x)


def smoothed(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        return y.at[:, i].set(lax.dynamic_slice_in_dim(y, i - 1, 3, 1).mean(1))

    return lax.fori_loop(1, x.shape[1] - 1, step, x)


def in_blocks(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        before = lax.dynamic_slice_in_dim(y, 4 * i - 4, 4, 1)
        block = lax.dynamic_slice_in_dim(x, 4 * i, 4, 1) + before
        return lax.dynamic_update_slice_in_dim(y, block, 4 * i, 1)

    return lax.fori_loop(1, x.shape[1] // 4, step, x)


def read_after_it_is_written(x: Any) -> Any:
    def step(y: Any, i: Any) -> Any:
        y = y.at[:, i].set(x[:, i] + 0.5 * y[:, i - 2])
        return y, y[:, i]

    return jnp.moveaxis(lax.scan(step, jnp.zeros_like(x), jnp.arange(x.shape[1]))[1], 0, 1)


def several_taps(x: Any) -> Any:
    taps = jnp.array([2, 7])

    def step(i: Any, y: Any) -> Any:
        return y.at[:, i].set(x[:, i] + y[:, i - taps].sum(1))

    return every_index(x, 0, step, jnp.zeros_like(x))


def ring_buffer(x: Any) -> Any:
    def step(carry: Any, sample: Any) -> Any:
        buffer, i = carry
        y = sample + 0.5 * buffer[i % 4]
        return (buffer.at[i % 4].set(y), i + 1), y

    return lax.scan(step, (jnp.zeros((4, 1)), 0), x[0])[1][None]


def every_second(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        return y.at[:, 2 * i].set(x[:, 2 * i] + 0.5 * y[:, 2 * i - 2])

    return lax.fori_loop(1, x.shape[1] // 2, step, x)


def copied_from_ahead(x: Any) -> Any:
    return lax.fori_loop(0, x.shape[1] - 3, lambda i, y: y.at[:, i].set(y[:, i + 3]), x)


def windows_of_the_signal(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        return y.at[:, i + 4].set(lax.dynamic_slice_in_dim(x, i, 5, 1).mean(1))

    return lax.fori_loop(0, x.shape[1] - 4, step, jnp.zeros_like(x))


# The loop, how far it sees.
CASES: dict[str, tuple[Loop, float, float]] = {
    "one pole": (one_pole, math.inf, 0),
    "two poles": (two_poles, math.inf, 0),
    "comb": (comb, math.inf, 0),
    "comb where there is a past": (comb_where_there_is_a_past, math.inf, 0),
    "added": (added_in_place, math.inf, 0),
    "scanned indices": (scanned_indices, math.inf, 0),
    "while": (while_there_are_samples, math.inf, 0),
    "backwards": (backwards, 0, math.inf),
    "smoothed": (smoothed, math.inf, 1),
    "blocks": (in_blocks, math.inf, 0),
    "read after it is written": (read_after_it_is_written, math.inf, 0),
    "several taps": (several_taps, math.inf, 0),
    "ring buffer": (ring_buffer, math.inf, 0),
    "every second": (every_second, math.inf, 0),
    "copied from ahead": (copied_from_ahead, -3, 3),
    "windows of the signal": (windows_of_the_signal, 4, 0),
}


@pytest.fixture
def no_trip_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """All trips at once in short loops too."""
    monkeypatch.setattr(loops, "_MAX_FOLLOWED", 0)


@pytest.mark.usefixtures("no_trip_alone")
@pytest.mark.parametrize("name", CASES)
def test_loops_in_place_see_what_a_probe_finds(name: str) -> None:
    fn = CASES[name][0]
    traced, probed = trace(fn, spec()), probe(fn, jnp.zeros((1, N, 1)))
    assert traced.exact, str(traced)
    assert [traced.inputs(t) for t in range(N)] == [probed.inputs(t) for t in range(N)]


@pytest.mark.parametrize("name", CASES)
def test_long_loops_in_place_are_exact_and_take_no_longer(name: str) -> None:
    fn, past, future = CASES[name]
    started = time.process_time()
    field = trace(fn, spec(LONG))
    seconds = time.process_time() - started
    assert (field.past, field.future, field.upper_bounds) == (past, future, ()), str(field)
    assert seconds < 2, seconds


def kept_but_at_every_seventh(x: Any) -> Any:
    def step(carry: Any, sample: Any) -> Any:
        y, i = carry
        y = jnp.where(i % 7 != 0, y, 0) + sample
        return (y, i + 1), y

    return lax.scan(step, (jnp.zeros(1), 0), x[0])[1][None]


def begun_anew_at_every_third(x: Any) -> Any:
    def step(carry: Any, sample: Any) -> Any:
        y, i = carry
        y = lax.cond(i % 3 == 0, lambda y: sample, lambda y: y + sample, y)
        return (y, i + 1), y

    return lax.scan(step, (jnp.zeros(1), 0), x[0])[1][None]


def taken_in_turns(x: Any) -> Any:
    """A loop over time, with the even samples from a second array."""
    other = jnp.roll(x, 3, 1)

    def step(y: Any, i: Any) -> Any:
        new = jnp.where(i % 2 == 0, other[:, i], x[:, i])
        return y.at[:, i].set(new), None

    return lax.scan(step, jnp.zeros_like(x), jnp.arange(x.shape[1]))[0]


@pytest.mark.usefixtures("no_trip_alone")
@pytest.mark.parametrize("num_samples", [N, 1001])
@pytest.mark.parametrize(
    ("fn", "past"),
    [(kept_but_at_every_seventh, 6), (begun_anew_at_every_third, 2), (taken_in_turns, 3)],
)
def test_decisions_that_trips_count_are_taken(fn: Loop, past: int, num_samples: int) -> None:
    traced = trace(fn, spec(num_samples))
    assert (traced.past, traced.future, traced.upper_bounds) == (past, 0, ()), str(traced)
    if num_samples == N:
        probed = probe(fn, jnp.zeros((1, N, 1)))
        assert [traced.inputs(t) for t in range(N)] == [probed.inputs(t) for t in range(N)]


def read_after_a_write_elsewhere(x: Any) -> Any:
    def step(y: Any, i: Any) -> Any:
        y = y.at[:, i].set(x[:, i])
        return y, y[:, i - 3]

    read = lax.scan(step, jnp.flip(x, 1), jnp.arange(3, x.shape[1]))[1]
    return jnp.pad(jnp.moveaxis(read, 0, 1), ((0, 0), (3, 0), (0, 0)))


def at_the_outer_loop_s_counter(x: Any) -> Any:
    size = x.shape[1]

    def outer(k: Any, y: Any) -> Any:
        return lax.fori_loop(0, size, lambda i, y: y.at[:, k].set(x[:, i]), y)

    return lax.fori_loop(0, size, outer, jnp.zeros_like(x))


def read_at(place: Callable[[Any, int], Any], first: Callable[[Any], Any]) -> Loop:
    """y[i] = x[i] + y[place]."""

    def fn(x: Any) -> Any:
        def step(i: Any, y: Any) -> Any:
            there = y.at[:, place(i, x.shape[1])].get(mode="fill", fill_value=0)
            return y.at[:, i].set(x[:, i] + there)

        return lax.fori_loop(1, x.shape[1] - 1, step, first(x))

    return fn


def write_of_every_third_dropped(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        place = jnp.where(i % 3 == 0, i, x.shape[1] + 3)
        return y.at[:, place].set(x[:, i] + y[:, i - 3] + y[:, i - 1])

    return lax.fori_loop(3, x.shape[1], step, jnp.zeros_like(x))


HARD: dict[str, Loop] = {
    "read after a write elsewhere": read_after_a_write_elsewhere,
    "at the outer loop's counter": at_the_outer_loop_s_counter,
    "in turns of zeros": read_at(lambda i, n: jnp.where(i % 2 == 0, i - 1, n - 1), jnp.zeros_like),
    "in turns of the signal": read_at(
        lambda i, n: jnp.where(i % 2 == 0, i - 1, n - 1), lambda x: x
    ),
    "in turns of nothing": read_at(lambda i, n: jnp.where(i % 2 == 0, i - 1, n + 5), lambda x: x),
    "first half": read_at(lambda i, n: jnp.where(i < n // 2, i - 1, i + 1), jnp.zeros_like),
    "second half": read_at(lambda i, n: jnp.where(i > n // 2, i - 1, i + 1), lambda x: x),
    "once": read_at(lambda i, n: jnp.where(i == 9, i - 4, i + 1), lambda x: x),
    "dropped writes": write_of_every_third_dropped,
}


@pytest.mark.parametrize("name", HARD)
def test_what_trips_read_by_turns_is_never_less_and_no_more_where_exact(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "_MAX_FOLLOWED", 0)
    monkeypatch.setattr(loops, "MAX_WORK", 0)
    fn, size = HARD[name], 13
    traced, probed = trace(fn, spec(size)), probe(fn, jnp.zeros((1, size, 1)))
    for t in range(size):
        seen, found = set(traced.inputs(t)), set(probed.inputs(t))
        assert seen >= found, t
        assert not traced.exact or seen == found, t


def test_loops_of_different_lengths_may_call_the_same_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loops, "MAX_WORK", 0)
    at = jax.jit(lambda x, i: x[:, i])

    def fn(x: Any) -> Any:
        read = [
            lax.scan(lambda _, i: (0, at(x, i)), 0, jnp.arange(size))[1]
            for size in (x.shape[1], x.shape[1] // 2)
        ]
        return jnp.moveaxis(jnp.concatenate(read[::-1]), 0, 1)[:, : x.shape[1]]

    traced, probed = trace(fn, spec()), probe(fn, jnp.zeros((1, N, 1)))
    assert [traced.inputs(t) for t in range(N)] == [probed.inputs(t) for t in range(N)]


def test_few_outputs_that_no_end_cuts_off_do_not_speak_for_all() -> None:
    """All but the first two of these outputs see the first input."""

    def fn(x: Any) -> Any:
        def step(i: Any, y: Any) -> Any:
            around = lax.dynamic_slice_in_dim(y, i - 2, 6, 1).sum(1)
            return y.at[:, i].set(x[:, i] + around)

        return lax.fori_loop(0, x.shape[1], step, jnp.zeros_like(x))

    for num_samples in (38, LONG):
        field = trace(fn, spec(num_samples))
        assert (field.past, field.future) == (math.inf, 0), str(field)


@st.composite
def loops_in_place(draw: st.DrawFn) -> tuple[Loop, str]:
    """A recurrence by a few taps, at places a constant step apart, of zeros or of the signal, in a ring or not."""
    taps = draw(st.lists(st.integers(-2, 7), min_size=1, max_size=3, unique=True))
    reads = draw(st.lists(st.integers(-2, 3), min_size=0, max_size=2, unique=True))
    first, step = draw(st.integers(0, 8)), draw(st.sampled_from([1, 1, 1, 2, 3, -1]))
    of_zeros, adds = draw(st.booleans()), draw(st.booleans())
    ring = draw(st.sampled_from([None, None, 5, 9]))
    kind = draw(st.sampled_from(["fori", "scan", "while", "outputs"]))

    def fn(x: Any) -> Any:
        size = x.shape[1]
        count = (size - first) // abs(step)
        start = first if step > 0 else size - 1 - first
        y = jnp.zeros_like(x) if of_zeros else x
        y = y if ring is None else y[:, :ring]

        def place(i: Any) -> Any:
            at = start + step * i
            return at if ring is None else at % ring

        def body(i: Any, y: Any) -> Any:
            at = start + step * i
            new = jnp.zeros_like(x[:, 0])
            for tap in taps:
                new = new + y[:, place(i) - tap if ring is None else (at - tap) % ring]
            for offset in reads:
                new = new + x[:, jnp.clip(at + offset, 0, size - 1)]
            return y.at[:, place(i)].add(new) if adds else y.at[:, place(i)].set(new)

        match kind:
            case "fori":
                y = lax.fori_loop(0, count, body, y)
            case "scan":
                y = lax.scan(lambda y, i: (body(i, y), None), y, jnp.arange(count))[0]
            case "while":
                y = lax.while_loop(lambda c: c[0] < count, lambda c: (c[0] + 1, body(*c)), (0, y))[
                    1
                ]
            case _:

                def emitting(y: Any, i: Any) -> Any:
                    y = body(i, y)
                    return y, y[:, place(i)]

                y, outputs = lax.scan(emitting, y, jnp.arange(count))
                y = jnp.concatenate([y, jnp.moveaxis(outputs, 0, 1)], 1)
        return jnp.concatenate([y, x], 1)[:, :size]

    return fn, f"{taps=} {reads=} {first=} {step=} {of_zeros=} {adds=} {ring=} {kind=}"


@settings(max_examples=25, deadline=None)
@given(loops_in_place(), st.sampled_from([11, 23, 24]))
def test_random_loops_in_place_see_no_less_than_a_probe_finds_and_no_more_where_exact(
    case: tuple[Loop, str], num_samples: int
) -> None:
    fn, said = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "_MAX_FOLLOWED", 0)
        traced = trace(fn, spec(num_samples))
    probed = probe(fn, jnp.zeros((1, num_samples, 1)))
    for t in range(num_samples):
        seen, found = set(traced.inputs(t)), set(probed.inputs(t))
        assert seen >= found, (said, t)
        assert not traced.exact or seen == found, (said, t)
