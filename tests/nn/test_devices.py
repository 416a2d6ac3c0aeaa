"""Layers on several devices: the batch split under `jax.shard_map`, and over a mesh whose axes are explicit."""

from pathlib import Path

import contract
import four_devices
import pytest

PROGRAM = Path(contract.__file__).with_name("on_devices.py")


@pytest.fixture(scope="module")
def wrong(request: pytest.FixtureRequest) -> dict[str, str]:
    return four_devices.what_went_wrong(str(PROGRAM), request, JAX_NUMPY_DTYPE_PROMOTION="strict")


@pytest.mark.sampled
@pytest.mark.parametrize("check", [f"types: {name}" for name in contract.LAYERS])
def test_gradients_and_steps_of_any_length_are_typed_alike_on_all_devices(
    wrong: dict[str, str], check: str
) -> None:
    assert not wrong[check]


@pytest.mark.sampled
@pytest.mark.parametrize("check", [f"numbers: {name}" for name in contract.COMPILED])
def test_outputs_steps_and_gradients_on_four_devices_are_those_on_one(
    wrong: dict[str, str], check: str
) -> None:
    assert not wrong[check]


@pytest.mark.parametrize("check", ["moves: stack", "moves: wavenet"])
def test_the_gradient_of_a_split_batch_moves_nothing_but_the_sum_of_the_weights_gradients(
    wrong: dict[str, str], check: str
) -> None:
    assert not wrong[check]


@pytest.mark.parametrize("check", ["explicit: log_prob", "explicit: kernel in parts"])
def test_what_is_not_split_as_the_signals_is_brought_to_them_or_refused(
    wrong: dict[str, str], check: str
) -> None:
    assert not wrong[check]
