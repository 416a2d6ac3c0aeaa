"""A WaveNet that sees a linear prediction of each sample, by coefficients that follow from mel spectra."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from flax import nnx

import wavedil as wd
from wavedil import LocalConditioningConfig, UserError, WaveNet, WaveNetConfig
from wavedil.data import Batch
from wavedil.frames import BEYOND
from wavedil.mel import MelConfig, mel
from wavedil.models.linear_prediction import (
    LinearPrediction,
    coefficients,
    guess_of,
    state_before,
)
from wavedil.mu_law import decode
from wavedil.tasks import VocoderTask

MEL = MelConfig(num_mels=40, fft_size=256, hop=64).at(8000)
# Two resonances, at 700 and 2,300 Hz.
POLES = np.array([0.97, 0.9]) * np.exp(2j * np.pi * np.array([700, 2300]) / 8000)
VOICE = np.real(np.poly(np.concatenate([POLES, POLES.conj()])))


def resonant_noise(num_samples, seed=0):
    noise = np.random.default_rng(seed).normal(size=num_samples)
    sound = scipy.signal.lfilter([1.0], VOICE, noise)
    return (0.1 * sound / sound.std()).astype(np.float32)


def model_of(order, **changes):
    local = LocalConditioningConfig(channels=4, linear_prediction=order).of(40, 64, MEL)
    sizes = {"dilations": (1, 2), "cycles": 1, "residual_channels": 4, "skip_channels": 8}
    config = WaveNetConfig(**(sizes | changes), local_conditioning=local, sample_rate=8000)
    return WaveNet(config, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    "settings",
    [
        MEL,
        MelConfig(num_mels=20, fft_size=128, hop=64, power=2.0, norm="none", scale="htk").at(8000),
        MelConfig(num_mels=20, fft_size=256, lowest_hz=100, highest_hz=3000).at(8000),
    ],
)
def test_the_prediction_leaves_little_more_of_a_resonant_sound_than_the_noise_that_made_it(
    settings,
):
    sound = resonant_noise(8000)
    weights = np.asarray(coefficients(jnp.asarray(mel(sound, settings)), settings, 16))
    weights = np.repeat(weights, settings.hop, axis=0)[None, :8000]
    before = state_before(1, 16, None, jnp.float32)
    guess, _ = guess_of(jnp.asarray(sound[None]), jnp.asarray(weights), None, None, before)
    guess = np.asarray(guess)[0]
    residual = (sound[1:] - guess[:-1])[1000:].std()
    possible = scipy.signal.lfilter(VOICE, [1.0], sound)[1000:].std()
    assert possible < 0.45 * sound.std()
    # Above 3,000 Hz nothing is known where the bands end there.
    assert residual < (1.3 if settings.highest_hz == 4000 else 1.8) * possible


def test_where_a_sound_is_voiced_the_residual_a_period_before_is_guessed_again():
    # Pulses every 50 samples through the resonances: without the period each pulse comes as a surprise.
    sound = scipy.signal.lfilter([1.0], VOICE, np.arange(4000) % 50 == 0).astype(np.float32)
    weights = jnp.broadcast_to(jnp.asarray(-VOICE[1:], jnp.float32), (1, 4000, 4))
    dilation = jnp.full((1, 4000), 49, jnp.int32)
    before = state_before(1, 4, 60, jnp.float32)

    def residual(voicing):
        given = jnp.full((1, 4000), voicing, jnp.float32)
        guess, _ = guess_of(jnp.asarray(sound[None]), weights, dilation, given, before)
        return (sound[1:] - np.asarray(guess)[0, :-1])[200:]

    np.testing.assert_allclose(residual(0.0)[:50].sum(), 1.0, atol=1e-3)
    # A quarter of each pulse is guessed at its place, and an eighth on either side.
    around = residual(1.0)[np.arange(-1, 2) + np.argmax(residual(0.0)[1:]) + 1]
    np.testing.assert_allclose(around, [-0.125, 0.75, -0.125], atol=1e-3)


def test_coefficients_solve_the_normal_equations_and_depend_on_no_level():
    frames = mel(resonant_noise(2000), MEL)
    weights = np.asarray(coefficients(jnp.asarray(frames), MEL, 12))
    # The autocorrelations that the coefficients themselves imply: those of a stable filter.
    for row in weights[::8]:
        assert np.abs(np.roots(np.append(1, -row))).max() < 1
    # Half as loud, as a mel spectrum says it.
    quieter = np.asarray(
        coefficients(jnp.asarray(frames + np.log(0.5) / -np.log(MEL.smallest)), MEL, 12)
    )
    np.testing.assert_allclose(quieter, weights, atol=2e-3)
    np.testing.assert_allclose(coefficients(jnp.zeros((1, 3, 40)), MEL, 12), 0.0, atol=0.3)


def test_levinson_s_recursion_is_the_solution_of_the_toeplitz_system():
    from wavedil.models.linear_prediction import _levinson

    lags = scipy.signal.correlate(*2 * [resonant_noise(400)])[399:409].astype(np.float32)
    lags = np.stack([lags / lags[0], 0.5 ** np.arange(10, dtype=np.float32)])
    expected = [scipy.linalg.solve_toeplitz(row[:-1], row[1:]) for row in lags.astype(np.float64)]
    np.testing.assert_allclose(_levinson(jnp.asarray(lags[None]))[0], expected, atol=2e-4)


def test_a_table_says_its_rows_at_the_levels_and_straight_lines_between():
    layer = LinearPrediction(3, 5, rngs=nnx.Rngs(0))
    levels = decode(np.arange(256)).astype(np.float32)
    table = np.asarray(layer.input_table[...])

    def added(guess):
        guess = jnp.asarray(guess, jnp.float32)
        return np.asarray(layer.with_input(jnp.zeros((*guess.shape, 3)), guess))

    np.testing.assert_allclose(added(levels), table, atol=1e-4)
    between = added((levels[200] + levels[201]) / 2)
    assert (between >= np.minimum(table[200], table[201]) - 1e-6).all()
    assert (between <= np.maximum(table[200], table[201]) + 1e-6).all()
    np.testing.assert_array_equal(added([-3.0, 9.0]), table[[0, -1]])
    assert np.isnan(added(np.nan)).all()
    parameters = jnp.ones((256, 5))
    at_first = layer.with_output(parameters, jnp.asarray(levels))
    np.testing.assert_array_equal(at_first, parameters)


def test_a_window_with_its_context_has_the_likelihood_that_it_has_in_the_whole():
    model = model_of(24)
    sound = resonant_noise(640)
    codes = jnp.asarray(model.config.quantizer.encode(sound)[None], jnp.int32)
    features = jnp.asarray(mel(sound, MEL)[None])
    model.prediction.output_table[...] = jnp.sin(jnp.arange(256 * 256.0)).reshape(256, 256)
    whole = model.log_prob(codes, features=features)
    context, begin = model.config.context_samples, 256
    assert context == 65
    around = jnp.pad(features, ((0, 0), (2, 2), (0, 0)))[:, (begin - context + 1) // 64 :]
    part = model.log_prob(
        codes[:, begin:], context=codes[:, begin - context : begin], features=around
    )
    np.testing.assert_allclose(part, whole[:, begin:], atol=1e-4)


def test_a_vocoder_of_mel_spectra_predicts_by_default_and_one_of_other_features_does_not():
    local = wd.tasks.VocoderTask().model().local_conditioning
    assert local.linear_prediction == 24
    assert local.of(40, 64, MEL).prediction_order == 24
    assert local.of(7, 64).prediction_order == 0
    # Models that were saved before there was one.
    assert LocalConditioningConfig().of(40, 64, MEL).prediction_order == 0


def test_what_does_not_fit_is_refused_with_the_remedy():
    codes, local = jnp.zeros((1, 8), jnp.int32), jnp.zeros((1, 8, 4))
    with pytest.raises(UserError, match=r"sees a linear prediction, but was given no predictor"):
        model_of(3)(codes, local=local)
    with pytest.raises(UserError, match=r"no linear prediction, but was given a predictor"):
        model_of(0)(codes, local=local, predictor=jnp.zeros((1, 8, 3)))
    with pytest.raises(UserError, match=r"predictor"):
        model_of(3)(codes, local=local, predictor=jnp.zeros((1, 8, 4)))
    with pytest.raises(UserError, match=r"linear_prediction is 65, but it must be 0 to 64"):
        LocalConditioningConfig(linear_prediction=65)


def batch_of(model, num_samples=256):
    """Two windows in the middle of a sound, the second of which ends half way."""
    context = model.config.context_samples
    count = context + num_samples
    codes = np.random.default_rng(0).integers(0, 256, (2, count)).astype(np.int32)
    codes[1, context + num_samples // 2 :] = BEYOND
    frames = np.random.default_rng(1).uniform(size=(2, count // 64 + 4, 40)).astype(np.float32)
    return Batch(codes=codes[:, context:], context=codes[:, :context], features=frames, labels={})


def test_noise_in_training_is_drawn_by_the_key_and_is_on_what_is_seen_alone():
    model, key = model_of(3), jax.random.key(3)
    batch = batch_of(model)
    noisy, plain = VocoderTask(), VocoderTask(input_noise=0.0)
    nats, count, _ = noisy.loss(model, batch, key)
    assert count == 256 + 128  # samples beyond the end do not count
    assert nats == noisy.loss(model, batch, key)[0]
    assert nats != noisy.loss(model, batch, jax.random.key(4))[0]
    without = plain.loss(model, batch, key)[0]
    assert nats != without == plain.loss(model, batch, jax.random.key(4))[0]


def test_a_model_without_a_prediction_or_of_linear_codes_is_trained_without_noise():
    for model in (model_of(0), model_of(3, companding="linear")):
        batch = batch_of(model)
        losses = [
            VocoderTask(input_noise=noise).loss(model, batch, jax.random.key(0))[0]
            for noise in (0.0, 3.0)
        ]
        assert losses[0] == losses[1]


@pytest.mark.parametrize("noise", [-1.0, 33.0, math.nan])
def test_noise_beyond_what_a_model_could_bear_is_refused(noise):
    with pytest.raises(UserError, match=r"input_noise is .*, but it must be 0 to 32 mu-law codes"):
        VocoderTask(input_noise=noise)
