"""Labels and codes that a model is given: one rule at every door, and never the numbers of others."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

import wavedil as wd
from wavedil import UserError, WaveNet, WaveNetConfig
from wavedil.frames import BEYOND

LABELS = {"digit": ("3", "7"), "speaker": ("ann",)}
CODES = jnp.arange(6, dtype=jnp.int32)[None]


def make(**changes: Any) -> WaveNet:
    sizes = {"levels": 16, "dilations": (1, 2), "cycles": 1, "residual_channels": 4}
    return WaveNet(
        WaveNetConfig.tiny(**({**sizes, "skip_channels": 4} | changes)), rngs=nnx.Rngs(0)
    )


MODEL = make(labels=LABELS)
DOORS = {
    "call": lambda labels: MODEL(CODES, labels),
    "step": lambda labels: MODEL.step(CODES, MODEL.init_state(1), labels),
    "valid": lambda labels: MODEL.valid(CODES, labels),
    "log_prob": lambda labels: MODEL.log_prob(CODES, labels),
    "generate": lambda labels: wd.generate(MODEL, 0, num_samples=2, labels=labels),
    "synthesize": lambda labels: wd.synthesize(MODEL, seconds=0.001, labels=labels),
    "label_indices": lambda labels: MODEL.config.label_indices(labels),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"digti": "3"}, "'digti' is unknown to this model; did you mean 'digit'"),
        ({"speaker": "anne"}, "speaker 'anne' is unknown to this model; did you mean 'ann'"),
        ({"digit": np.array([99])}, "rows 99 to 99, but the model has 0 to 2"),
        ({"digit": jnp.array([-1])}, "rows -1 to -1, but the model has 0 to 2"),
        ({"digit": 7}, 'digit is 7, a number; values are strings, use "7"'),
        ({"digit": np.int64(7)}, 'digit is 7, a number; values are strings, use "7"'),
        ({"digit": True}, 'digit is True, a number; values are strings, use "True"'),
        ({"digit": 7.0}, 'digit is 7.0, a number; values are strings, use "7.0"'),
        ({"digit": [7]}, 'digit is 7, a number; values are strings, use "7"'),
        ({"digit": None}, "digit is None, but values are strings"),
        ({"digit": np.array([1.0])}, "of float64, but it must be 1 values or integer rows"),
    ],
)
def test_labels_that_the_model_does_not_know_are_refused_at_every_door(
    door: Any, labels: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        door(labels)


@pytest.mark.parametrize(
    "given_as", ["7", ["7"], ("7",), np.array(["7"]), np.array([2]), jnp.array([2])]
)
def test_a_value_and_its_row_are_the_same_however_they_are_given(given_as: Any) -> None:
    expected = MODEL(CODES, {"digit": "7"})
    np.testing.assert_array_equal(MODEL(CODES, {"digit": given_as}), expected)
    assert not np.array_equal(MODEL(CODES), expected)


def test_the_rows_that_the_config_gives_draw_what_the_values_draw() -> None:
    rows = MODEL.config.label_indices({"digit": "7"})
    drawn = wd.generate(MODEL, 0, num_samples=50, labels=rows)
    np.testing.assert_array_equal(
        drawn, wd.generate(MODEL, 0, num_samples=50, labels={"digit": "7"})
    )
    two = MODEL.config.label_indices({"digit": ["3", "7"]}, 2)
    assert two["digit"].tolist() == [1, 2]


def test_labels_without_names_are_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match="each has a name; give a dictionary"):
        wd.generate(MODEL, 0, num_samples=2, labels=["7"])  # type: ignore[arg-type]


def test_a_row_that_the_table_lacks_gives_nan_where_jax_traces_and_cannot_refuse() -> None:
    call = jax.jit(lambda rows: MODEL(CODES, {"digit": rows}))
    for row in (-1, 0, 2, 3, 99):
        assert np.isfinite(call(jnp.array([row]))).all() == (0 <= row <= 2)


@pytest.fixture(scope="module", params=["codes", "scalar"])
def compiled(request: Any) -> Any:
    model = make(input=request.param)
    return jax.jit(model.__call__), jax.jit(model.log_prob)


@settings(max_examples=20)
@given(code=st.integers(-20, 40), at=st.integers(0, 5))
def test_a_code_that_is_no_level_makes_nan_of_all_that_depends_on_it(
    compiled: Any, code: int, at: int
) -> None:
    call, log_prob = compiled
    codes, time = CODES.at[0, at].set(code), np.arange(6)
    level = 0 <= code < 16
    unseen = level | (time < at) | (time > at + MODEL.receptive_field.past)
    np.testing.assert_array_equal(np.isfinite(call(codes)[0]).all(-1), unseen)
    # A sample has the outputs before it; BEYOND is the end of a sound, and no sample.
    before = np.concatenate([[True], unseen[:-1]]) | (code == BEYOND)
    np.testing.assert_array_equal(np.isfinite(log_prob(codes)[0]), before & (level | (time != at)))


def test_targets_beyond_the_end_of_a_sound_take_no_part_in_the_gradient() -> None:
    graph, weights = nnx.split(make())

    def loss(weights: Any, codes: Any) -> Any:
        log_prob = nnx.merge(graph, weights).log_prob(codes)
        return jnp.sum(jnp.where(codes != BEYOND, log_prob, 0.0))

    longer = jnp.concatenate([CODES, jnp.full((1, 3), BEYOND)], axis=1)
    expected, found = (jax.jit(jax.grad(loss))(weights, codes) for codes in (CODES, longer))
    for one, other in zip(*map(jax.tree.leaves, (expected, found)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
