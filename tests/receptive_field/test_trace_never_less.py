"""What is said to be exact is what a measurement finds; what is said to be an upper bound is never less."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from wavedil.receptive_field import probe, trace

N, CHANNELS = 12, 2
RANDOM = np.random.default_rng(0)
AT = np.arange(N)
CAUSAL = AT[:, None] >= AT
SPARSE = (RANDOM.random((N, N)) < 0.2).astype(np.float32)
PERMUTED = np.eye(N, dtype=np.float32)[RANDOM.permutation(N)]
LOWER = np.tril(np.full((N, N), 0.2, np.float32)) + np.eye(N, dtype=np.float32)


def scores(x: Any) -> Any:
    return 0.1 * x @ x.swapaxes(1, 2)


def attention(mask: Any) -> Callable[[Any], Any]:
    def fn(x: Any) -> Any:
        weights = jax.nn.softmax(jnp.where(mask, scores(x), -jnp.inf), -1)
        return weights @ jnp.concatenate([x, x**2], -1)

    return fn


def penalized(x: Any, by: float = -1e4, mask: Any = CAUSAL) -> Any:
    """The scores of all pairs, and about -10,000 outside of a mask."""
    return scores(x) + np.where(mask, 0, by).astype(np.float32)


def of_flax(mask: Any) -> Callable[[Any], Any]:
    module = nnx.MultiHeadAttention(
        num_heads=2, in_features=CHANNELS, decode=False, rngs=nnx.Rngs(0)
    )
    return lambda x: module(x, mask=jnp.asarray(mask)[None, None])


def of_jax(**settings: Any) -> Callable[[Any], Any]:
    def fn(x: Any) -> Any:
        heads = x.reshape(1, N, 1, CHANNELS)
        return jax.nn.dot_product_attention(heads, heads, heads, **settings).reshape(x.shape)

    return fn


def over_rounds(step: Callable[[Any, Any], Any], start: Callable[[Any], Any], rounds: int) -> Any:
    """A scan over another axis than time."""

    def fn(x: Any) -> Any:
        last, _ = lax.scan(
            lambda c, a: (step(c, a), None), start(x), jnp.broadcast_to(x, (rounds, *x.shape))
        )
        return jax.tree.leaves(last)[0]

    return fn


def along_time(step: Callable[[Any, Any], Any], start: Callable[[Any], Any]) -> Any:
    return lambda x: lax.scan(step, start(x), x.swapaxes(0, 1))[1].swapaxes(0, 1)


def sorted_by_known_keys(x: Any) -> Any:
    return lax.sort((PERMUTED.argmax(1).astype(np.int32), x[0, :, 0]), num_keys=1)


def delayed(x: Any) -> Any:
    return jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]


def filtered(x: Any, response: Any) -> Any:
    return jnp.fft.irfft(jnp.fft.rfft(x, axis=1) * response, N, axis=1)


def of_spectrum(x: Any, change: Callable[[Any], Any]) -> Any:
    taps = np.fft.rfft(np.arange(1.0, 4), N)[:, None].astype(np.complex64)
    return jnp.fft.irfft(change(jnp.fft.rfft(x, axis=1) * taps), N, axis=1)


CASES: dict[str, Callable[[Any], Any]] = {
    "causal": attention(CAUSAL),
    "key padding": attention((AT < 7)[None]),
    "blocks": attention(AT[:, None] // 4 == AT // 4),
    "dilated": attention(CAUSAL & ((AT[:, None] - AT) % 3 == 0)),
    "random mask": attention((RANDOM.random((N, N)) < 0.4) | np.eye(N, dtype=bool)),
    "of Flax": of_flax(CAUSAL),
    "of JAX": of_jax(is_causal=True, local_window_size=(3, 0)),
    "two masks": lambda x: (
        jax.nn.softmax(
            jnp.where(CAUSAL, scores(x), -jnp.inf) + jnp.where(AT[:, None] - AT < 4, 0, -1e9), -1
        )
        @ x
    ),
    "mean over a penalty": lambda x: penalized(x).mean(-1)[..., None],
    "least of a penalty": lambda x: penalized(x).min(-1)[..., None],
    "squares over a penalty": lambda x: (penalized(x) ** 2).sum(-1)[..., None],
    "product with a penalty": lambda x: penalized(x) @ x,
    "a penalty itself": lambda x: penalized(x)[:, :, -1:],
    "penalty scaled away": lambda x: jax.nn.softmax(penalized(x) / 1e4, -1) @ x,
    "penalty taken back": lambda x: jax.nn.softmax(penalized(x) + 1e4, -1) @ x,
    "penalty for all of a row": lambda x: (
        jax.nn.softmax(penalized(x, mask=CAUSAL & (AT[:, None] != 5)), -1) @ x
    ),
    "filled, all of a row": lambda x: (
        jax.nn.softmax(jnp.where(CAUSAL & (AT[:, None] != 5), scores(x), -1e9), -1) @ x
    ),
    "multiplied after the softmax": lambda x: (
        (jax.nn.softmax(10 * scores(x), -1) * CAUSAL.astype(np.float32)) @ x
    ),
    "transposed": lambda x: jnp.tril(scores(x)).swapaxes(1, 2) @ x,
    "diagonal": lambda x: jnp.tril(scores(x))[:, AT, AT][..., None],
    "strided queries": lambda x: (
        jnp.where(2 * AT[: N // 2, None] >= AT, x[:, ::2] @ x.swapaxes(1, 2), 0) @ x
    ),
    "sparse matrix": lambda x: jnp.einsum("st,btc->bsc", SPARSE, delayed(x) + x),
    "sparse product": lambda x: jnp.sum((x[:, None] + x[:, :, None]) * SPARSE[..., None], 2),
    "permutation": lambda x: PERMUTED @ x,
    "changed in place at known places": lambda x: x.at[:, AT[::2]].apply(jnp.sin),
    "padded with a sample": lambda x: lax.pad(x, x[0, 4, 0], ((0, 0, 0), (3, -1, 1), (0, 0, 0))),
    "a sample around what is known": lambda x: lax.pad(
        jnp.ones((1, 4, 1)), x[0, 4, 0], ((0, 0, 0), (2, 3, 0), (0, 0, 0))
    ),
    "sorted by known keys": lambda x: sorted_by_known_keys(x)[1][None, :, None],
    "read at known keys in their order": lambda x: x[:, sorted_by_known_keys(x)[0]],
    "circular filter": lambda x: filtered(x, jnp.fft.rfft(jnp.arange(1.0, 4), N)[:, None]),
    "spectrum in single precision of a filter with a small tap": lambda x: filtered(
        x, np.fft.rfft([1, 0, 0, 1e-5], N).astype(np.complex64)[:, None]
    ),
    "filters of different gains": lambda x: filtered(
        x, jnp.fft.rfft(jnp.array([[1, 0], [0, 0], [0, 1e-6]]), N, axis=0)
    )[..., 1:],
    "real part of a complex filter": lambda x: (
        jnp.fft.ifft(
            jnp.fft.fft(x, axis=1) * np.where(AT < N // 2, 2, 0).astype(np.complex64)[:, None],
            axis=1,
        ).real
    ),
    "square of a filter's spectrum": lambda x: of_spectrum(x, lambda s: s**2),
    "filter's spectrum times itself": lambda x: of_spectrum(x, lambda s: s * s),
    "conjugate of a filter's spectrum": lambda x: of_spectrum(x, jnp.conj),
    "filter's spectrum turned round and halved": lambda x: of_spectrum(x, lambda s: -s / 2),
    "filter's spectrum, louder": lambda x: of_spectrum(x, lambda s: 2 * s),
    "spectrum, louder": lambda x: filtered(x, jnp.complex64(2)),
    "spectrum, louder and transposed": lambda x: jnp.fft.irfft(
        (jnp.fft.rfft(x, axis=1) * jnp.complex64(2)).swapaxes(1, 2), N
    ).swapaxes(1, 2),
    "short-time spectra": lambda x: jnp.abs(
        jax.scipy.signal.stft(x[0, :, 0], nperseg=4, noverlap=2)[2]
    ).T[None],
    "short-time spectra and back": lambda x: jax.scipy.signal.istft(
        jax.scipy.signal.stft(x[0, :, 0], nperseg=4, noverlap=2)[2], nperseg=4, noverlap=2
    )[1][None, :, None],
    "filtered by itself": lambda x: filtered(x, jnp.fft.rfft(x**2, axis=1)),
    "upper triangular": lambda x: jax.scipy.linalg.solve_triangular(LOWER.T, x[0])[None],
    "transposed triangular": lambda x: jax.scipy.linalg.solve_triangular(
        LOWER, x[0], lower=True, trans=1
    )[None],
    "triangular with zeros": lambda x: jax.scipy.linalg.solve_triangular(
        np.eye(N, dtype=np.float32), x[0], lower=True
    )[None],
    "carry from the signal": along_time(lambda c, a: (0.9 * c + a, c), lambda x: x[:, 3]),
    "channels that change places": along_time(
        lambda c, a: ((c[1], jnp.roll(c[0], 1, 1) + a), c[0]),
        lambda x: (jnp.zeros((1, CHANNELS)),) * 2,
    ),
    "times that change places": over_rounds(
        lambda c, a: (c[1], delayed(c[0]) + a), lambda x: (jnp.zeros_like(x),) * 2, 9
    ),
    "a circle, many times round": over_rounds(
        lambda c, a: jnp.roll(c, 1, 1) + a, lambda x: jnp.zeros_like(x), 60
    ),
    "two steps back, one ahead": over_rounds(
        lambda c, a: delayed(delayed(c)) + jnp.pad(c, ((0, 0), (0, 1), (0, 0)))[:, 1:] + a,
        lambda x: jnp.zeros_like(x),
        40,
    ),
}


@pytest.mark.parametrize(
    "weights",
    [
        lambda x: jax.nn.softmax(penalized(x), -1),
        lambda x: jax.nn.softmax(penalized(x, -1e9) / 8, -1),
        lambda x: jax.nn.softmax(penalized(x) + 0.1 * AT[:, None].astype(np.float32), -1),
        lambda x: jax.nn.softmax(penalized(x, -1e9).astype(jnp.float16), -1).astype(np.float32),
        lambda x: jax.nn.sigmoid(penalized(x)),
        lambda x: jax.nn.relu(penalized(x)),
    ],
    ids=["softmax", "scaled", "shifted", "half precision", "sigmoid", "relu"],
)
def test_a_penalty_hides_what_nothing_is_left_of(weights: Callable[[Any], Any]) -> None:
    field = trace(lambda x: weights(x) @ x, jax.ShapeDtypeStruct((1, N, CHANNELS), jnp.float32))
    assert field.exact and field.causal
    assert field.inputs(N - 1) == (*range(N),)


@pytest.mark.parametrize("gain", [1e-6, 1e-9])
def test_a_tap_of_a_filter_is_seen_however_small(gain: float) -> None:
    def fn(x: Any) -> Any:
        response = jnp.fft.rfft(jnp.array([[1.0], [0], [0], [gain]]), 2 * N, axis=0)
        return jnp.fft.irfft(jnp.fft.rfft(x, 2 * N, axis=1) * response, 2 * N, axis=1)[:, :N]

    field = trace(fn, jax.ShapeDtypeStruct((1, N, CHANNELS), jnp.float32))
    assert field.taps == (-3, 0) and field.exact


@pytest.mark.parametrize("fn", CASES.values(), ids=CASES)
def test_an_answer_is_what_is_found_or_says_that_it_is_more(fn: Callable[[Any], Any]) -> None:
    shape = (1, N, CHANNELS)
    field = trace(fn, jax.ShapeDtypeStruct(shape, jnp.float32))
    signal = jax.random.uniform(jax.random.key(1), shape, minval=0.5, maxval=1.5)
    found = probe(fn, signal, by="change")
    for t in range(field.num_outputs):
        assert {*found.inputs(t)} <= {*field.inputs(t)}, t
        if field.exact:
            assert {*found.inputs(t)} == {*field.inputs(t)}, t
