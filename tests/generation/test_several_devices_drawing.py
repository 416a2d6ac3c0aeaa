"""Scores and draws on four devices of a process: the numbers are those of one."""

import four_devices
import pytest
import scores_on_devices


@pytest.fixture(scope="module")
def wrong(request):
    return four_devices.what_went_wrong(scores_on_devices.__file__, request)


@pytest.mark.parametrize("check", scores_on_devices.CHECKS)
def test_on_four_devices_they_are_those_on_one(wrong, check):
    assert not wrong[check]
