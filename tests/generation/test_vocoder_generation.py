"""Generation from features: cached equals naive, ragged equals alone, and what does not fit is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil import (
    ContextStackConfig,
    LocalConditioningConfig,
    UserError,
    WaveNet,
    WaveNetConfig,
    generate,
)
from wavedil.generation.slots import assign_slots, fitting_slots
from wavedil.mel import MelConfig
from wavedil.pitch import PitchConfig

KEY = jax.random.key(3)
HOP = 5
LABELS = {"digit": ("0", "1", "2")}
SIZES = {
    "dilations": (1, 2, 4),
    "cycles": 1,
    "residual_channels": 4,
    "skip_channels": 8,
    "levels": 16,
}
CONFIGS = {
    "mel alone": {},
    "labelled": {"labels": LABELS},
    "three taps, sub-pixels": {"kernel_size": 3, "input_kernel_size": 3, "upsampling": "subpixel"},
    "one tap": {"kernel_size": 1, "input_kernel_size": 1, "input": "scalar"},
    # Where a slot's second sound begins, its frames of 4 begin anew, in the middle of another slot's.
    "context": {
        "labels": LABELS,
        "context_stack": ContextStackConfig(factor=4, channels=8, dilations=(1, 2)),
    },
    "pitch at the input": {"pitch_taps": "input", "labels": LABELS},
    "pitch in the blocks": {"pitch_taps": "blocks", "cycles": 2, "kernel_size": 3},
    "linear prediction": {"pitch_taps": "input", "linear_prediction": 5},
    "linear prediction of one sample": {
        "pitch_taps": "input",
        "linear_prediction": 1,
        "output": "logistic",
    },
}
# Periods of 8 to 10 samples.
MEL = MelConfig(num_mels=1, fft_size=64, hop=HOP).at(16000)
PITCH = PitchConfig(lowest_hz=1600, highest_hz=2000).at(16000)


def make_model(changes, local=True):
    changes = dict(changes)
    upsampling = changes.pop("upsampling", "repeat")
    taps, order = changes.pop("pitch_taps", "none"), changes.pop("linear_prediction", 0)
    features = LocalConditioningConfig(
        channels=6, upsampling=upsampling, pitch_taps=taps, linear_prediction=order
    )
    features = features.of(3, HOP, *(() if taps == "none" else (MEL, PITCH)))
    config = WaveNetConfig(**(SIZES | changes), local_conditioning=features if local else None)
    model = WaveNet(config, rngs=nnx.Rngs(0))
    model.output.kernel[...] *= 10.0  # far from uniform, as after training
    if model.prediction is not None:
        table = model.prediction.output_table
        table[...] = jax.random.normal(KEY, table.shape)
    return model


def make_features(*lengths):
    rng = np.random.default_rng(0)
    # A number, a period in samples and a voicing.
    low, high = np.array([[-1, 8, 0], [1, 10, 1]])
    return [rng.uniform(low, high, (length, 3)).astype(np.float32) for length in lengths]


@pytest.mark.sampled
@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_cached_generation_from_features_draws_the_codes_of_naive_generation(changes):
    model = make_model(changes)
    lengths = [7, 4, 9]
    features = make_features(*lengths)
    labels = {name: jnp.array([1, 3, 0]) for name in model.config.labels}
    # Two slots: one draws two sounds, the second of which must not depend on the first.
    settings = {"features": features, "labels": labels, "batch_size": 2, "temperature": 0.9}
    cached = generate(model, KEY, engine="scan", **settings)
    np.testing.assert_array_equal(generate(model, KEY, engine="compiled", **settings), cached)
    assert cached.shape == (3, 9 * HOP)
    forward = jax.jit(model)
    keys = jax.random.split(KEY, 3)

    @jax.jit
    def draw(key, t, parameters):
        return model.distribution.sample(jax.random.fold_in(key, t), parameters, 0.9)

    for sound, length in enumerate(lengths):
        rows = {name: row[sound : sound + 1] for name, row in labels.items()}
        # The whole forward pass at every sample, at one length: causal, so the rest does not matter.
        padded = np.zeros((1, 9, 3), np.float32)
        padded[0, :length] = features[sound]
        given = model.conditioning.of_features(jnp.asarray(padded), 9 * HOP)
        codes = np.full((1, 1 + 9 * HOP), 8)
        for t in range(length * HOP):
            parameters = forward(jnp.asarray(codes[:, :-1]), rows, *given)[0, t]
            codes[0, 1 + t] = draw(keys[sound], t, parameters)
        np.testing.assert_array_equal(
            cached[sound], [*codes[0, 1 : 1 + length * HOP], *[8] * (9 - length) * HOP]
        )


@pytest.mark.sampled
@pytest.mark.parametrize("engine", ["scan", "compiled"])
@pytest.mark.parametrize(
    ("config", "slots"),
    [("labelled", None), ("labelled", 1), ("labelled", 2), ("context", None), ("context", 2)],
)
def test_each_sound_of_a_ragged_batch_equals_the_one_drawn_alone(
    config, slots, engine, monkeypatch
):
    monkeypatch.setattr("wavedil.generation.drawing._CHUNK", 10 * HOP)
    model = make_model(CONFIGS[config])
    lengths = [12, 30, 3, 11, 10]
    features = make_features(*lengths)
    labels = {"digit": jnp.array([0, 1, 2, 3, 1])}
    keys = jax.random.split(KEY, 5)
    settings = {"features": features, "labels": labels, "batch_size": slots, "engine": engine}
    together = generate(model, keys, **settings)
    np.testing.assert_array_equal(together, generate(model, KEY, **settings))
    for sound in range(5):
        rows = {"digit": labels["digit"][sound : sound + 1]}
        alone = generate(
            model, keys[sound : sound + 1], features=features[sound], labels=rows, engine=engine
        )
        assert alone.shape == (1, lengths[sound] * HOP)
        np.testing.assert_array_equal(together[sound, : alone.size], alone[0])
        assert (together[sound, alone.size :] == 8).all()


def test_features_change_what_is_drawn_from_their_context_on():
    model = make_model(CONFIGS["mel alone"])
    (features,) = make_features(40)
    other = features.copy()
    other[20:] += 3.0
    first, second = (generate(model, KEY, features=item)[0] for item in (features, other))
    seen = (20 - model.config.local_conditioning.lookaround_frames) * HOP
    np.testing.assert_array_equal(first[:seen], second[:seen])
    assert not np.array_equal(first, second)


def test_slots_are_full_and_hold_every_sound_once():
    lengths = np.random.default_rng(0).integers(20, 60, 40).tolist()
    slots = assign_slots(lengths, 8)
    assert sorted(sound for slot in slots for sound in slot) == list(range(40))
    busiest = max(sum(lengths[sound] for sound in slot) for slot in slots)
    assert busiest < 1.05 * sum(lengths) / 8
    assert fitting_slots([10, 10, 10]) == 3
    assert fitting_slots([100, 50, 50]) == 2  # short ones take turns while the long one is drawn
    assert fitting_slots([100, 5, 5]) == 1  # a second slot would cost more than it saves
    assert fitting_slots([5] * 17) == 9  # two rounds, the last one nearly full
    assert assign_slots([5], 4) == [[0]]


def test_progress_counts_up_to_all_samples():
    seen = []
    generate(
        make_model({}), KEY, features=make_features(450), progress=lambda *done: seen.append(done)
    )
    assert seen[-1] == (450 * HOP, 450 * HOP)
    assert len(seen) > 1


NAN = np.full((4, 3), np.nan, np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": np.zeros((4, 2), np.float32)}, "have 2 numbers in a frame, but the model takes 3"),
        ({"features": np.zeros(4, np.float32)}, r"shape \(4,\), but they must be \[frames, features\]"),
        ({"features": np.zeros((0, 3), np.float32)}, r"shape \(0, 3\)"),
        ({"features": [np.zeros((4, 3), np.float32), NAN]}, "features of sound 1 hold numbers that are NaN"),
        ({"features": []}, "features of 0 sounds"),
        ({"num_samples": 10}, "vocoder and was given no features"),
        ({"features": np.zeros((4, 3)), "num_samples": 10}, "leave num_samples and prompt out"),
        ({"features": np.zeros((4, 3)), "batch_size": 0}, "batch_size is 0"),
        ({"features": np.zeros((4, 3)), "labels": {"digit": np.array([1])}}, "it was trained without labels"),
    ],
)  # fmt: skip
def test_features_that_are_not_the_models_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        generate(make_model({}), KEY, **arguments)


def test_features_and_keys_are_refused_where_they_say_nothing():
    plain = make_model({}, local=False)
    with pytest.raises(UserError, match="features were given to a model that takes none"):
        generate(plain, KEY, features=np.zeros((4, 3)))
    with pytest.raises(UserError, match="features were given to a model that takes none"):
        plain.log_prob(jnp.zeros((1, 20), jnp.int32), features=jnp.zeros((1, 4, 3)))
    with pytest.raises(UserError, match="vocoder and was given no features"):
        make_model({}).log_prob(jnp.zeros((1, 20), jnp.int32))
    with pytest.raises(UserError, match="3 keys for 2 signals"):
        generate(plain, jax.random.split(KEY, 3), num_samples=4, batch_size=2)
