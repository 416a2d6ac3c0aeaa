"""The arithmetic of receptive fields: exact against enumeration, its algebra, bad input."""

import functools
import pickle
import re
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavedil import UserError
from wavedil.receptive_field import Design, ReceptiveField, design, table

conv, identity = ReceptiveField.conv, ReceptiveField.identity()
NUM_OUTPUTS = 48  # enumerated outputs: more than any period that the drawn layers can make


def chain(*fields):
    return functools.reduce(ReceptiveField.then, fields, identity)


def causal_stack(kernel_size, dilations):
    return chain(*(conv(kernel_size, dilation).union(identity) for dilation in dilations))


def layer_inputs(kind, numbers, t):
    """Inputs of one layer's output `t`, from the layer's definition."""
    if kind == "upsample":
        return {t // numbers[0]}
    if kind == "delay":
        return {t - numbers[0]}
    kernel_size, dilation, stride, padding = numbers
    span = (kernel_size - 1) * dilation
    first = {"causal": stride * t - span, "same": stride * t - span // 2, "valid": stride * t}
    return {first[padding] + k * dilation for k in range(kernel_size)}


PADDINGS = st.sampled_from(["causal", "same", "valid"])
SMALL = st.integers(1, 3)
LAYERS = st.one_of(
    st.tuples(st.just("conv"), st.tuples(SMALL, st.integers(1, 5), SMALL, PADDINGS)),
    st.tuples(st.just("upsample"), st.tuples(SMALL)),
    st.tuples(st.just("delay"), st.tuples(st.integers(-2, 4))),
)
CHAINS = st.lists(LAYERS, max_size=4)


def field_of(layers):
    return chain(*(getattr(ReceptiveField, kind)(*numbers) for kind, numbers in layers))


def enumerated_inputs(layers, t):
    seen = {t}
    for kind, numbers in reversed(layers):
        seen = set().union(*(layer_inputs(kind, numbers, i) for i in seen))
    return tuple(sorted(seen))


@given(CHAINS)
def test_inputs_of_a_chain_are_those_that_enumeration_finds(layers):
    field = field_of(layers)
    for t in range(-3, NUM_OUTPUTS):
        assert field.inputs(t) == enumerated_inputs(layers, t)


@given(CHAINS)
def test_taps_are_the_union_over_all_outputs(layers):
    field = field_of(layers)
    offsets = {i - field.stride * t // 1 for t in range(3**4) for i in field.inputs(t)}
    assert field.taps == tuple(sorted(offsets))
    assert (field.taps[0], field.taps[-1]) == (-field.past, field.future)
    assert field.size == field.past + field.future + 1


@given(CHAINS, CHAINS, CHAINS)
def test_then_is_associative(a, b, c):
    a, b, c = field_of(a), field_of(b), field_of(c)
    assert a.then(b).then(c) == a.then(b.then(c))


@given(CHAINS)
def test_identity_changes_nothing(layers):
    field = field_of(layers)
    assert identity.then(field) == field == field.then(identity)
    assert hash(identity.then(field)) == hash(field)


@given(st.lists(st.tuples(SMALL, st.integers(1, 5), PADDINGS), min_size=3, max_size=3), CHAINS)
def test_union_is_commutative_associative_and_sees_what_its_branches_see(convs, layers):
    tail = field_of(layers)
    a, b, c = (conv(k, d, padding=padding).then(tail) for k, d, padding in convs)
    assert a.union(b) == b.union(a)
    assert a.union(b).union(c) == a.union(b.union(c))
    assert a.union(a) == a
    for t in range(12):
        assert set(a.union(b).inputs(t)) == {*a.inputs(t), *b.inputs(t)}


def test_union_with_another_stride_is_refused():
    with pytest.raises(UserError, match=r"strides 1 and 2.*give every branch the same stride"):
        identity.union(conv(2, stride=2))


def test_equal_rates_leave_holes_and_growing_rates_do_not():
    gridded = causal_stack(3, [2, 2, 2])
    assert gridded.size == 13
    assert gridded.taps == (-12, -10, -8, -6, -4, -2, 0)
    assert gridded.num_taps == 7
    assert causal_stack(3, [1, 2, 3]).taps == tuple(range(-12, 1))


def test_a_pure_delay_sees_one_sample_before_now():
    field = conv(3).then(ReceptiveField.delay(9))
    delay = ReceptiveField.delay(9)
    assert (delay.past, delay.future, delay.size, delay.taps) == (9, -9, 1, (-9,))
    assert (field.past, field.future, field.size) == (11, -9, 3)
    assert delay.causal and not ReceptiveField.delay(-1).causal


def test_a_delay_makes_a_centred_convolution_causal():
    centred = conv(5, padding="same")
    assert not centred.causal
    assert centred.then(ReceptiveField.delay(centred.future)) == conv(5)


def test_upsampled_outputs_differ_from_phase_to_phase():
    field = ReceptiveField.upsample(4).then(conv(2))
    assert field.stride == Fraction(1, 4)
    assert [field.inputs(t) for t in (4, 5, 6, 7)] == [(0, 1), (1,), (1,), (1,)]
    assert field.taps == (-1, 0)


def test_convolutions_after_upsampling_are_not_overcounted():
    convs = [conv(2)] * 8
    assert (
        chain(ReceptiveField.upsample(4), *convs).past == 2
    )  # eight samples are two of a quarter rate


def test_downsampling_undoes_upsampling_but_not_the_other_way_round():
    down, up = conv(1, stride=3), ReceptiveField.upsample(3)
    assert up.then(down) == identity
    assert down.then(up).taps == (-2, -1, 0)
    assert down.then(up).stride == 1


def test_the_period_is_the_inputs_after_which_outputs_see_alike_again():
    up, down = ReceptiveField.upsample(4), ReceptiveField.conv(5, stride=6)
    smoothed = up.then(ReceptiveField.conv(2))
    held = ReceptiveField.conv(3, stride=3).then(ReceptiveField.upsample(3))
    fields = (ReceptiveField.conv(3), up, down, smoothed, held, up.then(down))
    assert [field.period for field in fields] == [1, 1, 6, 1, 3, 3]


def test_milliseconds_are_those_of_the_size():
    assert ReceptiveField(past=3069).milliseconds(16000) == 191.875


def test_fields_with_the_same_range_differ_by_their_taps():
    assert ReceptiveField(past=2) == ReceptiveField(past=2, taps=(-2, -1, 0)) == conv(3)
    assert ReceptiveField(past=2) != ReceptiveField(past=2, taps=(-2, 0)) == conv(2, 2)
    assert ReceptiveField(past=2) != ReceptiveField(past=2, stride=2)


def test_a_field_survives_pickling():
    field = causal_stack(2, [2, 8])
    assert field.taps  # computed before, and cached in the object
    assert pickle.loads(pickle.dumps(field)) == field


def test_repr_tells_stride_and_holes():
    assert repr(conv(3)) == "ReceptiveField(past=2, future=0)"
    assert repr(conv(3, 2, 4)) == "ReceptiveField(past=4, future=0, stride=4, 3 of 5 taps)"


def test_sixty_layers_take_a_fraction_of_a_second():
    start = time.perf_counter()
    field = causal_stack(3, [2**i for i in range(10)] * 6)
    assert len(field.taps) == field.size == 12277
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: conv(0), "kernel size is 0, but it must be a whole number of at least 1"),
        (lambda: conv(2.5), "kernel size is 2.5"),
        (lambda: conv(2, dilation=0), "dilation is 0"),
        (lambda: conv(2, stride=-1), "stride is -1"),
        (lambda: conv(2, padding="full"), "padding is 'full'; use one of causal, same, valid"),
        (lambda: ReceptiveField.upsample(0), "upsampling factor is 0"),
        (lambda: ReceptiveField(past=1, future=-2), "use a past of at least 2"),
        (lambda: ReceptiveField(past=1, stride=0), "stride is 0"),
        (lambda: ReceptiveField(past=1, stride=0.5), r"upsampling by 4 is Fraction\(1, 4\)"),
        (lambda: ReceptiveField(past=4, taps=(-3, 0)), "taps reach from -3 to 0, but past 4"),
        (lambda: ReceptiveField(past=0, taps=()), "taps reach nowhere"),
        (lambda: conv(2).milliseconds(0), "sample rate is 0 Hz"),
        (lambda: conv(2, 2**40), "use smaller dilations"),
    ],
)
def test_bad_input_is_named_with_its_remedy(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_importing_the_arithmetic_imports_no_jax():
    code = "import sys, wavedil.receptive_field; assert not {'jax', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sizes_of_numpy_are_worked_out_as_pythons() -> None:
    """Beyond what 8 bits hold, so that a sum that stayed in NumPy's integers would overflow."""
    two, big = np.int8(2), np.int8(100)
    expected = ReceptiveField.conv(2, 100).then(ReceptiveField.conv(3, 100))
    assert ReceptiveField.conv(two, big).then(ReceptiveField.conv(np.array(3), big)) == expected
    assert ReceptiveField(past=big, future=big, stride=two).size == 201
    assert ReceptiveField.upsample(two).stride == Fraction(1, 2)
    assert table(two, np.array([100, 100], np.int8))[-1].receptive_field.size == 201
    found = design(samples=np.int64(300), kernel_size=two, max_layers=np.int64(20))
    assert found == design(samples=300, kernel_size=2, max_layers=20)
    for made in (ReceptiveField.conv(two, big), found[0]):
        numbers = (made.size, *getattr(made, "dilations", ()), getattr(made, "kernel_size", 0))
        assert all(type(number) is int for number in numbers)


@pytest.mark.parametrize("wrong", [True, "2", 2.0, [2], None])
def test_sizes_that_are_no_whole_numbers_are_refused_with_the_rule(wrong) -> None:
    for make in (
        lambda: ReceptiveField.conv(wrong),
        lambda: ReceptiveField.conv(2, wrong),
        lambda: ReceptiveField(wrong),
        lambda: ReceptiveField.upsample(wrong),
        lambda: table(wrong, (1, 2)),
        lambda: table(2, (1, wrong)),
        lambda: Design(kernel_size=2, dilations=(1,), cycles=wrong),
    ):
        with pytest.raises(
            UserError, match=re.escape(f"is {wrong!r}, but it must be a whole number")
        ):
            make()
