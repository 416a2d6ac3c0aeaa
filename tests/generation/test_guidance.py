"""Guidance: what is drawn is drawn from the outputs with labels and without, extrapolated; at 1 nothing changes."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import wavedil as wd
from wavedil import DiffWaveConfig, LocalConditioningConfig, UserError, WaveNet, WaveNetConfig
from wavedil.distributions import Categorical, GaussianMixture, VectorMixture
from wavedil.generation import diffuse, drawing, guidance_of
from wavedil.generation.diffusion import _less_noise
from wavedil.labels import Vocabulary
from wavedil.models import DiffWave, compiled

LABELS = {"digit": ("3", "7"), "speaker": ("ann", "bob")}
GIVEN = {"digit": ["7", "3"], "speaker": "bob"}
SIZES: dict[str, Any] = {
    "dilations": (1, 2),
    "cycles": 1,
    "residual_channels": 4,
    "skip_channels": 8,
    "levels": 16,
    "labels": LABELS,
    "label_dropout": 0.1,
}


@functools.cache
def made(**changes: Any) -> WaveNet:
    model = WaveNet(WaveNetConfig.tiny(**(SIZES | changes)), rngs=nnx.Rngs(0))
    model.output.kernel[...] *= 10.0  # far from uniform, as after training
    if model.config.labels:
        for block in model.stack.blocks:
            block.condition.kernel[...] *= 5.0  # labels that matter
    return model


@functools.cache
def diffwave() -> DiffWave:
    sizes: dict[str, Any] = {"dilations": (1, 2), "channels": 4, "level": 0.01}
    config = DiffWaveConfig.tiny(**sizes, labels=LABELS, label_dropout=0.1)
    model = DiffWave(config, rngs=nnx.Rngs(0))
    model.output.kernel[...] += 0.3
    return model


@pytest.mark.sampled
@pytest.mark.parametrize("engine", ["scan", "compiled"])
@pytest.mark.parametrize("output", ["categorical", "gaussian"])
@pytest.mark.parametrize("guidance", [2.5, 0.5])
def test_codes_are_drawn_from_what_two_passes_say_extrapolated(
    guidance: float, output: str, engine: Any
) -> None:
    model = made(output=output)
    prompt = np.array([[3, 9, 12], [1, 8, 8]])
    settings: dict[str, Any] = {"num_samples": 40, "batch_size": 2, "prompt": prompt}
    settings |= {"labels": GIVEN, "temperature": 0.9, "engine": engine}
    codes = wd.generate(model, 3, guidance=guidance, **settings)
    seen = np.concatenate([np.full((2, 1), 8), prompt, codes[:, :-1]], axis=1).astype(np.int32)
    forward = compiled(WaveNet.__call__, model)
    labelled, without = (
        forward(jnp.asarray(seen), model.config.label_indices(labels, 2))[:, 3:]
        for labels in (GIVEN, None)
    )
    parameters = model.distribution.guided(labelled, without, guidance)
    keys = jax.vmap(lambda key: jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(40)))(
        jax.random.split(jax.random.key(3), 2)
    )
    sample = functools.partial(model.distribution.sample, temperature=0.9)
    np.testing.assert_array_equal(codes, jax.jit(jax.vmap(jax.vmap(sample)))(keys, parameters))
    assert not np.array_equal(codes, wd.generate(model, 3, **settings))


@pytest.mark.parametrize("engine", ["scan", "compiled"])
def test_at_1_nothing_is_computed_twice_and_the_codes_are_the_same(
    engine: Any, monkeypatch: Any
) -> None:
    model, slots = made(), []
    plan = drawing._Plan

    def noted(*arguments: Any, **given: Any) -> Any:
        one = plan(*arguments, **given)
        slots.append(len(one.slots))
        return one

    monkeypatch.setattr(drawing, "_Plan", noted)
    settings: dict[str, Any] = {"num_samples": 30, "batch_size": 2, "labels": GIVEN}
    drawn = [
        wd.generate(model, 0, engine=engine, **settings, **given)
        for given in ({}, {"guidance": 1.0}, {"guidance": 2})
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert slots == [2, 2, 4]
    # At 0 the labels say nothing.
    none = wd.generate(model, 0, engine=engine, guidance=0, **settings)
    unlabelled = wd.generate(model, 0, engine=engine, num_samples=30, batch_size=2)
    np.testing.assert_array_equal(none, unlabelled)


@pytest.mark.parametrize("engine", ["scan", "compiled"])
def test_a_guided_sound_among_others_of_other_lengths_is_that_drawn_alone(
    engine: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(drawing, "_CHUNK", 40)
    local = LocalConditioningConfig(num_features=3, hop=4, channels=5)
    model = made(local_conditioning=local)
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(length, 3)).astype(np.float32) for length in (7, 19, 4)]
    labels = {"digit": ["3", "7", "3"]}
    keys = jax.random.split(jax.random.key(1), 3)
    settings: dict[str, Any] = {"guidance": 3.0, "engine": engine}
    together = wd.generate(model, keys, features=features, labels=labels, batch_size=2, **settings)
    for number, frames in enumerate(features):
        given = {"features": frames, "labels": {"digit": labels["digit"][number]}}
        alone = wd.generate(model, keys[number : number + 1], **given, **settings)
        np.testing.assert_array_equal(together[number, : alone.size], alone[0])


@pytest.mark.long
def test_noise_is_what_two_passes_say_extrapolated() -> None:
    model = diffwave()
    given = {"num_samples": 50, "batch_size": 2, "steps": 3}
    labelled, without = diffuse(model, 0, labels=GIVEN, **given), diffuse(model, 0, **given)
    np.testing.assert_array_equal(diffuse(model, 0, labels=GIVEN, guidance=1, **given), labelled)
    none = diffuse(model, 0, labels=GIVEN, guidance=0, **given)
    np.testing.assert_allclose(none, without, rtol=1e-5, atol=1e-6)
    assert not np.allclose(labelled, without, atol=1e-4)
    x, rows = jax.random.normal(jax.random.key(0), (2, 50)), model.config.label_indices(GIVEN, 2)
    at = [
        _less_noise(
            model,
            x,
            jnp.int32(5),
            jnp.float32(0.5),
            jnp.float32(0.8),
            rows,
            jax.random.key(1),
            scale,
        )
        for scale in (None, np.float32(0), np.float32(2.5))
    ]
    np.testing.assert_allclose(at[2], at[1] + 2.5 * (at[0] - at[1]), rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_a_guided_distribution_is_the_product_of_powers() -> None:
    labelled, without = jax.random.normal(jax.random.key(0), (2, 16))
    levels = jnp.arange(16)
    of = Categorical(16).log_prob
    guided = Categorical(16).guided(labelled, without, 3.0)
    one, other = (np.asarray(jax.vmap(of, (None, 0))(p, levels)) for p in (labelled, without))
    found = np.asarray(jax.vmap(of, (None, 0))(guided, levels))
    offset = found - (3 * one - 2 * other)
    np.testing.assert_allclose(offset, offset[0], atol=1e-4)
    for family in (Categorical(5), GaussianMixture(5), VectorMixture(2, 3)):
        labelled, without = jax.random.normal(jax.random.key(0), (2, family.num_outputs))
        np.testing.assert_array_equal(family.guided(labelled, without, 0.0), without)
        np.testing.assert_allclose(family.guided(labelled, without, 1.0), labelled, atol=1e-6)
    gaussian, x = GaussianMixture(), jnp.linspace(-1, 1, 9)
    first, second = jnp.array([0.0, 0.2, -1.0]), jnp.array([0.0, -0.1, -1.0])  # of one scale
    density = jax.vmap(gaussian.log_density, (None, 0))
    found = density(gaussian.guided(first, second, 3.0), x)
    offset = np.asarray(found - (3 * density(first, x) - 2 * density(second, x)))
    np.testing.assert_allclose(offset, offset[0], atol=1e-4)


class _Own:
    """A distribution that does not say how it is guided."""


def test_what_cannot_be_guided_is_refused_with_the_remedy() -> None:
    own = made(levels=8)
    own.distribution = _Own()
    for model, guidance, labels, message in (
        (made(), -1, GIVEN, "guidance is -1, but it must be a number of at least 0"),
        (made(), "2", GIVEN, "guidance is '2', but it must be a number"),
        (made(), float("nan"), GIVEN, "guidance is nan"),
        (
            made(labels=Vocabulary()),
            2,
            None,
            "guidance is 2, but the model was trained without labels",
        ),
        (made(label_dropout=0.0), 2, GIVEN, r"label_dropout 0, .* --model.label-dropout 0.15"),
        (made(), 2, None, "the sound has no label to bring it nearer to"),
        (own, 2, GIVEN, "_Own does not say how it is guided"),
    ):
        with pytest.raises(UserError, match=message):
            guidance_of(model, guidance, labels)
    for model in (made(label_dropout=0.0), diffwave()):
        with pytest.raises(UserError, match="guidance is"):
            wd.synthesize(model, seconds=0.01, guidance=2)
