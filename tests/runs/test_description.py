"""What is said of a model before it is trained."""

import dataclasses

import jax
import pytest

import wavedil as wd
from wavedil.models import KnobConfig, abstract_model, make_model
from wavedil.runs.description import model_facts
from wavedil.tasks.effect import SIZES

NANO = SIZES["nano"]()
CONFIGS = {
    "classifier": wd.TCNConfig(channels=4, dilations=(1, 2), values=("no", "yes")),
    "amp": NANO,
    "amp with a knob": dataclasses.replace(NANO, knobs=(KnobConfig(),)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", CONFIGS)
def test_the_state_of_a_stream_is_said_in_the_bytes_that_it_takes(name):
    config = CONFIGS[name]
    knobs = {"knobs": {"gain": 0.5}} if name == "amp with a knob" else {}
    state = make_model(config, 0).init_state(1, **knobs)
    taken = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    assert taken > 0
    assert model_facts(abstract_model(config))["stream_state_bytes"] == taken


def test_a_model_that_sees_the_future_has_no_state_of_a_stream():
    facts = model_facts(abstract_model(wd.DiffWaveConfig.tiny()))
    assert not any("state" in name for name in facts)
