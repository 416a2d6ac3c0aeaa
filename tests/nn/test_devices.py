"""Layers on several devices: the batch split under `jax.shard_map`, and over a mesh whose axes are explicit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import contract
import pytest

PROGRAM = Path(contract.__file__).with_name("on_devices.py")


@pytest.fixture(scope="module")
def found() -> Any:
    """What went wrong, by check and layer; in one process for all of them."""
    settings = {
        "JAX_NUM_CPU_DEVICES": "4",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    program = subprocess.run(
        [sys.executable, "-W", "error", PROGRAM],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(program.stdout)


@pytest.mark.parametrize("name", contract.LAYERS)
def test_gradients_and_steps_of_any_length_are_typed_alike_on_all_devices(
    found: Any, name: str
) -> None:
    assert not found["types"][name]


@pytest.mark.parametrize("name", contract.COMPILED)
def test_outputs_steps_and_gradients_on_four_devices_are_those_on_one(
    found: Any, name: str
) -> None:
    assert not found["numbers"][name]


@pytest.mark.parametrize("name", ["stack", "wavenet"])
def test_the_gradient_of_a_split_batch_moves_nothing_but_the_sum_of_the_weights_gradients(
    found: Any, name: str
) -> None:
    assert not found["moves"][name]


@pytest.mark.parametrize("name", ["log_prob", "kernel in parts"])
def test_what_is_not_split_as_the_signals_is_brought_to_them_or_refused(
    found: Any, name: str
) -> None:
    assert not found["explicit"][name]
