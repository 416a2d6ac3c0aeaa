"""Cached generation equals naive generation, and costs what the arithmetic says."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wavedil import ContextStackConfig, UserError, WaveNet, WaveNetConfig, generate
from wavedil.generation import state_bytes
from wavedil.generation.step import Now, rings_of, step_function

LABELS = {"digit": ("0", "1", "2")}
# Of one cycle: every layer is compiled.
FEW = functools.partial(WaveNetConfig.tiny, cycles=1)
CONFIGS = {
    "two taps": WaveNetConfig.tiny(),
    "three taps": FEW(kernel_size=3, input_kernel_size=3, dilations=(1, 3, 2)),
    "one tap": FEW(kernel_size=1, input_kernel_size=1),
    "scalar input": FEW(input="scalar", levels=16),
    "labelled": FEW(labels=LABELS),
    "logistic": FEW(
        output="logistic", num_components=3, levels=65536, companding="linear", input="scalar"
    ),
    "gaussian": FEW(output="gaussian"),
    "linear levels": FEW(companding="linear", input="scalar"),
    # Prompts of 45 and 1045 samples, silence before them, end in the middle of a frame of 7.
    "context": FEW(
        dilations=(1, 2),
        context_stack=ContextStackConfig(factor=7, channels=8, dilations=(1, 2, 1)),
    ),
    "context and labels": FEW(
        dilations=(1, 2),
        labels=LABELS,
        context_stack=ContextStackConfig(factor=4, channels=8, kernel_size=3, dilations=(2,)),
    ),
    "gates and dropout of its own": FEW(
        dilations=(1, 2),
        gate_channels=5,
        dropout=0.5,
        context_stack=ContextStackConfig(factor=4, channels=8, dilations=(1,)),
    ),
    "context at the sample rate": FEW(
        dilations=(1, 2), context_stack=ContextStackConfig(factor=1, channels=8, dilations=(1, 3))
    ),
}
KEY = jax.random.key(3)


def make_model(config: WaveNetConfig) -> WaveNet:
    model = WaveNet(config, rngs=nnx.Rngs(0))
    model.output.kernel[...] *= 10.0  # far from uniform, as after training
    return model


def make_labels(config: WaveNetConfig, batch_size: int) -> dict[str, Any]:
    return {name: jnp.arange(batch_size) % 4 for name in config.labels}


@functools.cache
def naive(config: WaveNetConfig) -> Any:
    """A compiled pass over codes [batch, 1096], and what is drawn of 50 samples from their parameters."""
    model = make_model(config)

    @jax.jit
    def forward(codes: Any, labels: Any) -> Any:
        return model(codes, labels)

    @jax.jit
    def draw(parameters: Any) -> Any:
        keys = jax.vmap(lambda key: jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(50)))(
            jax.random.split(KEY, 2)
        )
        sample = functools.partial(model.distribution.sample, temperature=0.9)
        return jax.vmap(jax.vmap(sample))(keys, parameters)

    return model, forward, draw


@pytest.mark.sampled
@pytest.mark.parametrize("prompt_samples", [0, 45, 1045])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_cached_generation_draws_the_codes_of_naive_generation(
    config: WaveNetConfig, prompt_samples: int
) -> None:
    (model, forward, draw), labels = naive(config), make_labels(config, 2)
    rng = np.random.default_rng(0)
    prompt = rng.integers(0, config.levels, (2, prompt_samples))
    settings: dict[str, Any] = {"num_samples": 50, "batch_size": 2, "temperature": 0.9}
    settings |= {"prompt": prompt, "labels": labels}
    cached = generate(model, KEY, engine="scan", **settings)
    compiled = generate(model, KEY, engine="compiled", **settings)
    if config.levels <= 256:
        np.testing.assert_array_equal(compiled, cached)
    # What the whole forward pass draws after every beginning of what was generated. It is causal, so one pass over
    # all of it has the parameters after each beginning, whatever comes later.
    start = 1 + prompt_samples
    codes = np.full((2, 1096), config.levels // 2, np.int32)
    codes[:, 1:start], codes[:, start : start + 50] = prompt, cached
    parameters = np.asarray(forward(codes, labels))[:, start - 1 : start + 49]
    drawn = np.asarray(draw(parameters), np.int64)
    # The 65,536 levels of mixtures lie so close that rounding moves a draw to the next one.
    assert np.max(np.abs(drawn - cached)) <= (1 if config.levels > 256 else 0)


@pytest.mark.sampled
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_cached_log_probabilities_equal_the_forward_pass(config: WaveNetConfig) -> None:
    model, labels = make_model(config), make_labels(config, 2)
    codes = jax.random.randint(KEY, (2, 60), 0, config.levels)

    @jax.jit
    def cached_and_whole(codes: Any) -> Any:
        step = step_function(model, model.conditioning(2, labels))

        def next_parameters(rings: Any, given: Any) -> Any:
            code, position = given
            return step(code, rings, position, Now(), None)[::-1]

        rings = rings_of(model, model.step(codes[:, :20], model.init_state(2), labels)[1])
        times = codes[:, 20:].T, jnp.arange(40)
        _, cached = jax.lax.scan(next_parameters, rings, times)
        whole = model(codes, labels)[:, 20:]
        log_prob = functools.partial(model.distribution.log_prob, codes=codes[:, 20:])
        return log_prob(cached.swapaxes(0, 1)), log_prob(whole)

    cached, whole = cached_and_whole(codes)
    np.testing.assert_allclose(cached, whole, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["two taps", "logistic", "context and labels"])
def test_where_jax_has_64_bits_the_same_codes_are_drawn(name: str) -> None:
    config = CONFIGS[name]
    model, labels = make_model(config), make_labels(config, 2)
    settings: dict[str, Any] = {"num_samples": 40, "batch_size": 2, "labels": labels}
    with jax.enable_x64(True):
        wide = generate(model, KEY, **settings)
    drawn = generate(model, KEY, **settings)
    assert wide.dtype == drawn.dtype
    np.testing.assert_array_equal(wide, drawn)


@pytest.mark.parametrize("name", ["two taps", "context and labels"])
def test_a_model_in_bfloat16_draws_codes(name: str) -> None:
    config = CONFIGS[name]
    graph, weights = nnx.split(make_model(config))
    model = nnx.merge(graph, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), weights))
    codes = generate(model, KEY, num_samples=40, batch_size=2, labels=make_labels(config, 2))
    assert codes.shape == (2, 40) and len(np.unique(codes)) > 5


def test_a_signal_does_not_depend_on_the_others_in_its_batch() -> None:
    config = CONFIGS["labelled"]
    model = make_model(config)
    both = generate(model, KEY, num_samples=40, batch_size=2, labels={"digit": jnp.array([1, 2])})
    other = generate(model, KEY, num_samples=40, batch_size=2, labels={"digit": jnp.array([1, 3])})
    np.testing.assert_array_equal(both[0], other[0])
    assert not np.array_equal(both[1], other[1])


def test_codes_do_not_depend_on_how_the_draws_are_cut_into_chunks() -> None:
    model = make_model(CONFIGS["two taps"])
    long = generate(model, KEY, num_samples=2300)
    np.testing.assert_array_equal(generate(model, KEY, num_samples=700), long[:, :700])
    np.testing.assert_array_equal(generate(model, KEY, num_samples=1100), long[:, :1100])


@pytest.fixture
def compilations() -> Any:
    """One entry for each program that is compiled, as long as the test runs."""
    compiled: list[str] = []

    def note(event: str, *_: Any, **more: Any) -> None:
        if "backend_compile" in event:
            compiled.append(str(more))

    jax.monitoring.register_event_duration_secs_listener(note)
    yield compiled
    jax.monitoring.unregister_event_duration_listener(note)


def test_no_length_of_sound_or_prompt_is_compiled_anew(compilations: list[str]) -> None:
    model = make_model(WaveNetConfig.tiny(dilations=(1, 2), cycles=1, sample_rate=11025))
    prompt = np.arange(1500) % 256
    generate(model, 0, num_samples=10, prompt=prompt[:1200])
    assert compilations
    compilations.clear()
    for num_samples, length in ((1, 0), (37, 8), (999, 300), (1000, 1000), (2345, 1), (11, 1500)):
        generate(model, 0, num_samples=num_samples, prompt=prompt[:length])
    assert not compilations


def test_ctrl_c_gives_what_was_drawn_of_each_sound() -> None:
    model = make_model(CONFIGS["two taps"])

    def interrupt(done: int, total: int) -> None:
        if done >= 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        generate(model, 0, num_samples=5000, batch_size=2, progress=interrupt)
    whole = generate(model, 0, num_samples=2000, batch_size=2)
    np.testing.assert_array_equal(stopped.value.codes, whole)


@pytest.mark.parametrize("seed", [np.int64(7), np.uint32(7), 7])
def test_an_integer_of_any_kind_is_a_seed(seed: Any) -> None:
    model = make_model(CONFIGS["two taps"])
    expected = generate(model, jax.random.key(7), num_samples=20)
    np.testing.assert_array_equal(generate(model, seed, num_samples=20), expected)


@pytest.mark.parametrize("key", [True, 0.5, "0", None, 2**32, -1, np.array([1, 2, 3])])
def test_what_is_neither_a_seed_nor_a_key_is_refused(key: Any) -> None:
    with pytest.raises(UserError, match=r"the (key|seed) is .*it must be"):
        generate(make_model(CONFIGS["two taps"]), key, num_samples=4)


def test_a_dull_sound_is_said_with_its_value_the_rule_and_the_remedy() -> None:
    model = make_model(WaveNetConfig.tiny(dilations=(1, 2), cycles=1, sample_rate=16000))
    model.output.kernel[...] *= 0.0
    with pytest.warns(UserWarning) as caught:
        model.output.bias[...] = model.output.bias[...].at[200].set(1000.0)
        generate(model, 0, num_samples=30)
        model.output.bias[...] = jnp.where((np.arange(256) // 2) == 64, 1000.0, 0.0)
        generate(model, 0, num_samples=30, batch_size=2, temperature=0.3)
    constant, silent = (str(warning.message) for warning in caught)
    assert "the sound is constant: each of its 30 samples is 0.0879" in constant
    assert "try another seed, a prompt or another model" in constant
    assert "2 of 2 sounds: sound 0 is nearly silent: -7" in silent
    assert "dBFS, and below -60 nothing is heard; raise the temperature, which is 0.3" in silent


@pytest.mark.parametrize("output", ["categorical", "logistic", "gaussian"])
def test_a_model_that_gives_nan_is_refused_with_the_sample_where_it_does(output: str) -> None:
    model = make_model(
        WaveNetConfig.tiny(
            dilations=(1, 2),
            cycles=1,
            levels=16,
            output=output,
            companding="linear",
            input="scalar",
        )
    )
    model.input.kernel[...] = jnp.full_like(model.input.kernel, 1e30)
    model.hidden.kernel[...] = jnp.full_like(model.hidden.kernel, jnp.inf)
    with pytest.raises(UserError, match=r"the model gives NaN for sample \d+ of sound 0"):
        generate(model, 0, num_samples=30)


def test_the_same_key_gives_the_same_codes_and_another_key_others() -> None:
    model = make_model(CONFIGS["two taps"])
    first = generate(model, KEY, num_samples=50)
    np.testing.assert_array_equal(first, generate(model, KEY, num_samples=50))
    assert not np.array_equal(first, generate(model, jax.random.key(4), num_samples=50))


def test_keys_of_either_kind_and_a_key_for_each_signal_draw_the_same() -> None:
    model = make_model(CONFIGS["two taps"])
    first = generate(model, KEY, num_samples=20, batch_size=2)
    for key in (jax.random.PRNGKey(3), jax.random.split(KEY, 2)):
        drawn = generate(model, key, num_samples=20, batch_size=2)
        np.testing.assert_array_equal(drawn, first)


def test_low_temperature_draws_the_likeliest_code() -> None:
    model = make_model(CONFIGS["two taps"])
    prompt = np.arange(30)
    codes = generate(model, KEY, num_samples=1, prompt=prompt, temperature=1e-4)
    parameters = model(jnp.asarray([[128, *prompt]]))[0, -1]
    assert codes[0, 0] == int(jnp.argmax(parameters))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_state_has_the_size_the_arithmetic_says(config: WaveNetConfig) -> None:
    state = WaveNet(config, rngs=nnx.Rngs(0)).init_state(3)
    past = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim]  # a phase is no past
    assert sum(leaf.nbytes for leaf in past) == state_bytes(config, 3)


def test_progress_counts_up_to_all_samples() -> None:
    seen: list[tuple[int, int]] = []
    generate(
        make_model(CONFIGS["two taps"]),
        KEY,
        num_samples=1500,
        progress=lambda *done: seen.append(done),
    )
    assert seen == [(1000, 1500), (1500, 1500)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "num_samples is 0"),
        ({"num_samples": 5, "temperature": 0.0}, "temperature is 0.0"),
        ({"num_samples": 5, "temperature": float("nan")}, "temperature is nan"),
        ({"num_samples": 5, "temperature": float("inf")}, "temperature is inf"),
        ({"num_samples": 5, "labels": {"digits": np.array([1])}}, "did you mean 'digit'"),
        ({"num_samples": 5, "labels": {"digit": np.array([4])}}, "has 0 to 3"),
        ({"num_samples": 5, "labels": {"digit": 1}}, 'values are strings, use "1"'),
        ({"num_samples": 5, "labels": {"digit": "7"}}, "known: 0, 1, 2"),
        ({"num_samples": 5, "labels": {"digit": ["0", "1"]}}, "1 values or integer rows"),
        ({"num_samples": 5, "prompt": np.array([0, 256])}, "knows 0 to 255"),
        ({"num_samples": 5, "prompt": np.zeros(4)}, "quantizer.encode"),
        (
            {"num_samples": 5, "prompt": np.zeros((3, 4), np.int32), "batch_size": 2},
            "holds 3 signals",
        ),
    ],
)
def test_bad_requests_are_refused_with_the_remedy(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        generate(make_model(CONFIGS["labelled"]), KEY, **arguments)
