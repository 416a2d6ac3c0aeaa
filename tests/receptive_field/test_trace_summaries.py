"""`trace` on all outputs together: past, future, stride, causal and interior, where these are hard to find."""

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from wavedil import UserError
from wavedil.receptive_field import check_causal, effective, probe, trace

N = 24
FRAMES = np.concatenate([[[0, 1, 2, 3]], 3 * np.arange(1, 79)[:, None] - 2 + np.arange(4)])


def spec(num_samples: int = N) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, num_samples, 1), jnp.float32)


def wrapped(x: Any, half: int) -> Any:
    padded = jnp.pad(x, ((0, 0), (half, half), (0, 0)), mode="wrap")
    return sum(padded[:, i : i + x.shape[1]] for i in range(2 * half + 1))


def written_out(x: Any) -> Any:
    """y[i] = x[i] + y[i - 1] / 2 as a Python loop."""
    ys = [x[:, 0]]
    for i in range(1, x.shape[1]):
        ys.append(x[:, i] + 0.5 * ys[-1])
    return jnp.stack(ys, 1)


def written_in_place(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        return y.at[:, i].set(x[:, i] + 0.5 * y[:, i - 1])

    return lax.fori_loop(0, x.shape[1], step, jnp.zeros_like(x))


def written_from_half_way(x: Any) -> Any:
    """y[i] = x[i] + y[i / 2] / 2: other trips before in every trip, so that no line of samples can be carried."""

    def step(i: Any, y: Any) -> Any:
        return y.at[:, i].set(x[:, i] + 0.5 * y[:, i // 2])

    return lax.fori_loop(0, x.shape[1], step, jnp.zeros_like(x))


def dynamic_frames(x: Any) -> Any:
    """Frames of 4 every 3 samples, the first of which would begin before the signal."""

    def frame(i: Any) -> Any:
        return lax.dynamic_slice_in_dim(x, jnp.maximum(3 * i - 2, 0), 4, axis=1)

    return jax.vmap(frame)(jnp.arange(x.shape[1] // 3)).mean(2)[:, 0].T[..., None]


def even_and_odd(x: Any) -> Any:
    return jnp.concatenate([x[:, ::2], x[:, 1::2]], 1)


def blocks_reversed(x: Any) -> Any:
    return jnp.concatenate(jnp.array_split(x, 5, axis=1)[::-1], 1)


def of_one_length(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: fn(x) * jnp.ones((N, 1))


INF, NONE = math.inf, range(0)
CIRCULAR = nnx.Conv(1, 1, (5,), padding="CIRCULAR", rngs=nnx.Rngs(0))

# name: (function, samples, past, future, stride, causal, interior)
CASES: dict[str, tuple[Any, ...]] = {
    "five largest": (
        lambda x: lax.top_k(x[..., 0], 5)[0][..., None], N, INF, INF, Fraction(24, 5), False, range(5),
    ),
    "roll by 1": (lambda x: jnp.roll(x, 1, 1), N, 1, -1, 1, False, range(1, 24)),
    "roll by 2": (lambda x: jnp.roll(x, 2, 1), N, 2, -2, 1, False, range(2, 24)),
    "roll back": (lambda x: jnp.roll(x, -3, 1), 1000, -3, 3, 1, False, range(997)),
    "wrapped": (lambda x: wrapped(x, 2), N, 2, 2, 1, False, range(2, 22)),
    "circular convolution": (CIRCULAR, N, 2, 2, 1, False, range(2, 22)),
    "recurrence written out": (written_out, N, INF, 0, 1, True, range(N)),
    "recurrence written out, cropped": (
        lambda x: written_out(x)[:, 4:], N, INF, 4, 1, False, range(20),
    ),
    "recurrence of one length": (of_one_length(written_out), N, INF, 0, 1, True, range(N)),
    "recurrence in place": (written_in_place, N, INF, 0, 1, True, range(N)),
    "irregular first frame": (lambda x: x[:, FRAMES].mean(2), 240, 2, 1, 3, False, range(1, 79)),
    "dynamic frames": (dynamic_frames, 240, 2, 1, 3, False, range(1, 80)),
    "even and odd": (even_and_odd, N, INF, INF, 1, False, range(N)),
    "even and odd of one length": (of_one_length(even_and_odd), N, 11, 11, 1, False, NONE),
    "strided, then padded": (
        lambda x: jnp.pad(x[:, ::2], ((0, 0), (0, 12), (0, 0))), N, 0, 0, 2, True, range(N),
    ),
    "faster, then held": (
        lambda x: x[:, np.minimum(2 * np.arange(N), N - 1)], N, 0, 0, 2, True, range(12),
    ),
    "written to a permutation": (
        lambda x: jnp.zeros_like(x).at[:, (jnp.arange(N) * 7) % N].set(x[:, :N]),
        N, 18, 18, 1, False, NONE,
    ),
    "blocks in reverse order": (blocks_reversed, N, INF, INF, 1, False, NONE),
    "halves swapped": (
        lambda x: jnp.concatenate([x[:, x.shape[1] // 2 :], x[:, : x.shape[1] // 2]], 1),
        N, INF, INF, 1, False, range(N),
    ),
    "reversed": (lambda x: x[:, ::-1], N, INF, INF, 1, False, range(N)),
    "clamped by the first sample": (
        lambda x: lax.clamp(-1.0, x, x[0, 0, 0]), N, INF, 0, 1, True, range(N),
    ),
    "four blocks, however long": (
        lambda x: x + x.reshape(1, 4, -1, 1).mean(2, keepdims=True).repeat(
            x.shape[1] // 4, 2
        ).reshape(x.shape),
        N, INF, INF, 1, False, range(N),
    ),
    "one output set to zero": (lambda x: x.at[:, 12].set(0), N, 0, 0, 1, True, range(12)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_outputs_in_the_middle_say_what_the_field_is(case: tuple[Any, ...]) -> None:
    fn, num_samples, past, future, stride, causal, interior = case
    field = trace(fn, spec(num_samples))
    found = (field.past, field.future, field.stride, field.causal, field.interior)
    assert found == (past, future, Fraction(stride), causal, interior), str(field)
    assert field.upper_bounds == ()


@pytest.mark.parametrize("name", ["even and odd", "blocks in reverse order", "reversed"])
def test_what_has_no_field_is_refused(name: str) -> None:
    field = trace(CASES[name][0], spec())
    for ask in ("receptive_field", "taps", "phases"):
        with pytest.raises(UserError, match=r"inputs\(t\) says"):
            getattr(field, ask)


def test_outputs_without_a_rule_say_how_far_they_see() -> None:
    field = trace(of_one_length(even_and_odd), spec())
    assert str(field) == (
        "output t sees inputs within t - 11 .. t + 11, which have no taps in common, not causal, "
        "by no one rule at the 24 outputs"
    )
    with pytest.raises(UserError, match="follow no one rule"):
        _ = field.receptive_field


def test_trace_and_check_causal_agree_on_whose_clock_counts() -> None:
    for name in ("even and odd", "faster, then held", "strided, then padded"):
        fn = CASES[name][0]
        assert trace(fn, spec()).causal == probe(fn, jnp.zeros((1, N, 1))).causal, name
    with pytest.raises(AssertionError):
        check_causal(even_and_odd, jnp.zeros((1, N, 1)))


def test_a_loop_too_long_to_follow_is_judged_by_a_shorter_one() -> None:
    field = trace(written_from_half_way, spec(1000))
    assert (field.past, field.future, field.causal) == (INF, 0, True)
    assert any("scatter at indices" in bound for bound in field.upper_bounds)


def ahead(x: Any, by: int) -> Any:
    return jnp.pad(x, ((0, 0), (0, by), (0, 0)))[:, by:]


def window_attention(x: Any) -> Any:
    at = jnp.arange(x.shape[1])
    late = at[:, None] - at
    scores = jnp.where((late >= 0) & (late < 64), x @ x.swapaxes(1, 2), -jnp.inf)
    return jax.nn.softmax(scores, -1) @ x


HIDDEN: dict[str, tuple[Any, ...]] = {
    "a copy from ahead": (lambda x: written_from_half_way(x) + ahead(x, 200), 16000, 200),
    "a convolution behind it": (
        lambda x: lax.conv_general_dilated(
            written_from_half_way(x), jnp.ones((2, 1, 1)), (1,), [(0, 512)], rhs_dilation=(512,),
            dimension_numbers=("NHC", "HIO", "NHC"),
        ), 16000, 512,
    ),
    "known places behind it": (
        lambda x: jnp.take(
            written_from_half_way(x), jnp.arange(x.shape[1]) + 300, axis=1, mode="fill", fill_value=0
        ), 16000, 300,
    ),
    "turned round by less than it is long": (
        lambda x: jnp.roll(written_from_half_way(x), -300, 1), 16000, 300,
    ),
    "as many steps ahead": (
        lambda x: lax.fori_loop(0, 50, lambda i, y: ahead(y, 9), written_from_half_way(x)), 16000, 450,
    ),
    "ahead of attention that is too long": (
        lambda x: window_attention(x) + ahead(x, 3000), 16000, 3000,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HIDDEN.values(), ids=HIDDEN)
def test_what_the_end_of_a_shorter_signal_hides_is_seen(case: tuple[Any, ...]) -> None:
    fn, num_samples, future = case
    field = trace(fn, spec(num_samples))
    assert field.future >= future and not field.causal, str(field)
    assert field.past >= (63 if fn is HIDDEN["ahead of attention that is too long"][0] else INF)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: jnp.concatenate([written_from_half_way(x)] * (x.shape[1] // 10), axis=2)[..., :1],
        lambda x: jnp.split(written_from_half_way(x), x.shape[1] // 10, axis=1)[0],
    ],
)
def test_a_function_that_is_another_one_at_another_length_is_not_judged_by_it(
    fn: Callable[[Any], Any],
) -> None:
    traced = trace(fn, jax.ShapeDtypeStruct((1, 2000, 1), jnp.float32))
    assert traced.upper_bounds
    assert math.inf in (traced.past, traced.future)


def test_attention_over_a_long_signal_is_judged_by_a_shorter_one() -> None:
    field = trace(window_attention, spec(16000))
    assert (field.past, field.future, field.causal) == (63, 0, True)


def two_combs(x: Any) -> Any:
    """y[t] = x[t] + y[t - 3], and z[t] = y[t] + z[t - 5]."""

    def step(carry: Any, sample: Any) -> Any:
        a, b = carry
        y = sample + a[0]
        z = y + b[0]
        return (jnp.append(a[1:], y), jnp.append(b[1:], z)), z

    return lax.scan(step, (jnp.zeros(3), jnp.zeros(5)), x[0, :, 0])[1][None, :, None]


@pytest.mark.parametrize("num_samples", [N, 100, 10_000])
def test_two_combs_in_a_row_see_what_adds_up_from_their_periods(num_samples: int) -> None:
    field = trace(two_combs, spec(num_samples))
    assert (field.past, field.future, field.upper_bounds) == (INF, 0, ())
    sums = {3 * a + 5 * b for a in range(40) for b in range(20)}
    for t in (0, 7, 23):
        assert field.inputs(t) == tuple(i for i in range(t + 1) if t - i in sums)


def ring(x: Any) -> Any:
    """A buffer that is gone through in an order that no trip counts."""

    def step(carry: Any, sample: Any) -> Any:
        buffer, i = carry
        return (buffer.at[i].set(sample), (3 * i + 1) % 4), buffer[i] + sample

    return lax.scan(step, (jnp.zeros((4, 1)), 0), x[0])[1][None]


@pytest.mark.parametrize(
    ("fn", "words"),
    [
        (
            lambda x: (x[:, None] + jnp.tril(jnp.ones((N, N)))[None, :, :, None] * x[:, None]).sum(
                2
            ),
            "a mask of several dimensions",
        ),
        (lambda x: jnp.fft.ifft(jnp.fft.fft(x, axis=1) ** 2, axis=1).real, "inverse Fourier"),
        (ring, "at an index that is not known here"),
        (
            lambda x: lax.while_loop(lambda y: y[0, 0, 0] > 1, lambda y: y / 2, x),
            "while with as many rounds as there may be",
        ),
    ],
    ids=["mask", "spectrum", "ring buffer", "while"],
)
def test_upper_bounds_are_said(fn: Callable[[Any], Any], words: str) -> None:
    field = trace(fn, spec())
    assert any(words in bound for bound in field.upper_bounds)
    assert "an upper bound: " in str(field)
    assert "test_trace_summaries.py" in str(field)


def test_a_known_window_that_has_zeros_makes_an_upper_bound() -> None:
    """A Hann window of 8 samples begins with a zero; a Hamming window has none."""

    def spectra(x: Any, window: Any) -> Any:
        starts = 4 * jnp.arange((x.shape[1] - 8) // 4 + 1)
        frames = x[:, starts[:, None] + jnp.arange(8), 0]
        return jnp.abs(jnp.fft.rfft(frames * window[:8].astype(np.float32)))

    hann, hamming = (
        trace(lambda x, window=window: spectra(x, window), spec(40))
        for window in (np.hanning(9), np.hamming(9))
    )
    assert hann.receptive_field.size == hamming.receptive_field.size == 8
    assert any("window or mask that has zeros" in bound for bound in hann.upper_bounds)
    assert not hamming.upper_bounds


def test_a_minute_in_frames_is_exact_and_ten_say_that_they_are_not() -> None:
    def frames(x: Any) -> Any:
        starts = jnp.arange((x.shape[1] - 1024) // 160 + 1) * 160
        return x[:, starts[:, None] + jnp.arange(1024)].mean(2)

    for minutes, exact in ((1, True), (10, False)):
        field = trace(frames, spec(minutes * 960_000))
        assert (field.past, field.future, field.stride) == (0, 1023, 160)
        assert (field.upper_bounds == ()) == exact


def test_effective_field_of_a_module_that_changes_itself() -> None:
    model = nnx.BatchNorm(1, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (1, 16, 1))
    with pytest.raises(UserError, match="no finite receptive field"):
        effective(model, x)
    with pytest.raises(UserError, match=r"nnx\.clone\(model\)"):
        effective(lambda x: model(x), x)
    with pytest.raises(UserError, match=r"nnx\.clone\(model\)"):
        probe(lambda x: model(x), x)
    with pytest.raises(UserError, match="ShapeDtypeStruct"):
        effective(model, jax.ShapeDtypeStruct((1, 8, 1), jnp.float32))


def test_whole_numbers_of_any_kind_are_axes_and_outputs() -> None:
    field = trace(lambda x: x, spec(), time_axis=np.int64(1))
    assert field.inputs(np.int32(3)) == probe(lambda x: x, spec()).inputs(np.int64(3)) == (3,)
    for t in (-1, N, 1.5):
        with pytest.raises(UserError, match="does not exist"):
            field.inputs(t)
        with pytest.raises(UserError, match="does not exist"):
            probe(lambda x: x, spec()).inputs(t)


def every(x: Any, period: int, by: int) -> Any:
    """Some samples, and in place of the others those some time before, in a circle."""
    kept = np.arange(x.shape[1]) % period == 0
    return jnp.where(kept[None, :, None], x, jnp.roll(x, by, 1))


STEPS = (
    lambda x, a, b: every(x, a + 1, b),
    lambda x, a, b: jnp.concatenate([x[:, a:], x[:, :b]], 1),
    lambda x, a, b: lax.pad(x, 0.0, ((0, 0, 0), (a, -b, a % 3), (0, 0, 0))),
    lambda x, a, b: x[:, :: -(a % 2) - 1] + jnp.roll(x, b, 1)[:, :: a % 2 + 1],
    lambda x, a, b: lax.reduce_window(
        x, -np.inf, lax.max, (1, a, 1), (1, b % 2 + 1, 1), ((0, 0), (a, 0), (0, 0))
    ),
)
# Whose output 3 once counted as an interior one, though it sees what comes in around the circle.
CIRCLE = (12, (0, 3, 3), (1, 1, 3), (0, 1, 3))
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "composition",
    [
        CIRCLE,
        *((12 + 4 * i % 16, *RANDOM.integers(1, 5, (3, 3)).tolist()) for i in range(24)),
    ],
)
def test_interior_outputs_see_what_their_rule_says(composition: Any) -> None:
    num_samples, *steps = composition
    field = trace(
        lambda x: functools.reduce(lambda y, s: STEPS[s[0]](y, s[1], s[2]), steps, x),
        spec(num_samples),
    )
    phases = field.phases if field.interior and math.inf not in (field.past, field.future) else ()
    for t in field.interior if phases else ():
        inputs = [int(field.stride * t // 1) + tap for tap in phases[t % len(phases)]]
        assert field.inputs(t) == tuple(s for s in inputs if 0 <= s < num_samples), str(field)
