"""An answer without upper bounds is what a measurement finds, whatever the function is made of."""

import random
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from wavedil.receptive_field import TracedField, probe, trace

N = 24


def spec(num_samples: int = N) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, num_samples, 1), jnp.float32)


def assert_exact(fn: Callable[[Any], Any], by: str = "nan", num_samples: int = N) -> TracedField:
    field = trace(fn, spec(num_samples))
    signal = jax.random.uniform(jax.random.key(0), (1, num_samples, 1), minval=1.0, maxval=2.0)
    found = probe(fn, signal, by=by)
    assert field.upper_bounds == ()
    for t in range(field.num_outputs):
        assert field.inputs(t) == found.inputs(t), t
    return field


def recurrence(draw: random.Random) -> Callable[[Any], Any]:
    """A delay line that is read at places, fed back or not, one or several of them, perhaps backwards."""
    length, reverse = draw.randint(1, 7), draw.random() < 0.3
    places = sorted(draw.sample(range(length), draw.randint(1, min(2, length))))
    delay, fed_back = draw.randint(1, 4), draw.random() < 0.8

    def fn(x: Any) -> Any:
        def step(carry: Any, sample: Any) -> Any:
            line, past = carry
            y = past[0] + sum(line[place] for place in places)
            line = jnp.concatenate([line[1:], (y if fed_back else sample)[None]])
            return (line, jnp.concatenate([past[1:], sample[None]])), y

        start = jnp.zeros((length, 1, 1)), jnp.zeros((delay, 1, 1))
        return lax.scan(step, start, x.swapaxes(0, 1), reverse=reverse)[1].swapaxes(0, 1)

    return fn


@pytest.mark.parametrize("seed", range(12))
def test_recurrences_with_delay_lines_are_exact(seed: int) -> None:
    assert_exact(recurrence(random.Random(seed)))


def comb(x: Any) -> Any:
    """y[t] = x[t] + 0.7 y[t - 5]"""

    def step(line: Any, sample: Any) -> Any:
        y = sample + 0.7 * line[0]
        return jnp.concatenate([line[1:], y[None]]), y

    return lax.scan(step, jnp.zeros((5, 1, 1)), x.swapaxes(0, 1))[1].swapaxes(0, 1)


def rounds(x: Any, num_rounds: int = 60) -> Any:
    """A scan over another axis than time, whose carry shifts by one sample each round."""

    def step(carry: Any, one: Any) -> Any:
        return jnp.pad(carry, ((0, 0), (1, 0), (0, 0)))[:, :-1] + one, None

    return lax.scan(step, jnp.zeros_like(x), jnp.broadcast_to(x, (num_rounds, *x.shape)))[0]


def test_a_comb_filter_sees_every_fifth_sample_at_any_length() -> None:
    assert_exact(comb)
    field = trace(comb, spec(10_000))
    assert field.upper_bounds == () and field.causal
    assert field.inputs(9_999) == tuple(range(4, 10_000, 5))


def test_a_scan_over_another_axis_keeps_the_field_along_time() -> None:
    assert_exact(rounds)
    field = trace(lambda x: rounds(x, 200), spec(1000))
    assert (field.past, field.future, field.causal, field.upper_bounds) == (199, 0, True, ())


def test_what_is_widened_names_the_line_only_if_the_output_sees_it() -> None:
    def fn(x: Any, used: bool) -> Any:
        widened = lax.while_loop(lambda y: y[0, 0, 0] > 1, lambda y: y / 2, x)
        return x + widened if used else x + 0 * x

    assert trace(lambda x: fn(x, False), spec()).upper_bounds == ()
    (bound,) = trace(lambda x: fn(x, True), spec()).upper_bounds
    assert "while" in bound and "test_trace_exact.py" in bound


def test_writing_on_a_diagonal_of_the_signal_is_an_upper_bound() -> None:
    places = np.arange(4)
    field = trace(
        lambda x: x.reshape(1, 6, 4, 1).at[:, places, places].set(0.0).reshape(x.shape), spec()
    )
    assert any("scatter" in bound for bound in field.upper_bounds)


def attention(masked: Callable[[Any], Any], x: Any) -> Any:
    """Scores of all pairs, masked, then a softmax over the keys."""
    scores = 0.1 * jnp.einsum("bqc,bkc->bqk", x, x)
    # Two values, so that no change of a key leaves both of their means as they are.
    return jax.nn.softmax(masked(scores), -1) @ jnp.concatenate([x, x**2], -1)


def causal(scores: Any) -> Any:
    return np.tril(np.ones(scores.shape[1:], np.float32))


def sliding(scores: Any) -> Any:
    ahead = jnp.arange(scores.shape[1])[:, None] - jnp.arange(scores.shape[2])
    return ((ahead >= 0) & (ahead < 5)).astype(jnp.float32)


FORMS: dict[str, Callable[[Any, Any], Any]] = {
    "where": lambda s, mask: jnp.where(mask > 0, s, -jnp.inf),
    "where the lowest": lambda s, mask: jnp.where(mask > 0, s, jnp.finfo(s.dtype).min),
    "added": lambda s, mask: s + (1 - mask) * -1e9,
    "taken away": lambda s, mask: s - (1 - mask) * 1e4,
    "bias": lambda s, mask: s + jnp.where(mask > 0, 0.0, -jnp.inf),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("mask", [causal, sliding])
def test_masked_attention_is_exact_however_the_mask_is_written(form: Any, mask: Any) -> None:
    field = assert_exact(lambda x: attention(lambda s: form(s, mask(s)), x), by="change")
    assert field.causal
    assert field.past == (4 if mask is sliding else np.inf)


@pytest.mark.parametrize("mask", [causal, sliding])
def test_attention_without_softmax_is_exact_where_scores_are_multiplied_by_a_mask(
    mask: Any,
) -> None:
    def fn(x: Any) -> Any:
        scores = x @ x.swapaxes(1, 2)
        return (scores * mask(scores)) @ x

    assert assert_exact(fn, by="change").causal


def test_a_number_that_is_not_low_enough_is_no_mask() -> None:
    field = trace(lambda x: attention(lambda s: s + (1 - causal(s)) * -5.0, x), spec())
    assert not field.causal


def test_linear_attention_in_chunks_is_causal_and_exact() -> None:
    size = 4

    def fn(x: Any) -> Any:
        def step(total: Any, chunk: Any) -> Any:
            scores = chunk[:, None] * chunk * jnp.tril(jnp.ones((size, size)))
            return total + (chunk**2).sum(), scores @ chunk + chunk * total

        chunks = x.reshape(-1, size)
        return lax.scan(step, jnp.zeros(()), chunks)[1].reshape(x.shape)

    assert assert_exact(fn, by="change").causal


def band(x: Any) -> Any:
    """Each output is a mean of its neighbours, by a product with a known matrix."""
    near = np.abs(np.subtract.outer(np.arange(x.shape[1]), np.arange(x.shape[1]))) <= 2
    return jnp.einsum("st,btc->bsc", near.astype(np.float32), x)


def by_transform(x: Any, taps: Any) -> Any:
    size = 2 * x.shape[1]
    response = jnp.fft.rfft(taps, size)[None, :, None]
    return jnp.fft.irfft(jnp.fft.rfft(x, size, axis=1) * response, size, axis=1)[:, : x.shape[1]]


def lower_triangular(x: Any) -> Any:
    matrix = jnp.tril(jnp.full((x.shape[1],) * 2, 0.1)) + jnp.eye(x.shape[1])
    return jax.scipy.linalg.solve_triangular(matrix, x[0], lower=True)[None]


@pytest.mark.parametrize(
    "fn",
    [
        band,
        lambda x: jax.image.resize(x, (1, 2 * x.shape[1], 1), "linear"),
        lambda x: jax.image.resize(x, (1, x.shape[1] // 2, 1), "cubic"),
        lambda x: by_transform(x, 1 + jnp.arange(7.0)),
        lambda x: by_transform(x, jnp.exp(-jnp.arange(float(N)) / N)),
        lower_triangular,
    ],
    ids=["band", "resize", "resize down", "short filter", "filter as long", "triangular"],
)
def test_known_matrices_and_filters_are_followed_by_their_nonzeros(fn: Any) -> None:
    assert_exact(fn, by="change")


@pytest.mark.parametrize("num_taps", [1, 2, 4, 16, 64])
def test_the_spectrum_of_a_filter_that_is_held_in_single_precision_has_its_taps(
    num_taps: int,
) -> None:
    # Above what rounding of 32,000 frequencies may put elsewhere.
    taps = np.random.default_rng(0).uniform(0.1, 1, num_taps).astype(np.float32)
    response = np.asarray(jnp.fft.rfft(taps, 32_000))[None, :, None]

    def filtered(x: Any) -> Any:
        product = jnp.fft.rfft(x, 32_000, axis=1) * response
        return jnp.fft.irfft(product, 32_000, axis=1)[:, : x.shape[1]]

    field = trace(filtered, spec(16_000))
    assert (field.past, field.future, field.upper_bounds) == (num_taps - 1, 0, ())


def overlap_add(x: Any, size: int = 4, hop: int = 3) -> Any:
    """Frames are changed by themselves and added up where they overlap, which is a frame at each sample."""
    places = jnp.arange((x.shape[1] - size) // hop + 1)[:, None] * hop + jnp.arange(size)
    frames = x[0, places, 0]
    return (
        jnp.zeros(x.shape[1]).at[places].add(frames + frames.sum(1, keepdims=True))[None, :, None]
    )


def test_frames_added_up_are_exact_and_cost_the_same_at_any_length() -> None:
    assert_exact(overlap_add)
    assert_exact(lambda x: overlap_add(x, 8, 2))
    start = time.perf_counter()
    field = trace(lambda x: overlap_add(x, 16, 4), spec(32_000))
    assert (field.past, field.future, field.upper_bounds) == (15, 15, ())
    assert time.perf_counter() - start < 2


def test_a_known_matrix_that_is_too_large_to_look_at_makes_an_upper_bound() -> None:
    field = trace(lambda x: jax.image.resize(x, (1, 2 * x.shape[1], 1), "linear"), spec(16_000))
    assert field.size == 3
    assert any("too large" in bound for bound in field.upper_bounds)
