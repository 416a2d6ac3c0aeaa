"""The autoencoder: what its codes see, windows and blocks as the whole recording, files, and what it refuses."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import training_runs as runs
from flax import nnx

import wavedil as wd
from wavedil import (
    Autoencoder,
    AutoencoderConfig,
    EncoderConfig,
    LocalConditioningConfig,
    UserError,
)
from wavedil.data import Recording
from wavedil.evaluation import bits
from wavedil.frames import BEYOND, sound_frames
from wavedil.generation import encode_sounds, interpolate, latents
from wavedil.mel import MelConfig
from wavedil.models import named_weights, with_weights
from wavedil.models.compilation import _jitted
from wavedil.runs import RunFolder
from wavedil.runs import train_as as train
from wavedil.tasks import AutoencoderTask
from wavedil.training import RunConfig

one_compilation = runs.one_compilation
pytestmark = pytest.mark.usefixtures("one_compilation")
HOP = 8
ENCODER = EncoderConfig(latent_size=3, hop=HOP, channels=4, dilations=(1, 2, 4))


def config(**changes):
    local = LocalConditioningConfig(num_features=3, hop=HOP, channels=4)
    return AutoencoderConfig(
        decoder=runs.model_config(local_conditioning=local, **changes), encoder=ENCODER
    )


@pytest.fixture(scope="module")
def model():
    """A model that is far from indifferent to what it hears and to its latents."""
    model = Autoencoder(config(), rngs=nnx.Rngs(0))
    return with_weights(model, {n: 2.0 * w for n, w in named_weights(model).items()}, "test")


@pytest.fixture(scope="module")
def whole(model):
    """Log-probability of each sample of each recording, each in one pass by itself."""
    log_prob = nnx.jit(lambda model, codes: model.log_prob(codes))
    codes = {item.path: jnp.asarray(item.codes, jnp.int32)[None] for item in RECORDINGS}
    return {path: np.asarray(log_prob(model, codes[path]))[0] for path in codes}


@pytest.fixture(scope="module")
def codes_of_whole(model):
    """The codes of each recording, each in one pass by itself."""
    encode = jax.jit(model.encode)
    return [encode(item.codes[None])[0] for item in RECORDINGS]


def noise(num_samples, seed=0):
    rng = np.random.default_rng([seed, num_samples])
    return rng.integers(0, runs.LEVELS, num_samples).astype(np.uint8)


RECORDINGS = [Recording(f"{size}.wav", noise(size)) for size in (40, 1, 131, 64, 65, 400)]


def test_a_code_sees_its_frame_and_what_the_layers_reach_around_it_and_nothing_else(model):
    past, future = ENCODER.layers_field.past, ENCODER.layers_field.future
    assert (past, future) == (8, 8)  # one tap either way at dilations 1 (twice), 2 and 4
    # Of many sounds, for in one of them a ReLU may stop the only tap that reaches furthest.
    codes = np.stack([noise(20 * HOP, seed) for seed in range(32)])
    encode = jax.jit(model.encode)
    before = encode(codes)
    for place in (0, 50, 79, 80, 87, 88, 159):
        other = codes.copy()
        other[:, place] = runs.LEVELS - 1 - other[:, place]
        changed = np.flatnonzero(np.any(encode(other) != before, axis=(0, 2)))
        seeing = [i for i in range(20) if i * HOP - past <= place <= (i + 1) * HOP - 1 + future]
        np.testing.assert_array_equal(changed, seeing)


def test_silence_beyond_a_recording_is_that_of_its_samples(model):
    """A recording that ends in silence has the codes of the same one cut where the silence begins."""
    codes = np.concatenate([noise(64), np.full(64, runs.LEVELS // 2, np.uint8)])
    encode = jax.jit(model.encode)
    whole, cut = encode(codes[None]), encode(codes[None, :64])
    np.testing.assert_allclose(whole[:, :8], cut, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("block_samples", [HOP, 5 * HOP, 1 << 15])
def test_codes_of_blocks_are_those_of_whole_recordings(
    model, codes_of_whole, monkeypatch, block_samples
):
    monkeypatch.setattr(latents, "_BLOCK_SAMPLES", block_samples)
    sounds = [item.codes for item in RECORDINGS]
    for sound, codes, expected in zip(
        sounds, encode_sounds(model, sounds), codes_of_whole, strict=True
    ):
        assert codes.shape == (-(-len(sound) // HOP), 3)
        np.testing.assert_allclose(codes, expected, atol=1e-5)


def test_sounds_of_all_lengths_share_few_compilations(model):
    encode_sounds(model, [noise(900)])
    compiled = _jitted(Autoencoder.encode_frames, ())
    before = compiled._cache_size()
    encode_sounds(model, [noise(size) for size in (513, 700, 1000, 20)])
    assert compiled._cache_size() == before


@pytest.mark.long
def test_given_the_codes_of_the_sound_no_sample_is_predicted_from_later_ones(model):
    codes = jnp.asarray(noise(80), jnp.int32)[None]
    latents_of = model.encode(codes)
    changed = codes.at[0, 40:].set(noise(40, seed=1).astype(np.int32))
    log_prob = jax.jit(lambda codes: model.decoder.log_prob(codes, features=latents_of))
    np.testing.assert_array_equal(log_prob(codes)[:, :40], log_prob(changed)[:, :40])
    # Through its latents the future is heard: that is what an autoencoder is.
    heard = jax.jit(model.log_prob)
    assert not np.allclose(heard(codes)[:, 30:40], heard(changed)[:, 30:40])


@pytest.mark.parametrize(("batch_size", "block_size"), [(1, 400), (3, 17)])
def test_evaluation_in_blocks_is_one_pass_over_each_recording(model, whole, batch_size, block_size):
    totals, counts = bits(model, RECORDINGS, batch_size=batch_size, block_size=block_size)
    for item, total, count in zip(RECORDINGS, totals, counts, strict=True):
        expected = -whole[item.path].astype(np.float64).mean() / np.log(2)
        np.testing.assert_allclose(total / count, expected, rtol=1e-4)


def test_generation_takes_the_codes_for_features(model):
    frames = model.encode(noise(50)[None])
    key = jax.random.key(0)
    drawn = wd.generate(model, key, features=frames)
    assert drawn.shape == (1, 56)
    np.testing.assert_array_equal(drawn, wd.generate(model.decoder, key, features=frames))


def test_interpolation_begins_with_one_sound_and_ends_with_the_other():
    first, second = np.zeros((5, 2), np.float32), np.ones((7, 2), np.float32)
    between = interpolate(first, second, 5)
    assert [codes.shape for codes in between] == [(5, 2)] * 5
    assert [float(codes[0, 0]) for codes in between] == [0.0, 0.25, 0.5, 0.75, 1.0]
    with pytest.raises(UserError, match="count is 1"):
        interpolate(first, second, 1)


def test_frames_of_a_sound_are_its_samples_where_it_has_any():
    frames = sound_frames(np.arange(10, dtype=np.uint8), -1, 5, 4)
    assert frames.ravel().tolist() == [*[BEYOND] * 4, *range(10), *[BEYOND] * 6]
    assert (sound_frames(np.arange(3, dtype=np.uint8), -3, 2, 4) == BEYOND).all()


def test_a_saved_autoencoder_is_loaded_as_one(model, tmp_path):
    wd.save(model, tmp_path / "model")
    loaded = wd.load(tmp_path / "model")
    assert isinstance(loaded, Autoencoder) and loaded.config == model.config
    for name, weight in named_weights(model).items():
        np.testing.assert_array_equal(named_weights(loaded)[name], weight)


def test_a_model_that_is_not_in_the_registry_is_refused(tmp_path):
    wd.save(wd.WaveNet(runs.model_config(), rngs=nnx.Rngs(0)), tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    header = json.loads(path.read_text())
    header["model"]["name"] = "Diffusion"
    path.write_text(json.dumps(header))
    with pytest.raises(UserError, match=r"holds a 'Diffusion', but .* known: WaveNet, Autoencoder"):
        wd.load(tmp_path / "model")


def test_settings_are_filled_in_and_go_through_json():
    given = AutoencoderConfig(decoder=wd.WaveNetConfig.tiny(sample_rate=8000))
    made = given.complete()
    assert (given.encoder.hop, made.encoder.hop) == (None, 256)
    assert made.local_conditioning.sizes == given.local_conditioning.sizes == (16, 256)
    assert made.complete() is made
    assert [EncoderConfig().at(rate).hop for rate in (4000, 16000, 44100)] == [128, 512, 1024]
    assert AutoencoderConfig.from_dict(json.loads(json.dumps(made.to_dict()))) == made


MEL = MelConfig(num_mels=16, fft_size=512, hop=256).at(8000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EncoderConfig(latent_size=0), "encoder latent_size is 0"),
        (lambda: EncoderConfig(hop=0), "encoder hop is 0"),
        (lambda: EncoderConfig(dilations=()), "encoder dilations is empty"),
        (lambda: EncoderConfig(dilations=(1, 0)), "encoder dilation is 0"),
        (lambda: EncoderConfig().receptive_field, "leave hop open"),
        (
            lambda: _with_local(LocalConditioningConfig(num_features=5, hop=8)),
            "num_features is 5, but the features that condition the model have 3",
        ),
        (
            lambda: _with_local(LocalConditioningConfig(num_features=16, hop=256, mel=MEL)),
            "of mel spectra, but latents condition",
        ),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


def _with_local(local):
    decoder = wd.WaveNetConfig.tiny(local_conditioning=local, sample_rate=8000)
    return AutoencoderConfig(decoder=decoder, encoder=EncoderConfig(latent_size=3))


def test_frames_that_are_not_the_encoders_are_refused(model):
    with pytest.raises(UserError, match="must hold 8 samples each and be more than 2"):
        model.encode_frames(jnp.zeros((1, 2, 8), jnp.int32))
    with pytest.raises(UserError, match="must hold 8 samples each"):
        model.encode_frames(jnp.zeros((1, 9, 7), jnp.int32))


def run_config(**training):
    model = AutoencoderConfig(decoder=runs.model_config(), encoder=ENCODER)
    return runs.run_config(AutoencoderTask(), model, **training)


@pytest.mark.long
@pytest.mark.newest
def test_a_run_that_was_interrupted_goes_through_the_same_states(tmp_path):
    settings, corpus = run_config(steps=6, save_every=2, evaluate_every=6), runs.corpus()
    train(settings, tmp_path / "whole", corpus=corpus)

    def fail_at_5(progress):
        if progress.step == 5:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(settings, tmp_path / "cut", corpus=corpus, report=fail_at_5)
    train(settings, tmp_path / "cut", corpus=corpus)
    weights = [
        (tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut")
    ]
    assert weights[0] == weights[1]
    assert runs.lines(tmp_path / "whole") == runs.lines(tmp_path / "cut")
    written = RunFolder(tmp_path / "whole").read_config()
    assert written == runs.resolve(settings, corpus)
    assert wd.load(tmp_path / "whole").config == written.model


def test_the_hop_is_scaled_to_the_rate_of_the_recordings():
    given = RunConfig(task=AutoencoderTask(), corpus=runs.run_config().corpus)
    model = runs.resolve(given, runs.corpus()).model
    # 32 ms at 8000 Hz
    assert (model.encoder.hop, model.decoder.local_conditioning.hop) == (256, 256)


@pytest.mark.long
def test_muon_takes_the_kernels_of_both_stacks(tmp_path):
    settings = run_config(steps=2, optimizer="muon", evaluate_every=2)
    result = train(settings, tmp_path / "run", corpus=runs.corpus())
    assert np.isfinite(result.held_out["bits"])
