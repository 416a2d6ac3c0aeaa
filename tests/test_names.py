"""Names with any bytes that the file system allows, through the functions that take paths."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import tone, write

import wavedil as wd
from wavedil import CorpusConfig, WaveNet, WaveNetConfig, audio, features
from wavedil.data import read_corpus
from wavedil.files import is_scratch, read_json, replacing, write_json
from wavedil.runs import RunFolder, settings_of
from wavedil.training import Checkpoints, TrainingState

HARD = (
    b" ",
    b"\n",
    b"[a-z]",
    b"*?",
    b"{b}",
    b"\\",
    b"gs:",
    b"%20",
    b"#?&=",
    b"'\"",
    b"$x_1$",
    b"\xe9",
    b"\xe4\xb8\xad",
)
NAMES = (
    st.lists(st.sampled_from(HARD) | st.binary(min_size=1, max_size=6), min_size=1, max_size=8)
    .map(lambda pieces: b"x" + b"".join(pieces).translate(None, b"/\0"))
    .map(os.fsdecode)
)  # fmt: skip
MODEL = WaveNet(
    WaveNetConfig.tiny(levels=16, dilations=(1,), cycles=1, residual_channels=2, skip_channels=2),
    rngs=nnx.Rngs(0),
)


@pytest.fixture(scope="module")
def config():
    from training_runs import run_config

    return run_config()


@settings(max_examples=30)
@given(name=NAMES)
def test_a_file_of_any_name_is_written_replaced_and_read(name):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, name)
        place.mkdir()
        sound = audio.load(write(place / "plain.wav"))[0]
        for suffix in (".wav", ".flac"):
            path = place / (name + suffix)
            for samples in (sound[:100], sound):
                audio.save(path, samples, 8000)
            np.testing.assert_array_equal(audio.load(path)[0], sound)
            assert audio.read_info(path).num_samples == len(sound)
        write_json(place / name, {"name": name})
        assert read_json(place / name, "") == {"name": name}
        with replacing(place / name) as scratch:
            assert is_scratch(scratch)
            scratch.write_text("new")
        assert (place / name).read_text() == "new"
        np.save(place / f"{name}.npy", np.ones((3, 2), np.float32))
        assert features.read(place / f"{name}.npy").shape == (3, 2)
        assert len(list(place.iterdir())) == 5


@settings(max_examples=20)
@given(name=NAMES)
def test_recordings_and_labels_of_any_name_are_read_and_recognised(name):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, name)
        for number in range(3):
            write(place / name / f"{number}{name}.wav", tone(600 + 50 * number))
        corpus = read_corpus(CorpusConfig(folder=str(place), labels="(?s)^(?P<who>[^/]+)/"))
        listed = place / f"{name}.jsonl"
        rows = [{"path": item.path, "who": name} for item in corpus.train]
        listed.write_text("\n".join(map(json.dumps, rows)))
        again = read_corpus(CorpusConfig(folder=str(listed), held_out=0))
        assert corpus.label_values == again.label_values == {"who": (name,)}
        assert corpus.fingerprints[: len(rows)] == again.fingerprints
        assert {item.path for item in (*corpus.train, *corpus.test)} == {
            f"{name}/{number}{name}.wav" for number in range(3)
        }


@settings(max_examples=10)
@given(name=NAMES)
def test_runs_models_and_checkpoints_of_any_name_are_found_again(name, config):
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder, name))
        with run.locked():
            run.claim(config)
        assert RunFolder(run.path).read_config() == config
        assert settings_of(run.path).task == config.task
        wd.save(MODEL, run.model)
        wd.save(MODEL, run.model, overwrite=True)
        assert wd.load(run.path).config == MODEL.config
        state = TrainingState(np.int32(3), {"w": np.ones(3)}, {"w": np.ones(3)}, ())
        checkpoints = Checkpoints(run.checkpoints)
        checkpoints.save(state)
        checkpoints.close()
        checkpoints = Checkpoints(run.checkpoints)
        assert checkpoints.newest == 3
        checkpoints.close()
