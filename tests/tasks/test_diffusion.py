"""Diffusion: the loss falls, sampling backwards gives the sound's statistics, and the command line draws with it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import training_runs as runs
from command_line import mistake
from flax import nnx

import wavedil as wd
from wavedil import DiffWave, DiffWaveConfig, UserError, WaveNet, WaveNetConfig, audio
from wavedil.cli.main import main
from wavedil.data import Recording
from wavedil.generation import diffuse, diffusion, predicted_noise
from wavedil.runs import train_as
from wavedil.tasks import DiffusionTask

CONFIG = DiffWaveConfig.tiny(sample_rate=8000, noise_steps=20, last_beta=0.3)
METRIC = "squared_error_of_noise"


def corpus():
    """Sines as 16-bit codes, all of one length."""
    given = runs.corpus(labels=True)

    def sine(number, item):
        time = np.arange(256) / runs.SAMPLE_RATE
        hz = float(item.labels.get("note", 300))
        sound = 0.5 * np.sin(2 * np.pi * hz * time + number)
        return Recording(item.path, CONFIG.quantizer.encode(sound), item.labels)

    parts = (tuple(sine(*each) for each in enumerate(part)) for part in (given.train, given.test))
    train, test = parts
    return dataclasses.replace(given, train=train, test=test)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = runs.run_config(
        DiffusionTask(), CONFIG, steps=150, window_size=256, batch_size=4, evaluate_every=150,
        save_every=150, learning_rate=2e-2, log_every=50,
    )  # fmt: skip
    return train_as(config, tmp_path_factory.mktemp("runs") / "run", corpus=corpus())


@pytest.fixture(scope="module")
def wavenet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "wavenet"
    model = WaveNet(
        WaveNetConfig.tiny(dilations=(1,), cycles=1, residual_channels=4), rngs=nnx.Rngs(0)
    )
    wd.save(model, folder)
    return folder


@pytest.mark.long
def test_the_error_of_the_noise_falls_below_that_of_any_guess_from_one_sample(run):
    baselines = run.config.task.baselines(run.config, corpus(), corpus().test)
    assert run.config.model.level == pytest.approx(0.5 / 2**0.5, rel=0.05)
    assert run.held_out[METRIC] < 0.7 * baselines["one sample"][METRIC]
    assert baselines["one sample"][METRIC] < baselines["no guess"][METRIC]


def test_the_score_of_recordings_is_the_same_each_time_and_one_where_nothing_is_guessed():
    model = DiffWave(CONFIG, rngs=nnx.Rngs(0))
    recordings = corpus().test
    totals, weights = DiffusionTask().evaluate(model, recordings)[METRIC]
    np.testing.assert_array_equal(weights, [8 * 256] * len(recordings))
    np.testing.assert_allclose(totals / weights, 1.0, atol=0.1)
    np.testing.assert_array_equal(DiffusionTask().evaluate(model, recordings)[METRIC][0], totals)


class Exact(DiffWave):
    """What the noise is on average in samples of a normal distribution, each by itself."""

    mean, spread = 2.0, 0.5

    def __call__(self, x, noise_step, labels=None, *, mask=None, dropout_key=None):
        share = jnp.asarray(self.config.signal_shares, x.dtype)[noise_step][:, None, None]
        variance = share * self.spread**2 + (1 - share)
        return jnp.sqrt(1 - share) * (x - jnp.sqrt(share) * self.mean) / variance


@pytest.mark.parametrize(("steps", "tolerance"), [(200, 0.03), (50, 0.15)])
def test_with_the_true_noise_sampling_gives_the_mean_and_the_spread_of_the_sounds(steps, tolerance):
    model = Exact(DiffWaveConfig.tiny(dilations=(1,), level=0.1), rngs=nnx.Rngs(0))
    drawn = diffuse(model, 0, num_samples=8000, steps=steps) / 0.1
    assert drawn.mean() == pytest.approx(Exact.mean, rel=tolerance)
    assert drawn.std() == pytest.approx(Exact.spread, rel=tolerance)


@pytest.mark.long
def test_a_long_sound_in_parts_has_the_noise_of_the_whole(monkeypatch):
    model = DiffWave(CONFIG, rngs=nnx.Rngs(0))
    model.output.kernel[...] = jnp.ones(model.output.kernel.shape)
    x, steps = jax.random.normal(jax.random.key(0), (2, 150)), jnp.array([3, 9])
    mask = jnp.arange(150)[None] < jnp.array([[150], [90]])
    whole = predicted_noise(model, x, steps, mask=mask)
    monkeypatch.setattr(diffusion, "_BLOCK", 40)
    in_parts = predicted_noise(model, x, steps, mask=mask)
    np.testing.assert_allclose(in_parts, whole, rtol=1e-5, atol=1e-5)
    assert not in_parts[1, 90:].any()


def test_a_seed_repeats_and_labels_and_steps_make_a_difference(run):
    def draw(**changes):
        options = {"seconds": 0.02, "labels": {"note": "200"}, "steps": 4, "seed": 1} | changes
        return wd.synthesize(run.model, **options)[0]

    first = draw()
    assert first.shape == (160,) and first.dtype == np.float32
    np.testing.assert_array_equal(draw(), first)
    for other in ({"seed": 2}, {"labels": {"note": "500"}}, {"steps": 6}):
        assert np.abs(draw(**other) - first).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"seed": 2**32}, "the seed is 4294967296, but"),
        ({"seed": -1}, "the seed is -1, but"),
        ({"seed": 1.5}, "must be a seed such as 0"),
        ({"seed": True}, "must be a seed such as 0"),
        ({"steps": 6.5}, "steps is 6.5, but it must be a whole number"),
        ({"steps": "6"}, "steps is '6', but it must be a whole number"),
        ({"seconds": "2"}, "seconds is '2', but it must be a number"),
    ],
)
def test_what_is_no_seed_number_of_steps_or_length_is_refused(run, options, problem):
    with pytest.raises(UserError, match=problem):
        wd.synthesize(run.model, **{"seconds": 0.02, "steps": 2} | options)


@pytest.mark.parametrize(
    "noise_step", [np.array([3.7, 3.7]), np.array([True, True]), np.array([[3], [3]]), 3, "3", None]
)
def test_a_noise_step_that_is_not_a_whole_number_for_each_signal_is_refused(run, noise_step):
    with pytest.raises(UserError, match=r"noise_step is .*one for each of the 2 signals"):
        run.model(jnp.zeros((2, 16, 1)), noise_step)


def test_sound_that_is_none_is_refused_and_sound_beyond_full_scale_or_silent_is_said():
    def model(bias, **changes):
        made = DiffWave(dataclasses.replace(CONFIG, **changes), rngs=nnx.Rngs(0))
        made.output.bias[...] = jnp.full_like(made.output.bias[...], bias)
        return made

    draw = {"num_samples": 200, "steps": 2}
    with pytest.raises(UserError, match="not finite"):
        diffuse(model(np.nan), 0, **draw)
    with pytest.warns(UserWarning, match="beyond full scale, the loudest at .* limited"):
        assert np.abs(diffuse(model(0.0, level=0.9), jax.random.key(0), **draw)).max() == 1
    with pytest.warns(UserWarning, match="nearly silent"):
        diffuse(model(0.0, level=1e-5), 0, **draw)
    with pytest.raises(UserError, match="does not draw by diffusion"):
        diffuse(wd.WaveNet(WaveNetConfig.tiny(), rngs=nnx.Rngs(0)), 0, **draw)


def test_the_command_line_draws_as_the_function_does(run, tmp_path, capsys):
    arguments = ["--seconds=0.02", "--steps=4", "--label", "note=200", "--seed=1"]
    assert main(["generate", str(run.folder), str(tmp_path / "a.wav"), *arguments]) == 0
    assert "0.02 s at 8000 Hz" in capsys.readouterr().out
    expected = wd.synthesize(run.model, seconds=0.02, steps=4, seed=1, labels={"note": "200"})[0]
    np.testing.assert_allclose(audio.load(tmp_path / "a.wav")[0], expected, atol=2**-15)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--steps=1"], "steps is 1, but the model was trained with 20 steps of noise"),
        (["--steps=21"], "it takes 2 to 20"),
        (["--steps=0"], "steps is 0"),
        (["--temperature=0.5"], "a diffusion model has no probabilities to sharpen"),
        (["--like", "x.wav"], "draws whole sounds from noise; leave --like"),
        (["--label", "note=9"], "note '9' is unknown to this model"),
        (["--seconds=4e4"], "draws up to 268,435,456 at once; ask for 33,554 s or less"),
    ],
)
def test_options_that_suit_no_diffusion_model_are_refused(
    run, tmp_path, capsys, arguments, problem
):
    assert problem in mistake(capsys, "generate", run.folder, tmp_path / "a.wav", *arguments)
    assert not (tmp_path / "a.wav").exists()


def test_steps_are_refused_for_a_model_that_draws_sample_by_sample(wavenet, tmp_path, capsys):
    line = mistake(capsys, "generate", wavenet, tmp_path / "a.wav", "--steps=6")
    assert "steps is 6, but the model is a WaveNet, which draws sample by sample" in line


def test_a_diffusion_model_says_its_field_and_draws_no_samples_one_by_one(run, capsys):
    assert main(["rf", "--model", str(run.folder)]) == 0
    shown = capsys.readouterr().out
    assert f"receptive field: {run.model.receptive_field.size} samples" in shown
    assert "they agree" in shown
    with pytest.raises(UserError, match="a DiffWave draws no samples one by one"):
        wd.generate(run.model, 0, num_samples=4)
