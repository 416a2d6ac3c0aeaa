"""What is said of a model before it is trained, and what to do with it afterwards."""

import dataclasses
from pathlib import Path

import jax
import pytest

import wavedil as wd
from wavedil.mel import MelConfig
from wavedil.models import KnobConfig, abstract_model, make_model
from wavedil.runs import what_next
from wavedil.runs.description import model_facts
from wavedil.tasks import (
    ClassifierTask,
    EffectTask,
    FeaturesTask,
    GeneratorTask,
    VocoderTask,
)
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


def test_what_to_do_with_a_model_goes_by_what_it_was_trained_for():
    heard = wd.WaveNetConfig.tiny(sample_rate=8000)
    mel = MelConfig(num_mels=8, hop=64).at(8000)
    of_mel = wd.LocalConditioningConfig(num_features=8, hop=64, mel=mel)
    for task, model, expected in (
        (GeneratorTask(), heard, "hear it: wavedil generate 'my run' a.wav"),
        (
            VocoderTask(),
            dataclasses.replace(heard, local_conditioning=of_mel),
            "hear it: wavedil generate 'my run' a.wav --like recording.wav",
        ),
        (
            VocoderTask(),
            dataclasses.replace(heard, local_conditioning=wd.LocalConditioningConfig()),
            "hear it: wavedil generate 'my run' a.wav --features x.npy",
        ),
        (
            FeaturesTask(),
            heard,
            "hear it with a vocoder: wavedil generate 'my run' a.wav --vocoder VOCODER_RUN",
        ),
        (
            ClassifierTask(target="digit"),
            CONFIGS["classifier"],
            "ask it: wavedil classify 'my run' a.wav",
        ),
        (EffectTask(), NANO, "play through it: wavedil apply 'my run' in.wav a.wav"),
        (
            EffectTask(),
            CONFIGS["amp with a knob"],
            "play through it: wavedil apply 'my run' in.wav a.wav --knob gain=0.5",
        ),
    ):
        config = wd.RunConfig(task=task, corpus=wd.CorpusConfig(folder="x"), model=model)
        assert what_next(config, Path("my run"), "a.wav") == expected
