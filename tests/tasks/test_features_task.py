"""Frames of features: their likelihood, their windows, and sound in two stages from the command line and in Python."""

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import training_runs as runs
from command_line import mistake
from flax import nnx

import wavedil as wd
from wavedil import FeatureNet, FeatureNetConfig, MelConfig, UserError, audio, features
from wavedil.cli.main import main
from wavedil.data import Corpus, Recording
from wavedil.data.frame_windows import FrameWindows
from wavedil.generation import draw_frames, require_same_features
from wavedil.models import LocalConditioningConfig
from wavedil.pitch import PitchConfig
from wavedil.runs import train_as
from wavedil.tasks import FeaturesTask

LABELS = {"note": ("200", "500")}
MEL = MelConfig(num_mels=4, fft_size=128, hop=64)
SMALL = FeatureNetConfig.tiny(num_features=3, labels=LABELS, label_dropout=0.2)


def corpus() -> Corpus:
    """Low tones that die away in 5 frames and high ones in 9, with mel spectra and pitch."""
    mel, pitch = MEL.at(8000), PitchConfig().at(8000)

    def tone(number: int) -> Recording:
        high = number % 2
        time = np.arange((9 if high else 5) * 64) / 8000
        sound = np.sin(2 * np.pi * (350 if high else 110) * time + number)
        sound *= np.linspace(0.6, 0.02, len(time))
        return Recording(
            f"{number}.wav",
            SMALL.quantizer.encode(sound),
            {"note": LABELS["note"][high]},
            features.of_sound(sound, mel, pitch),
        )

    tones = tuple(map(tone, range(12)))
    given = runs.corpus(labels=True)
    return dataclasses.replace(
        given, train=tones[:8], test=tones[8:], label_values=type(given.label_values)(LABELS),
        hop=64, mel=mel, pitch=pitch,
    )  # fmt: skip


def configuration(**changes: Any) -> Any:
    # It sees how many frames there were.
    model = FeatureNetConfig.tiny(dilations=(1, 2, 4, 8), label_dropout=0.1)
    return runs.run_config(FeaturesTask(mel=MEL), model, **changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory: Any) -> Any:
    often = {"log_every": 50, "evaluate_every": 300, "save_every": 300}
    sizes = {"steps": 300, "batch_size": 8, "window_size": 1024}
    config = configuration(learning_rate=2e-2, ema_decay=0.9, **sizes, **often)
    return train_as(config, tmp_path_factory.mktemp("runs") / "run", corpus=corpus())


@pytest.fixture(scope="module")
def vocoder(tmp_path_factory: Any) -> Path:
    local = LocalConditioningConfig(channels=4).of(6, 64, MEL.at(8000), PitchConfig().at(8000))
    sizes: dict[str, Any] = {"levels": 16, "dilations": (1,), "cycles": 1, "residual_channels": 4}
    sizes |= {"skip_channels": 4, "sample_rate": 8000, "local_conditioning": local}
    model = wd.WaveNet(wd.WaveNetConfig.tiny(**sizes, labels=LABELS), rngs=nnx.Rngs(0))
    folder: Path = tmp_path_factory.mktemp("models") / "vocoder"
    wd.save(model, folder)
    return folder


def test_a_likelihood_is_that_of_each_frame_given_those_before_times_going_on_and_the_end() -> None:
    model = FeatureNet(SMALL, rngs=nnx.Rngs(0))
    frames = jax.random.normal(jax.random.key(0), (1, 6, 3))
    labels = {"note": "500"}
    found = jax.jit(model.log_prob)(frames, model.config.label_indices(labels, 1))[0]
    step = jax.jit(lambda seen, state: model.step(seen, state, labels))
    expected, state, seen = [], model.init_state(1), jnp.zeros((1, 1, 3))
    for t in range(6):
        outputs, state = step(seen, state)
        seen = frames[:, t : t + 1]
        of_frame = model.distribution.log_prob(outputs[0, 0, :-1], frames[0, t])
        expected.append(of_frame + (np.log1p(-jax.nn.sigmoid(outputs[0, 0, -1])) if t else 0))
    outputs, _ = step(seen, state)
    expected[-1] += np.log(jax.nn.sigmoid(outputs[0, 0, -1]))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_windows_predict_every_frame_once_and_as_in_the_whole_sound() -> None:
    model = FeatureNet(SMALL, rngs=nnx.Rngs(0))
    lengths = (30, 5, 17)
    rng = np.random.default_rng(0)
    sounds = [rng.normal(size=(length, 3)).astype(np.float32) for length in lengths]
    rows = {"note": np.array([1, 2, 0], np.int32)}
    log_prob = jax.jit(model.log_prob)
    windows = FrameWindows(
        sounds, rows, window_frames=8, context_frames=model.receptive_field.past + 1,
        batch_size=2, seed=0,
    )  # fmt: skip
    total, count = 0.0, 0
    for step in range(windows._order.steps_per_round):
        batch = windows.batch(step)
        again = windows.batch(step)
        assert all(map(np.array_equal, batch[:4], again[:4]))
        found = log_prob(
            jnp.asarray(batch.frames), batch.labels, there=batch.there, ended=batch.ended
        )
        total += float(np.sum(np.asarray(found)[batch.counted]))
        count += int(batch.counted.sum())
    whole = sum(
        float(log_prob(jnp.asarray(sound[None]), {"note": rows["note"][n : n + 1]}).sum())
        for n, sound in enumerate(sounds)
    )
    passes = windows._order.passes
    assert count == passes * sum(lengths)
    assert total == pytest.approx(passes * whole, rel=1e-5)


def test_training_learns_the_length_as_fast_as_the_numbers_of_a_frame_and_reports_their_likelihood() -> (
    None
):
    model = FeatureNet(SMALL, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    sounds = [rng.normal(size=(length, 3)).astype(np.float32) for length in (9, 5)]
    windows = FrameWindows(
        sounds, {"note": np.array([1, 2], np.int32)}, window_frames=9, context_frames=9,
        batch_size=2, seed=0,
    )  # fmt: skip
    batch = windows.batch(0)
    task = FeaturesTask(mel=MEL, noise=0.0)
    # No labels are left out, which would be by chance.
    model.config = dataclasses.replace(SMALL, label_dropout=0.0)
    loss, count, metrics = task.loss(model, batch, jax.random.key(0))
    of_frames, of_length = model.log_probs(
        jnp.asarray(batch.frames), batch.labels, there=batch.there, ended=batch.ended
    )
    parts = [-float(jnp.sum(each)) for each in (of_frames, of_length)]
    assert float(loss) == pytest.approx(parts[0] + 3 * parts[1], rel=1e-5)
    assert float(metrics["nats_per_frame"][0]) == pytest.approx(sum(parts), rel=1e-5)
    assert float(count) == 14


def test_features_come_back_from_frames_and_drawn_ones_stay_within_their_range() -> None:
    config = configuration().task.resolve(configuration(), corpus()).model
    frames = np.concatenate([config.encode(item.features) for item in corpus().train])
    np.testing.assert_allclose(frames.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(frames.std(axis=0), 1.0, atol=1e-3)
    item = corpus().train[1].features
    np.testing.assert_allclose(config.decode(config.encode(item)), item, rtol=1e-4, atol=1e-4)
    far = config.decode(np.array([[-99.0] * 6, [99.0] * 6]))
    assert far.min() >= 0 and far[:, -1].tolist() == [0, 1]
    low, high = config.pitch.shortest_period, config.pitch.longest_period
    np.testing.assert_allclose(far[:, -2], [low, high], rtol=1e-5)
    assert FeatureNetConfig.from_dict(config.to_dict()) == config


@pytest.mark.long
def test_drawn_frames_have_the_pitch_and_the_length_of_their_label(run: Any) -> None:
    baselines = run.config.task.baselines(run.config, corpus(), corpus().test)
    assert run.held_out["nats_per_frame"] < baselines["one Gaussian"]["nats_per_frame"] - 3
    for note, length, period in (("200", 5, 8000 / 110), ("500", 9, 8000 / 350)):
        drawn = draw_frames(run.model, 1, batch_size=40, labels={"note": note})
        lengths = [len(frames) for frames in drawn]
        assert abs(np.median(lengths) - length) <= 1
        assert min(lengths) > 0
        middle = [frames[2, -2] for frames in drawn if len(frames) > 2]
        assert np.median(middle) == pytest.approx(period, rel=0.1)


def test_a_sound_depends_on_its_key_and_not_on_those_beside_it(run: Any) -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    labels = {"note": ["200", "500", "200"]}
    options: dict[str, Any] = {"guidance": 1.5, "temperature": 0.8}
    together = draw_frames(run.model, keys, batch_size=3, labels=labels, **options)
    alone = draw_frames(run.model, keys[1:2], labels={"note": "500"}, **options)
    np.testing.assert_allclose(together[1], alone[0], rtol=1e-4, atol=1e-4)
    first = draw_frames(run.model, 0, labels={"note": "500"})[0]
    np.testing.assert_array_equal(
        draw_frames(run.model, 0, labels={"note": "500"}, guidance=1)[0], first
    )
    none = draw_frames(run.model, 0, labels={"note": "500"}, guidance=0)[0]
    np.testing.assert_allclose(none, draw_frames(run.model, 0)[0], rtol=1e-4, atol=1e-4)


def test_the_command_line_makes_sound_in_two_stages(
    run: Any, vocoder: Path, tmp_path: Path, capsys: Any
) -> None:
    arguments = ["generate", str(run.folder), "--vocoder", str(vocoder), "--label", "note=500"]
    assert main([*arguments, str(tmp_path / "a.wav"), "--seed=2"]) == 0
    samples, rate = audio.load(tmp_path / "a.wav")
    assert rate == 8000 and len(samples) % 64 == 0
    made = json.loads((tmp_path / "a.json").read_text())
    assert made["vocoder"] == str(vocoder) and made["labels"] == {"note": "500"}
    # In Python the same.
    sound = wd.synthesize(run.model, vocoder=wd.load(vocoder), labels={"note": "500"}, seed=2)
    np.testing.assert_allclose(sound[0], samples, atol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as in a process of its own
        assert main([*arguments, str(tmp_path / "b.wav"), "--seconds=0.02"]) == 0
    assert "had not ended after 0.016 s and is cut there" in capsys.readouterr().err
    assert len(audio.load(tmp_path / "b.wav")[0]) == 2 * 64
    changed = [*arguments, str(tmp_path / "c.wav"), "--flat-pitch=100", "--guidance=1.5"]
    assert main(changed) == 0
    capsys.readouterr()
    assert main(["info", str(run.folder), "--json"]) == 0
    # Sixteen frames, one every 64 samples and of 128.
    assert json.loads(capsys.readouterr().out)["receptive_field_samples"] == 15 * 64 + 128


def test_what_makes_no_sound_in_two_stages_is_refused_in_one_line(
    run: Any, vocoder: Path, tmp_path: Path, capsys: Any
) -> None:
    generate, out = ("generate", run.folder), tmp_path / "a.wav"
    two = (*generate, out, "--vocoder", vocoder)
    for arguments, message in (
        (
            (*generate, out),
            "frames of features, which a vocoder makes sound of; give one: --vocoder",
        ),
        ((*generate, out, "--vocoder", run.folder), "the vocoder is a FeatureNet and no vocoder"),
        (("generate", vocoder, out, "--vocoder", vocoder), "is a WaveNet, which draws no frames"),
        ((*two, "--label=note=300"), "note '300' is unknown to this model"),
        ((*two, "--label=tone=300"), "label 'tone' is unknown to this model"),
        ((*two, "--seconds=0.001"), "shorter than a frame of features (0.008 s)"),
        ((*two, "--steps=3"), "leave --like, --features, --between, --prompt and --steps out"),
        (("export", run.folder, tmp_path / "a.nam"), "FeatureNet"),
    ):
        assert message in mistake(capsys, *arguments)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="a vocoder is given, but the model is a WaveNet"):
        wd.synthesize(wd.load(vocoder), vocoder=wd.load(vocoder))
    with pytest.raises(UserError, match="the vocoder is missing"):
        wd.synthesize(run.model, labels={"note": "500"})
    with pytest.raises(UserError, match="draws no frames of features"):
        draw_frames(wd.load(vocoder), 0)
    with pytest.raises(UserError, match="draw frames with it, and sound with a vocoder"):
        wd.generate(run.model, 0, num_samples=5)


@pytest.mark.parametrize(
    ("mel", "pitch", "message"),
    [
        ({"num_mels": 5}, PitchConfig(), r"mel.num_mels: 4 -> 5; train one of them"),
        ({"hop": 32}, PitchConfig(), r"mel.hop: 64 -> 32"),
        ({}, None, "pitch: with -> without"),
        ({}, PitchConfig(lowest_hz=70.0), r"pitch.lowest_hz: 65.0 -> 70.0"),
    ],
)
def test_a_vocoder_of_other_features_is_refused_with_the_setting(
    run: Any, mel: Any, pitch: Any, message: str
) -> None:
    complete = dataclasses.replace(MEL, **mel).at(8000)
    at = None if pitch is None else pitch.at(8000)
    number = complete.num_mels + (0 if pitch is None else 2)
    local = LocalConditioningConfig().of(number, complete.hop, complete, at)
    sizes: dict[str, Any] = {"dilations": (1,), "cycles": 1, "sample_rate": 8000}
    config = wd.WaveNetConfig.tiny(**sizes, local_conditioning=local)
    with pytest.raises(UserError, match=message):
        require_same_features(run.model, wd.WaveNet(config, rngs=nnx.Rngs(0)))


def test_settings_that_fit_no_model_are_refused() -> None:
    for changes, message in (
        ({"dilations": ()}, "dilations is empty"),
        ({"means": (1.0, 2.0)}, "means are 2 numbers, but there must be 3 finite ones"),
        ({"deviations": (1.0, 0.0, 1.0)}, "deviations go down to 0.0"),
        ({"label_dropout": 1.0}, "label_dropout is 1.0"),
    ):
        with pytest.raises(UserError, match=message):
            FeatureNetConfig(num_features=3, **changes)
    with pytest.raises(UserError, match="noise is -1"):
        FeaturesTask(noise=-1.0)
    plain = dataclasses.replace(corpus(), mel=None)
    with pytest.raises(UserError, match="the recordings have no mel spectra"):
        configuration().task.resolve(configuration(), plain)
