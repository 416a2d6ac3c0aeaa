"""Settings travel through JSON, and say what is wrong with them."""

import dataclasses
import json
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from wavedil import (
    ContextStackConfig,
    CorpusConfig,
    LocalConditioningConfig,
    RunConfig,
    TCNConfig,
    UserError,
    WaveNetConfig,
)
from wavedil.config import undecided
from wavedil.distributions import DISTRIBUTIONS, make
from wavedil.labels import Vocabulary
from wavedil.mel import MelConfig
from wavedil.models import AmpArrayConfig, EncoderConfig
from wavedil.nn import ACTIVATIONS
from wavedil.runs import from_values, to_values
from wavedil.tasks import GeneratorTask, VocoderTask
from wavedil.training import TrainingConfig


def test_outputs_are_checked_without_json_too() -> None:
    with pytest.raises(UserError, match="output 'mol' is unknown; known: categorical"):
        WaveNetConfig(output="mol")  # type: ignore[arg-type]
    with pytest.raises(
        UserError, match="companding is 'liner', but it must be one of 'mu_law', 'linear'"
    ):
        WaveNetConfig(companding="liner")  # type: ignore[arg-type]


def test_activations_of_a_classifier_are_those_of_its_layers() -> None:
    assert set(get_args(get_type_hints(TCNConfig)["activation"])) == {*ACTIVATIONS, "gated"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"activation": "rule"}, "activation is 'rule', but it must be one of .*'relu'.*'gated'"),
        ({"norm": "batch"}, "norm is 'batch', but it must be one of 'weight'"),
        ({"pooling": "max"}, "pooling is 'max', but it must be one of 'mean', 'last'"),
        ({"skip_connections": "no"}, "skip_connections is 'no', but it must be true or false"),
        ({"mean": float("nan")}, "mean is nan and deviation 1.0; both must be finite"),
        ({"mean": float("inf")}, "mean is inf and deviation 1.0"),
        ({"deviation": 0.0}, "mean is 0.0 and deviation 0.0; .* the deviation above 0"),
        ({"deviation": -1.0}, "deviation -1.0"),
        ({"deviation": float("inf")}, "deviation inf"),
        ({"deviation": float("nan")}, "deviation nan"),
        ({"dropout": 1.0}, "dropout is 1.0, but it must be a share from 0 to below 1"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"values": ("a", "a")}, "values are a, a, but each may come once"),
    ],
    ids=str,
)
def test_a_classifier_that_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TCNConfig(**values)


def test_a_modulation_of_an_amp_has_groups() -> None:
    with pytest.raises(UserError, match="film groups is 0, but it must be a whole number"):
        AmpArrayConfig.from_dict({"conv_pre_film": {"groups": 0}})


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_distribution_of_the_registry_is_an_output_of_a_model(name: str) -> None:
    config = WaveNetConfig(output=name, levels=64)
    assert make(config.output, config.levels, config.companding).levels == 64


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
        ({"levels": "many"}, "levels is 'many', but it must be a whole number"),
        ({"input": "wave"}, "one of 'codes', 'scalar'"),
        ({"kernel_size": 0}, "kernel_size is 0"),
        ({"dilations": [1, 0]}, "dilation is 0"),
        ({"dilations": []}, "dilations is empty"),
        ({"cycles": -1}, "cycles is -1"),
        ({"levels": 1}, "2 to 65536"),
        ({"output": "logistics"}, "did you mean 'logistic'"),
        ({"companding": "log"}, "one of 'mu_law', 'linear'"),
        ({"num_components": 3}, "num_components is 3, but a categorical output has none"),
        ({"output": "gaussian", "num_components": 0}, "num_components is 0"),
        ({"dilations": [1, 2.5]}, "dilations is 2.5, but it must be a whole number; use 2"),
        ({"labels": {"digit": "xyz"}}, "labels is 'xyz'"),
        ({"labels": {"digit": []}}, "'digit' has no values"),
        ({"sample_rate": True}, "sample_rate is True"),
    ],
)
def test_bad_values_are_named_with_their_rule(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        WaveNetConfig.from_dict(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": 2**63}, "seed is 9223372036854775808, but it must be below 9223372036854775808"),
        ({"seed": -1}, "seed is -1, but it must be at least 0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf .* finite"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0 .* above 0"),
    ],
)
def test_training_that_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TrainingConfig(**values)


def test_missing_and_foreign_objects_are_refused() -> None:
    with pytest.raises(UserError, match="x is not the configuration of a training run"):
        from_values({}, "x")
    with pytest.raises(UserError, match="did you mean 'vocoder'"):
        from_values({"format_version": 2, "corpus": {"folder": "x"}, "task": {"name": "vocodr"}})
    with pytest.raises(UserError, match="format version 3"):
        from_values({"format_version": 3, "corpus": {}})
    with pytest.raises(UserError, match="must be an object of settings"):
        WaveNetConfig.from_dict([1])


@pytest.mark.parametrize("name", ["learning_rate", "clip_norm", "ema_decay", "weight_decay"])
def test_training_settings_refuse_what_is_not_a_number(name: str) -> None:
    with pytest.raises(UserError, match="nan"):
        TrainingConfig(**{name: float("nan")})


def test_differences_name_each_setting_and_both_values() -> None:
    lines = WaveNetConfig(cycles=2).differences(WaveNetConfig(cycles=3, levels=16))
    assert lines == ["cycles: 2 -> 3", "levels: 256 -> 16"]


VOCABULARY = Vocabulary(digit=("0", "7"), speaker=("a",))


def test_rows_of_labels_start_at_1_and_0_is_unlabelled() -> None:
    rows = VOCABULARY.rows_of([{"digit": "7"}, {"speaker": "a"}, {"digit": "8"}])
    assert {name: row.tolist() for name, row in rows.items()} == {
        "digit": [2, 0, 0],
        "speaker": [0, 1, 0],
    }


def test_a_value_is_for_all_signals_and_a_list_for_each() -> None:
    assert VOCABULARY.rows({"digit": "7"}, 2)["digit"].tolist() == [2, 2]
    assert VOCABULARY.rows({"digit": ["7", "0"]}, 2)["digit"].tolist() == [2, 1]
    assert VOCABULARY.rows(None, 2) == {}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"digit": "8"}, "digit '8' is unknown to this model; known: 0, 7"),
        ({"digits": "7"}, "label 'digits' is unknown to this model; did you mean 'digit'"),
        ({"digit": 7}, 'digit is 7, a number; values are strings, use "7"'),
        ({"digit": [7, 0]}, 'digit is 7, a number; values are strings, use "7"'),
        ({"digit": ["7"]}, r"has shape \[1\] of int32, but it must be 2 values or integer rows"),
        ({"digit": np.array([0.0, 1.0])}, "of float64"),
        ({"digit": np.array([0, 3])}, "rows 0 to 3, but the model has 0 to 2"),
        ({"digit": np.array([-1, 0])}, "rows -1 to 0"),
    ],
)
def test_labels_that_are_unknown_or_no_values_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        VOCABULARY.rows(labels, 2)


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
    model = WaveNetConfig(sample_rate=8000, local_conditioning=LOCAL)
    config = RunConfig(task=VocoderTask(mel=MEL), corpus=CorpusConfig(folder="x"), model=model)
    again = from_values(json.loads(json.dumps(to_values(config))))
    assert again == config
    assert again.model.local_conditioning == LOCAL
    assert again.task.mel == MEL
    changed = config.differences(RunConfig(task=GeneratorTask(), corpus=config.corpus))
    assert "model.local_conditioning.hop: 128 -> None" in changed


def test_another_run_starts_from_a_config_without_what_was_decided() -> None:
    model = WaveNetConfig(
        sample_rate=8000, cycles=2, labels={"a": ("b",)}, local_conditioning=LOCAL
    )
    bare = undecided(model)
    assert (bare.cycles, bare.sample_rate, bare.labels) == (2, 16000, {})
    assert bare.local_conditioning == LocalConditioningConfig()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hop": 0}, "local_conditioning hop is 0"),
        ({"lookaround_frames": 0}, "looks at 1 or more on either side; use 2"),
        ({"hop": 100}, "40 features every 100 samples, but its mel settings give 40 every 128"),
        ({"upsampling": "linear"}, "'repeat', 'subpixel'"),
        ({"mel": MEL.to_dict() | {"num_mels": 41}}, "its mel settings give 41 every 128"),
        (
            {"mel": MEL.to_dict() | {"sample_rate": 16000}},
            "local_conditioning.mel is for 16000 Hz, but the model's sound has 8000",
        ),
        ({"mel": {"num_mels": 40, "hop": 128}}, r"mel.at\(8000\)"),
        ({"mel": 3}, "mel is 3"),
    ],
)  # fmt: skip
def test_features_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        WaveNetConfig.from_dict(
            {"sample_rate": 8000, "local_conditioning": LOCAL.to_dict() | change}
        )


FAR = ContextStackConfig(factor=64, channels=16, kernel_size=3, dilations=(1, 2, 4), cycles=2)


def test_a_context_stack_travels_with_the_settings_and_need_not_be_there() -> None:
    config = WaveNetConfig(context_stack=FAR)
    assert WaveNetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert hash(config) == hash(WaveNetConfig(context_stack=FAR))
    old = {
        name: value for name, value in WaveNetConfig().to_dict().items() if name != "context_stack"
    }
    assert WaveNetConfig.from_dict(old) == WaveNetConfig()
    assert config.differences(WaveNetConfig())[-1] == "context_stack.kernel_size: 3 -> None"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factor": 0}, "context_stack factor is 0, but it must be a whole number of at least 1"),
        ({"channels": 0}, "context_stack channels is 0"),
        ({"dilations": []}, "context_stack dilations is empty"),
        ({"dilations": [1, 0]}, "context_stack dilation is 0"),
        (
            {"dilation": [1]},
            "ContextStackConfig has no setting 'dilation'; did you mean 'dilations'",
        ),
        ({"factor": 1.5}, "factor is 1.5, but it must be a whole number"),
    ],
)
def test_a_context_stack_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        WaveNetConfig.from_dict({"context_stack": FAR.to_dict() | change})


def test_a_context_stack_without_its_factor_is_refused() -> None:
    with pytest.raises(UserError, match="ContextStackConfig needs the setting 'factor'"):
        WaveNetConfig.from_dict({"context_stack": {}})


CONFIGS = [
    WaveNetConfig(num_components=2, output="gaussian", embedding_channels=3),
    FAR,
    LOCAL,
    MEL,
    EncoderConfig(hop=4),
    TrainingConfig(batch_size=2, window_size=9),
    CorpusConfig(folder="x", sample_rate=8000),
    VocoderTask(features_hop=4),
]


def _as_numpy(value: Any) -> Any:
    if isinstance(value, tuple):
        return np.array(value)
    return np.array(value)[()] if type(value) in (int, float) else value


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_settings_take_numbers_and_arrays_of_numpy_and_keep_pythons(config: Any) -> None:
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    again = type(config)(**{name: _as_numpy(value) for name, value in values.items()})
    assert again == config
    assert json.dumps(again.to_dict()) == json.dumps(config.to_dict())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
@pytest.mark.parametrize(
    "wrong", [True, "2", 2.0, np.float64(2), np.array([[1]]), (None,)], ids=str
)
def test_every_whole_number_in_the_settings_refuses_what_is_none(config: Any, wrong: Any) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if type(value) is int or (isinstance(value, tuple) and value and type(value[0]) is int):
            with pytest.raises(UserError, match=f"{field.name} is .* must be"):
                dataclasses.replace(config, **{field.name: wrong})
