"""Models in files: what is saved is what is loaded, and every damaged file is named."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from wavedil import UserError, WaveNet, WaveNetConfig, load, save
from wavedil.formats import saved_model
from wavedil.models import named_weights

CONFIG = WaveNetConfig.tiny(labels={"digit": ("0", "1")})


@pytest.fixture(scope="module")
def model() -> WaveNet:
    return WaveNet(CONFIG, rngs=nnx.Rngs(0))


@pytest.fixture
def folder(model: WaveNet, tmp_path: Path) -> Path:
    save(model, tmp_path / "model")
    return tmp_path / "model"


def test_loaded_model_is_the_saved_one(model: WaveNet, folder: Path) -> None:
    loaded = load(folder)
    assert loaded.config == CONFIG
    codes = jax.random.randint(jax.random.key(0), (1, 50), 0, 256)
    np.testing.assert_array_equal(loaded(codes), model(codes))


def test_settings_that_a_file_lacks_have_their_defaults(model: WaveNet, folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    for name in ("output", "companding", "num_components"):
        del values["model"][name]
    (folder / "config.json").write_text(json.dumps(values))
    weights, about = _stored(folder)
    _store(folder, weights, about | {"config": values["model"]})
    assert load(folder).config == CONFIG


def test_files_are_safetensors_and_json_alone(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
    header = json.loads((folder / "config.json").read_text())
    assert (header["format"], header["format_version"]) == ("wavedil", 2)
    assert "stack.blocks.0.conv.kernel" in load_file(folder / "model.safetensors")


def test_a_model_is_not_overwritten_unless_asked(model: WaveNet, folder: Path) -> None:
    before = (folder / "model.safetensors").read_bytes()
    other = WaveNet(CONFIG, rngs=nnx.Rngs(1))
    with pytest.raises(UserError, match="already holds a model"):
        save(other, folder)
    assert (folder / "model.safetensors").read_bytes() == before
    save(other, folder, overwrite=True)
    assert (folder / "model.safetensors").read_bytes() != before


def test_a_run_folder_is_not_taken_for_a_place_to_save(model: WaveNet, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config.json"):
        save(model, tmp_path)
    assert (tmp_path / "config.json").read_text() == "{}"


def _edit_config(**changes: Any) -> Any:
    def edit(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def _edit_model(**changes: Any) -> Any:
    """Other settings, in both files alike where they are unknown ones."""

    def edit(folder: Path) -> None:
        path = folder / "config.json"
        values = json.loads(path.read_text())
        values["model"] |= changes
        path.write_text(json.dumps(values))
        if "cycels" in changes:
            weights, about = _stored(folder)
            _store(folder, weights, about | {"config": values["model"]})

    return edit


def _truncate(name: str, keep: int) -> Any:
    def edit(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[:keep])

    return edit


def _edit_weights(change: Any) -> Any:
    def edit(folder: Path) -> None:
        weights, about = _stored(folder)
        change(weights)
        _store(folder, weights, about | {"checksum": saved_model._checksum(weights)})

    return edit


def _stored(folder: Path) -> Any:
    """The weights in a folder, and what is written about them."""
    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        return load_file(folder / "model.safetensors"), json.loads(file.metadata()["wavedil"])


def _store(folder: Path, weights: Any, about: Any) -> None:
    save_file(weights, folder / "model.safetensors", metadata={"wavedil": json.dumps(about)})


def _flip_a_bit(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def _as_version_1(folder: Path) -> None:
    """A damaged model of this version that calls itself one of the version before."""
    path = folder / "config.json"
    header = json.loads(path.read_text())
    path.write_text(json.dumps(header | {"format_version": 1, "config": header["model"]}))
    _flip_a_bit(folder)


DAMAGES = {
    "truncated weights": (_truncate("model.safetensors", 5000), "truncated or not a safetensors"),
    "no header": (_truncate("model.safetensors", 3), "truncated or not a safetensors"),
    "empty weights": (_truncate("model.safetensors", 0), "truncated or not a safetensors"),
    "truncated config": (_truncate("config.json", 30), "truncated or not JSON"),
    "foreign config": (_edit_config(format="other"), "not a wavedil model's"),
    "future version": (_edit_config(format_version=99), "install a newer wavedil"),
    "other architecture": (_edit_config(model={"name": "Other"}), "holds a 'Other'"),
    "unknown setting": (_edit_model(cycels=2), "did you mean 'cycles'"),
    "missing weight": (_edit_weights(lambda w: w.pop("output.bias")), "output.bias is missing"),
    "unknown weight": (_edit_weights(lambda w: w.update(x=np.zeros(1))), "weight x is unknown"),
    "other shape": (
        _edit_weights(lambda w: w.update({"output.bias": np.zeros(3)})),
        r"output.bias has shape \(3,\)",
    ),
    "settings of another model": (_edit_model(cycles=3), "two different models"),
    "version of no kind": (_edit_config(format_version=True), "format version True"),
    "a bit turned": (_flip_a_bit, "its weights are not those that were saved"),
    "version 1, to be free of the checksum": (_as_version_1, "its weights are not those that"),
    "weights gone": (lambda folder: (folder / "model.safetensors").unlink(), "is missing"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_files_are_refused_and_named(folder: Path, damage: Any, message: str) -> None:
    damage(folder)
    with pytest.raises(UserError, match=message):
        load(folder)


def _mutated(content: bytes, header: bool, rng: np.random.Generator) -> bytes:
    """Bytes turned, put in or left out, at one to four places; of the header alone, or anywhere."""
    changed = bytearray(content)
    end = 8 + int.from_bytes(content[:8], "little") if header else len(content)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, min(end, len(changed))))
        kind = rng.integers(0, 4)
        if kind == 0:
            changed[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            changed[at] = int(
                rng.choice(np.frombuffer(b'0123456789"{}[]:,.-aF \x00\xff', np.uint8))
            )
        elif kind == 2:
            del changed[at : at + int(rng.integers(1, 9))]
        else:
            changed[at:at] = rng.bytes(int(rng.integers(1, 9)))
    return bytes(changed)


@pytest.mark.parametrize("header", [True, False], ids=["header", "anywhere"])
def test_no_mutation_of_the_weights_file_loads_as_another_model(
    tmp_path: Path, header: bool
) -> None:
    small = WaveNetConfig.tiny(
        levels=4, dilations=(1,), cycles=1, residual_channels=2, skip_channels=2
    )
    saved = WaveNet(small, rngs=nnx.Rngs(0))
    save(saved, tmp_path / "model")
    path, rng = tmp_path / "model" / "model.safetensors", np.random.default_rng(0)
    content, expected = path.read_bytes(), named_weights(saved)
    loaded = 0
    for _ in range(250):
        path.write_bytes(_mutated(content, header, rng))
        try:
            found = load(path.parent)
        except UserError as error:
            assert str(path) in str(error)
            continue
        loaded += 1
        assert found.config == small
        for name, weight in named_weights(found).items():
            np.testing.assert_array_equal(weight, expected[name])
    assert loaded < 25  # a mutation may say the same, as in the spaces of the header


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_refused_by_name(
    model: WaveNet, folder: Path, value: float
) -> None:
    bad = load(folder)
    bad.stack.blocks[1].conv.kernel[...] = (
        bad.stack.blocks[1].conv.kernel[...].at[0, 0, 0].set(value)
    )
    save(bad, folder, overwrite=True)
    with pytest.raises(
        UserError,
        match=r"weight stack.blocks.1.conv.kernel in .* has 1 of \d+ numbers that are NaN",
    ):
        load(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no model"):
        load(tmp_path / "nowhere")


def test_loading_draws_no_weights(folder: Path) -> None:
    assert all(isinstance(leaf, jnp.ndarray) for leaf in jax.tree.leaves(nnx.state(load(folder))))
