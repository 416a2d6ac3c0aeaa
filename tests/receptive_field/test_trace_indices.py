"""Indices that the signal chooses: what may be read is what some signal reads, no more where they are clipped."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from wavedil.receptive_field import trace

N = 12
AT = np.arange(N, dtype=np.float32)


def chosen(x: Any, low: int, high: int) -> Any:
    """An index that the first sample says."""
    return jnp.clip(x[0].astype(jnp.int32), low, high)


def clipped_before(x: Any) -> Any:
    return jnp.floor(jnp.clip(x[0], 2.0, 5.0)).astype(jnp.int32)


def at_most(x: Any) -> Any:
    return lax.clamp(0, jnp.minimum(x[0].astype(jnp.int32), 4), 100)


CASES: dict[str, Callable[[Any], Any]] = {
    "slice": lambda x: lax.dynamic_slice(x, (chosen(x, 2, 5),), (3,)),
    "slice, clipped by the end too": lambda x: lax.dynamic_slice(x, (chosen(x, 6, 11),), (4,)),
    "slice, as numpy counts": lambda x: lax.dynamic_slice_in_dim(x, chosen(x, 2, 5), 3),
    "slice, floats clipped": lambda x: lax.dynamic_slice(x, (clipped_before(x),), (3,)),
    "slice, at most": lambda x: lax.dynamic_slice(x, (at_most(x) + 3,), (2,)),
    "slice, from the end": lambda x: lax.dynamic_slice(x, (9 - chosen(x, 1, 3),), (2,)),
    "sample": lambda x: x[chosen(x, 3, 6)][None],
    "samples": lambda x: x[jnp.broadcast_to(chosen(x, 3, 6), 2)],
    "sample of a row": lambda x: x.reshape(3, 4)[:, chosen(x, 1, 2)],
    "take": lambda x: jnp.take(x, chosen(x, 3, 6)[None]),
    "slices": lambda x: jax.vmap(lambda i: lax.dynamic_slice(x, (i,), (3,)))(chosen(x, 2, 4)[None])[
        0
    ],
    "update": lambda x: lax.dynamic_update_slice(x, 2 * x[4:8], (chosen(x, 2, 4),)),
    "update over what any of them covers": lambda x: lax.dynamic_update_slice(
        x, jnp.zeros(6), (chosen(x, 2, 4),)
    ),
    "blocks": lambda x: lax.dynamic_slice(x, (4 * chosen(x, 0, 2),), (4,)),
    "anywhere": lambda x: lax.dynamic_slice(x, (x[0].astype(jnp.int32),), (4,)),
    "one of two": lambda x: lax.dynamic_slice(x, (jnp.clip((x[0] > 2).astype(int), 0, 5),), (4,)),
    "one of two, as a remainder": lambda x: lax.dynamic_slice(
        x, (jnp.clip(x[0].astype(jnp.int32) % 2, 0, 5),), (4,)
    ),
    "one of a few that rounding leaves": lambda x: x[
        jnp.clip(9 * jax.nn.sigmoid(x[0]), 2, 8).astype(jnp.int32)
    ][None],
    "every second": lambda x: x[2 * chosen(x, 1, 3)][None],
    "the largest of some": lambda x: lax.dynamic_slice(
        x, (jnp.argmax(jnp.where(AT < 2, x[0] * (AT - 0.5), -jnp.inf)),), (4,)
    ),
    "the largest of equal ones": lambda x: lax.dynamic_slice(
        x, (jnp.argmax(jnp.broadcast_to(x[0], 6)),), (4,)
    ),
    "written to one of a few": lambda x: x.at[chosen(x, 2, 4)].set(x[9]),
    "a counter beyond what was clipped": lambda x: lax.dynamic_slice(
        x, (lax.fori_loop(0, 3, lambda _, i: i + 2, chosen(x, 0, 1)),), (2,)
    ),
    "a number in place of what was clipped": lambda x: lax.dynamic_slice(
        x, (jnp.zeros(2, jnp.int32).at[0].set(chosen(x, 0, 1)).at[0].set(9)[0],), (2,)
    ),
}


def some_signal_reads(fn: Callable[[Any], Any]) -> list[set[int]]:
    """The inputs other than the first whose change changes an output, for any index that the first says."""
    signals = np.random.default_rng(0).uniform(1, 2, (N + 3, N)).astype(np.float32)
    signals[:, 0] = np.arange(-1, N + 2) + 0.5
    changed = signals[:, None] + 0.5 * np.eye(N, dtype=np.float32)[1:]
    every = jax.jit(jax.vmap(fn))
    differ = every(changed.reshape(-1, N)).reshape(N + 3, N - 1, -1) != every(signals)[:, None]
    return [{1 + int(i) for i in np.flatnonzero(inputs)} for inputs in differ.any(0).T]


@pytest.mark.sampled
@pytest.mark.parametrize("fn", CASES.values(), ids=CASES)
def test_what_is_read_at_an_index_from_the_signal_is_what_some_signal_reads(fn: Any) -> None:
    field = trace(fn, jax.ShapeDtypeStruct((N,), jnp.float32), time_axis=0)
    for t, found in enumerate(some_signal_reads(fn)):
        assert found <= {*field.inputs(t)}, t
        if field.exact:
            assert found == {*field.inputs(t)} - {0}, t


@pytest.mark.parametrize("name", [name for name in CASES if name[0] == "s" or name[:6] == "update"])
def test_an_index_that_is_clipped_makes_no_upper_bound(name: str) -> None:
    assert trace(CASES[name], jax.ShapeDtypeStruct((N,), jnp.float32), time_axis=0).exact


def test_what_is_true_or_false_is_both() -> None:
    assert trace(CASES["one of two"], jax.ShapeDtypeStruct((N,), jnp.float32), time_axis=0).exact


def test_a_window_that_the_signal_moves_is_as_long_as_it_may_move() -> None:
    def fn(x: Any) -> Any:
        padded = jnp.pad(x, (8, 8))
        return lax.dynamic_slice(padded, (8 + jnp.clip(x[0].astype(jnp.int32), -3, 2),), x.shape)

    field = trace(fn, jax.ShapeDtypeStruct((10_000,), jnp.float32), time_axis=0)
    assert field.inputs(5000) == (0, *range(4997, 5003))


@pytest.mark.parametrize("num_samples", [100, 2000])
def test_an_irregular_order_is_listed_and_one_too_long_is_an_upper_bound(num_samples: int) -> None:
    order = np.random.default_rng(0).permutation(num_samples)
    signal = jax.ShapeDtypeStruct((1, num_samples, 1), jnp.float32)
    read = trace(lambda x: x[:, order] + x[:, order[0]][:, None], signal)
    written = trace(lambda x: jnp.zeros_like(x).at[:, order].set(x), signal)
    assert read.exact == written.exact == (num_samples == 100)
    for t in range(0, num_samples, num_samples // 50):
        seen = {int(order[t]), int(order[0])}, {int(np.flatnonzero(order == t)[0])}
        for field, inputs in zip((read, written), seen, strict=True):
            assert set(field.inputs(t)) == inputs if field.exact else inputs <= set(field.inputs(t))


def test_long_frames_are_added_up_where_they_were() -> None:
    starts = np.arange(16)[:, None] * 50
    places = starts + np.where(np.arange(256) < 200, np.arange(256), np.arange(256) + 3)

    def summed(x: jax.Array) -> jax.Array:
        frames = x[:, places].cumsum(2)
        return jnp.zeros_like(x).at[:, places].add(frames)

    field = trace(summed, jax.ShapeDtypeStruct((1, 1020, 1), jnp.float32))
    assert field.exact
    for t in range(0, 1020, 17):
        frames = [frame[frame <= t] for frame in places if t in frame]
        assert set(field.inputs(t)) == set(np.concatenate([*frames, []]).astype(int).tolist())
