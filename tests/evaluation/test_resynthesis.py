"""Recordings made again by a vocoder: those that `generate` draws of their features, each as long as its recording."""

import numpy as np
import pytest
from flax import nnx

import wavedil as wd
from wavedil.data import Recording
from wavedil.evaluation import resynthesize


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_recordings_are_made_again_as_generate_draws_them_at_that_temperature(temperature):
    local = wd.LocalConditioningConfig(num_features=3, hop=16)
    model = wd.WaveNet(wd.WaveNetConfig.tiny(local_conditioning=local), rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(count, 3)).astype(np.float32) for count in (4, 3)]
    recordings = [
        Recording("a.wav", np.zeros(60, np.uint8), {}, frames[0]),
        Recording("b.wav", np.zeros(48, np.uint8), {}, frames[1]),
    ]
    again = resynthesize(model, recordings, 7, temperature=temperature)
    codes = wd.generate(model, 7, features=frames, temperature=temperature)
    for sound, row, length in zip(again, codes, (60, 48), strict=True):
        np.testing.assert_array_equal(sound, model.config.quantizer.decode(row[:length]))
