"""Bits per sample of whole recordings: every sample of every one, once, whatever the blocks."""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import pytest
import training_runs as runs
from flax import nnx

from wavedil import UserError
from wavedil.data import Recording
from wavedil.evaluation import Scores, bits, likelihood
from wavedil.models import (
    Autoencoder,
    AutoencoderConfig,
    ContextStackConfig,
    EncoderConfig,
    LocalConditioningConfig,
    WaveNet,
    named_weights,
    with_weights,
)
from wavedil.models.compilation import _jitted

LABELS = {"note": ("A", "B")}


def evaluate(model, recordings, **options):
    """The scores of all, and the bits per sample of each by its path."""
    totals, counts = bits(model, recordings, **options)
    scores = Scores({"bits": (totals, counts)}, recordings)
    each = {r.path: b / n for r, b, n in zip(recordings, totals, counts, strict=True)}
    return scores, each


def noise(path, num_samples, **labels):
    rng = np.random.default_rng(num_samples)
    codes = rng.integers(0, runs.LEVELS, num_samples).astype(np.uint8)
    return Recording(path, codes, labels)


RECORDINGS = [
    noise("a.wav", 40, note="A"),
    noise("b.wav", 1, note="B"),
    noise("c.wav", 131, note="B"),
    noise("d.wav", 64),
    noise("e.wav", 65, note="A"),
]


@pytest.fixture(scope="module")
def model():
    """A model that is far from indifferent to what it hears, and to its labels."""
    model = WaveNet(runs.model_config(labels=LABELS), rngs=nnx.Rngs(0))
    weights = named_weights(model)
    return with_weights(model, {name: 2.0 * value for name, value in weights.items()}, "test")


@pytest.fixture(scope="module")
def expected(model):
    """Nats of each sample of each recording, each in one pass by itself."""
    log_prob = nnx.jit(lambda model, codes, rows: model.log_prob(codes, rows))
    nats = {}
    for recording in RECORDINGS:
        rows = model.config.labels.rows(recording.labels, 1)
        codes = jnp.asarray(recording.codes, jnp.int32)[None]
        nats[recording.path] = -np.asarray(log_prob(model, codes, rows), np.float64)[0]
    return nats


@pytest.mark.sampled
@pytest.mark.parametrize(("batch_size", "block_size"), [(1, 200), (2, 64), (3, 17), (8, 131)])
def test_streamed_blocks_equal_one_pass_over_each_recording(
    model, expected, batch_size, block_size
):
    scores, each = evaluate(model, RECORDINGS, batch_size=batch_size, block_size=block_size)
    for path, nats in expected.items():
        mean = nats.mean() / np.log(2)
        np.testing.assert_allclose(each[path], mean, rtol=1e-5, err_msg=path)
    mean = np.concatenate(list(expected.values())).mean() / np.log(2)
    np.testing.assert_allclose(scores["bits"], mean, rtol=1e-5)


def test_the_bits_of_a_label_are_those_of_its_recordings_alone(model):
    shares = evaluate(model, RECORDINGS, block_size=131)[0].by_label
    assert list(shares) == ["note"] and list(shares["note"]) == ["A", "B", "(none)"]
    for value, share in shares["note"].items():
        named = {} if value == "(none)" else {"note": value}
        alone = [recording for recording in RECORDINGS if recording.labels == named]
        expected, _ = evaluate(model, alone, block_size=131)
        assert (share.num_samples, share.num_recordings) == (expected.num_samples, len(alone))
        np.testing.assert_allclose(share["bits"], expected["bits"], rtol=1e-5)


def test_the_bits_of_all_labels_together_are_those_of_all_recordings(model):
    recordings = [
        dataclasses.replace(recording, labels={**recording.labels, "length": str(index % 2)})
        for index, recording in enumerate(RECORDINGS)
    ]
    scores, _ = evaluate(model, recordings, block_size=131)
    shares = scores.by_label
    assert list(shares) == ["length", "note"] and "(none)" not in shares["length"]
    for values in shares.values():
        total = sum(share["bits"] * share.num_samples for share in values.values())
        np.testing.assert_allclose(total / 301, scores["bits"], rtol=1e-12)
        assert sum(share.num_samples for share in values.values()) == 301
        assert sum(share.num_recordings for share in values.values()) == 5


def test_recordings_without_labels_have_no_breakdown(model):
    bare = [dataclasses.replace(recording, labels={}) for recording in RECORDINGS]
    assert evaluate(model, bare, block_size=131)[0].by_label == {}


def test_every_sample_of_every_recording_counts_once(model):
    scores, each = evaluate(model, RECORDINGS, batch_size=2, block_size=50)
    assert scores.num_samples == 40 + 1 + 131 + 64 + 65
    assert scores.num_recordings == 5
    weighted = sum(each[recording.path] * recording.num_samples for recording in RECORDINGS)
    np.testing.assert_allclose(scores["bits"], weighted / 301, rtol=1e-12)


@pytest.mark.parametrize("place", [0, 63, 64, 130])
def test_a_change_of_one_sample_is_seen_wherever_it_is(model, place):
    codes = RECORDINGS[2].codes.copy()
    codes[place] = (codes[place] + 16) % runs.LEVELS
    changed = Recording("c.wav", codes, RECORDINGS[2].labels)
    results = [
        evaluate(model, [recording], batch_size=1, block_size=64)[0]["bits"]
        for recording in (RECORDINGS[2], changed)
    ]
    assert abs(results[0] - results[1]) > 1e-4


def test_labels_are_respected_and_an_unknown_one_is_unlabelled(model):
    codes = RECORDINGS[0].codes
    named = {"A": {"note": "A"}, "B": {"note": "B"}, "none": {}, "new": {"note": "Z"}}
    _, each = evaluate(
        model, [Recording(path, codes, labels) for path, labels in named.items()], block_size=64
    )
    assert len({round(each[path], 4) for path in ("A", "B", "none")}) == 3
    np.testing.assert_allclose(each["new"], each["none"], rtol=1e-6)


def test_a_model_without_labels_scores_labelled_recordings():
    model = WaveNet(runs.model_config(), rngs=nnx.Rngs(0))
    scores, _ = evaluate(model, RECORDINGS[:1], batch_size=1, block_size=40)
    codes = jnp.asarray(RECORDINGS[0].codes, jnp.int32)[None]
    np.testing.assert_allclose(
        scores["bits"], -np.mean(model.log_prob(codes)) / np.log(2), rtol=1e-5
    )


def test_nothing_to_score_is_refused(model):
    with pytest.raises(UserError, match="0 recordings"):
        evaluate(model, [])


def test_progress_counts_samples_to_their_end(model):
    seen = []
    evaluate(model, RECORDINGS, batch_size=2, block_size=64, progress=lambda *now: seen.append(now))
    assert seen[-1] == (301, 301)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_one_compilation_serves_models_of_one_configuration(model):
    evaluate(model, RECORDINGS, batch_size=2, block_size=64)
    compiled = _jitted(likelihood._score_block, (5,))._cache_size()
    weights = named_weights(model)
    other = with_weights(model, {name: 0.5 * value for name, value in weights.items()}, "test")
    evaluate(other, RECORDINGS[:3], batch_size=2, block_size=64)
    assert _jitted(likelihood._score_block, (5,))._cache_size() == compiled


@pytest.mark.parametrize(("batch_size", "block_size"), [(1, 200), (3, 17)])
def test_streamed_blocks_with_features_equal_one_pass(batch_size, block_size):
    assert_blocks_equal_one_pass("vocoder", batch_size, block_size)


@pytest.mark.parametrize(("batch_size", "block_size"), [(1, 200), (3, 17), (8, 64)])
def test_streamed_blocks_with_a_context_stack_equal_one_pass(batch_size, block_size):
    assert_blocks_equal_one_pass("context stack", batch_size, block_size)


def assert_blocks_equal_one_pass(task, batch_size, block_size):
    model, recordings, whole = whole_recordings(task)
    _, each = evaluate(model, recordings, batch_size=batch_size, block_size=block_size)
    for recording, nats in zip(recordings, whole, strict=True):
        assert each[recording.path] == pytest.approx(np.mean(nats) / np.log(2.0), abs=1e-4)


@pytest.mark.parametrize("task", ["generator", "vocoder", "context stack", "autoencoder"])
def test_scored_samples_have_the_bits_that_they_have_in_the_whole(task):
    model, recordings, whole = whole_recordings(task)
    places = [(0, 40), (0, 1), (60, 100), (40, 41), (63, 65)]
    scored = [
        dataclasses.replace(item, scored=place)
        for item, place in zip(recordings, places, strict=True)
    ]
    totals, counts = bits(model, scored, batch_size=2, block_size=16)
    for (first, end), nats, total, count in zip(places, whole, totals, counts, strict=True):
        assert count == end - first
        np.testing.assert_allclose(total, nats[first:end].sum() / np.log(2.0), rtol=1e-5)


@functools.cache
def whole_recordings(task):
    """A model far from indifferent, recordings for it, and nats of their samples, each recording in one pass."""
    model, recordings = _model_and_recordings(task)
    weights = {name: 2.0 * value for name, value in named_weights(model).items()}
    model = with_weights(model, weights, "test")
    return model, recordings, _nats(model, recordings)


def _model_and_recordings(task):
    if task == "autoencoder":
        encoder = EncoderConfig(latent_size=2, hop=8, channels=3, dilations=(1, 2))
        config = AutoencoderConfig(decoder=runs.model_config(), encoder=encoder)
        return Autoencoder(config, rngs=nnx.Rngs(0)), RECORDINGS
    settings = {
        "generator": {},
        "vocoder": {
            "local_conditioning": LocalConditioningConfig(num_features=3, hop=8, channels=4)
        },
        "context stack": {
            "context_stack": ContextStackConfig(factor=8, channels=4, dilations=(1, 2))
        },
    }[task]
    model = WaveNet(runs.model_config(**settings), rngs=nnx.Rngs(0))
    with_them = [with_features(item, 8) for item in RECORDINGS]
    return model, with_them if task == "vocoder" else RECORDINGS


def _nats(model, recordings):
    """Of every sample of each recording, in one pass by itself."""
    log_prob = nnx.jit(lambda model, codes, features: model.log_prob(codes, features=features))
    return [
        -np.asarray(
            log_prob(
                model,
                jnp.asarray(item.codes, jnp.int32)[None],
                None if item.features is None else item.features[None],
            ),
            np.float64,
        )[0]
        for item in recordings
    ]


def test_recordings_without_the_features_of_the_model_are_refused():
    local = LocalConditioningConfig(num_features=3, hop=8, channels=4)
    model = WaveNet(runs.model_config(local_conditioning=local), rngs=nnx.Rngs(0))
    with pytest.raises(UserError, match=r"features of a[.]wav are missing"):
        evaluate(model, RECORDINGS)
    with pytest.raises(UserError, match=r"4 frames for 40 samples.*every 8 samples, 5 in all"):
        evaluate(model, [with_features(RECORDINGS[0], 10)])


def with_features(recording, hop):
    rng = np.random.default_rng(1)
    frames = rng.normal(size=(-(-recording.codes.size // hop), 3)).astype(np.float32)
    return dataclasses.replace(recording, features=frames)
