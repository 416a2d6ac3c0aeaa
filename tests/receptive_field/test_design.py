"""Designs: they reach what was asked, cost what the built networks cost, and come in the stated order."""

import time

import jax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from wavedil import UserError, WaveNet, WaveNetConfig
from wavedil.generation.rings import rings_from_state
from wavedil.receptive_field import Design, design, holes, target_samples

STACKS = {
    "cycles": Design(kernel_size=2, dilations=(1, 2, 4), cycles=2, residual_channels=4, skip_channels=6),
    "powers of 3": Design(kernel_size=3, dilations=(1, 3, 9), residual_channels=5, skip_channels=3),
    "input": Design(
        kernel_size=2, dilations=(1, 2, 3, 5), input_kernel_size=4, residual_channels=3, skip_channels=7
    ),
    "holes": Design(kernel_size=2, dilations=(2, 2, 2), residual_channels=1, skip_channels=1),
}  # fmt: skip


@pytest.fixture(params=STACKS.values(), ids=STACKS)
def stack(request):
    return request.param


@pytest.fixture
def built(stack):
    config = WaveNetConfig(
        levels=16,
        kernel_size=stack.kernel_size,
        dilations=stack.dilations,
        cycles=stack.cycles,
        input_kernel_size=stack.input_kernel_size,
        residual_channels=stack.residual_channels,
        skip_channels=stack.skip_channels,
    )
    return nnx.eval_shape(lambda: WaveNet(config, rngs=nnx.Rngs(0)))  # sizes are enough


def weights(*modules):
    return [leaf for module in modules for leaf in jax.tree.leaves(nnx.state(module, nnx.Param))]


def counted(stack, model):
    """The modules whose cost a design states: the stack, and the input convolution where there is one."""
    return (model.input, model.stack) if stack.input_kernel_size > 1 else (model.stack,)


def test_parameters_are_those_of_the_built_stack(stack, built):
    assert stack.parameters == sum(leaf.size for leaf in weights(*counted(stack, built)))


def test_multiply_adds_are_the_weights_that_meet_a_sample(stack, built):
    kernels = [leaf for leaf in weights(*counted(stack, built)) if leaf.ndim > 1]
    assert stack.multiply_adds == sum(leaf.size for leaf in kernels)


def test_state_bytes_are_those_of_the_rings_that_generation_keeps(stack, built):
    rings = jax.eval_shape(lambda: jax.tree.map(rings_from_state, built.init_state(batch_size=1)))
    leaves = jax.tree.leaves(rings)
    assert stack.state_bytes == sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def test_the_field_is_that_of_the_built_network(stack, built):
    assert stack.receptive_field == built.receptive_field
    assert stack.size == built.receptive_field.size
    assert stack.num_layers == len(built.stack.blocks)


@given(
    st.integers(1, 3), st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(1, 3),
    st.integers(1, 3),
)  # fmt: skip
def test_the_rule_for_holes_agrees_with_looking_for_them(kernel_size, dilations, cycles, entry):
    found = Design(
        kernel_size=kernel_size, dilations=dilations, cycles=cycles, input_kernel_size=entry
    )
    missed = holes(kernel_size, found.layer_dilations, input_kernel_size=entry)
    assert found.has_holes == bool(missed)
    assert found.num_holes == len(missed)


@settings(max_examples=30)
@given(st.integers(1, 20000), st.integers(1, 3), st.sampled_from([None, 2, 3, 5]))
def test_every_design_reaches_the_target_within_the_limits(samples, entry, kernel_size):
    found = design(
        samples=samples, input_kernel_size=entry, kernel_size=kernel_size,
        max_layers=40, max_parameters=3_000_000,
    )  # fmt: skip
    for stack in found:
        assert stack.size >= samples
        assert stack.num_layers <= 40
        assert stack.parameters <= 3_000_000
        assert stack.input_kernel_size == entry
        assert kernel_size in (None, stack.kernel_size)
        assert not stack.has_holes
    stacks = [(stack.kernel_size, stack.layer_dilations) for stack in found]
    assert len(set(stacks)) == len(stacks)


def test_no_cycle_is_superfluous():
    for stack in design(samples=4800):
        fewer = stack.cycles - 1
        assert stack.size - (stack.kernel_size - 1) * sum(stack.dilations) < 4800 or fewer == 0


def test_the_rank_is_holes_then_work_then_state():
    for found in (design(samples=1000), design(samples=40, rates=(1, 2, 50), kernel_size=2)):
        keys = [(stack.has_holes, stack.multiply_adds, stack.state_bytes) for stack in found]
        assert keys == sorted(keys)
    # The cheapest has holes here, and comes last for it.
    assert [stack.dilations for stack in found] == [(1, 2), (1,), (1, 2, 50), (1, 2, 50)]
    assert found[-1].multiply_adds < found[0].multiply_adds
    assert found[-1].num_holes == 54 - 8


def test_families_are_powers_of_2_of_the_kernel_size_and_fibonacci():
    dilations = {stack.dilations for stack in design(samples=300, kernel_size=3)}
    assert {(1, 2, 4, 8, 16, 32, 64, 128), (1, 3, 9, 27, 81, 243), (1, 2, 3, 5, 8, 13, 21)} <= {
        longer[:n] for longer in dilations for n in range(1, 9)
    } | dilations


def test_the_wavenet_of_the_paper_is_found_again():
    found = design(samples=3070, kernel_size=2, cycles=3)
    assert (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) in [stack.dilations for stack in found]
    assert all(stack.cycles == 3 for stack in found)


def test_rates_of_ones_own_replace_the_families():
    found = design(samples=50, rates=(1, 2, 6, 10), kernel_size=3)
    assert {stack.dilations for stack in found} == {(1, 2, 6, 10)[:n] for n in range(1, 5)}


@pytest.mark.parametrize(
    ("milliseconds", "sample_rate", "samples"),
    [
        (300, 16000, 4800),
        (0.1, 30000, 3),
        (1, 44100, 45),
        (4.1, 10000, 41),
        (0.001, 16000, 1),
    ],
)
def test_milliseconds_become_whole_samples_rounded_up(milliseconds, sample_rate, samples):
    assert target_samples(milliseconds=milliseconds, sample_rate=sample_rate) == samples
    found = design(milliseconds=milliseconds, sample_rate=sample_rate)
    assert found == design(samples=samples)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"samples": 4800, "sample_rate": 16000, "max_layers": 3}, r"at most 3 layers reaches 4800 samples \(300 ms\); "
         r"the nearest reaches 512 samples \(32 ms\), with kernel size 8, dilations 1,8,64; allow more"),
        ({"samples": 4800, "max_parameters": 200_000}, "the nearest reaches 125 samples, with kernel size 5"),
        ({"samples": 4800, "max_parameters": 10}, "the smallest, kernel size 2, dilations 1, has 37312 parameters"),
        ({"samples": 4800, "cycles": 8, "max_layers": 5}, "dilations 1, 8 times, has 296704 parameters in 8 layers"),
        ({"samples": 2, "kernel_size": 1}, "the nearest reaches 1 sample, with kernel size 1"),
        ({"samples": 50, "rates": (1, 2), "max_layers": 4}, "the nearest reaches 43 samples, with kernel size 8"),
    ],
)  # fmt: skip
def test_a_target_out_of_reach_names_the_nearest_that_is_not(asked, message):
    with pytest.raises(UserError, match=message):
        design(**asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "either in samples or in milliseconds"),
        ({"samples": 1, "milliseconds": 1, "sample_rate": 1}, "either in samples or in"),
        ({"samples": 0}, "target in samples is 0"),
        ({"samples": -5}, "target in samples is -5"),
        ({"samples": 1.5}, "target in samples is 1.5, but it must be a whole number"),
        ({"milliseconds": 300}, "a target of 300 ms needs a sample rate"),
        ({"milliseconds": -1, "sample_rate": 8000}, "target is -1 ms, but it must be above 0"),
        ({"milliseconds": float("inf"), "sample_rate": 8000}, "target is inf ms"),
        ({"milliseconds": float("nan"), "sample_rate": 8000}, "target is nan ms"),
        ({"samples": 5, "sample_rate": 0}, "sample rate is 0 Hz"),
        ({"samples": 5, "kernel_size": 0}, "kernel size is 0"),
        ({"samples": 5, "cycles": 0}, "number of cycles is 0"),
        ({"samples": 5, "input_kernel_size": 0}, "input kernel size is 0"),
        ({"samples": 5, "max_layers": 0}, "max_layers is 0"),
        ({"samples": 5, "rates": ()}, "at least one layer"),
        ({"samples": 5, "rates": (0,)}, "dilation is 0"),
        ({"samples": 5, "residual_channels": 0}, "number of residual channels is 0"),
        ({"samples": 5, "skip_channels": -1}, "number of skip channels is -1"),
    ],
)
def test_bad_input_is_named(asked, message):
    with pytest.raises(UserError, match=message):
        design(**asked)


def test_an_hour_of_field_is_designed_at_once():
    begun = time.process_time()
    found = design(milliseconds=3.6e6, sample_rate=48000)
    seconds = time.process_time() - begun
    assert all(stack.size >= 3600 * 48000 for stack in found)
    assert seconds < 0.5  # 10 ms on a machine that does nothing else


@pytest.mark.parametrize("rates", [(1, 10, 2), (3, 1), (2, 1, 5), (1, 1, 8), (5,)])
def test_no_stack_of_rates_of_ones_own_is_better_by_the_rank(rates):
    for kernel_size in (2, 3):
        for samples in range(2, 48, 5):
            best = design(samples=samples, kernel_size=kernel_size, rates=rates, max_layers=24)[0]
            every = (
                Design(kernel_size=kernel_size, dilations=rates[:length], cycles=cycles)
                for length in range(1, len(rates) + 1)
                for cycles in range(1, 24 // length + 1)
            )
            costs = [
                (found.has_holes, found.multiply_adds, found.state_bytes)
                for found in every
                if found.size >= samples
            ]
            assert (best.has_holes, best.multiply_adds, best.state_bytes) == min(costs)


def test_a_stack_without_holes_is_found_in_more_cycles():
    best = design(samples=5, kernel_size=2, rates=(3, 1))[0]
    assert (best.dilations, best.cycles, best.has_holes) == ((3, 1), 2, False)


def test_any_number_of_layers_may_be_allowed():
    few, many = (design(samples=4800, max_layers=most) for most in (60, 10**6))
    assert many[0] == few[0]
