"""Traced sets equal the sparsity pattern of the Jacobian, which asdex finds element by element."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from wavedil.receptive_field import trace

# It takes JAX's internals by name, and those of the newest JAX may have other names.
asdex = pytest.importorskip("asdex", exc_type=ImportError)

sizes = st.integers(1, 4)
factors = st.integers(1, 3)
paddings = st.sampled_from(["causal", "centred", "valid"])


def convolve(x, kernel_size, *, stride=1, dilation=1, upsampling=1, padding="causal"):
    """x [time, channels]; every output channel reads every input channel."""
    span = (kernel_size - 1) * dilation
    pads = {"causal": (span, 0), "centred": (span // 2, span - span // 2), "valid": (0, 0)}[padding]
    kernel = jnp.ones((kernel_size, x.shape[1], x.shape[1]))
    return lax.conv_general_dilated(
        x[None],
        kernel,
        (stride,),
        [pads],
        (upsampling,),
        (dilation,),
        dimension_numbers=("NTC", "TIO", "NTC"),
    )[0]


conv = st.builds(
    lambda k, s, d, p: lambda x: convolve(x, k, stride=s, dilation=d, padding=p),
    sizes,
    factors,
    factors,
    paddings,
)
transposed = st.builds(
    lambda k, u, p: lambda x: convolve(x, k, upsampling=u, padding=p), sizes, factors, paddings
)


def pooled(x, size):
    whole = x[: len(x) // size * size]
    return whole.reshape(-1, size, x.shape[1]).max(1)


pool = st.builds(lambda size: lambda x: pooled(x, size), factors)
repeat = st.builds(lambda times: lambda x: jnp.repeat(x, times, axis=0), factors)
shift = st.builds(lambda by: lambda x: jnp.roll(x, by, axis=0), st.integers(-3, 3))
reverse = st.just(lambda x: x[::-1])
skip_some = st.builds(
    lambda start, step: lambda x: x[min(start, len(x) - 1) :: step], st.integers(0, 3), factors
)
join_ends = st.builds(lambda at: lambda x: jnp.concatenate([x[at:], 2 * x[:at]]), sizes)
interleave = st.just(lambda x: jnp.stack([x, jnp.roll(x, 1, axis=0)], 1).reshape(-1, x.shape[1]))
blocks_transposed = st.just(
    lambda x: x[: len(x) // 3 * 3].reshape(3, -1, x.shape[1]).swapaxes(0, 1).reshape(-1, x.shape[1])
)
running = st.just(lambda x: jnp.cumsum(x, axis=0))


def residual(inner):
    def layer(x):
        y = inner(x)
        n = min(len(x), len(y))
        return x[:n] + y[:n]

    return layer


def both_channels(inner):
    def layer(x):
        y = inner(x)
        n = min(len(x), len(y))
        if n == 0:
            return y
        joined = jnp.concatenate([x[:n], y[:n]], axis=1)
        return joined.reshape(n, 2, -1).sum(1) if x.shape[1] > 1 else joined

    return layer


simple = st.one_of(
    conv,
    conv,
    transposed,
    pool,
    repeat,
    shift,
    reverse,
    skip_some,
    join_ends,
    interleave,
    blocks_transposed,
)
layer = st.one_of(
    simple, simple, running, st.builds(residual, simple), st.builds(both_channels, simple)
)


@pytest.mark.long
@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(layer, min_size=1, max_size=5), st.integers(4, 30))
def test_traced_sets_equal_asdex_on_composed_networks(layers, num_samples):
    def network(x):
        x = x[:, None]
        for layer in layers:
            y = layer(x)
            x = y if 0 < len(y) <= 80 else x  # a layer that leaves nothing is left out
        return x.sum(1)

    pattern = asdex.jacobian_sparsity(network, jnp.zeros(num_samples))
    expected = [tuple(np.flatnonzero(row).tolist()) for row in np.asarray(pattern.todense())]
    field = trace(network, jax.ShapeDtypeStruct((num_samples,), jnp.float32), time_axis=0)
    assert field.exact
    assert [field.inputs(t) for t in range(field.num_outputs)] == expected
