"""A temperature of its own where a voice is voiced."""

import numpy as np
import pytest
from flax import nnx

from wavedil import LocalConditioningConfig, UserError, WaveNet, WaveNetConfig, generate
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig

HOP, FRAMES = 4, 12
SPLIT = HOP * FRAMES // 2


def make_model(pitch=True):
    mel = MelConfig(num_mels=3, fft_size=64, hop=HOP).at(8000)
    local = LocalConditioningConfig(channels=4)
    local = (
        local.of(5, HOP, mel, PitchConfig(lowest_hz=200, highest_hz=400).at(8000))
        if pitch
        else local.of(5, HOP)
    )
    config = WaveNetConfig(
        dilations=(1, 2),
        cycles=1,
        residual_channels=4,
        skip_channels=8,
        levels=16,
        local_conditioning=local,
        sample_rate=8000,
    )
    model = WaveNet(config, rngs=nnx.Rngs(0))
    model.output.kernel[...] *= 10.0
    return model


def frames(voicing):
    features = np.random.default_rng(0).uniform(0, 1, (FRAMES, 5)).astype(np.float32)
    features[:, 3], features[:, 4] = 25, np.repeat(voicing, FRAMES // 2)
    return features


@pytest.mark.parametrize("engine", ["scan", "compiled"])
def test_voiced_samples_are_drawn_at_their_temperature_and_the_others_at_theirs(engine):
    model = make_model()

    def draw(voicing, **temperatures):
        return generate(model, 0, features=frames(voicing), engine=engine, **temperatures)[0]

    voiced_first = draw((1.0, 0.0), temperature=1.0, voiced_temperature=0.05)
    np.testing.assert_array_equal(voiced_first[:SPLIT], draw((1.0, 0.0), temperature=0.05)[:SPLIT])
    voiced_last = draw((0.0, 1.0), temperature=1.0, voiced_temperature=0.05)
    np.testing.assert_array_equal(voiced_last[:SPLIT], draw((0.0, 1.0))[:SPLIT])
    assert not np.array_equal(voiced_last, draw((0.0, 1.0)))
    half = draw((0.5, 0.5), temperature=1.0, voiced_temperature=0.5)
    np.testing.assert_array_equal(half, draw((0.5, 0.5), temperature=0.75))


def test_it_is_refused_where_nothing_says_what_is_voiced():
    given = {"features": np.zeros((FRAMES, 5), np.float32), "voiced_temperature": 0.7}
    with pytest.raises(UserError, match="carry no pitch"):
        generate(make_model(pitch=False), 0, **given)
    with pytest.raises(UserError, match="voiced_temperature is 0, but it must be above 0"):
        generate(make_model(), 0, features=frames((1.0, 0.0)), voiced_temperature=0)
