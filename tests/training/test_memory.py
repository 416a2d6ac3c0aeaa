"""A window that does not fit in memory is refused before anything is compiled."""

import pytest
import training_runs as runs

from wavedil import UserError
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


def test_there_is_memory_here():
    assert memory._available_bytes() > 2**28
