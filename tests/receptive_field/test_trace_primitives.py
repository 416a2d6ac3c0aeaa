"""The indices that each family of operations reads, against sets written out by hand."""

from collections.abc import Callable
from fractions import Fraction
from math import inf
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from wavedil.receptive_field import trace

pytestmark = pytest.mark.newest

N = 24
EVERYTHING = tuple(range(N))


def clipped(*offsets: int) -> Callable[[int], set[int]]:
    return lambda t: {t + o for o in offsets if 0 <= t + o < N}


def conv(x: Any, kernel_size: int, **settings: Any) -> Any:
    """x [time] -> [time]."""
    arguments = {"window_strides": (1,), "padding": [(0, 0)], **settings}
    kernel = jnp.ones((kernel_size, 1, 1))
    names = ("NTC", "TIO", "NTC")
    return lax.conv_general_dilated(x[None, :, None], kernel, dimension_numbers=names, **arguments)[
        0, :, 0
    ]


def delay_line(x: Any, num_samples: int) -> Any:
    def step(line: Any, sample: Any) -> Any:
        return jnp.concatenate([line[1:], sample[None]]), line[0] + sample

    return lax.scan(step, jnp.zeros(num_samples), x)[1]


def blocks_that_hand_on(x: Any) -> Any:
    def step(past: Any, block: Any) -> Any:
        joined = jnp.concatenate([past, block])
        return joined[-3:], conv(joined, 4)

    return lax.scan(step, jnp.zeros(3), x.reshape(6, 4))[1].reshape(-1)


def recurrence(x: Any, reverse: bool = False) -> Any:
    return lax.scan(lambda c, a: (c + a, c + a), 0.0, x, reverse=reverse)[1]


def framed(x: Any, hop: int, size: int, count: int) -> Any:
    return x[jnp.arange(count)[:, None] * hop + jnp.arange(size)]


def dynamic_frames(x: Any) -> Any:
    return jax.vmap(lambda start: lax.dynamic_slice(x, (start,), (6,)))(jnp.arange(5) * 3).sum(1)


def attention_in_blocks(x: Any) -> Any:
    blocks = x.reshape(4, 6)
    scores = jax.nn.softmax(blocks[:, :, None] * blocks[:, None], axis=-1)
    return (scores @ blocks[..., None]).reshape(-1)


def write_in_loop(x: Any) -> Any:
    return lax.fori_loop(0, N, lambda i, y: y.at[i].set(x[i] + x[0]), jnp.zeros(N))


def grouped_channels(x: Any) -> Any:
    """Channel 0 is x, channel 1 a delay of 2; a depthwise convolution keeps them apart."""
    both = jnp.stack([x, jnp.concatenate([jnp.zeros(2), x[:-2]])], axis=-1)
    names = ("NTC", "TIO", "NTC")
    y = lax.conv_general_dilated(
        both[None],
        jnp.ones((1, 1, 2)),
        (1,),
        "VALID",
        dimension_numbers=names,
        feature_group_count=2,
    )
    return y[0, :, 1]


def batch_groups(x: Any) -> Any:
    """Batch entries 0 and 1 are x and its delay by 2; each makes one output channel."""
    both = jnp.stack([x, jnp.concatenate([jnp.zeros(2), x[:-2]])])[..., None]
    names = ("NTC", "TIO", "NTC")
    y = lax.conv_general_dilated(
        both, jnp.ones((1, 1, 2)), (1,), "VALID", dimension_numbers=names, batch_group_count=2
    )
    return y[0, :, 1]


@jax.custom_vjp
def own_gradient(x: Any) -> Any:
    return jnp.concatenate([jnp.zeros(1), x[:-1]])


own_gradient.defvjp(lambda x: (own_gradient(x), None), lambda _, g: (g,))


@jax.custom_jvp
def own_derivative(x: Any) -> Any:
    return x[::-1]


own_derivative.defjvp(lambda x, dx: (x[0], dx[0]))

# name: (function, the inputs of output t)
CASES: dict[str, tuple[Callable[[Any], Any], Callable[[int], Any]]] = {
    "elementwise": (lambda x: jnp.tanh(x) * 2 + jax.nn.gelu(x) ** 2, clipped(0)),
    "exponents": (lambda x: jnp.ldexp(*jnp.frexp(x)) + jnp.log2(x), clipped(0)),
    "gradient of activations": (
        jax.grad(lambda x: (jnp.tanh(x) + jax.nn.gelu(x)).sum()),
        clipped(0),
    ),
    "polynomial": (lambda x: jnp.polyval(jnp.arange(12.0), x), clipped(0)),
    "difference with itself": (lambda x: x - x, clipped(0)),
    "times zero": (lambda x: 0.0 * x, clipped(0)),
    "integers": (lambda x: jnp.arange(9.0)[x.astype(int)], clipped(0)),
    "intervals": (lambda x: jnp.searchsorted(jnp.arange(9.0), x), clipped(0)),
    "one-hot": (lambda x: jax.nn.one_hot(x.astype(int), 5).sum(-1), clipped(0)),
    "convolution": (lambda x: conv(x, 3), clipped(0, 1, 2)),
    "convolution same": (lambda x: conv(x, 3, padding=[(1, 1)]), clipped(-1, 0, 1)),
    "convolution dilated": (
        lambda x: conv(x, 3, padding=[(8, 0)], rhs_dilation=(4,)),
        clipped(-8, -4, 0),
    ),
    "convolution strided": (
        lambda x: conv(x, 4, window_strides=(3,), padding=[(1, 0)]),
        lambda t: {i for i in range(3 * t - 1, 3 * t + 3) if i >= 0},
    ),
    "convolution transposed": (
        lambda x: conv(x, 4, lhs_dilation=(2,), padding=[(3, 3)]),
        lambda t: {i for i in range(N) if 0 <= 2 * i + 3 - t <= 3},
    ),
    "convolution negative padding": (
        lambda x: conv(x, 2, padding=[(-3, -2)]),
        lambda t: {t + 3, t + 4},
    ),
    "borders of two dilated layers": (
        # The second layer's missing neighbours cannot hand on what they would have seen.
        lambda x: conv(
            conv(x, 3, padding=[(3, 3)], rhs_dilation=(3,)), 3, padding=[(5, 5)], rhs_dilation=(5,)
        ),
        lambda t: {
            t + a + b
            for a in (-5, 0, 5)
            for b in (-3, 0, 3)
            if 0 <= t + a < N and 0 <= t + a + b < N
        },
    ),
    "convolution grouped": (grouped_channels, clipped(-2)),
    "convolution of batch groups": (batch_groups, clipped(-2)),
    "kernel from the signal": (
        lambda x: jnp.convolve(jnp.ones(N), x[:3], mode="full"),
        lambda t: {k for k in range(3) if 0 <= t - k < N},
    ),
    "pad inside": (
        lambda x: lax.pad(x, 0.0, ((0, 0, 1),)),
        lambda t: {t // 2} if t % 2 == 0 else set(),
    ),
    "pad negative": (lambda x: lax.pad(x, 0.0, ((2, -1, 0),)), lambda t: {t - 2} - {-1, -2}),
    "pad by reflection": (lambda x: jnp.pad(x, (3, 0), mode="reflect"), lambda t: {abs(t - 3)}),
    "slice": (lambda x: x[3:20:2], lambda t: {3 + 2 * t}),
    "reversed": (lambda x: x[::-1], lambda t: {N - 1 - t}),
    "roll": (lambda x: jnp.roll(x, 5), lambda t: {(t - 5) % N}),
    "concatenated": (
        lambda x: jnp.concatenate([x[20:], x]),
        lambda t: {20 + t if t < 4 else t - 4},
    ),
    "folded, mean": (lambda x: x.reshape(6, 4).mean(1), lambda t: set(range(4 * t, 4 * t + 4))),
    "folded, other mean": (lambda x: x.reshape(6, 4).mean(0), lambda t: set(range(t, N, 4))),
    "folded, transposed, unfolded": (
        lambda x: x.reshape(6, 4).T.reshape(-1),
        lambda t: {t % 6 * 4 + t // 6},
    ),
    "repeated": (lambda x: jnp.repeat(x, 3), lambda t: {t // 3}),
    "tiled": (lambda x: jnp.tile(x, 2), lambda t: {t % N}),
    "sub-pixel": (
        lambda x: jnp.stack([x, jnp.roll(x, 1)], -1).reshape(-1),
        lambda t: {t // 2} if t % 2 == 0 else {(t // 2 - 1) % N},
    ),
    "sum": (lambda x: x + x.sum(), lambda t: EVERYTHING),
    "argmax": (lambda x: x + jnp.argmax(x[:5]).astype(x.dtype), lambda t: {t, 0, 1, 2, 3, 4}),
    "argmin of channels": (
        lambda x: jnp.argmin(jnp.stack([x, x[::-1]]), 0),
        lambda t: {t, N - 1 - t},
    ),
    "softmax": (jax.nn.softmax, lambda t: EVERYTHING),
    "maximum pool": (
        lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (3,), (2,), ((1, 1),)),
        lambda t: {i for i in (2 * t - 1, 2 * t, 2 * t + 1) if 0 <= i < N},
    ),
    "dilated sum pool": (
        lambda x: lax.reduce_window(x, 0.0, lax.add, (3,), (1,), "VALID", window_dilation=(4,)),
        clipped(0, 4, 8),
    ),
    "gradient of a pool": (
        lambda x: jax.grad(
            lambda y: (lax.reduce_window(y, -jnp.inf, lax.max, (2,), (2,), "VALID") ** 2).sum()
        )(x),
        lambda t: {t // 2 * 2, t // 2 * 2 + 1},
    ),
    "gradient of a convolution": (
        lambda x: jax.grad(lambda y: (conv(y, 2, padding=[(1, 0)]) ** 2).sum())(x),
        clipped(-1, 0, 1),
    ),
    "cumsum": (jnp.cumsum, lambda t: range(t + 1)),
    "cumsum in reverse": (lambda x: lax.cumsum(x, reverse=True), lambda t: range(t, N)),
    "cumsum of a part": (lambda x: jnp.cumsum(x[3::2]), lambda t: range(3, 4 + 2 * t, 2)),
    "cumsum in blocks": (
        lambda x: jnp.cumsum(x.reshape(4, 6), 1).reshape(-1),
        lambda t: range(t // 6 * 6, t + 1),
    ),
    "cumsum over blocks": (
        lambda x: jnp.cumsum(x.reshape(4, 6), 0).reshape(-1),
        lambda t: range(t % 6, t + 1, 6),
    ),
    "cumsum after a border": (
        lambda x: jnp.cumsum(conv(x, 3, padding=[(4, 4)], rhs_dilation=(4,))),
        lambda t: {i + o for i in range(t + 1) for o in (-4, 0, 4) if 0 <= i + o < N},
    ),
    "cummax": (lambda x: lax.cummax(x), lambda t: range(t + 1)),
    "cumprod": (jnp.cumprod, lambda t: range(t + 1)),
    "cumlogsumexp": (lambda x: lax.cumlogsumexp(x), lambda t: range(t + 1)),
    "associative scan": (lambda x: lax.associative_scan(jnp.add, x), lambda t: range(t + 1)),
    "sort": (jnp.sort, lambda t: EVERYTHING),
    "sort of channels": (lambda x: jnp.sort(jnp.stack([x, -x]), 0)[0], clipped(0)),
    "top of channels": (lambda x: lax.top_k(jnp.stack([x, -x], 1), 1)[0][:, 0], clipped(0)),
    "Fourier transform": (lambda x: jnp.abs(jnp.fft.rfft(x)), lambda t: EVERYTHING),
    "short-time Fourier transform": (
        lambda x: jnp.abs(jnp.fft.rfft(framed(x, 4, 8, 5))).sum(-1),
        lambda t: range(4 * t, 4 * t + 8),
    ),
    "where": (lambda x: jnp.where(x > 0, x, jnp.roll(x, 1)), lambda t: {t, (t - 1) % N}),
    "where of a known mask": (
        lambda x: jnp.where(jnp.arange(N) < 10, x, x[::-1]),
        lambda t: {t if t < 10 else N - 1 - t},
    ),
    "where of a known pattern": (
        lambda x: jnp.where(jnp.arange(N) % 3 == 0, x, 0.0),
        lambda t: {t} if t % 3 == 0 else set(),
    ),
    "take": (lambda x: x[jnp.array([5, 3, 20, 20, -1])], lambda t: {[5, 3, 20, 20, 23][t]}),
    "take out of bounds": (
        lambda x: x.at[jnp.array([2, 99])].get(mode="fill"),
        lambda t: {2} if t == 0 else set(),
    ),
    "take along an axis": (
        lambda x: jnp.take_along_axis(
            x.reshape(6, 4), jnp.array([[0], [1], [2], [3], [0], [1]]), 1
        )[:, 0],
        lambda t: {4 * t + t % 4},
    ),
    "frames": (lambda x: framed(x, 4, 7, 5).max(1), lambda t: range(4 * t, 4 * t + 7)),
    "dynamic frames": (dynamic_frames, lambda t: range(3 * t, 3 * t + 6)),
    "diagonal": (lambda x: jnp.diag(x[:, None] * x[::-1][None]), lambda t: {t, N - 1 - t}),
    "dynamic slice of a known start": (lambda x: lax.dynamic_slice(x, (3,), (8,)), clipped(3)),
    "dynamic slice beyond the end": (lambda x: lax.dynamic_slice(x, (99,), (8,)), clipped(N - 8)),
    "dynamic slice of a start from the signal": (
        lambda x: lax.dynamic_slice(x[4:], (jnp.argmax(x[:2]),), (8,)),
        lambda t: {0, 1, t + 4, t + 5},
    ),
    "dynamic update": (
        lambda x: lax.dynamic_update_slice(x, 2 * x[:4], (7,)),
        lambda t: {t - 7 if 7 <= t < 11 else t},
    ),
    "set": (lambda x: x.at[3:7].set(0.0), lambda t: set() if 3 <= t < 7 else {t}),
    "set at steps": (
        lambda x: jnp.zeros(2 * N).at[::2].set(x),
        lambda t: {t // 2} if t % 2 == 0 else set(),
    ),
    "add at indices": (
        lambda x: x.at[jnp.array([1, 1, 5])].add(x[10:13]),
        lambda t: {1: {1, 10, 11}, 5: {5, 12}}.get(t, {t}),
    ),
    "set on a diagonal": (
        lambda x: jnp.zeros((N, N)).at[jnp.arange(N), jnp.arange(N)].set(x).sum(1),
        clipped(0),
    ),
    "set at places from the signal": (
        lambda x: x.at[jnp.argmax(x[:2])].set(x[5]),
        lambda t: {t, 0, 1, 5},
    ),
    "add to rows": (
        lambda x: x.reshape(6, 4).at[jnp.array([1, 4])].add(x[:8].reshape(2, 4)).reshape(-1),
        lambda t: {t, {1: t % 4, 4: 4 + t % 4}.get(t // 4, t)},
    ),
    "sums of segments": (
        lambda x: jax.ops.segment_sum(x, jnp.arange(N) // 5, 5),
        lambda t: range(5 * t, min(5 * t + 5, N)),
    ),
    "column of an outer product": (lambda x: (x[:, None] * x[None])[:, 3], lambda t: {t, 3}),
    "row of an outer sum": (lambda x: (x[None] + x[:, None])[3], lambda t: {t, 3}),
    "outer product": (lambda x: (x[:, None] * x[:3]).sum(1), lambda t: {t, 0, 1, 2}),
    "contraction over time": (lambda x: jnp.ones((N, N)) @ x, lambda t: EVERYTHING),
    "attention in blocks": (attention_in_blocks, lambda t: range(t // 6 * 6, t // 6 * 6 + 6)),
    "factorization of blocks": (
        lambda x: jnp.linalg.cholesky(x.reshape(6, 2, 2)).reshape(-1),
        lambda t: range(t // 4 * 4, t // 4 * 4 + 4),
    ),
    "solution": (lambda x: jnp.linalg.solve(jnp.eye(4), x[:4]), lambda t: range(4)),
    "scan, recurrent": (recurrence, lambda t: range(t + 1)),
    "scan, recurrent in reverse": (lambda x: recurrence(x, reverse=True), lambda t: range(t, N)),
    "scan, last carry": (
        lambda x: x + lax.scan(lambda c, a: (a, None), 0.0, x)[0],
        lambda t: {t, N - 1},
    ),
    "scan, delay line": (lambda x: delay_line(x, 5), clipped(-5, 0)),
    "scan, blocks": (blocks_that_hand_on, clipped(-3, -2, -1, 0)),
    "scan over layers": (
        lambda x: lax.scan(lambda y, w: (y + w * jnp.roll(y, 1), None), x, jnp.ones(3))[0],
        lambda t: {(t - k) % N for k in range(4)},
    ),
    "map": (lambda x: lax.map(jnp.sin, x), clipped(0)),
    "loop": (
        lambda x: lax.fori_loop(0, 3, lambda i, y: conv(y, 2, padding=[(1, 0)]), x),
        clipped(-3, -2, -1, 0),
    ),
    "loop that writes": (write_in_loop, lambda t: {0, t}),
    "loop that ends by a counter": (
        lambda x: lax.while_loop(
            lambda c: c[0] < 2, lambda c: (c[0] + 1, jnp.roll(c[1], 1)), (0, x)
        )[1],
        lambda t: {(t - 2) % N},
    ),
    "loop that ends by the signal": (
        lambda x: lax.while_loop(lambda y: y[0] > 1, lambda y: y / 2, x),
        lambda t: {0, t},
    ),
    "cond": (
        lambda x: lax.cond(x[3] > 0, lambda y: y, lambda y: jnp.roll(y, 1), x),
        lambda t: {t, (t - 1) % N, 3},
    ),
    "cond, known": (lambda x: lax.cond(True, lambda y: y, lambda y: jnp.roll(y, 1), x), clipped(0)),
    "switch": (
        lambda x: lax.switch(jnp.argmax(x[:2]), [jnp.sin, lambda y: y[::-1]], x),
        lambda t: {t, N - 1 - t, 0, 1},
    ),
    "jit": (lambda x: jax.jit(lambda y: y[::-1])(x), lambda t: {N - 1 - t}),
    "composite": (lax.composite(lambda x: x[::-1], "wavedil.reversed"), lambda t: {N - 1 - t}),
    "root": (
        lambda x: lax.custom_root(
            lambda y: jnp.roll(y, 1) - x, x, lambda f, y: y[::-1] - f(y), lambda f, y: y
        ),
        lambda t: {t, (t - 1) % N, N - 1 - t},
    ),
    "remat": (lambda x: jax.checkpoint(lambda y: conv(y, 2))(x), clipped(0, 1)),
    "custom derivative forward": (own_derivative, lambda t: {N - 1 - t}),
    "custom derivative backward": (own_gradient, clipped(-1)),
    "vmap": (
        lambda x: jax.vmap(lambda row: jnp.cumsum(row))(x.reshape(6, 4))[:, 1],
        lambda t: {4 * t, 4 * t + 1},
    ),
    "random numbers": (
        lambda x: jnp.where(jax.random.bernoulli(jax.random.key(0), 0.5, (N,)), x, 0) + x,
        clipped(0),
    ),
    "random numbers of a key from the signal": (
        lambda x: x + jax.random.normal(jax.random.key(x[2].astype(int)), (N,)),
        lambda t: {2, t},
    ),
    "printing": (lambda x: (jax.debug.print("{}", x.sum()), x)[1], clipped(0)),
    "nothing": (lambda x: jnp.ones(N), lambda t: set()),
}


@pytest.mark.parametrize(("fn", "expected"), CASES.values(), ids=CASES)
def test_operation_reads_exactly(fn: Callable[[Any], Any], expected: Callable[[int], Any]) -> None:
    field = trace(fn, jax.ShapeDtypeStruct((N,), jnp.float32), time_axis=0)
    found = {t: set(field.inputs(t)) for t in range(field.num_outputs)}
    assert found == {t: set(expected(t)) for t in range(field.num_outputs)}


# name: (past, future, stride, causal, first and end of the interior)
SUMMARIES = {
    "elementwise": (0, 0, 1, True, 0, 24),
    "difference with itself": (0, 0, 1, True, 0, 24),
    "integers": (0, 0, 1, True, 0, 24),
    "convolution": (0, 2, 1, False, 0, 22),
    "convolution same": (1, 1, 1, False, 0, 24),
    "convolution dilated": (8, 0, 1, True, 0, 24),
    "convolution strided": (1, 2, 3, False, 0, 8),
    "convolution transposed": (1, 0, Fraction(1, 2), True, 0, 50),
    "convolution negative padding": (-3, 4, 1, False, 0, 18),
    "borders of two dilated layers": (8, 8, 1, False, 5, 19),
    "convolution grouped": (2, -2, 1, True, 0, 24),
    "pad inside": (0, 0, Fraction(1, 2), True, 0, 47),
    "pad negative": (2, -2, 1, True, 0, 25),
    "pad by reflection": (3, -3, 1, False, 3, 27),
    "slice": (-3, 3, 2, False, 0, 9),
    "reversed": (inf, inf, 1, False, 0, 24),
    "roll": (5, -5, 1, False, 5, 24),
    "folded, mean": (0, 3, 4, False, 0, 6),
    "repeated": (0, 0, Fraction(1, 3), True, 0, 72),
    "sub-pixel": (1, 0, Fraction(1, 2), False, 2, 48),
    "sum": (inf, inf, 1, False, 0, 24),
    "argmax": (inf, 4, 1, False, 0, 24),
    "softmax": (inf, inf, 1, False, 0, 24),
    "maximum pool": (1, 1, 2, False, 0, 12),
    "dilated sum pool": (0, 8, 1, False, 0, 16),
    "gradient of a pool": (1, 1, 1, False, 0, 24),
    "gradient of a convolution": (1, 1, 1, False, 0, 24),
    "cumsum": (inf, 0, 1, True, 0, 24),
    "cumsum in reverse": (0, inf, 1, False, 0, 24),
    "cumsum of a part": (inf, 3, 2, False, 0, 11),
    "cumsum in blocks": (5, 0, 1, True, 0, 24),
    "cumsum after a border": (inf, 4, 1, False, 0, 24),
    "associative scan": (inf, 0, 1, True, 0, 24),
    "sort": (inf, inf, 1, False, 0, 24),
    "sort of channels": (0, 0, 1, True, 0, 24),
    "Fourier transform": (inf, inf, 2, False, 0, 13),
    "short-time Fourier transform": (0, 7, 4, False, 0, 5),
    "where": (1, 0, 1, False, 1, 24),
    "where of a known pattern": (0, 0, 1, True, 0, 24),
    "frames": (0, 6, 4, False, 0, 5),
    "dynamic frames": (0, 5, 3, False, 0, 5),
    "diagonal": (inf, inf, 1, False, 0, 24),
    "dynamic slice of a known start": (-3, 3, 1, False, 0, 8),
    "dynamic update": (0, 0, 1, True, 11, 24),
    "set": (0, 0, 1, True, 7, 24),
    "set at steps": (0, 0, Fraction(1, 2), True, 0, 48),
    "add at indices": (0, 0, 1, False, 6, 24),
    "sums of segments": (0, 4, 5, False, 0, 5),
    "outer product": (inf, 2, 1, False, 0, 24),
    "contraction over time": (inf, inf, 1, False, 0, 24),
    "attention in blocks": (5, 5, 1, False, 0, 24),
    "scan, recurrent": (inf, 0, 1, True, 0, 24),
    "scan, recurrent in reverse": (0, inf, 1, False, 0, 24),
    "scan, last carry": (0, inf, 1, False, 0, 24),
    "scan, delay line": (5, 0, 1, True, 0, 24),
    "scan, blocks": (3, 0, 1, True, 0, 24),
    "scan over layers": (3, 0, 1, False, 3, 24),
    "loop": (3, 0, 1, True, 0, 24),
    "loop that ends by a counter": (2, -2, 1, False, 2, 24),
    "cond": (inf, 2, 1, False, 1, 24),
    "jit": (inf, inf, 1, False, 0, 24),
    "remat": (0, 1, 1, False, 0, 23),
    "custom derivative backward": (1, -1, 1, True, 0, 24),
    "random numbers of a key from the signal": (inf, 2, 1, False, 0, 24),
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_operation_is_summed_up(name: str) -> None:
    past, future, stride, causal, *interior = SUMMARIES[name]
    field = trace(CASES[name][0], jax.ShapeDtypeStruct((N,), jnp.float32), time_axis=0)
    assert (field.past, field.future, field.stride, field.causal) == (past, future, stride, causal)
    assert field.interior == range(*interior)
    assert field.upper_bounds == ()


@pytest.mark.parametrize(
    "name", ["convolution strided", "borders of two dilated layers", "sub-pixel"]
)
def test_operations_read_the_same_on_time_between_batch_and_channels(name: str) -> None:
    fn = CASES[name][0]
    x = jax.ShapeDtypeStruct((2, N, 3), jnp.float32)
    alone = trace(fn, jax.ShapeDtypeStruct((N,), jnp.float32), time_axis=0)
    batched = trace(jax.vmap(jax.vmap(fn, 1, 1)), x)
    assert [batched.inputs(t) for t in range(batched.num_outputs)] == [
        alone.inputs(t) for t in range(alone.num_outputs)
    ]


def test_time_folded_together_with_the_batch_comes_back() -> None:
    def dense(x: Any) -> Any:
        return (x.reshape(-1, 3) @ np.ones((3, 4), np.float32)).reshape(2, N, 4)

    field = trace(dense, jax.ShapeDtypeStruct((2, N, 3), jnp.float32))
    assert [field.inputs(t) for t in range(N)] == [(t,) for t in range(N)]
