"""Upsampling of features: what a frame covers, where it ends, and that windows fit together."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil import ReceptiveField, UserError
from wavedil.models import FeatureUpsampler, LocalConditioningConfig
from wavedil.models.upsampler import stage_factors
from wavedil.nn import RepeatUpsample, SubPixelUpsample

CONTEXT, NUM_FRAMES = 2, 9
UPSAMPLINGS = ["repeat", "subpixel"]


def make(upsampling, hop, lookaround_frames=CONTEXT):
    config = LocalConditioningConfig(
        num_features=3,
        hop=hop,
        lookaround_frames=lookaround_frames,
        channels=4,
        upsampling=upsampling,
    )
    return FeatureUpsampler(config, rngs=nnx.Rngs(0))


def make_features(num_frames=NUM_FRAMES):
    return jax.random.normal(jax.random.key(1), (1, num_frames, 3))


def frames_seen(function, x, outputs):
    """The inputs whose NaN reaches each of the outputs."""

    def reached(t):
        y = function(x.at[:, t].set(jnp.nan))
        return jnp.isnan(y[0, outputs.start : outputs.stop]).any(axis=1)

    hits = jax.lax.map(reached, jnp.arange(x.shape[1]))
    return [np.flatnonzero(column).tolist() for column in hits.T]


@pytest.mark.parametrize(
    ("hop", "factors"),
    [
        (1, ()),
        (6, (2, 3)),
        (80, (4, 4, 5)),
        (256, (4, 4, 4, 4)),
        (300, (3, 4, 5, 5)),
        (251, (251,)),
    ],
)
def test_stages_multiply_to_the_hop(hop, factors):
    assert stage_factors(hop) == factors


@pytest.mark.parametrize("hop", [4, 6, 5])
def test_a_frame_covers_exactly_its_samples_and_those_of_its_context(hop):
    layer, features = make("subpixel", hop), make_features()
    for frame in range(NUM_FRAMES):
        y = layer(features.at[:, frame].set(jnp.nan), NUM_FRAMES * hop)
        changed = np.flatnonzero(np.isnan(y).any(axis=(0, 2)))
        first, last = max(0, (frame - CONTEXT) * hop), (frame + 1 + CONTEXT) * hop
        np.testing.assert_array_equal(changed, np.arange(first, min(last, NUM_FRAMES * hop)))


@pytest.mark.sampled
@pytest.mark.parametrize("lookaround_frames", [1, 2])
@pytest.mark.parametrize("hop", [4, 6, 5])
def test_a_smoothed_frame_stays_within_its_context(hop, lookaround_frames):
    layer, features = make("repeat", hop, lookaround_frames), make_features()
    y = layer(features.at[:, 4].set(jnp.nan), NUM_FRAMES * hop)
    changed = np.flatnonzero(np.isnan(y).any(axis=(0, 2)))
    # The inner frames complete, and the same part of the outermost on both sides.
    inner = np.arange((5 - lookaround_frames) * hop, (4 + lookaround_frames) * hop)
    before, after = inner[0] - changed[0], changed[-1] - inner[-1]
    assert 0 < before == after < hop
    np.testing.assert_array_equal(changed, np.arange(changed[0], changed[-1] + 1))


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_a_window_with_its_context_equals_that_part_of_the_whole(upsampling):
    layer, features = make(upsampling, 6), make_features()
    whole = layer(features, NUM_FRAMES * 6 - 2)
    window = layer(features[:, 1 : 1 + 2 + 2 * CONTEXT], 2 * 6 - 1)
    np.testing.assert_allclose(window, whole[:, 18:29], rtol=0, atol=1e-6)
    # At the ends of the sound the context is zeros, whether they are given or not.
    padded = jnp.pad(features, ((0, 0), (CONTEXT, CONTEXT), (0, 0)))
    np.testing.assert_array_equal(layer(padded, NUM_FRAMES * 6 - 2), whole)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_declared_field_of_frames_is_the_probed_one(upsampling):
    layer = make(upsampling, 6)
    field, outputs = layer.receptive_field, range(5 * 6, 6 * 6)
    seen = frames_seen(lambda x: layer(x, 11 * 6), make_features(11), outputs)
    assert seen == [list(field.inputs(t)) for t in outputs]
    assert (field.past, field.future, field.stride) == (CONTEXT, CONTEXT, Fraction(1, 6))


@pytest.mark.sampled
@pytest.mark.parametrize("layer_class", [RepeatUpsample, SubPixelUpsample])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 6])
@pytest.mark.parametrize("factor", [1, 2, 5])
def test_declared_field_is_the_probed_one(layer_class, kernel_size, factor):
    layer = layer_class(2, 3, factor=factor, kernel_size=kernel_size, rngs=nnx.Rngs(0))
    field, outputs = layer.receptive_field, range(8 * factor, 9 * factor)
    seen = frames_seen(layer, jnp.ones((1, 12, 2)), outputs)
    assert seen == [list(field.inputs(t)) for t in outputs]


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_sub_pixels_start_as_a_repetition(kernel_size):
    layer = SubPixelUpsample(4, 4, factor=3, kernel_size=kernel_size, rngs=nnx.Rngs(0))
    y = layer(jax.random.normal(jax.random.key(0), (2, 7, 4)))
    np.testing.assert_array_equal(y[:, 0::3], y[:, 1::3])
    np.testing.assert_array_equal(y[:, 0::3], y[:, 2::3])


def test_a_repetition_starts_smooth_and_of_the_same_energy():
    layer = RepeatUpsample(8, 8, factor=8, padding="same", rngs=nnx.Rngs(0))
    x = jnp.ones((1, 5, 8)).at[:, 2:].set(-1.0)
    y = np.asarray(layer(x))[0, 4:36]
    np.testing.assert_allclose(np.linalg.norm(y[[0, 31]], axis=1), np.sqrt(8), rtol=1e-5)
    # From +1 to -1 in three even steps of a quarter, a half and a quarter.
    steps = np.linalg.norm(np.diff(y, axis=0), axis=1) / np.sqrt(8)
    np.testing.assert_allclose(steps[10:13], [0.5, 1.0, 0.5], atol=1e-5)
    np.testing.assert_allclose(np.delete(steps, [10, 11, 12]), 0.0, atol=1e-5)


def test_features_of_another_shape_are_refused_with_both():
    layer = make("repeat", 6)
    with pytest.raises(UserError, match=r"\[1, 9, 3\], but 60 samples take \[1, 10, 3\]"):
        layer(make_features(), 60)
    with pytest.raises(UserError, match=r"\[1, 9, 2\], but 54 samples take \[1, 9, 3\]"):
        layer(make_features()[:, :, :2], 54)


def test_upsampling_by_nothing_is_refused():
    with pytest.raises(ValueError, match="factor is 0"):
        RepeatUpsample(1, 1, factor=0, rngs=nnx.Rngs(0))
    assert RepeatUpsample(1, 1, factor=2, kernel_size=1, rngs=nnx.Rngs(0)).receptive_field == (
        ReceptiveField.upsample(2)
    )
