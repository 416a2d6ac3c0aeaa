"""Streams: blocks of any lengths give what the whole signal gives, in files too, and few lengths are compiled."""

import itertools
import tracemalloc
from typing import Any

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from command_line import mistake
from contract import LAYERS
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

import wavedil as wd
from wavedil import AmpModelConfig, UserError
from wavedil.audio import opening
from wavedil.cli.main import main
from wavedil.generation import block_player, file_player
from wavedil.models import KnobConfig, make_model
from wavedil.nn import Conv1d, Delayed

ARRAYS = ({"channels": 2, "dilations": (1, 3), "kernel_sizes": (2,), "head_bias": True},)
RATE = 8000


@pytest.fixture(scope="module")
def amp() -> wd.AmpModel:
    """Sees four samples before its own."""
    return make_model(AmpModelConfig(arrays=ARRAYS, head_scale=0.5, sample_rate=RATE))


@pytest.fixture(scope="module")
def knobbed() -> wd.AmpModel:
    knobs = (KnobConfig(knob="gain"), KnobConfig(knob="tone", least=-1))
    return make_model(AmpModelConfig(arrays=ARRAYS, head_scale=0.5, knobs=knobs, sample_rate=RATE))


@pytest.fixture(scope="module")
def run(amp: wd.AmpModel, tmp_path_factory: Any) -> str:
    folder = tmp_path_factory.mktemp("models") / "amp"
    wd.save(amp, folder)
    return str(folder)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return 0.3 * np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def in_blocks(stream: wd.Stream, x: np.ndarray, lengths: list[int]) -> np.ndarray:
    cuts = np.cumsum([0, *lengths, max(0, x.shape[1] - sum(lengths))])
    return np.concatenate([stream.push(x[:, a:b]) for a, b in itertools.pairwise(cuts)], axis=1)


@settings(max_examples=15)
@given(lengths=st.lists(st.integers(0, 13), max_size=6))
def test_blocks_of_any_lengths_give_what_the_whole_gives(amp: Any, lengths: list[int]) -> None:
    """Empty ones, and those that divide the past, among them."""
    x = noise(2, 90, 1)
    assert amp.receptive_field.past == 4
    streamed = in_blocks(wd.Stream(amp, 2), x, lengths)
    assert streamed.dtype == np.float32
    np.testing.assert_allclose(streamed, np.asarray(jax.jit(amp)(x)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 4])
def test_blocks_whose_length_divides_the_past_give_what_the_whole_gives(
    amp: Any, length: int
) -> None:
    x = noise(1, 24, 1)
    streamed = in_blocks(wd.Stream(amp), x, [length] * (24 // length))
    np.testing.assert_allclose(streamed, np.asarray(jax.jit(amp)(x)), rtol=0, atol=1e-6)


def test_a_reset_stream_begins_anew(amp: Any) -> None:
    stream, x = wd.Stream(amp), noise(1, 8, 1)
    first = stream.push(x)
    assert np.abs(stream.push(x) - first).max() > 1e-4
    stream.reset()
    np.testing.assert_array_equal(stream.push(x), first)


def _layer() -> wd.nn.Conv1d:
    """One that the compiled engine does not play."""
    return wd.nn.Conv1d(1, 1, kernel_size=3, dilation=2, rngs=nnx.Rngs(0))


def test_however_many_lengths_come_few_are_compiled(monkeypatch: Any) -> None:
    monkeypatch.setattr(block_player, "_LONGEST", 8)
    stream, lengths = wd.Stream(_layer()), set()
    step = stream._player._step

    def counted(x: Any, *rest: Any) -> Any:
        lengths.add(x.shape[1])
        return step(x, *rest)

    stream._player._step = counted
    for length in range(40):
        assert stream.push(noise(1, length, 1)).shape == (1, length, 1)
    assert lengths == {0, 1, 2, 4, 8}


def test_the_graph_of_a_model_is_hashed_once_and_not_with_every_block(monkeypatch: Any) -> None:
    """Which would take longer than to play it."""
    layer = _layer()
    graph, hashed = type(nnx.graphdef(layer)), []
    original = graph.__hash__

    def counted(self: Any) -> int:
        hashed.append(self)
        return original(self)

    stream, block = wd.Stream(layer), noise(1, 8, 1)
    stream.push(block)
    monkeypatch.setattr(graph, "__hash__", counted)
    for _ in range(5):
        stream.push(block)
    assert not hashed
    wd.Stream(layer)
    assert hashed


def test_a_setting_of_knobs_is_that_of_the_whole_stream(knobbed: Any) -> None:
    x, knobs = noise(1, 32, 1), {"gain": 0.25, "tone": 0.5}
    streamed = in_blocks(wd.Stream(knobbed, knobs=knobs), x, [8, 8, 16])
    np.testing.assert_allclose(streamed, np.asarray(knobbed(x, knobs=knobs)), rtol=0, atol=1e-6)
    with pytest.raises(UserError, match=r"gain \(0 to 1\), tone \(-1 to 1\); set each of them"):
        wd.Stream(knobbed)
    with pytest.raises(UserError, match="gain is 3, but it was trained from 0 to 1"):
        wd.Stream(knobbed, knobs={"gain": 3, "tone": 0})


def test_a_wavenet_gives_the_parameters_of_each_next_sample() -> None:
    model = LAYERS["wavenet labelled"].layer()
    x, labels = noise(2, 24), {"digit": ["0", "1"], "speaker": "b"}
    streamed = in_blocks(wd.Stream(model, 2, labels=labels), x[..., None], [8, 16])
    codes = model.config.quantizer.encode(x).astype(np.int32)
    expected = jax.jit(lambda codes: model(codes, labels))(codes)
    np.testing.assert_allclose(streamed, expected, rtol=0, atol=1e-5)


def test_a_layer_streams_as_a_model_does() -> None:
    layer = Conv1d(3, 2, kernel_size=3, dilation=2, rngs=nnx.Rngs(0))
    x = noise(2, 16, 3)
    streamed = in_blocks(wd.Stream(layer, 2), x, [4, 4, 8])
    np.testing.assert_allclose(streamed, layer(jnp.asarray(x)), rtol=0, atol=1e-6)


def test_what_does_not_stream_is_refused_with_the_remedy(amp: Any) -> None:
    centred = Conv1d(1, 1, kernel_size=5, padding="same", rngs=nnx.Rngs(0))
    with pytest.raises(UserError, match="delay its output by 2 samples"):
        wd.Stream(centred)
    wd.Stream(Delayed(centred))
    with pytest.raises(
        UserError, match="knob is nothing that the model takes; did you mean 'knobs'"
    ):
        wd.Stream(amp, knob={})
    with pytest.raises(UserError, match="a dict plays no blocks"):
        wd.Stream({})
    with (
        contract.unchecked(),
        pytest.raises(UserError, match=r"\[2, 5, 1\], but this stream takes"),
    ):
        wd.Stream(amp).push(np.zeros((2, 5, 1), np.float32))


@pytest.mark.parametrize(("channels", "suffix"), [(1, "wav"), (2, "flac")])
def test_a_file_is_played_as_the_whole_at_once(
    amp: Any, run: str, tmp_path: Any, capsys: Any, monkeypatch: Any, channels: int, suffix: str
) -> None:
    """Read in pieces and played in blocks of other lengths, each channel by itself."""
    monkeypatch.setattr(file_player, "_BLOCK", 64)
    monkeypatch.setattr(opening, "_PIECE", 100)
    x, out = noise(1000, channels), tmp_path / f"out.{suffix}"
    soundfile.write(tmp_path / "in.wav", x, RATE, subtype="FLOAT")
    assert main(["apply", run, str(tmp_path / "in.wav"), str(out)]) == 0
    assert "0.125 s at 8000 Hz" in (said := capsys.readouterr().out) and "real time" in said
    played, rate = soundfile.read(out, always_2d=True)
    assert rate == RATE
    expected = np.asarray(jax.jit(amp)(x.T[..., None]))[..., 0].T
    np.testing.assert_allclose(played, expected, rtol=0, atol=1e-6)


def test_a_file_of_another_rate_is_refused_or_resampled_there_and_back(
    run: str, tmp_path: Any, capsys: Any
) -> None:
    time = np.arange(4410) / 11025
    sine = 0.5 * np.sin(2 * np.pi * 300 * time)
    soundfile.write(tmp_path / "in.wav", sine, 11025, subtype="FLOAT")
    arguments = ["apply", run, str(tmp_path / "in.wav"), str(tmp_path / "out.wav")]
    line = mistake(capsys, *arguments)
    assert "is at 11025 Hz, but the model was made for 8000 Hz" in line and "--resample" in line
    assert not (tmp_path / "out.wav").exists()
    assert main([*arguments, "--resample"]) == 0
    played, rate = soundfile.read(tmp_path / "out.wav")
    assert (rate, played.shape) == (11025, sine.shape)
    model = wd.load(run)
    at_model = 0.5 * np.sin(2 * np.pi * 300 * np.arange(3200) / RATE).astype(np.float32)
    expected = np.asarray(model(at_model[None, :, None]))[0, :, 0]
    middle = slice(800, 2400)
    back = np.interp(np.arange(3200) / RATE, time, played)
    np.testing.assert_allclose(back[middle], expected[middle], atol=0.01)


def test_apply_never_overwrites_unasked_and_refuses_what_it_cannot_play(
    run: str, knobbed: Any, tmp_path: Any, capsys: Any
) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, noise(100), RATE, subtype="FLOAT")
    target.write_text("mine")
    assert "exists; give another name, or --overwrite" in mistake(
        capsys, "apply", run, source, target
    )
    assert target.read_text() == "mine"
    assert main(["apply", run, str(source), str(target), "--overwrite"]) == 0
    capsys.readouterr()
    other = tmp_path / "other.wav"
    assert "suffix must be" in mistake(capsys, "apply", run, source, tmp_path / "out.mp3")
    assert "this model has none" in mistake(capsys, "apply", run, source, other, "--knob", "gain=1")
    wd.save(knobbed, tmp_path / "knobbed")
    assert "gain (0 to 1)" in mistake(capsys, "apply", tmp_path / "knobbed", source, other)
    wd.save(make_model(wd.WaveNetConfig.tiny(dilations=(1,), cycles=1)), tmp_path / "wavenet")
    assert "is a WaveNet, but sound is played through an AmpModel" in mistake(
        capsys, "apply", tmp_path / "wavenet", source, other
    )
    bad = noise(100)
    bad[3] = np.nan
    soundfile.write(source, bad, RATE, subtype="FLOAT")
    assert "1 samples are NaN" in mistake(capsys, "apply", run, source, other)
    assert not other.exists()


def peak_bytes(model: Any, folder: Any, seconds: float) -> int:
    """Most memory that NumPy holds while a file is played."""
    with soundfile.SoundFile(folder / "in.wav", "w", RATE, 1, subtype="FLOAT") as file:
        for _ in range(round(10 * seconds)):
            file.write(noise(RATE // 10))
    tracemalloc.start()
    wd.generation.play_file(model, folder / "in.wav", folder / "out.wav")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_file(amp: Any, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(opening, "_PIECE", 1 << 12)
    peak_bytes(amp, tmp_path, 1)
    short, long = (peak_bytes(amp, tmp_path, seconds) for seconds in (2, 20))
    assert long < short + 100_000  # of 640,000 bytes of sound


@pytest.mark.long
def test_memory_is_flat_over_ten_minutes(tmp_path: Any) -> None:
    model = make_model(AmpModelConfig.nano(sample_rate=RATE))
    short, long = (peak_bytes(model, tmp_path, seconds) for seconds in (300, 600))
    assert long < short + 1_000_000  # of 9,600,000 bytes of sound
