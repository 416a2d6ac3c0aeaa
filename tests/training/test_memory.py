"""A window that does not fit in memory is refused before anything is compiled."""

import pytest
import training_runs as runs

from wavedil import TCNConfig, UserError
from wavedil.training import memory


def test_a_window_that_does_not_fit_says_which_would(monkeypatch):
    monkeypatch.setattr(memory, "_available_bytes", lambda: 2**30)
    memory.require_memory(8192, 1, 3071, 30_000)
    with pytest.raises(
        UserError, match=r"1 x 100,000 samples takes about 2[.]8 GiB.*1[.]0 GiB"
    ) as error:
        memory.require_memory(100_000, 1, 3071, 30_000)
    fits = int(str(error.value).split("--training.window-size ")[1].split()[0])
    memory.require_memory(fits, 1, 3071, 30_000)
    with pytest.raises(UserError):
        memory.require_memory(fits + 2048, 1, 3071, 30_000)
    with pytest.raises(UserError, match="a smaller batch or a smaller model"):
        memory.require_memory(8192, 64, 3071, 30_000)


def test_a_task_refuses_before_it_trains(monkeypatch):
    monkeypatch.setattr(memory, "_available_bytes", lambda: 10_000)
    with pytest.raises(UserError, match="GiB of memory"):
        runs.resolve(runs.run_config(), runs.corpus())


def test_computing_activations_again_is_for_models_that_can():
    config, again = runs.run_config().model, runs.run_config(remat=True).training
    kept = memory.bytes_per_sample(config, runs.run_config().training)
    # Filter and gate of two layers of four channels, and half as much around them, against input and output.
    assert kept - memory.bytes_per_sample(config, again) == 4 * (2 * 2 * 4 * 3 // 2 - 2 * 4)
    with pytest.raises(UserError, match=r"a TCN keeps .*leave out --training[.]remat"):
        memory.bytes_per_sample(TCNConfig(), again)


def test_there_is_memory_here():
    assert memory._available_bytes() > 2**28
