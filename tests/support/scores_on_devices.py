"""Likelihood and draws on the devices of a process: `tests/generation/test_several_devices_drawing.py` runs it."""

import dataclasses
import functools

import four_devices
import numpy as np
from flax import nnx
from training_runs import SAMPLE_RATE, corpus, model_config

import wavedil
from wavedil import ContextStackConfig, LocalConditioningConfig, WaveNet
from wavedil.evaluation import classification, likelihood
from wavedil.evaluation.denoising import squared_errors
from wavedil.evaluation.frames import frame_nats
from wavedil.generation.slots import fitting_slots
from wavedil.models import compilation
from wavedil.ops.devices import own_mesh

HOP = 8
NOTES = ("200", "300", "400", "500")
RNG = np.random.default_rng(0)


def vocoder():
    """With all that has a place of its own in what is kept from block to block."""
    config = model_config(
        labels={"note": NOTES},
        label_dropout=0.5,
        context_stack=ContextStackConfig(factor=4, channels=4, cycles=1, dilations=(1,)),
        local_conditioning=LocalConditioningConfig(channels=4).of(3, HOP),
    )
    model = WaveNet(config, rngs=nnx.Rngs(0))
    model.output.kernel[...] *= 10
    return model


def frames(count):
    return RNG.normal(size=(count, 3)).astype(np.float32)


def both(function):
    """On all devices, how many these were, and on one."""
    used = []

    def mesh(batch_size):
        used.append(own_mesh(batch_size))
        return used[-1]

    compilation.own_mesh = mesh
    many = function()
    compilation.own_mesh = lambda batch_size: None
    return many, [1 if mesh is None else mesh.size for mesh in used], function()


def likelihoods():
    model = vocoder()
    recordings = [
        dataclasses.replace(item, features=frames(-(-item.num_samples // HOP)))
        for item in corpus(labels=True).train
    ]
    options = {"block_size": 64, "batch_size": 16}
    many, used, one = both(lambda: likelihood.bits(model, recordings, **options)[0])
    assert used == [4]
    np.testing.assert_allclose(many, one, rtol=1e-6)


def others():
    """Answers of a classifier, nats of frames and noise that is predicted."""
    sounds = corpus(labels=True).train
    small = {"sample_rate": SAMPLE_RATE, "labels": {"note": NOTES}}
    classifier = wavedil.TCNConfig(
        channels=3, dilations=(1, 2), target="note", values=NOTES, sample_rate=SAMPLE_RATE
    )
    of_frames = wavedil.FeatureNetConfig.tiny(
        num_features=3, means=(0.0,) * 3, deviations=(1.0,) * 3, **small
    )
    framed = [
        dataclasses.replace(item, features=frames(-(-item.num_samples // of_frames.hop)))
        for item in sounds
    ]
    scores = {
        "classifier": (classification.probabilities, wavedil.TCN, classifier, sounds),
        "features": (frame_nats, wavedil.FeatureNet, of_frames, framed),
        "diffusion": (
            squared_errors,
            wavedil.DiffWave,
            wavedil.DiffWaveConfig.tiny(**small),
            sounds,
        ),
    }
    for function, kind, config, recordings in scores.values():
        model = kind(config, rngs=nnx.Rngs(0))
        many, used, one = both(functools.partial(function, model, recordings))
        assert used == [4]
        np.testing.assert_allclose(many, one, rtol=1e-5, atol=1e-5)


def draws():
    """Seven sounds one after the other in four slots, which are there twice, as they are guided: in pairs."""
    features = [frames(count) for count in (3, 5, 4, 2, 6, 3, 3)]
    given = {"features": features, "labels": {"note": [*NOTES, *NOTES[:3]]}, "batch_size": 4}
    many, used, one = both(
        lambda: wavedil.generate(vocoder(), 0, **given, engine="scan", guidance=2.0)
    )
    assert used == [4]
    np.testing.assert_array_equal(many, one)
    assert len(np.unique(many)) > 10


def numbers_of_devices():
    """As many as divide the signals; and slots so many that they do, where sounds are as long as each other."""
    assert [1 if mesh is None else mesh.size for mesh in map(own_mesh, (1, 4, 6, 7, 12))] == [
        *(1, 4, 2, 1, 4)
    ]
    assert [fitting_slots([5] * 8, num_devices) for num_devices in (1, 4)] == [8, 8]
    assert fitting_slots([5] * 40, num_devices=4) % 4 == 0


CHECKS = {
    "likelihoods": likelihoods,
    "other scores": others,
    "draws": draws,
    "numbers of devices": numbers_of_devices,
}

if __name__ == "__main__":
    four_devices.main(CHECKS)
