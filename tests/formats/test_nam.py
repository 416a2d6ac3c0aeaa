"""Amp models in and out of `.nam` files, sample for sample as the reference player plays them."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from command_line import mistake
from contract import LAYERS
from hypothesis import given, settings
from hypothesis import strategies as st

import wavedil as wd
from wavedil import AmpModel, AmpModelConfig, UserError
from wavedil.cli.main import main
from wavedil.formats import nam
from wavedil.models import KnobConfig, make_model, named_weights

DATA = Path(os.environ.get("WAVEDIL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "nam"
needs_files = pytest.mark.skipif(not DATA.is_dir(), reason=f"no .nam files at {DATA}")
REFERENCES = {
    "reference": ("input", "expected_output"),
    "reference_standard": ("input_standard", "expected_output_standard"),
    **{
        name: (f"input_{name}", f"expected_{name}")
        for name in ("a2_bottleneck", "a2_film", "a2_gated", "a2_head1x1", "conv_head")
    },
}
EVERY_FEATURE = LAYERS["amp of every feature"].layer
METADATA = json.dumps({"name": "\u00c5mp", "input_level_dbu": 12.5})


def numbers(name: str) -> np.ndarray:
    return np.array(json.loads((DATA / f"{name}.json").read_text()), np.float32)


def spec_of(model: AmpModel, folder: Path) -> dict[str, Any]:
    """What is written of a model."""
    nam.save(model, folder / "written.nam")
    return json.loads((folder / "written.nam").read_text())


def assert_same(first: AmpModel, second: AmpModel) -> None:
    """The same settings, and the same weights bit for bit."""
    assert first.config == second.config
    one, other = named_weights(first), named_weights(second)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


@pytest.fixture(scope="module")
def nano() -> AmpModel:
    return make_model(AmpModelConfig.nano())


@needs_files
@pytest.mark.parametrize("name", REFERENCES)
def test_a_file_plays_what_the_reference_player_plays_from_the_first_sample(name: str) -> None:
    model = nam.load(DATA / f"{name}.nam")
    dry, expected = map(numbers, REFERENCES[name])
    wet = jax.jit(model)(dry[None, :, None])[0, :, 0]
    np.testing.assert_allclose(wet, expected, rtol=0, atol=1e-5)


@needs_files
@pytest.mark.parametrize("name", REFERENCES)
def test_what_is_exported_says_the_same_as_the_file_it_came_from(name: str, tmp_path: Path) -> None:
    """The same weights in the same order, and the same version and settings, but for those that are defaults."""
    file = json.loads((DATA / f"{name}.nam").read_text())
    written = spec_of(nam.load(DATA / f"{name}.nam"), tmp_path)
    assert written["weights"] == [float(np.float32(weight)) for weight in file["weights"]]
    assert written.get("metadata") == file.get("metadata")
    assert written["sample_rate"] == file.get("sample_rate", 48000)
    if name == "a2_gated":  # which the older flat keys say too
        assert written["version"] == "0.5.4"
        return
    assert written["version"][:3] == file["version"][:3]
    for theirs, ours in zip(file["config"]["layers"], written["config"]["layers"], strict=True):
        assert ours | theirs == ours


@needs_files
def test_a_container_opens_at_a_chosen_size_as_in_the_player() -> None:
    path = DATA / "slimmable_container.nam"
    parameters = {None: 842, 1.0: 842, 0.66: 842, 0.65: 131, 0.33: 131}
    for size, count in parameters.items():
        assert wd.models.num_weights(nam.load(path, size=size).config) == count
    with pytest.raises(UserError, match=r"up to size 0.33 is of architecture 'LSTM'.*0.66, 1"):
        nam.load(path, size=0.1)
    with pytest.raises(UserError, match="size is 2, but it must be from 0 to 1"):
        nam.load(path, size=2)
    with pytest.raises(UserError, match="holds one model alone"):
        nam.load(DATA / "reference.nam", size=0.5)


MODELS = {
    "A1": lambda: AmpModelConfig.nano(metadata=METADATA, sample_rate=44100),
    "A2": lambda: AmpModelConfig.a2(3),
    "every feature": lambda: EVERY_FEATURE().config,
    "gated A1": lambda: AmpModelConfig(arrays=({"gating": ("gated",), "dilations": (1, 2)},)),
    "activations": lambda: AmpModelConfig(
        arrays=(
            {
                "channels": 2,
                "dilations": (1, 1, 1),
                "activations": (
                    {"function": "prelu", "slopes": (0.1, 0.2)},
                    {"function": "prelu"},
                    {"function": "leaky_hardtanh", "limits": (-0.5, 0.7)},
                ),
            },
        )
    ),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_export_and_import_give_the_same_model_bit_for_bit(make: Any, tmp_path: Path) -> None:
    model = make_model(make())
    nam.save(model, tmp_path / "amp.nam")
    assert_same(nam.load(tmp_path / "amp.nam"), model)


def test_models_of_the_first_kind_are_written_for_older_players_and_others_for_newer(
    nano: AmpModel, tmp_path: Path
) -> None:
    older = spec_of(nano, tmp_path)
    assert older["version"] == "0.5.4"
    assert older["config"]["layers"][1] == {
        "input_size": 4, "condition_size": 1, "head_size": 1, "channels": 2, "kernel_size": 3,
        "dilations": [128, 256, 512, *(2**k for k in range(10))], "activation": "Tanh", "gated": False,
        "head_bias": True,
    }  # fmt: skip
    newer = spec_of(make_model(AmpModelConfig.a2(3)), tmp_path)
    assert newer["version"] == "0.7.0"
    assert newer["config"]["layers"][0]["head"] == {
        "out_channels": 1, "kernel_size": 16, "bias": True
    }  # fmt: skip
    assert len(newer["weights"]) == 1871 and newer["weights"][-1] == float(np.float32(0.01))


def test_the_last_weight_is_the_head_scale_that_counts(nano: AmpModel, tmp_path: Path) -> None:
    spec = spec_of(nano, tmp_path)
    spec["weights"][-1] = 0.5
    (tmp_path / "amp.nam").write_text(json.dumps(spec))
    assert nam.load(tmp_path / "amp.nam").config.head_scale == 0.5


def _set(*path: Any) -> Any:
    """Puts the last of a path in the place that those before it lead to; `...` leaves the key out."""

    def damage(spec: Any) -> None:
        *way, key, value = path
        for step in way:
            spec = spec[step]
        if value is ...:
            del spec[key]
        else:
            spec[key] = value

    return damage


ARRAY = ("config", "layers", 0)
HUGE = 2**31 - 1
DAMAGES = {
    "older version": (_set("version", "0.4.9"), "version '0.4.9' is not supported"),
    "future version": (_set("version", "1.0.0"), "0.5.0 to 0.7.x are"),
    "version of no kind": (_set("version", 0.5), "version is 0.5, but it must be text"),
    "no version": (_set("version", ...), "has no 'version'"),
    "other architecture": (_set("architecture", "LSTM"), "is 'LSTM', but only WaveNet"),
    "unknown key": (_set("config", "tilt", 1), "config has 'tilt', a feature that is not known"),
    "unknown key of a layer": (_set(*ARRAY, "stride", 2), r"layers\[0\] has 'stride'"),
    "unknown activation": (_set(*ARRAY, "activation", "Relu"), "'Relu' is unknown; .*ReLU"),
    "unknown gate": (_set(*ARRAY, "gating_mode", "ungated"), "gating is"),
    "too few weights": (lambda s: s["weights"].pop(), "841 weights.*need 842: 1 too few"),
    "too many weights": (lambda s: s["weights"].extend([0.0] * 3), "845 weights.*: 3 too many"),
    "a weight that is NaN": (_set("weights", 3, float("nan")), "hold 1 of 842 numbers that"),
    "a weight that is too large": (_set("weights", 3, 1e300), "NaN or infinite"),
    "a weight without end": (_set("weights", 3, 10**400), "integer without end"),
    "a weight that is none": (_set("weights", 3, "0.1"), "are not a list of numbers"),
    "weights that are none": (_set("weights", {}), "are not a list of numbers"),
    "a huge size": (_set(*ARRAY, "channels", HUGE), "more than the 16777216"),
    "a huge kernel": (_set(*ARRAY, "kernel_size", HUGE), "more than the 16777216"),
    "a huge dilation": (_set(*ARRAY, "dilations", 0, HUGE), "more than the 16777216"),
    "a huge head": (_set("config", "layers", 1, "head_size", HUGE), "too few"),
    "no arrays": (_set("config", "layers", []), "arrays is empty"),
    "arrays of no kind": (_set("config", "layers", 3), "layers is 3, but it must be a list"),
    "a size that is true": (_set(*ARRAY, "channels", True), "but it must be a whole number"),
    "another input": (_set(*ARRAY, "input_size", 2), "input_size 2, but what comes in has 1"),
    "another condition": (_set(*ARRAY, "condition_size", 3), "condition_size 3"),
    "head scale gone": (_set("config", "head_scale", ...), "has no 'head_scale'"),
    "rate of no kind": (_set("sample_rate", 0.5), "sample_rate is 0.5 Hz"),
    "metadata of no kind": (_set("metadata", []), "metadata is not an object"),
    "metadata without end": (_set("metadata", {"x": float("inf")}), "metadata holds a number"),
    "a container without end": (_set("architecture", "SlimmableContainer"), "has no 'submodels'"),
    "nested too deep": (
        lambda s: [s["config"].update(condition_dsp=json.loads(json.dumps(s))) for _ in range(6)],
        "nested deeper",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_and_unknown_files_are_refused_with_the_key(
    nano: AmpModel, tmp_path: Path, damage: Any, message: str
) -> None:
    spec = spec_of(nano, tmp_path)
    damage(spec)
    (tmp_path / "amp.nam").write_text(json.dumps(spec))
    with pytest.raises(UserError, match=message) as error:
        nam.load(tmp_path / "amp.nam")
    assert str(tmp_path / "amp.nam") in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"version": "0.5.4"', "\x00\xff"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "amp.nam").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"amp.nam"):
        nam.load(tmp_path / "amp.nam")


def test_a_file_of_a_size_that_no_model_has_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "amp.nam").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(UserError, match="has 2147483648 bytes, more than"):
        nam.load(tmp_path / "amp.nam")


def test_a_newer_patch_of_the_version_is_read_with_a_warning(
    nano: AmpModel, tmp_path: Path
) -> None:
    spec = spec_of(nano, tmp_path) | {"version": "0.7.9"}
    (tmp_path / "amp.nam").write_text(json.dumps(spec))
    with pytest.warns(UserWarning, match=r"version 0.7.9, newer than 0.7.0"):
        assert_same(nam.load(tmp_path / "amp.nam"), nano)


JUNK = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1,
        2,
        3,
        7,
        2**31,
        10**20,
        0.5,
        -0.0,
        1e300,
        "",
        "Tanh",
        "gated",
        [],
        [1],
        {},
    ]
).map(copy.deepcopy)  # a later draw may put something into it


@settings(max_examples=60)
@given(data=st.data())
def test_a_file_with_any_values_in_any_places_is_read_or_refused(
    data: Any, tmp_path_factory: Any
) -> None:
    spec = json.loads(_SPEC or _write_spec(tmp_path_factory.mktemp("nam")))
    for _ in range(data.draw(st.integers(1, 3))):
        place = spec
        while isinstance(place, dict | list) and len(place):
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = data.draw(st.sampled_from(keys))
            inside = place[key]
            if not (isinstance(inside, dict | list) and inside and data.draw(st.booleans())):
                place[key] = data.draw(JUNK)
                break
            place = inside
    path = tmp_path_factory.getbasetemp() / "any.nam"
    path.write_text(json.dumps(spec))
    try:
        model = nam.load(path)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        jax.eval_shape(lambda: model(np.zeros((1, 3, model.in_channels), np.float32)))


_SPEC = ""


def _write_spec(folder: Path) -> str:
    """The file of a model of every feature."""
    global _SPEC
    _SPEC = json.dumps(spec_of(EVERY_FEATURE(), folder))
    return _SPEC


def test_a_model_with_knobs_is_exported_at_a_setting_of_them(capsys: Any, tmp_path: Path) -> None:
    knobs = (KnobConfig(knob="gain"), KnobConfig(knob="tone", least=-1))
    array = {"channels": 2, "dilations": (1, 2)}
    model = make_model(AmpModelConfig(arrays=(array,), knobs=knobs))
    wd.save(model, tmp_path / "run")
    run, file = str(tmp_path / "run"), str(tmp_path / "amp.nam")
    line = mistake(capsys, "export", run, file)
    assert "knobs gain (0 to 1), tone (-1 to 1)" in line and "--knob gain=1" in line
    assert "set each of them" in mistake(capsys, "export", run, file, "--knob", "gain=0.5")
    assert "from 0 to 1" in mistake(
        capsys, "export", run, file, "--knob", "gain=3", "--knob", "tone=0"
    )
    assert not Path(file).exists()
    assert main(["export", run, file, "--knob", "gain=0.5", "--knob", "tone=-0.25"]) == 0
    x = np.random.default_rng(0).normal(size=(1, 50, 1)).astype(np.float32)
    expected = model(x, knobs={"gain": 0.5, "tone": -0.25})
    np.testing.assert_array_equal(nam.load(file)(x), expected)
    capsys.readouterr()
    assert "exists" in mistake(
        capsys, "export", run, file, "--knob", "gain=0.5", "--knob", "tone=0"
    )


def test_a_file_goes_into_a_run_and_out_again_by_the_command_line(
    capsys: Any, nano: AmpModel, tmp_path: Path
) -> None:
    file, again, run = (str(tmp_path / name) for name in ("amp.nam", "again.nam", "run"))
    nam.save(nano, file)
    assert main(["import", file, run]) == 0
    assert "842 parameters, receptive field 4,093 samples" in capsys.readouterr().out
    assert_same(wd.load(run), nano)
    assert main(["export", run, again]) == 0
    assert Path(again).read_text() == Path(file).read_text()
    capsys.readouterr()
    assert "already holds a model" in mistake(capsys, "import", file, run)
    assert "is a file, but a model is saved in a folder" in mistake(capsys, "import", file, again)
    assert "is no .nam file by its name" in mistake(capsys, "import", tmp_path / "x.pt", run)
    assert "cannot be read" in mistake(capsys, "import", tmp_path / "absent.nam", tmp_path / "new")


def test_other_models_are_not_exported(tmp_path: Path) -> None:
    model = wd.models.make_model(wd.WaveNetConfig.tiny())
    with pytest.raises(UserError, match=r"is a WaveNet, but a \.nam file holds an AmpModel"):
        nam.save(model, tmp_path / "wavenet.nam")
