"""Effects: an amp model learns an amp from pairs, at the settings of its knobs, and goes where it is played."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from command_line import mistake

import wavedil as wd
from wavedil import AmpModelConfig, CorpusConfig, RunConfig, TrainingConfig, UserError
from wavedil.cli.main import main
from wavedil.data import Pair, PairBatch
from wavedil.formats import nam
from wavedil.models import make_model, num_weights
from wavedil.runs import train_as
from wavedil.tasks import EffectTask, effect
from wavedil.tasks.spectral_loss import RESOLUTIONS, multi_resolution_stft

RATE = 8000
SMALL = AmpModelConfig(
    arrays=({"channels": 4, "dilations": (1, 2), "kernel_sizes": (2,), "head_bias": True},),
    head_scale=0.5,
)
GAINS, BETWEEN = (2.0, 4.0, 8.0), 6.0


def noise(num_samples: int, seed: int) -> np.ndarray:
    """Noise whose loudness comes and goes."""
    loudness = 0.25 + 0.2 * np.sin(np.arange(num_samples) / 300)
    return loudness * np.clip(np.random.default_rng(seed).normal(size=num_samples), -2, 2)


def amp(dry: np.ndarray, gain: float) -> np.ndarray:
    driven = np.tanh(gain * dry)
    return 0.5 * driven + 0.2 * np.concatenate([[0], driven[:-1]])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: Any) -> str:
    folder = tmp_path_factory.mktemp("pairs")
    rows = []
    for seed, (gain, split) in enumerate(
        [(gain, "train") for gain in GAINS] + [(gain, "test") for gain in (*GAINS, BETWEEN)]
    ):
        dry = noise(4000, seed)
        for name, sound in (("dry", dry), ("wet", amp(dry, gain))):
            soundfile.write(folder / f"{seed}-{name}.wav", sound, RATE, subtype="FLOAT")
        rows.append((f"{seed}-dry.wav", f"{seed}-wet.wav", gain, split))
    with (folder / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("dry", "wet", "gain", "split"), *rows])
    return str(folder / "pairs.csv")


@pytest.fixture(scope="module")
def run(manifest: str, tmp_path_factory: Any) -> wd.Run:
    config = RunConfig(
        task=EffectTask(knobs="gain"),
        corpus=CorpusConfig(folder=manifest),
        model=SMALL,
        training=TrainingConfig(
            steps=400, window_size=700, batch_size=6, learning_rate=2e-2, weight_decay=0.0,
            evaluate_every=400, save_every=400,
        ),
    )  # fmt: skip
    return train_as(config, tmp_path_factory.mktemp("runs") / "run")


def test_it_learns_the_amp_at_its_settings_and_between_them(run: wd.Run, manifest: str) -> None:
    assert [(knob.knob, knob.least, knob.most) for knob in run.model.config.knobs] == [
        ("gain", 2, 8)
    ]
    assert run.model.config.sample_rate == RATE
    scores = wd.evaluate(run.model, manifest)
    by_gain = {float(gain): share["esr"] for gain, share in scores.by_label["gain"].items()}
    corpus = run.config.task.read(run.config)
    baseline = run.config.task.baselines(run.config, corpus, corpus.test)["scaled dry"]["esr"]
    assert 0.05 < baseline < 1
    assert by_gain.keys() == {*GAINS, BETWEEN}
    assert scores["esr"] < 0.1 * baseline, by_gain
    assert by_gain[BETWEEN] < 0.2 * baseline, by_gain


def test_the_score_is_the_energy_of_the_error_over_that_of_the_wet_signal(run: wd.Run) -> None:
    """Of the scored part alone, with the dry signal before it."""
    dry = noise(300, 5).astype(np.float32)
    pair = Pair("x", dry, amp(dry, 3.0).astype(np.float32), {"gain": 3.0}, scored=(100, 250))
    error, energy = EffectTask().evaluate(run.model, [pair])["esr"]
    played = np.asarray(run.model(dry[None, :, None], knobs={"gain": 3.0}))[0, :, 0]
    wet = pair.wet[100:250]
    np.testing.assert_allclose(error, [np.sum((played[100:250] - wet) ** 2)], rtol=1e-4)
    np.testing.assert_allclose(energy, [np.sum(wet**2)], rtol=1e-6)


def test_a_run_is_exported_at_a_setting_and_played_as_the_model_itself(
    run: wd.Run, tmp_path: Path, capsys: Any
) -> None:
    folder, file = str(run.folder), str(tmp_path / "amp.nam")
    assert "knobs gain (2 to 8)" in mistake(capsys, "export", folder, file)
    assert main(["export", folder, file, "--knob", "gain=6"]) == 0
    x = noise(500, 9).astype(np.float32)
    expected = np.asarray(run.model(x[None, :, None], knobs={"gain": 6.0}))
    np.testing.assert_allclose(nam.load(file)(x[None, :, None]), expected, rtol=0, atol=1e-6)
    soundfile.write(tmp_path / "in.wav", x, RATE, subtype="FLOAT")
    sounds = [str(tmp_path / "in.wav"), str(tmp_path / "out.wav")]
    assert main(["apply", folder, *sounds, "--knob", "gain=6"]) == 0
    played, _ = soundfile.read(tmp_path / "out.wav")
    np.testing.assert_allclose(played, expected[0, :, 0], rtol=0, atol=1e-6)


def test_the_command_line_trains_resumes_and_says_how_to_play(
    manifest: str, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    for size, model in (("nano", SMALL), ("lite", dataclasses.replace(SMALL, head_scale=0.4))):
        monkeypatch.setitem(effect.SIZES, size, lambda model=model: model)
    folder = str(tmp_path / "run")
    options = ["--task=effect", "--knobs=gain", "--stft-weight=0", "--training.batch-size=1",
               "--training.window-size=256", "--training.steps=1"]  # fmt: skip
    assert main(["train", manifest, folder, "--size=nano", *options]) == 0
    out = capsys.readouterr().out
    assert "train: 3 pairs" in out and "latency: the wet signals come 0 samples" in out
    assert f"wavedil apply {folder} in.wav out.wav --knob gain=5" in out
    assert wd.load(folder).config.arrays == SMALL.arrays
    assert main(["train", manifest, folder, "--size=lite", *options]) == 2
    assert "another configuration" in capsys.readouterr().err
    assert main(["evaluate", folder, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["esr"] > 0 and "levels" not in facts
    assert facts["baselines"]["scaled dry"]["esr"] < 1
    assert set(facts["labels"]["gain"]) == {"2", "4", "6", "8"}


@pytest.mark.parametrize(
    ("size", "parameters"),
    [(None, 13802), ("standard", 13802), ("lite", 6554), ("feather", 3026), ("nano", 842), ("a2", 12146)],
)  # fmt: skip
def test_sizes_by_name(size: Any, parameters: int) -> None:
    assert num_weights(EffectTask(size=size).model()) == parameters


def test_options_that_cannot_be_used_are_refused() -> None:
    for options, message in (
        ({"knobs": "gain,"}, "no names with commas between"),
        ({"knobs": "gain,gain"}, "each once"),
        ({"stft_weight": -1.0}, "stft_weight is -1.0"),
        ({"pre_emphasis": 1.0}, "pre_emphasis is 1.0"),
        ({"size": "huge"}, "size is 'huge'"),
    ):
        with pytest.raises(UserError, match=message):
            EffectTask(**options)
    assert EffectTask(knobs="gain, tone").knob_names == ("gain", "tone")


def test_the_loss_is_the_squared_error_and_the_spectra_by_their_weight() -> None:
    model = make_model(dataclasses.replace(SMALL, sample_rate=RATE))
    dry = noise(1203, 0).astype(np.float32)[None, :, None]
    wet = amp(dry[0, :, 0], 3.0).astype(np.float32)[None, 3:, None]
    batch = PairBatch(dry, wet, {})
    total, count, named = EffectTask(stft_weight=0.0).loss(model, batch, None)
    played = np.asarray(model(dry))[:, 3:]
    error = np.sum((played - wet) ** 2)
    np.testing.assert_allclose([total, count], [error, 1200], rtol=1e-4)
    np.testing.assert_allclose(named["esr"], [error, np.sum(wet**2)], rtol=1e-4)
    with_spectra, _, _ = EffectTask(stft_weight=0.5, pre_emphasis=0.0).loss(model, batch, None)
    distance = multi_resolution_stft(jnp.asarray(played[:, 1:, 0]), jnp.asarray(wet[:, 1:, 0]))
    np.testing.assert_allclose(with_spectra - total, 0.5 * 1200 * distance, rtol=1e-3)


def test_the_distance_of_spectra_is_that_of_its_definition() -> None:
    import librosa

    ours, true = (noise(3000, seed).astype(np.float32) for seed in (0, 1))
    expected = []
    for fft_size, hop, window in RESOLUTIONS:
        sizes = {"n_fft": fft_size, "hop_length": hop, "win_length": window, "center": False}
        a, b = (np.abs(librosa.stft(x, **sizes)) for x in (ours, true))
        convergence = np.linalg.norm(b - a) / np.linalg.norm(b)
        expected.append(convergence + np.mean(np.abs(np.log(b) - np.log(a))))
    found = multi_resolution_stft(jnp.asarray(ours)[None], jnp.asarray(true)[None])
    np.testing.assert_allclose(found, np.mean(expected), rtol=1e-3)
    same = multi_resolution_stft(jnp.asarray(ours)[None], jnp.asarray(ours)[None])
    assert float(same) < 1e-3
