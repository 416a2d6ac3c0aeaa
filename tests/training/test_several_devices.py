"""Training on several devices: the numbers are those of one, and only sums move between them."""

import four_devices
import pytest
import steps_on_devices
import training_runs as runs

from wavedil import UserError
from wavedil.runs import train_as
from wavedil.training.parts import require_divided


@pytest.fixture(scope="module")
def wrong(request):
    return four_devices.what_went_wrong(steps_on_devices.__file__, request, JAX_ENABLE_X64="1")


@pytest.mark.parametrize("check", ["gradients", pytest.param("losses", marks=pytest.mark.long)])
def test_of_ragged_windows_on_four_devices_they_are_those_on_one(wrong, check):
    assert not wrong[check]


@pytest.mark.long
@pytest.mark.parametrize("check", ["parts anywhere"])
def test_the_parts_of_a_batch_give_the_same_step_on_whatever_devices_they_are(wrong, check):
    assert not wrong[check]


@pytest.mark.parametrize("check", ["moves"])
def test_between_the_devices_of_a_step_nothing_moves_but_one_sum_of_gradients_and_metrics(
    wrong, check
):
    assert not wrong[check]


@pytest.mark.long
@pytest.mark.parametrize("check", ["taken up"])
def test_a_run_that_began_on_one_device_goes_on_on_four_and_on_one_again(wrong, check):
    assert not wrong[check]


def test_a_batch_that_devices_do_not_divide_is_refused_with_the_nearest_that_they_do(monkeypatch):
    monkeypatch.setattr("wavedil.training.parts.mesh_of", lambda count: None)
    for changes, sizes, said in (
        ({"devices": 4}, {6, 8}, r"batches of 6 windows .* among 4 devices; .*batch-size 4 or 8,"),
        ({"devices": 4}, {1}, r"batches of 1 window .* among 4 devices; .*batch-size 4,"),
        (
            {"devices": 2, "accumulate": 4},
            {3, 12},
            r"3 and 12 .* 2 devices of 4 parts; .* 8 or 16,",
        ),
        ({"accumulate": 2}, {1, 2}, r"batches of 1 window .* among 2 parts; .* 2,"),
    ):
        settings = runs.run_config(**changes).training
        with pytest.raises(UserError, match=said):
            require_divided(settings, sizes)
    require_divided(runs.run_config(devices=4, accumulate=2).training, {8, 16})


def test_devices_that_are_not_there_are_refused_before_a_folder_is_made(tmp_path):
    with pytest.raises(UserError, match=r"devices is 3, but there is 1 \(cpu\); use 1 or fewer"):
        train_as(runs.run_config(devices=3, batch_size=3), tmp_path / "run", corpus=runs.corpus())
    with pytest.raises(
        UserError, match="batches of 2 windows cannot be shared evenly among 3 parts"
    ):
        train_as(runs.run_config(accumulate=3), tmp_path / "run", corpus=runs.corpus())
    assert not (tmp_path / "run").exists()
