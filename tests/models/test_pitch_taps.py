"""A WaveNet that follows the pitch sees the sound one period before the sample that it predicts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil import LocalConditioningConfig, UserError, WaveNet, WaveNetConfig
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig

MEL = MelConfig(num_mels=3, fft_size=64, hop=4).at(8000)
PITCH = PitchConfig(lowest_hz=200, highest_hz=400).at(8000)


def model_of(taps, **changes):
    local = LocalConditioningConfig(channels=4, pitch_taps=taps).of(5, 4, MEL, PITCH)
    sizes = {"dilations": (1, 2), "cycles": 2, "residual_channels": 4, "skip_channels": 8}
    config = WaveNetConfig(**(sizes | changes), local_conditioning=local, sample_rate=8000)
    model = WaveNet(config, rngs=nnx.Rngs(0))
    model.output.kernel[...] *= 10.0
    return model


def frames(periods, voicing):
    features = np.zeros((1, len(periods), 5), np.float32)
    features[0, :, 3], features[0, :, 4] = periods, voicing
    return jnp.asarray(features)


@pytest.mark.parametrize("period", [20, 31, 40])
def test_a_sample_changes_the_prediction_of_those_one_period_later(period):
    model = model_of("input", dilations=(1,), cycles=1)
    log_prob = jax.jit(model.log_prob)
    codes = np.random.default_rng(0).integers(0, 256, (1, 100)).astype(np.int32)
    other = codes.copy()
    other[0, 50] ^= 64

    def changed(voicing):
        given = {"features": frames([period] * 25, voicing)}
        before, after = (log_prob(jnp.asarray(each), **given)[0] for each in (codes, other))
        return np.flatnonzero(np.asarray(before != after))

    near = [50, *range(51, 51 + model.stack.receptive_field.past + 2)]
    # Two neighbours on either side, and what the stack sees of them later.
    later = range(50 + period - 2, 50 + period + 3 + model.stack.receptive_field.past)
    assert set(changed(1.0)) - set(near) == set(later) - set(near)
    assert set(changed(0.0)) <= set(near)


@pytest.mark.parametrize("taps", ["input", "blocks"])
def test_a_window_with_its_context_has_the_likelihood_that_it_has_in_the_whole(taps):
    model = model_of(taps)
    log_prob = jax.jit(model.log_prob)
    context = model.config.context_samples
    begin = context - 1 + 8
    rng = np.random.default_rng(0)
    codes = jnp.asarray(rng.integers(0, 256, (1, begin + 24)), jnp.int32)
    features = frames(
        rng.uniform(20, 40, codes.shape[1] // 4), rng.uniform(size=codes.shape[1] // 4)
    )
    whole = log_prob(codes, features=features)
    around = jnp.pad(features, ((0, 0), (2, 2), (0, 0)))[:, (begin - context + 1) // 4 :]
    part = log_prob(codes[:, begin:], context=codes[:, begin - context : begin], features=around)
    np.testing.assert_allclose(part, whole[:, begin:], atol=1e-5)


def test_equal_weights_in_the_blocks_as_without_and_another_pitch_is_refused_by_its_range():
    plain, blocks = model_of("none"), model_of("blocks")
    skip_bias = plain.config.skip_channels
    assert blocks.num_parameters == plain.num_parameters + skip_bias
    with pytest.raises(
        UserError, match=r"periods of 15 to 15 samples, but the model knows 20 to 40"
    ):
        plain.config.local_conditioning.require(frames([15] * 9, 1.0)[0], "features")
    with pytest.raises(UserError, match="last of several cycles"):
        model_of("blocks", cycles=1)
    with pytest.raises(UserError, match="given no dilation"):
        blocks(jnp.zeros((1, 8), jnp.int32), local=jnp.zeros((1, 8, 4)))
