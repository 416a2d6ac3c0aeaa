"""Answers and refusals of `trace`, beyond the reads of each operation."""

import contextlib
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import pytest
from jax import export, lax

from wavedil import UserError
from wavedil.ops import dilated_conv
from wavedil.receptive_field import ReceptiveField, TracedField, trace

pytestmark = pytest.mark.newest

X = jax.ShapeDtypeStruct((2, 100, 3), jnp.float32)


def kernel(size: int) -> jax.Array:
    return jnp.ones((size, 3, 3))


def causal(size: int, rate: int = 1):
    return lambda x: dilated_conv(x, kernel(size), rate)


def same(size: int, rate: int = 1):
    return lambda x: dilated_conv(x, kernel(size), rate, padding="same")


def chain(*layers):
    def fn(x):
        for layer in layers:
            x = layer(x)
        return x

    return fn


def test_causal_stack_is_uniform_and_equals_arithmetic() -> None:
    field = trace(chain(causal(2, 1), causal(3, 4)), X)
    expected = ReceptiveField.conv(2).then(ReceptiveField.conv(3, 4))
    assert field.receptive_field == expected
    assert (field.past, field.future, field.size, field.stride) == (9, 0, 10, 1)
    assert field.taps == expected.taps == (-9, -8, -5, -4, -1, 0)
    assert field.uniform and field.causal and field.depends
    assert field.interior == range(100)
    assert str(field) == (
        "output t sees inputs t - 9 .. t: 6 of 10 samples, causal, the same at all 100 outputs"
    )


def test_borders_where_padding_hides_a_layer_are_not_interior() -> None:
    field = trace(chain(same(3, 3), same(3, 5)), X)
    assert field.receptive_field == ReceptiveField.conv(3, 3, padding="same").then(
        ReceptiveField.conv(3, 5, padding="same")
    )
    assert not field.uniform
    assert 4 not in field.interior and 5 in field.interior
    # Of output 0, the neighbour 5 before it does not exist, and cannot hand on input -5 + 3.
    assert 2 not in field.inputs(4) and 2 in {t for i in field.interior for t in field.inputs(i)}


def test_clipping_at_the_ends_of_the_signal_is_no_difference() -> None:
    field = trace(same(9), X)
    assert field.uniform
    assert field.inputs(0) == (0, 1, 2, 3, 4)


def test_stride_is_inputs_per_output() -> None:
    strided = trace(lambda x: x[:, ::4] + x[:, 1::4], X)
    assert (strided.stride, strided.num_outputs, strided.taps) == (4, 25, (0, 1))
    upsampled = trace(lambda x: jnp.repeat(x, 3, axis=1), X)
    assert upsampled.receptive_field == ReceptiveField.upsample(3)
    assert upsampled.stride == Fraction(1, 3)


def test_phases_of_an_upsampler_are_kept_apart() -> None:
    smoothed = chain(lambda x: jnp.repeat(x, 2, axis=1), causal(2))
    field = trace(smoothed, X)
    assert field.phases == ((-1, 0), (0,))
    assert field.receptive_field == ReceptiveField.upsample(2).then(ReceptiveField.conv(2))
    assert field.inputs(6) == (2, 3) and field.inputs(7) == (3,)


def test_phases_that_see_nothing_have_no_receptive_field() -> None:
    field = trace(lambda x: lax.pad(x, 0.0, ((0, 0, 0), (0, 0, 1), (0, 0, 0))), X)
    assert field.phases == ((0,), ())
    with pytest.raises(UserError, match="see nothing"):
        _ = field.receptive_field


@pytest.mark.parametrize(
    ("fn", "past", "future"),
    [
        (lambda x: jnp.cumsum(x, axis=1), math.inf, 0),
        (lambda x: jnp.cumsum(x[:, 10:], axis=1), math.inf, 10),
        (lambda x: lax.cumsum(x, axis=1, reverse=True), 0, math.inf),
        (lambda x: x + x.mean(1, keepdims=True), math.inf, math.inf),
        (lambda x: x[:, ::-1], math.inf, math.inf),
        (lambda x: jnp.fft.fft(x, axis=1).real, math.inf, math.inf),
        (lambda x: jnp.sort(x, axis=1), math.inf, math.inf),
    ],
    ids=["cumsum", "cumsum of a part", "cumsum in reverse", "mean", "reversed", "Fourier", "sort"],
)
def test_fields_that_grow_with_the_input_are_infinite(fn, past, future) -> None:
    field = trace(fn, X)
    assert (field.past, field.future, field.size) == (past, future, math.inf)
    assert field.causal == (future <= 0)
    with pytest.raises(UserError, match="grows with the input"):
        _ = field.receptive_field


def test_blocks_of_time_are_bounded() -> None:
    """A running sum and a mean that start anew every 10 samples do not grow with the input."""
    for fn in (lambda b: jnp.cumsum(b, axis=2), lambda b: b + b.mean(2, keepdims=True)):
        field = trace(lambda x, fn=fn: fn(x.reshape(2, 10, 10, 3)).reshape(2, 100, 3), X)
        assert field.past == 9
        assert len(field.phases) == 10


def test_recurrent_scan_sees_all_of_the_past() -> None:
    def smooth(x):
        def step(y, sample):
            y = 0.9 * y + sample
            return y, y

        return lax.scan(step, jnp.zeros((2, 3)), x.swapaxes(0, 1))[1].swapaxes(0, 1)

    field = trace(smooth, X)
    assert (field.past, field.future, field.causal) == (math.inf, 0, True)
    assert field.inputs(7) == tuple(range(8))


def test_only_one_border_output_that_sees_the_future_is_not_causal() -> None:
    field = trace(lambda x: x.at[:, 0].set(x[:, 1]), X)
    assert field.taps == (0,)
    assert not field.causal
    assert field.interior == range(1, 100)


def test_no_dependence_is_an_answer() -> None:
    field = trace(lambda x: jnp.ones((2, 7)), X)
    assert not field.depends and field.causal and field.uniform
    assert (field.size, field.taps, field.inputs(3)) == (0, (), ())
    assert str(field) == "none of the 7 outputs depends on any of the 100 inputs"
    with pytest.raises(UserError, match="does not depend"):
        _ = field.receptive_field


def test_input_shorter_than_the_field_still_answers() -> None:
    short = jax.ShapeDtypeStruct((1, 4, 3), jnp.float32)
    stack = chain(*[causal(2, 2**i) for i in range(8)])
    field = trace(stack, short)
    assert field.size == 256
    assert field.inputs(3) == (0, 1, 2, 3)


def test_input_shorter_than_centred_layers_reach_has_their_field() -> None:
    """No output sees its complete field, and no hidden sample all of its neighbours."""
    field = trace(chain(same(9, 3), same(9, 2)), jax.ShapeDtypeStruct((1, 4, 3), jnp.float32))
    expected = ReceptiveField.conv(9, 3, padding="same").then(
        ReceptiveField.conv(9, 2, padding="same")
    )
    assert field.receptive_field == expected


def test_function_of_one_length_keeps_the_field_it_has() -> None:
    field = trace(lambda x: causal(100)(x) * jnp.ones((100, 1)), X)
    assert field.size == 100


def test_associative_scan_grows_with_the_input() -> None:
    field = trace(lambda x: lax.associative_scan(jnp.add, x, axis=1), X)
    assert (field.past, field.future) == (math.inf, 0)
    assert field.uniform and field.causal


def test_input_of_one_sample() -> None:
    field = trace(causal(2), jax.ShapeDtypeStruct((1, 1, 3), jnp.float32))
    assert field.inputs(0) == (0,)


def test_window_of_exactly_the_field_gives_one_output() -> None:
    field = trace(lambda x: dilated_conv(x, kernel(100), padding="valid"), X)
    assert (field.num_outputs, field.size) == (1, 100)


def test_several_outputs_of_equal_length_are_joined() -> None:
    field = trace(lambda x: {"a": jnp.roll(x, 1, 1)[..., 0], "b": (x,)}, X)
    assert field.inputs(5) == (4, 5)


@pytest.mark.parametrize(
    ("time_axis", "output_time_axis"), [(-2, None), (1, 1), (1, -2), (0, None)]
)
def test_axes_count_from_either_end(time_axis: int, output_time_axis: int | None) -> None:
    assert trace(
        lambda x: 2 * x, X, time_axis=time_axis, output_time_axis=output_time_axis
    ).taps == (0,)


def test_output_may_have_time_elsewhere() -> None:
    field = trace(lambda x: causal(4)(x).transpose(1, 0, 2), X, output_time_axis=0)
    assert field.size == 4 and field.num_outputs == 100


def test_array_and_its_shape_answer_alike() -> None:
    assert trace(causal(3), jnp.ones((2, 100, 3))) == trace(causal(3), X)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.int32, jnp.uint8, jnp.complex64, bool])
def test_any_type_of_number(dtype) -> None:
    assert trace(lambda x: jnp.roll(x, 1, 1)[:, 1:], jax.ShapeDtypeStruct((1, 50), dtype)).taps == (
        0,
    )


@pytest.mark.parametrize(
    ("fn", "x", "settings", "message"),
    [
        (lambda x: x, X, {"time_axis": 3}, r"time_axis is 3, but x has shape \(2, 100, 3\)"),
        (lambda x: x, X, {"time_axis": 1.0}, "time_axis is 1.0"),
        (lambda x: x, jnp.ones(()), {}, "single number"),
        (lambda x: x, [1.0, 2.0], {}, "x is list"),
        (lambda x: x, jnp.ones((1, 0, 3)), {}, "holds no samples"),
        (lambda x: x, jax.ShapeDtypeStruct((1, -3, 1), jnp.float32), {}, "holds no samples"),
        (lambda x: x, X, {"unknown": "none"}, "unknown is 'none'"),
        (lambda x: x.sum(), X, {}, "output has no axis 1"),
        (lambda x: x, X, {"output_time_axis": 5}, "output has no axis 5"),
        (lambda x: (x, x[:, ::2]), X, {}, r"outputs have \[50, 100\] samples"),
        (lambda x: x[:, 200:], X, {}, r"outputs have \[0\] samples"),
        (lambda x: None, X, {}, "returns no array"),
        (lambda x: x if x.sum() > 0 else -x, X, {}, "decides in Python"),
        (lambda x: x * float(x[0, 0, 0]), X, {}, "decides in Python"),
        (lambda x: x[x > 0], X, {}, "decides in Python"),
        (lambda x: jnp.nonzero(x)[0], X, {}, "decides in Python"),
    ],
)
def test_what_cannot_be_traced_is_refused_with_a_remedy(fn, x, settings, message) -> None:
    with pytest.raises(UserError, match=message):
        trace(fn, x, **settings)


def test_symbolic_shapes_are_refused() -> None:
    shape = export.symbolic_shape("batch, time, 3")
    with pytest.raises(UserError, match="every size must be a number"):
        trace(lambda x: x, jax.ShapeDtypeStruct(shape, jnp.float32))


def test_output_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match="output 100 does not exist"):
        trace(causal(2), X).inputs(100)


def on_the_host(x):
    return jax.pure_callback(lambda v: v, x, x)


def test_unknown_primitive_is_named_with_the_users_line() -> None:
    line = on_the_host.__code__.co_firstlineno + 1
    with pytest.raises(
        UserError, match=rf"'pure_callback' reads \(.*test_trace\.py:{line}, in on_the_host\)"
    ):
        trace(lambda x: jax.jit(on_the_host)(x), X)


def test_unknown_primitive_may_see_everything() -> None:
    field = trace(on_the_host, X, unknown="all")
    assert field.inputs(3) == tuple(range(100))
    assert field.size == math.inf


def test_unknown_primitive_off_the_path_does_not_matter() -> None:
    shape = jax.ShapeDtypeStruct((3,), jnp.float32)
    constant = lambda x: x + jax.pure_callback(lambda: jnp.ones(3), shape)  # noqa: E731
    assert trace(constant, X).taps == (0,)


def test_side_effects_that_hand_nothing_on_do_not_matter() -> None:
    seen = []

    def fn(x):
        jax.debug.print("{}", x.sum())
        jax.debug.callback(seen.append, x)
        jax.experimental.io_callback(lambda v: None, None, x, ordered=True)
        return jnp.roll(x, 1, axis=1)[:, 1:]

    assert trace(fn, X).taps == (0,)
    assert not seen


def test_arrays_that_are_written_in_place_are_named() -> None:
    def fn(x):
        buffer = jax.new_ref(x)
        buffer[...] = 2 * x
        return buffer[...]

    with pytest.raises(UserError, match="'new_ref'"):
        trace(fn, X)


def test_faults_of_the_function_are_its_own() -> None:
    with pytest.raises(TypeError), contextlib.suppress(UserError):
        trace(lambda x: x @ jnp.ones((7, 7)), X)


def test_tracing_runs_nothing() -> None:
    """Far more than any machine's memory holds."""
    huge = jax.ShapeDtypeStruct((1, 2**28, 4096), jnp.float32)
    weights = lambda x: x @ jnp.zeros((4096, 4096))  # noqa: E731
    assert trace(lambda x: weights(x).cumsum(1)[:, 1:] - x[:, :-1], huge).depends is True


def test_answers_are_traced_fields() -> None:
    assert isinstance(trace(causal(2), X), TracedField)


def test_a_field_may_be_declared_for_what_runs_elsewhere() -> None:
    field = trace(
        lambda x: causal(2)(on_the_host(x)), X, declared={"pure_callback": ReceptiveField.conv(3)}
    )
    assert (field.past, field.future, field.upper_bounds) == (3, 0, ())
    with pytest.raises(UserError, match="stride 2"):
        trace(on_the_host, X, declared={"pure_callback": ReceptiveField.conv(3, stride=2)})
    with pytest.raises(UserError, match="holds 5, but a field must be a ReceptiveField"):
        trace(on_the_host, X, declared={"pure_callback": 5})  # type: ignore[dict-item]
    declared = {"pure_callback": ReceptiveField.conv(3), "pure_calback": ReceptiveField.conv(3)}
    with pytest.raises(UserError, match=r"'pure_calback', but .* did you mean 'pure_callback'"):
        trace(on_the_host, X, declared=declared)


def test_exchanges_between_devices_on_a_mesh_of_one_leave_all_as_it_is() -> None:
    mesh = jax.make_mesh((1,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("i")

    def local(x):
        y = lax.psum(x, "i") + lax.pmax(x, "i") + lax.ppermute(x, "i", [(0, 0)])
        return y + lax.all_gather(causal(3)(x), "i", tiled=True)

    fn = jax.shard_map(local, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    assert trace(fn, X).taps == (-2, -1, 0)


def test_rows_in_groups_see_themselves() -> None:
    def fn(x):
        rows = lax.ragged_dot(causal(3)(x)[0], jnp.ones((2, 3, 4)), jnp.array([60, 40]))
        return rows[None]

    assert trace(fn, X).taps == (-2, -1, 0)


def test_equinox_checks_and_loops_are_followed() -> None:
    eqx = pytest.importorskip("equinox")
    internal = pytest.importorskip("equinox.internal")

    def checked(x):
        return causal(2)(eqx.error_if(x, x.sum() > 0, "loud"))

    def looped(x):
        def body(carry):
            return carry[0] + 1, causal(2)(carry[1])

        return internal.while_loop(
            lambda carry: carry[0] < 3, body, (0, x), kind="checkpointed", max_steps=8
        )[1]

    assert trace(checked, X).taps == (-1, 0)
    assert trace(looped, X).taps == (-3, -2, -1, 0)
