"""`wavedil rf --model`: fields that saved models declare, beside those traced through their code."""

import dataclasses
import json

import pytest
from flax import nnx
from rf_command import CONFIG, mistake, printed, values

from wavedil.mel import MelConfig
from wavedil.models import LocalConditioningConfig


def test_a_model_is_declared_and_traced_side_by_side(capsys, tmp_path):
    from flax import nnx

    from wavedil import WaveNet, save

    save(WaveNet(CONFIG, rngs=nnx.Rngs(0)), tmp_path / "run" / "model")
    for folder in (tmp_path / "run", tmp_path / "run" / "model"):
        answer = values(capsys, "--model", folder)
        assert answer["agree"] is True
        assert answer["declared"] == answer["traced"]
        assert answer["traced"]["size"] == answer["size"] == 62
    lines = printed(capsys, "--model", folder).splitlines()
    assert lines[-3].split() == ["declared", "61", "0", "62", "62", "1", "7.750"]
    assert lines[-2].split() == ["traced", "61", "0", "62", "62", "1", "7.750"]
    assert lines[-1] == "they agree"


def test_a_context_stack_is_part_of_the_field(capsys, tmp_path):
    from flax import nnx

    from wavedil import ContextStackConfig, WaveNet, save

    far = ContextStackConfig(factor=8, channels=4, dilations=(1, 2))
    config = dataclasses.replace(CONFIG, context_stack=far)
    (tmp_path / "wavenet.json").write_text(json.dumps(config.to_dict()))
    save(WaveNet(config, rngs=nnx.Rngs(0)), tmp_path / "run" / "model")
    # 4 frames of 8, up to 7 samples since, and what the later layers of the near stack add.
    size = 4 * 8 + 7 + 2 * (2 + 4 + 8 + 1 + 2 + 4 + 8)
    for source in (["--config", tmp_path / "wavenet.json"], ["--model", tmp_path / "run"]):
        answer = values(capsys, *source)
        assert answer["size"] == config.receptive_field.size == size
        assert (answer["num_holes"], answer["holes"]) == (0, [])
        assert (answer["context"]["size"], answer["context"]["factor"]) == (4 * 8 + 7, 8)
        assert answer["layers"][-1]["size"] == CONFIG.receptive_field.size
        text = printed(capsys, *source)
        assert text.startswith(f"with its context stack, the network sees {size} samples, ")
        assert "context stack: 2 layers once every 8 samples, kernel size 2, dilations 1,2" in text
    assert answer["agree"] is True
    assert text.endswith("they agree\n")


def test_what_conditions_a_stack_is_in_the_tree_the_picture_and_the_values(capsys, tmp_path):
    import wavedil as wd

    far = wd.ContextStackConfig(factor=8, channels=2, dilations=(1, 2))
    local = LocalConditioningConfig(num_features=3, hop=4, lookaround_frames=1, channels=2)
    config = wd.WaveNetConfig.tiny(
        kernel_size=2, sample_rate=8000, residual_channels=4, skip_channels=4, dilations=(1, 2),
        cycles=1, context_stack=far, local_conditioning=local,
    )  # fmt: skip
    model, picture = tmp_path / "vocoder", tmp_path / "a.svg"
    wd.save(wd.WaveNet(config, rngs=nnx.Rngs(0)), model)
    out = printed(capsys, "--model", model, "--tree", "--picture", picture)
    near, far_tree, frames = out.split("\n\n")[-3:]
    assert near.startswith("output") and near.endswith("lag          4               0")
    assert far_tree.startswith("context stack, in steps of 8 samples:\noutput")
    assert far_tree.count("dilation") == 2
    assert frames.startswith("features, a frame every 4 samples; frame 0 is the output's own:")
    row = frames.splitlines()[1]
    answer = values(capsys, "--model", model)
    assert row.count("●") == len(answer["features"]["frames"]) == answer["features"]["num_taps"]
    assert answer["features"]["milliseconds"] == answer["features"]["size"] * 4 / 8
    assert [layer["size"] for layer in answer["context"]["layers"]] == [16, 32]
    drawn = picture.read_text()
    for words in ("context stack: kernel size 2", "steps of 8 samples", "a frame every 4 samples"):
        assert words in drawn


def diffwave():
    from wavedil import DiffWave, DiffWaveConfig

    settings = {"dilations": (1, 2), "channels": 2, "labels": {"note": ("high", "low")}}
    model = DiffWave(DiffWaveConfig.tiny(**settings), rngs=nnx.Rngs(0))
    model.output.kernel[...] += 1.0  # which begins as zeros
    return model


def classifier(**settings):
    from wavedil import TCN, TCNConfig

    sizes = {"channels": 2, "kernel_size": 2, "dilations": (1, 2), "values": ("no", "yes")}
    return TCN(TCNConfig(**sizes, **settings), rngs=nnx.Rngs(0))


def classifier_of_frames():
    mel = MelConfig(num_mels=3, fft_size=64, hop=16).at(8000)
    return classifier(in_channels=3, mel=mel, sample_rate=8000)


def amp():
    from wavedil import AmpModel, AmpModelConfig

    array = {"channels": 2, "dilations": (1, 2), "kernel_sizes": (2,)}
    settings = {"arrays": [array], "knobs": [{"knob": "gain", "least": 1.0, "most": 3.0}]}
    return AmpModel(AmpModelConfig.from_dict(settings), rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (diffwave, "DiffWave, receptive field: 7 samples, 0.4375 ms at 16000 Hz\n\n"),
        (classifier, "TCN, receptive field: 7 samples, 0.4375 ms at 16000 Hz\n\n"),
        (amp, "AmpModel, receptive field: 4 samples, 0.0833333 ms at 48000 Hz\n\n"),
    ],
    ids=["diffwave", "classifier", "amp"],
)
def test_a_model_that_is_no_wavenet_is_declared_and_traced_too(capsys, tmp_path, make, words):
    from wavedil import save

    save(make(), tmp_path / "run")
    out = printed(capsys, "--model", tmp_path / "run")
    assert out.startswith(words)
    assert out.endswith("they agree\n")


def test_the_field_of_a_classifier_of_frames_is_said_in_samples_and_in_frames(capsys, tmp_path):
    from wavedil import save

    run, picture = tmp_path / "run", tmp_path / "a.svg"
    save(classifier_of_frames(), run)
    text = printed(capsys, "--model", run, "--picture", picture)
    assert text.startswith(
        "TCN, receptive field: 160 samples, 20 ms at 8000 Hz\nin frames, one every 16 samples:\n\n"
    )
    assert picture.read_text().startswith("<?xml")
    answer = values(capsys, "--model", run)
    assert (answer["receptive_field_samples"], answer["hop"], answer["agree"]) == (160, 16, True)
    assert answer["traced"]["size"] == answer["declared"]["size"] == 7
    line = mistake(capsys, "--model", run, "--tree")
    assert f"--tree draws a stack of layers, but {run} is no WaveNet; leave it out" in line


def test_a_vocoder_says_how_far_features_reach(capsys, tmp_path):
    import wavedil as wd

    local = LocalConditioningConfig(num_features=3, hop=4, lookaround_frames=1, channels=2)
    config = dataclasses.replace(CONFIG, local_conditioning=local)
    model = wd.WaveNet(config, rngs=nnx.Rngs(0))
    wd.save(model, tmp_path / "vocoder")
    answer = values(capsys, "--model", tmp_path / "vocoder")
    assert answer["features"]["stride"] == "1/4"
    assert answer["features"]["future"] == 1
    # The layers' conditions lie as far back as the field, but for the convolution that the condition does not enter.
    assert 0 < answer["features"]["past"] <= -(-model.receptive_field.past // 4) + 1
    assert "features, a frame every 4 samples" in printed(capsys, "--model", tmp_path / "vocoder")
