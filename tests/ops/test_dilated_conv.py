"""The operator against scipy's convolution with an explicitly zero-stuffed kernel."""

import itertools
from typing import Any

import contract
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax.test_util import check_grads
from scipy.signal import convolve

from wavedil import UserError, dilated_conv


def zero_stuffed(kernel: np.ndarray, rate: int) -> np.ndarray:
    """The kernel with rate - 1 zeros between its taps along every space axis."""
    space = [(size - 1) * rate + 1 for size in kernel.shape[:-2]]
    stuffed = np.zeros((*space, *kernel.shape[-2:]))
    stuffed[(*[slice(None, None, rate)] * len(space),)] = kernel
    return stuffed


def reference(x: np.ndarray, kernel: np.ndarray, rate: int, padding: str, flip: bool) -> np.ndarray:
    """Channel by channel: the full convolution, of which the padding chooses a part."""
    x, stuffed = x.astype(np.float64), zero_stuffed(kernel, rate)
    space = range(kernel.ndim - 2)
    if not flip:
        stuffed = np.flip(stuffed, space)
    full_shape = [x.shape[1 + a] + stuffed.shape[a] - 1 for a in space]
    full = np.zeros((x.shape[0], *full_shape, kernel.shape[-1]))
    for b, i, o in itertools.product(range(x.shape[0]), *map(range, kernel.shape[-2:])):
        full[b, ..., o] += convolve(x[b, ..., i], stuffed[..., i, o], method="direct")
    cut: list[slice] = []
    for a in space:
        span, size = stuffed.shape[a] - 1, x.shape[1 + a]
        # Output p of the full convolution sees inputs p - span .. p.
        start = {"causal": 0, "same": span - span // 2, "valid": span}[padding]
        cut.append(slice(start, start + (size - span if padding == "valid" else size)))
    return full[(slice(None), *cut)]


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    num_axes = draw(st.integers(1, 3))
    limit = {1: 20, 2: 9, 3: 6}[num_axes]
    rate = draw(st.integers(1, 4))
    kernel_size = [draw(st.integers(1, {1: 5, 2: 3, 3: 2}[num_axes])) for _ in range(num_axes)]
    space = [draw(st.integers((k - 1) * rate + 1, (k - 1) * rate + limit)) for k in kernel_size]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=(2, *space, 2))
    kernel = rng.normal(size=(*kernel_size, 2, 3))
    return x.astype(np.float32), kernel.astype(np.float32), rate


@settings(max_examples=40, deadline=None)
@given(problems(), st.sampled_from(["causal", "same", "valid"]), st.booleans())
def test_equals_scipy_with_a_zero_stuffed_kernel(
    problem: tuple[np.ndarray, np.ndarray, int], padding: str, flip: bool
) -> None:
    x, kernel, rate = problem
    compiled = jax.jit(dilated_conv, static_argnums=(2, 3, 4))  # every shape compiles once
    actual = compiled(x, kernel, rate, padding, flip)
    expected = reference(x, kernel, rate, padding, flip)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_rate_1_is_the_ordinary_convolution() -> None:
    x, kernel = np.arange(7.0), np.array([1.0, -2.0, 3.0])
    y = dilated_conv(
        jnp.asarray(x)[None, :, None], jnp.asarray(kernel)[:, None, None], 1, "valid", flip=True
    )
    np.testing.assert_allclose(y[0, :, 0], np.convolve(x, kernel, "valid"), rtol=1e-6)


@pytest.mark.parametrize("kernel_size", [3, 20], ids=["joined taps", "general"])
def test_gradients_equal_finite_differences(kernel_size: int) -> None:
    key = jax.random.key(0)
    x = jax.random.normal(key, (1, 70, 2))
    kernel = jax.random.normal(key, (kernel_size, 2, 2))
    check_grads(
        jax.jit(lambda x, k: dilated_conv(x, k, rate=3)), (x, kernel), 1, rtol=2e-2, atol=2e-2
    )


def test_vmap_over_kernels_equals_a_loop_and_jit_equals_eager() -> None:
    x = jax.random.normal(jax.random.key(0), (2, 30, 3))
    kernels = jax.random.normal(jax.random.key(1), (4, 2, 3, 5))
    mapped = jax.jit(jax.vmap(lambda k: dilated_conv(x, k, rate=4)))(kernels)
    looped = jnp.stack([dilated_conv(x, k, rate=4) for k in kernels])
    np.testing.assert_allclose(mapped, looped, rtol=1e-5, atol=1e-5)


def test_groups_keep_their_channels_apart() -> None:
    x = jax.random.normal(jax.random.key(0), (1, 20, 4))
    kernel = jax.random.normal(jax.random.key(1), (3, 2, 6))
    halves = [
        dilated_conv(x[..., :2], kernel[..., :3], 2),
        dilated_conv(x[..., 2:], kernel[..., 3:], 2),
    ]
    np.testing.assert_allclose(
        dilated_conv(x, kernel, 2), jnp.concatenate(halves, -1), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("x_shape", "kernel_shape", "rate", "padding", "message"),
    [
        ((1, 8, 1), (2, 1, 1), 0, "causal", "rate is 0, but it must be a whole number"),
        ((1, 8, 1), (2, 2, 1, 1), 1, "causal", "expected x"),
        ((1, 8, 3), (2, 2, 2), 1, "causal", "3 channels"),
        ((1, 7, 1), (3, 1, 1), 4, "valid", "the filter spans 9"),
        ((1, 8, 1), (0, 1, 1), 1, "causal", "at least 1"),
    ],
)
def test_misfits_are_named(
    x_shape: tuple[int, ...], kernel_shape: tuple[int, ...], rate: int, padding: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        dilated_conv(jnp.zeros(x_shape), jnp.zeros(kernel_shape), rate, padding)


@pytest.mark.parametrize("padding", ["causal", "same", "valid"])
@pytest.mark.parametrize("rates", [(3,), (1, 3), (2, 1, 3)])
def test_a_rate_for_each_axis_is_the_convolution_with_zeros_between_taps(
    rates: tuple[int, ...], padding: str
) -> None:
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(*[2] * len(rates), 1, 2)).astype(np.float32)
    x = rng.normal(size=(1, *[5] * len(rates), 1)).astype(np.float32)
    stuffed = np.zeros((*[rate + 1 for rate in rates], 1, 2), np.float32)
    stuffed[(*[slice(None, None, rate) for rate in rates],)] = kernel
    expected = reference(x, stuffed, 1, padding, False)
    for form in (rates, list(rates), np.array(rates)):
        y = dilated_conv(jnp.asarray(x), jnp.asarray(kernel), form, padding)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ((2, 3), r"rate is \(2, 3\), 2 numbers, but the kernel has 1 space axes"),
        (2.0, "rate is 2.0, but it must be a whole number of at least 1; use 2"),
        (True, "rate is True"),
        ("2", "rate is '2'"),
        ((0,), "rate is 0"),
        (np.array([[1]]), "must be a list of sizes"),
    ],
)
def test_rates_that_are_none_are_refused(rate: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        dilated_conv(jnp.zeros((1, 8, 1)), jnp.zeros((2, 1, 1)), rate)


@pytest.mark.parametrize("padding", ["SAME", [(1, 0)], None])
def test_paddings_that_are_none_are_refused_with_those_there_are(padding: Any) -> None:
    meant = "did you mean 'same'" if padding == "SAME" else "causal, same, valid"
    with contract.unchecked(), pytest.raises(UserError, match=meant):
        dilated_conv(jnp.zeros((1, 8, 1)), jnp.zeros((2, 1, 1)), padding=padding)


def test_a_flip_that_is_neither_true_nor_false_is_refused() -> None:
    with contract.unchecked(), pytest.raises(UserError, match="flip is 'no', but it must be true"):
        dilated_conv(jnp.zeros((1, 8, 1)), jnp.zeros((2, 1, 1)), flip="no")  # type: ignore[arg-type]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("signal", "filters"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_gradients_of_mixed_types_come_back_in_each(signal: str, filters: str, groups: int) -> None:
    x = jnp.ones((1, 6, 4), signal)
    kernel = jnp.ones((2, 4 // groups, 4), filters)
    dx, dkernel = jax.eval_shape(jax.grad(lambda x, k: dilated_conv(x, k).sum(), (0, 1)), x, kernel)
    assert (dx.dtype, dkernel.dtype) == (signal, filters)
    assert dilated_conv(x, kernel).dtype == jnp.float32


@pytest.mark.parametrize("num_taps", [3, 200], ids=["shifted sums", "general"])
@pytest.mark.parametrize("num_axes", [1, 2])
def test_a_depthwise_convolution_is_that_of_each_channel_with_its_gradients(
    num_axes: int, num_taps: int
) -> None:
    rates = (2, 1)[:num_axes]
    x = jax.random.normal(jax.random.key(0), (2, *(num_taps * 2 + 3, 4)[:num_axes], 3))
    kernel = jax.random.normal(jax.random.key(1), (num_taps, *(2,) * (num_axes - 1), 1, 3))

    def of_each(x: Any, kernel: Any) -> Any:
        parts = [
            dilated_conv(x[..., c : c + 1], kernel[..., c : c + 1], rates, "same") for c in range(3)
        ]
        return jnp.concatenate(parts, axis=-1)

    def values_and_gradients(call: Any) -> Any:
        return jax.jit(
            jax.grad(lambda *a: (contract.loss(call(*a)), call(*a)), (0, 1), has_aux=True)
        )

    joined = values_and_gradients(lambda x, kernel: dilated_conv(x, kernel, rates, "same"))
    expected = values_and_gradients(of_each)(x, kernel)
    contract.assert_close(joined(x, kernel), expected, rtol=1e-3, atol=1e-3)


def test_a_padding_for_each_axis_is_that_along_each() -> None:
    x, kernel = jnp.ones((1, 6, 6, 1)), jnp.ones((3, 3, 1, 1))
    y = dilated_conv(x, kernel, (1, 2), ("causal", "same"))
    along = [dilated_conv(x[:, :, 0], jnp.ones((3, 1, 1)), 1, "causal")[0, :, 0]]
    along.append(dilated_conv(x[:, 0], jnp.ones((3, 1, 1)), 2, "same")[0, :, 0])
    np.testing.assert_array_equal(y[0, :, :, 0], along[0][:, None] * along[1][None])
    for padding, message in (
        (("causal",), "of 1 axes, but the kernel has 2"),
        (("causal", "full"), "padding 'full' is unknown"),
    ):
        with contract.unchecked(), pytest.raises(UserError, match=message):
            dilated_conv(x, kernel, 1, padding)  # type: ignore[arg-type]
