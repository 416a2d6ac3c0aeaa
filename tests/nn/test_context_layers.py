"""Layers over time and frequency, the context module and the atrous pyramid."""

from collections.abc import Callable
from typing import Any

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil import UserError, dilated_conv
from wavedil.nn import AtrousPyramid, ContextModule, Conv1d, Conv2d
from wavedil.receptive_field import ReceptiveField

LARGE = (2, 2, 4, 8, 16, 32, 32)


def normal(*shape: int, seed: int = 0) -> Any:
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize("padding", ["causal", "same"])
def test_a_conv_over_frequencies_is_the_sum_of_its_taps_centred_in_frequency(padding: Any) -> None:
    conv = Conv2d(
        2,
        3,
        num_frequencies=5,
        kernel_size=(2, 3),
        dilation=(3, 2),
        padding=padding,
        rngs=nnx.Rngs(0),
    )
    x, kernel = np.asarray(normal(2, 7, 5, 2)), np.asarray(conv.kernel[...])
    past = 3 if padding == "causal" else 1
    padded = np.pad(x, ((0, 0), (past, 3 - past), (2, 2), (0, 0)))
    expected = sum(
        padded[:, 3 * j : 3 * j + 7, 2 * k : 2 * k + 5] @ kernel[j, k]
        for j in range(2)
        for k in range(3)
    )
    np.testing.assert_allclose(conv(jnp.asarray(x)), expected, rtol=1e-5, atol=1e-5)


def _conv(num_frequencies: int | None, rngs: nnx.Rngs) -> Any:
    settings: Any = {"kernel_size": 3, "dilation": 2, "rngs": rngs}
    if num_frequencies is None:
        return Conv1d(2, 3, **settings)
    return Conv2d(2, 3, num_frequencies=num_frequencies, **settings)


MAKERS: dict[str, Callable[[int | None, nnx.Rngs], Any]] = {
    "conv": _conv,
    "module": lambda n, rngs: ContextModule(2, num_frequencies=n, dilations=(1, 2), rngs=rngs),
    "pyramid": lambda n, rngs: AtrousPyramid(
        2, 3, 4, num_frequencies=n, dilations=(1, 3), padding="causal", rngs=rngs
    ),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_of_one_frequency_a_layer_is_the_layer_of_frames(make: Any) -> None:
    """Along frequency the one that is there meets the middle tap, and zeros the others."""
    spectral, framed = make(1, nnx.Rngs(0)), make(None, nnx.Rngs(1))
    graph, weights = nnx.split(spectral)
    random = jax.tree.map(lambda leaf: normal(*leaf.shape), weights)
    spectral = nnx.merge(graph, random)
    middle = jax.tree.map(
        lambda leaf: leaf[:, leaf.shape[1] // 2] if leaf.ndim == 4 else leaf, random
    )
    graph, weights = nnx.split(framed)
    leaves = zip(jax.tree.leaves(middle), jax.tree.leaves(weights), strict=True)
    assert all(leaf.shape == weight.shape for leaf, weight in leaves)
    framed = nnx.merge(
        graph, jax.tree.unflatten(jax.tree.structure(weights), jax.tree.leaves(middle))
    )
    x = normal(2, 9, 2, seed=1)
    contract.assert_close(spectral(x[:, :, None])[:, :, 0], framed(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["causal", "same"])
@pytest.mark.parametrize("num_frequencies", [None, 3])
def test_a_context_module_starts_as_the_identity_of_what_is_not_negative(
    num_frequencies: int | None, padding: Any
) -> None:
    shape = (1, 20, 2) if num_frequencies is None else (1, 20, 3, 2)
    x = normal(*shape)
    module = ContextModule(2, num_frequencies=num_frequencies, padding=padding, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(module(x), jnp.maximum(x, 0))
    assert module.receptive_field.size == 67
    assert module.receptive_field.causal == (padding == "causal")


def test_a_large_context_module_starts_near_the_identity_and_its_copies_differ() -> None:
    x = jnp.abs(normal(1, 70, 3))
    module = nnx.jit(lambda: ContextModule(3, widths=LARGE, rngs=nnx.Rngs(0)))()
    np.testing.assert_allclose(jax.jit(module)(x), x, rtol=0, atol=0.05)
    kernels = [layer.kernel[...] for layer in module.layers if isinstance(layer, Conv1d)]
    assert [kernel.shape[2] // 3 for kernel in kernels] == [*LARGE, 1]
    copies = kernels[0].reshape(3, 3, 3, 2)
    assert not jnp.array_equal(copies[..., 0], copies[..., 1])


def test_a_context_module_refuses_a_width_too_few() -> None:
    with pytest.raises(UserError, match="widths has 2 entries and dilations 3"):
        ContextModule(3, dilations=(1, 2, 4), widths=(2, 2), rngs=nnx.Rngs(0))


def test_a_pyramid_is_the_sum_of_its_branches() -> None:
    pyramid = AtrousPyramid(2, 3, 4, rngs=nnx.Rngs(0))
    x = normal(2, 40, 2)
    fusion = jnp.split(pyramid.fusion.kernel[0], 4)
    total: Any = 0
    for rate, branch, last in zip((6, 12, 18, 24), pyramid.branches, fusion, strict=True):
        dilated, _, mixing, _ = branch.layers
        hidden = jax.nn.relu(dilated_conv(x, dilated.kernel[...], rate, "same"))
        total = total + jax.nn.relu(hidden @ mixing.kernel[0]) @ last
    np.testing.assert_allclose(pyramid(x), total, rtol=1e-5, atol=1e-5)
    offsets = sorted({0, *(sign * rate for rate in (6, 12, 18, 24) for sign in (-1, 1))})
    assert pyramid.receptive_field == ReceptiveField(24, 24, taps=offsets)


@pytest.mark.parametrize(
    ("layer", "delay"),
    [
        (ContextModule(2, rngs=nnx.Rngs(0)), 33),
        (AtrousPyramid(2, 2, 2, num_frequencies=3, rngs=nnx.Rngs(0)), 24),
    ],
    ids=["module", "pyramid"],
)
def test_a_centred_layer_asked_to_stream_says_the_delay_of_all_its_layers(
    layer: Any, delay: int
) -> None:
    message = f"sees {delay} samples of the future.*delay its output by {delay} samples"
    with pytest.raises(UserError, match=f"{type(layer).__name__} {message}"):
        layer.init_state(1)
    with contract.unchecked(), pytest.raises(UserError, match=message):
        layer.step(jnp.zeros((1, 5, 3, 2)), None)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 9, 2), r"Conv2d takes \[batch, time, num_frequencies, in_channels\]"),
        ((2, 9, 4, 2), "x has 4 frequencies, but this Conv2d has num_frequencies=5"),
        ((2, 9, 5, 3), "x has 3 channels, but this Conv2d has in_channels=2"),
    ],
)
def test_a_spectrogram_that_does_not_fit_is_refused_by_its_axis(
    shape: tuple[int, ...], message: str
) -> None:
    conv = Conv2d(2, 3, num_frequencies=5, kernel_size=3, rngs=nnx.Rngs(0))
    with contract.unchecked(), pytest.raises(UserError, match=message):
        conv(jnp.zeros(shape))


@pytest.mark.parametrize("sizes", [{"kernel_size": (3, 3, 3)}, {"kernel_size": 3, "dilation": [1]}])
def test_sizes_that_are_no_pair_are_refused(sizes: Any) -> None:
    with pytest.raises(UserError, match="must be one for time and one for frequency"):
        Conv2d(1, 1, num_frequencies=2, **sizes, rngs=nnx.Rngs(0))
