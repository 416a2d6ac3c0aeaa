"""Scores and draws on four devices of a process: the numbers are those of one."""

import json
import os
import subprocess
import sys

import pytest
import scores_on_devices


@pytest.fixture(scope="module")
def found():
    """What went wrong, by check; in one process for all of them."""
    settings = {"JAX_NUM_CPU_DEVICES": "4", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    program = subprocess.run(
        [sys.executable, "-W", "error", scores_on_devices.__file__],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(program.stdout)


@pytest.mark.parametrize("what", scores_on_devices.CHECKS)
def test_on_four_devices_they_are_those_on_one(found, what):
    assert not found[what]
