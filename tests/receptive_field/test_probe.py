"""Probing measures the field that arithmetic gives, says where it is blind, and finds leaks of the future."""

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from random_networks import CHANNELS, conv

import wavedil as wd
from wavedil.receptive_field import ReceptiveField, check_causal, probe

NOISE = jax.random.normal(jax.random.key(0), (1, 40, CHANNELS))


def causal_conv(kernel_size: int, dilation: int) -> Any:
    return conv(
        kernel_size=kernel_size, dilation=dilation, padding=((kernel_size - 1) * dilation, 0)
    )


def masked_attention(x: Any) -> Any:
    scores = x @ x.mT
    seen = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    return jax.nn.softmax(jnp.where(seen, scores, -jnp.inf)) @ x


def causal_conv_by_fft(x: Any) -> Any:
    num_samples = x.shape[1]
    spectrum = jnp.fft.rfft(x, 2 * num_samples, axis=1)
    taps = jnp.fft.rfft(jnp.array([1.0, 0.5, 0.25]), 2 * num_samples)[:, None]
    return jnp.fft.irfft(spectrum * taps, 2 * num_samples, axis=1)[:, :num_samples]


@pytest.mark.parametrize("padding", ["causal", "same", "valid"])
@pytest.mark.parametrize(("kernel_size", "dilation", "stride"), [(3, 2, 1), (4, 1, 3), (2, 5, 2)])
def test_convolution_probes_as_arithmetic_says(
    kernel_size: int, dilation: int, stride: int, padding: Any
) -> None:
    span = (kernel_size - 1) * dilation
    pads = {"causal": (span, 0), "same": (span // 2, span - span // 2), "valid": (0, 0)}[padding]
    fn = conv(kernel_size=kernel_size, dilation=dilation, stride=stride, padding=pads)
    expected = ReceptiveField.conv(kernel_size, dilation, stride, padding)
    assert probe(fn, NOISE).receptive_field == expected


def test_upsampling_has_a_stride_below_one_and_phases() -> None:
    field = probe(lambda x: causal_conv(2, 1)(jnp.repeat(x, 3, axis=1)), NOISE)
    assert field.stride == Fraction(1, 3)
    expected = ReceptiveField.upsample(3).then(ReceptiveField.conv(2))
    assert field.receptive_field == expected
    assert field.receptive_field.inputs(3) == (0, 1) and field.receptive_field.inputs(4) == (1,)


@pytest.mark.parametrize("fn", [lambda x: x - x, lambda x: 0 * x, lambda x: 1e-30 * x * 1e-30])
def test_structure_counts_and_not_magnitude(fn: Any) -> None:
    assert probe(fn, NOISE).receptive_field == ReceptiveField.identity()


def test_inputs_of_one_output_are_exact_at_the_ends_too() -> None:
    field = probe(causal_conv(3, 4), NOISE)
    assert [field.inputs(t) for t in (0, 5, 39)] == [(0,), (1, 5), (31, 35, 39)]


def test_a_few_inputs_give_the_field_of_a_model_that_treats_all_times_alike() -> None:
    def fn(x: Any) -> Any:
        return causal_conv(3, 2)(conv(kernel_size=5, padding=(4, 0), stride=4)(x))

    x = jnp.ones((1, 200, CHANNELS))
    some = probe(fn, x, inputs=range(96, 104))
    assert some.receptive_field == probe(fn, x).receptive_field
    assert some.seen.shape == (50, 8) and some.inputs(26) == (96, 100, 101, 102, 103)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_changes_nothing(batch_size: int) -> None:
    fn = causal_conv(3, 3)
    expected = probe(fn, NOISE).seen
    np.testing.assert_array_equal(probe(fn, NOISE, batch_size=batch_size).seen, expected)


def test_the_function_is_traced_a_fixed_number_of_times() -> None:
    def traces_of(num_samples: int) -> int:
        traces = 0

        def fn(x: Any) -> Any:
            nonlocal traces
            traces += 1
            return x[:, 1:]

        probe(fn, jnp.ones((1, num_samples, 1)), batch_size=8)
        return traces

    assert traces_of(100) == traces_of(10)


def test_time_may_be_any_axis_and_another_one_in_the_output() -> None:
    channels_first = probe(lambda x: x[:, :, 3:], jnp.ones((1, 2, 30)), time_axis=-1)
    assert channels_first.taps == (3,)
    turned = probe(lambda x: x[0].T[:, 2:], jnp.ones((1, 30, 2)), output_time_axis=1)
    assert turned.taps == (2,)
    plain = probe(lambda x: x[1:] + x[:-1], jnp.ones(30), time_axis=0)
    assert plain.taps == (0, 1)


def test_any_output_of_a_pytree_counts() -> None:
    field = probe(lambda x: {"a": x, "b": (causal_conv(2, 5)(x),)}, NOISE)
    assert field.taps == (-5, 0)


def test_every_signal_of_a_batch_is_disturbed() -> None:
    x = jnp.ones((3, 30, 1))
    assert probe(lambda x: x[1:2] + jnp.pad(x[2:, :-4], ((0, 0), (4, 0), (0, 0))), x).taps == (
        -4,
        0,
    )


def test_a_module_that_changes_while_it_runs_is_probed_and_stays_as_it_was() -> None:
    norm = nnx.BatchNorm(CHANNELS, rngs=nnx.Rngs(0))
    before = norm.mean[...]
    assert probe(norm, NOISE).inputs(3) == tuple(range(40))  # the statistics are over all of time
    np.testing.assert_array_equal(norm.mean[...], before)
    norm.eval()
    check_causal(norm, NOISE)


def test_nan_errors_of_jax_do_not_get_in_the_way() -> None:
    with jax.debug_nans(True):
        assert probe(causal_conv(2, 3), NOISE).taps == (-3, 0)


def test_shape_alone_is_enough() -> None:
    spec = jax.ShapeDtypeStruct(NOISE.shape, NOISE.dtype)
    assert probe(causal_conv(2, 3), spec).taps == (-3, 0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64"])
def test_every_kind_of_float_is_probed(dtype: str) -> None:
    x = jnp.ones((1, 30, 1), dtype)
    for by in ("nan", "change"):
        assert probe(lambda x: x[:, 1:] - x[:, :-1], x, by=by).taps == (0, 1)


class TestBlindness:
    def test_is_named_by_operation(self) -> None:
        def fn(x: Any) -> Any:
            steps = jnp.round(x).astype(jnp.int32)
            return jnp.where(x > 0, x, 0.0) + jnp.sort(x, axis=1) + steps.astype(jnp.float32)

        blind = probe(fn, NOISE).blind
        assert [what.split()[0] for what in blind] == ["convert_element_type", "gt", "sort"]

    def test_is_found_inside_of_loops_and_calls(self) -> None:
        @jax.jit
        def body(carry: Any, x: Any) -> Any:
            return carry + jnp.where(carry > 0, x, carry), x

        blind = probe(lambda x: lax.scan(body, x[:, 0], x.swapaxes(0, 1))[1].swapaxes(0, 1), NOISE)
        assert blind.blind == ("gt (float32 to bool)",)

    def test_is_found_inside_of_what_jax_calls_one_operation(self) -> None:
        def root(x: Any) -> Any:
            return lax.custom_root(
                lambda y: y - x, x, lambda f, y: jnp.where(f(y) > 0, y, -y), lambda f, y: y
            )

        assert probe(root, NOISE).blind == ("gt (float32 to bool)",)

    def test_is_empty_where_nothing_can_be_lost(self) -> None:
        mask = jnp.arange(40)[:, None] > 3
        assert probe(lambda x: jax.nn.relu(jnp.where(mask, x, 0.0)), NOISE).blind == ()

    def test_hides_what_a_choice_drops(self) -> None:
        assert not probe(lambda x: jnp.where(x > 0, x, 0.0), jnp.ones((1, 20, 1))).depends


class TestByChange:
    def test_sees_through_an_embedding(self) -> None:
        table = jax.random.normal(jax.random.key(1), (5, CHANNELS))
        codes = jax.random.randint(jax.random.key(2), (1, 40), 0, 5)
        field = probe(lambda codes: causal_conv(3, 2)(table[codes]), codes, by="change")
        assert field.taps == (-4, -2, 0)

    def test_lets_nothing_through_a_mask_where_nan_goes(self) -> None:
        assert probe(masked_attention, NOISE).inputs(0) == tuple(range(40))
        field = probe(masked_attention, NOISE, by="change")
        assert field.inputs(0) == (0,) and field.causal

    def test_takes_no_rounding_for_a_dependence(self) -> None:
        assert len(probe(causal_conv_by_fft, NOISE).inputs(20)) == 40
        assert probe(causal_conv_by_fft, NOISE, by="change").taps == (-2, -1, 0)

    def test_is_not_swallowed_by_a_normalisation_over_channels(self) -> None:
        def norm(x: Any) -> Any:
            return x - x.mean(axis=-1, keepdims=True)

        assert probe(norm, NOISE, by="change").depends


class TestWithoutAnswer:
    @pytest.mark.parametrize(
        ("fn", "num_samples", "words"),
        [
            (causal_conv(2, 1), 4, "too few to say"),
            (lambda x: jnp.cumsum(x, axis=1), 40, "or the field has no bound"),
            (lambda x: x[:, ::-1], 40, "do not repeat"),
            (lambda x: jnp.zeros_like(x), 40, "sees any of the 40 probed inputs"),
            (conv(kernel_size=1, padding=(0, 0), upsampling=2), 40, "of every 2 outputs 1 see no"),
        ],
    )
    def test_the_field_says_why(self, fn: Any, num_samples: int, words: str) -> None:
        field = probe(fn, jnp.ones((1, num_samples, CHANNELS)))
        with pytest.raises(wd.UserError, match=words):
            _ = field.size
        assert words in str(field)

    def test_too_few_probed_inputs_are_distinguished_from_too_short_a_signal(self) -> None:
        fn = conv(kernel_size=8, padding=(7, 0), stride=4)
        with pytest.raises(wd.UserError, match="probe at least twice the stride"):
            _ = probe(fn, jnp.ones((1, 100, CHANNELS)), inputs=range(50, 52)).past

    @pytest.mark.parametrize(
        ("fn", "x", "settings", "words"),
        [
            (jnp.tanh, jnp.ones((1, 8)), {"time_axis": 2}, "time_axis is 2, but x has shape"),
            (lambda x: x.sum(1), jnp.ones((1, 8)), {}, "the output has no axis 1"),
            (lambda x: (x, x[:, 1:]), jnp.ones((1, 8)), {}, r"outputs have \[7, 8\] samples"),
            (lambda x: None, jnp.ones((1, 8)), {}, "returns no array"),
            (lambda x: x[:, 20:], jnp.ones((1, 8)), {}, r"outputs have \[0\] samples"),
            (jnp.sin, jnp.ones((1, 8)), {"time_axis": 1.0}, "time_axis is 1.0"),
            (jnp.sin, jnp.ones((1, 8)), {"output_time_axis": "1"}, "no axis '1'"),
            (jnp.sin, jnp.ones((1, 8)), {"inputs": [1, 2]}, "must be a range"),
            (3, jnp.ones((1, 8)), {}, "cannot be called"),
            (jnp.sin, jnp.ones((1, 8), int), {}, "int32, which cannot be NaN; probe what comes"),
            (lambda x: x > 0, jnp.ones((1, 8)), {}, "every output holds bool"),
            (jnp.log, -jnp.ones((1, 8)), {}, "output 0 is NaN before any input is disturbed"),
            (jnp.sin, jnp.ones((1, 0)), {}, "x has no sample"),
            (jnp.sin, jnp.ones((1, 8)), {"inputs": range(4, 9)}, "inside the signal's 8 samples"),
            (jnp.sin, jnp.ones((1, 8)), {"inputs": range(3, 3)}, "inside the signal's 8 samples"),
            (jnp.sin, jnp.ones((1, 8)), {"by": "magic"}, "by 'nan' or by 'change'"),
            (jnp.sin, jnp.ones((1, 8)), {"batch_size": 0}, "batch size is 0"),
            (lambda x: x * 2, jnp.ones((1, 8), int), {"by": "change"}, "every value of x is 1"),
        ],
    )
    def test_what_cannot_be_probed_is_refused(
        self, fn: Any, x: Any, settings: Any, words: str
    ) -> None:
        with pytest.raises(wd.UserError, match=words):
            probe(fn, x, **settings)


class TestCheckCausal:
    def test_passes_what_is_causal(self) -> None:
        check_causal(causal_conv(3, 4), NOISE)
        check_causal(lambda x: jnp.cumsum(x, axis=1), NOISE)
        check_causal(conv(kernel_size=4, padding=(3, 0), stride=2), NOISE)
        check_causal(lambda x: jnp.repeat(x, 2, axis=1), NOISE)

    def test_passes_a_wavenet_as_it_is_called_with_codes(self) -> None:
        model = wd.WaveNet(wd.WaveNetConfig.tiny(), rngs=nnx.Rngs(0))
        check_causal(model, jax.random.randint(jax.random.key(0), (1, 40), 0, 256))

    def test_names_the_earliest_output_and_the_input_that_it_saw(self) -> None:
        def fn(x: Any) -> Any:
            ahead = jnp.pad(x, ((0, 0), (0, 3), (0, 0)))[:, 3:]
            return x + jnp.where(jnp.arange(40)[:, None] < 20, 0.0, ahead)

        with pytest.raises(AssertionError, match=r"output 20 sees input 23, 3 samples after") as e:
            check_causal(fn, NOISE)
        assert "17 of 40 outputs see the future, up to 3 samples of it" in str(e.value)
        assert "delay the output by 3 samples" in str(e.value)

    def test_finds_a_leak_at_the_first_outputs_alone(self) -> None:
        def reflected(x: Any) -> Any:
            return conv(kernel_size=3, padding=(0, 0))(
                jnp.pad(x, ((0, 0), (2, 0), (0, 0)), mode="reflect")
            )

        with pytest.raises(AssertionError, match=r"output 0 sees input 1, .*; 1 of 40 outputs"):
            check_causal(reflected, NOISE)

    def test_finds_what_a_weight_of_zero_stands_before(self) -> None:
        with pytest.raises(AssertionError, match=r"no finite value of input 1 .* by='change'"):
            check_causal(lambda x: x + 0 * jnp.roll(x, -1, axis=1), NOISE)

    def test_lets_attention_under_a_mask_pass_by_change(self) -> None:
        with pytest.raises(AssertionError, match="as behind an attention mask"):
            check_causal(masked_attention, NOISE)
        check_causal(masked_attention, NOISE, by="change")
        check_causal(causal_conv_by_fft, NOISE, by="change")

    def test_finds_a_leak_in_a_model_of_codes(self) -> None:
        codes = jnp.arange(20)[None] % 7
        with pytest.raises(AssertionError, match="output 0 sees input 1"):
            check_causal(lambda codes: jnp.roll(codes, -1, axis=1), codes)

    def test_tells_how_to_pad_a_model_without_padding(self) -> None:
        with pytest.raises(AssertionError, match="pad 4 samples before the first one"):
            check_causal(conv(kernel_size=5, padding=(0, 0)), NOISE)

    def test_counts_time_in_inputs_where_the_output_has_another_rate(self) -> None:
        with pytest.raises(
            AssertionError, match=r"output 0 sees input 1, 1 sample after .*input 0"
        ):
            check_causal(conv(kernel_size=2, padding=(0, 0), stride=2), NOISE)

    @pytest.mark.parametrize(("fn", "num_samples"), [(jnp.tanh, 1), (jnp.zeros_like, 20)])
    def test_says_when_it_cannot_say(self, fn: Any, num_samples: int) -> None:
        with pytest.raises(wd.UserError, match="cannot say whether the future is seen"):
            check_causal(fn, jnp.ones((1, num_samples, 1)))
