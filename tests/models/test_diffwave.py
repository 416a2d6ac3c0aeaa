"""DiffWave: its schedule of noise, the steps that draw with it, and what its settings refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavedil import DiffWaveConfig, UserError


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 300), st.data())
def test_steps_that_draw_go_down_from_the_last_to_the_first_and_all_of_them_are_the_schedule(
    most: int, data: st.DataObject
) -> None:
    config = DiffWaveConfig(noise_steps=most)
    steps = config.sampling_steps(data.draw(st.integers(2, most)))
    assert steps[0] == most - 1 and steps[-1] == 0 and (np.diff(steps) < 0).all()
    np.testing.assert_array_equal(config.sampling_steps(most), np.arange(most)[::-1])


def test_the_first_step_leaves_nearly_all_of_the_sound_and_the_last_nearly_none() -> None:
    shares = DiffWaveConfig().signal_shares
    assert shares[0] == pytest.approx(1 - 1e-4) and shares[-1] < 0.01
    assert (np.diff(shares) < 0).all()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dilations": ()}, "dilations is empty"),
        ({"cycles": 0}, "cycles is 0"),
        ({"embedding_channels": 5}, "embedding_channels is 5, but it must be even"),
        ({"first_beta": 0.1}, "first_beta is 0.1 and last_beta 0.05"),
        ({"last_beta": 1.0}, "last_beta 1, but they must rise between 0 and 1"),
        ({"level": 0.0}, "level is 0"),
    ],
)
def test_settings_that_fit_no_model_are_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        DiffWaveConfig(**changes)


def test_settings_come_back_from_json() -> None:
    config = DiffWaveConfig(noise_steps=50, labels={"note": ("A", "B")})
    assert DiffWaveConfig.from_dict(config.to_dict()) == config
