"""Config travel through JSON, and say what is wrong with them."""

import json
from typing import get_args, get_type_hints

import pytest

from wavedil import ContextStackConfig, LocalConditioningConfig, UserError, WaveNetConfig
from wavedil.features import MelConfig
from wavedil.training import RunConfig, TrainingConfig


def test_outputs_are_checked_without_json_too() -> None:
    with pytest.raises(UserError, match="output is 'mol', but it must be"):
        WaveNetConfig(output="mol")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="companding 'liner' is unknown; did you mean 'linear'"):
        WaveNetConfig(companding="liner")  # type: ignore[arg-type]


def test_the_outputs_of_a_model_are_the_families_of_distributions() -> None:
    assert get_args(get_type_hints(WaveNetConfig)["output"]) == get_args(Family)


def test_settings_from_before_the_outputs_mean_what_they_meant() -> None:
    config = WaveNetConfig.from_dict({"levels": 64})
    assert (config.output, config.companding, config.num_components) == (
        "categorical",
        "mu_law",
        None,
    )


def test_json_round_trip_gives_equal_settings() -> None:
    gaussian = WaveNetConfig(output="gaussian", num_components=2, companding="linear", levels=65536)
    assert WaveNetConfig.from_dict(json.loads(json.dumps(gaussian.to_dict()))) == gaussian
    config = WaveNetConfig(dilations=(1, 3, 9), labels={"digit": ("0", "1")}, sample_rate=8000)
    again = WaveNetConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert hash(again) == hash(config)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"resiudal_channels": 3}, "did you mean 'residual_channels'"),
        ({"zzz": 3}, "known: levels"),
        ({"levels": "many"}, "levels is 'many', but it must be int"),
        ({"input": "wave"}, "one of 'codes', 'scalar'"),
        ({"kernel_size": 0}, "kernel_size is 0"),
        ({"dilations": [1, 0]}, "a dilation is 0"),
        ({"dilations": []}, "dilations is empty"),
        ({"cycles": -1}, "cycles is -1"),
        ({"levels": 1}, "2 to 65536"),
        ({"output": "logistics"}, "one of 'categorical', 'logistic', 'gaussian'"),
        ({"companding": "log"}, "one of 'mu_law', 'linear'"),
        ({"num_components": 3}, "num_components is 3, but a categorical output has none"),
        ({"output": "gaussian", "num_components": 0}, "num_components is 0"),
        ({"dilations": [1, 2.5]}, "dilations is 2.5, but it must be int"),
        ({"labels": {"digit": "xyz"}}, "labels is 'xyz'"),
        ({"labels": {"digit": []}}, "'digit' has no values"),
        ({"sample_rate": True}, "sample_rate is True"),
    ],
)
def test_bad_values_are_named_with_their_rule(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        WaveNetConfig.from_dict(values)


def test_missing_and_foreign_objects_are_refused() -> None:
    with pytest.raises(UserError, match="needs the setting 'corpus'"):
        RunConfig.from_dict({})
    with pytest.raises(UserError, match="must be an object of settings"):
        WaveNetConfig.from_dict([1])


@pytest.mark.parametrize("name", ["learning_rate", "clip_norm", "ema_decay", "weight_decay"])
def test_training_settings_refuse_what_is_not_a_number(name: str) -> None:
    with pytest.raises(UserError, match="nan"):
        TrainingConfig(**{name: float("nan")})


def test_differences_name_each_setting_and_both_values() -> None:
    lines = WaveNetConfig(cycles=2).differences(WaveNetConfig(cycles=3, levels=16))
    assert lines == ["cycles: 2 -> 3", "levels: 256 -> 16"]


def test_label_indices_start_at_1_and_0_is_unlabelled() -> None:
    config = WaveNetConfig(labels={"digit": ("0", "7"), "speaker": ("a",)})
    assert config.label_indices({"digit": "7"}) == {"digit": 2, "speaker": 0}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"digit": "8"}, "digit '8' is unknown to this model; .*0, 7"),
        ({"digits": "7"}, "label 'digits' is unknown to this model; did you mean 'digit'"),
    ],
)
def test_unknown_labels_are_refused_with_the_known_ones(
    labels: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        WaveNetConfig(labels={"digit": ("0", "7")}).label_indices(labels)


@pytest.mark.parametrize(
    ("config", "size"),
    [
        (WaveNetConfig.paper(), 3071),
        (WaveNetConfig(cycles=5, input_kernel_size=2), 5117),
        (WaveNetConfig(kernel_size=3, input_kernel_size=3), 6141),
        (WaveNetConfig(cycles=4, input_kernel_size=1), 4093),
    ],
)
def test_receptive_field_has_the_published_size(config: WaveNetConfig, size: int) -> None:
    assert config.receptive_field.size == size


MEL = MelConfig(num_mels=40).at(8000)
LOCAL = LocalConditioningConfig(num_features=40, hop=128, mel=MEL)


def test_features_travel_with_the_settings_of_model_and_run() -> None:
    model = WaveNetConfig(sample_rate=8000, local=LOCAL)
    corpus = {"folder": "x", "mel": MEL.to_dict()}
    run = RunConfig.from_dict({"corpus": corpus, "model": model.to_dict()})
    again = RunConfig.from_dict(json.loads(json.dumps(run.to_dict())))
    assert again == run
    assert again.model.local == LOCAL
    assert again.corpus.mel == MEL
    changed = run.differences(RunConfig.from_dict({"corpus": {"folder": "x"}}))
    assert "model.local_conditioning.hop: 128 -> None" in changed


def test_settings_written_before_there_were_features_load() -> None:
    old = {name: value for name, value in WaveNetConfig().to_dict().items() if name != "local"}
    run = RunConfig.from_dict({"corpus": {"folder": "x"}, "model": old})
    assert run.model == WaveNetConfig()
    assert (run.corpus.mel, run.corpus.features_hop) == (None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hop": 0}, "local hop is 0"),
        ({"context_frames": 0}, "looks at 1 or more on either side; use 2"),
        ({"hop": 100}, "40 features every 100 samples, but its mel settings give 40 every 128"),
        ({"upsampling": "linear"}, "'repeat', 'subpixel'"),
        ({"mel": MEL.to_dict() | {"num_mels": 41}}, "its mel settings give 41 every 128"),
        ({"mel": MEL.to_dict() | {"sample_rate": 16000}}, "local_conditioning.mel is for 16000 Hz, but the model's sound has 8000"),
        ({"mel": {"num_mels": 40, "hop": 128}}, r"mel.at\(8000\)"),
        ({"mel": 3}, "mel is 3"),
    ],
)  # fmt: skip
def test_features_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        WaveNetConfig.from_dict({"sample_rate": 8000, "local": LOCAL.to_dict() | change})


FAR = ContextStackConfig(factor=64, channels=16, kernel_size=3, dilations=(1, 2, 4), cycles=2)


def test_a_context_stack_travels_with_the_settings_and_need_not_be_there() -> None:
    config = WaveNetConfig(context=FAR)
    assert WaveNetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert hash(config) == hash(WaveNetConfig(context=FAR))
    old = {name: value for name, value in WaveNetConfig().to_dict().items() if name != "context"}
    assert WaveNetConfig.from_dict(old) == WaveNetConfig()
    assert config.differences(WaveNetConfig())[-1] == "context.kernel_size: 3 -> None"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factor": 0}, "context factor is 0, but it must be at least 1"),
        ({"channels": 0}, "context channels is 0"),
        ({"dilations": []}, "context dilations is empty"),
        ({"dilations": [1, 0]}, "a context dilation is 0"),
        (
            {"dilation": [1]},
            "ContextStackConfig has no setting 'dilation'; did you mean 'dilations'",
        ),
        ({"factor": 1.5}, "factor is 1.5, but it must be int"),
    ],
)
def test_a_context_stack_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        WaveNetConfig.from_dict({"context": FAR.to_dict() | change})


def test_a_context_stack_without_its_factor_is_refused() -> None:
    with pytest.raises(UserError, match="ContextStackConfig needs the setting 'factor'"):
        WaveNetConfig.from_dict({"context": {}})
