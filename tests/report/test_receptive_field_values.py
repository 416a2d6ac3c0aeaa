"""Receptive fields that others have published, or print, for their own networks."""

import functools

import pytest

from wavedil.receptive_field import ReceptiveField, parse_dilations, stack_dilations, table

conv, identity = ReceptiveField.conv, ReceptiveField.identity()


def chain(*fields):
    return functools.reduce(ReceptiveField.then, fields, identity)


def union(*branches):
    return functools.reduce(ReceptiveField.union, branches)


def causal_stack(kernel_size, dilations, input_kernel_size=1):
    blocks = [conv(kernel_size, dilation).union(identity) for dilation in dilations]
    return chain(conv(input_kernel_size), *blocks)


def tcn(kernel_size, dilations, stacks):
    """keras-tcn: two convolutions a block, around them a residual connection."""
    blocks = [chain(conv(kernel_size, d), conv(kernel_size, d)).union(identity) for d in dilations]
    return chain(*blocks * stacks)


# r9y9/wavenet_vocoder: 30 layers in 3 stacks, 24 in 4, 12 in 2, and 30 undilated; ibab: 5 x 1..512
# with an input convolution; WaveNet: 1024 a block of 1..512; the SC09 WaveNet of SaShiMi; NSynth's
# decoder; 10 x 3 with an input convolution, which kan-bayashi's formula gives as 3070.
@pytest.mark.parametrize(
    ("kernel_size", "dilations", "cycles", "input_kernel_size", "size"),
    [
        (3, "1:512", 3, 1, 6139),
        (3, "1:32", 4, 1, 505),
        (3, "1:32", 2, 1, 253),
        (3, "1", 30, 1, 61),
        (2, "1:512", 5, 2, 5117),
        (2, "1:512", 1, 1, 1024),
        (2, "1:512", 4, 1, 4093),
        (3, "1:512", 3, 3, 6141),
        (2, "1:512", 3, 1, 3070),
        (2, "1:512", 3, 2, 3071),
    ],
)
def test_wavenet_stacks_have_their_published_size(
    kernel_size, dilations, cycles, input_kernel_size, size
):
    layers = stack_dilations(dilations, cycles)
    field = causal_stack(kernel_size, layers, input_kernel_size)
    assert (field.size, field.past, field.future) == (size, size - 1, 0)
    assert field.num_taps == size
    rows = table(kernel_size, layers, input_kernel_size=input_kernel_size)
    assert rows[-1].receptive_field == field


@pytest.mark.parametrize(
    ("kernel_size", "dilations", "stacks", "size"),
    [
        (3, "1,3,5", 1, 37),
        (4, "1:32", 1, 379),
        (3, "1:32", 1, 253),
        (3, "1:16", 1, 125),
        (3, "1:8", 1, 61),
        (3, "1:4", 1, 29),
        (3, "1:4", 2, 57),
        (3, "1:8", 2, 121),
        (4, "1:8", 1, 91),
        (5, "1,2", 1, 25),
        (6, "1,2", 1, 31),
    ],
)
def test_keras_tcn_blocks_have_their_published_size(kernel_size, dilations, stacks, size):
    assert tcn(kernel_size, parse_dilations(dilations), stacks).size == size


# csteinmetz1/micro-tcn, train.py: uTCN-100, -300 and -1000, whose dilations grow tenfold.
@pytest.mark.parametrize(
    ("kernel_size", "num_blocks", "size"), [(5, 4, 4445), (13, 4, 13333), (5, 5, 44445)]
)
def test_micro_tcns_have_their_published_size(kernel_size, num_blocks, size):
    field = causal_stack(kernel_size, [10**i for i in range(num_blocks)])
    assert field.size == size


def test_micro_tcn_names_are_its_milliseconds():
    assert causal_stack(13, [1, 10, 100, 1000]).milliseconds(44100) == pytest.approx(302.3, abs=0.1)


def bottleneck(stride=1):
    """A residual unit of ResNet v1: 1, 3, 1; its shortcut subsamples."""
    branch = chain(conv(1), conv(3, stride=stride, padding="same"), conv(1))
    return branch.union(conv(1, stride=stride))


def aligned(field=identity, stride=4):
    """Two branches of google-research/receptive_field's test networks 1 and 8."""
    return chain(field, union(conv(1, stride=stride), conv(3, stride=stride, padding="same")))


def resnet_v1_50():
    units = [(3, 2), (4, 2), (6, 2), (3, 1)]
    blocks = [chain(*[bottleneck()] * (n - 1), bottleneck(stride)) for n, stride in units]
    return chain(conv(7, stride=2, padding="same"), conv(3, stride=2, padding="valid"), *blocks)


def inception_resnet_v2():
    """Along one axis: a 1 x 7 and a 7 x 1 convolution are one of 7."""
    same = functools.partial(conv, padding="same")
    down = conv(3, stride=2, padding="valid")
    valid3, same3 = conv(3, padding="valid"), same(3)
    stem = chain(down, valid3, same3, down, conv(1), valid3, down)
    mixed_5b = union(conv(1), same(5), chain(same3, same3), same3)
    block35 = union(identity, conv(1), same3, chain(same3, same3))
    mixed_6a = union(down, chain(same3, down))
    block17 = union(identity, conv(1), same(7))
    mixed_7a = union(down, chain(same3, down))
    block8 = union(identity, conv(1), same3)
    return chain(
        stem, mixed_5b, *[block35] * 10, mixed_6a, *[block17] * 20, mixed_7a, *[block8] * 10
    )


# google-research/receptive_field: its table and its tests.
@pytest.mark.parametrize(
    ("field", "size", "stride", "padding"),
    [
        (aligned(), 3, 4, 1),
        (aligned(aligned(), stride=2), 11, 8, 5),
        (chain(conv(3, stride=2, padding="valid"), conv(3, stride=2, padding="valid")), 7, 4, 0),
        (resnet_v1_50(), 483, 32, 239),
        (inception_resnet_v2(), 3039, 32, 1482),
    ],
    ids=["aligned", "aligned twice", "strided chain", "resnet_v1_50", "inception_resnet_v2"],
)
def test_strided_networks_have_their_published_field(field, size, stride, padding):
    assert (field.size, field.stride, field.past) == (size, stride, padding)


def test_vgg_blocks_have_their_published_field():
    block = chain(conv(3), conv(3), conv(2, stride=2))
    fields = [chain(*[block] * count) for count in (1, 2, 3)]
    assert [(field.size, field.stride) for field in fields] == [(6, 2), (16, 4), (36, 8)]


# google/sequence-layers gives a field as (-past, future).
@pytest.mark.parametrize(
    ("field", "start_end"),
    [
        (identity, (0, 0)),
        (conv(3, 4, padding="causal"), (-8, 0)),
        (conv(3, 4, padding="valid"), (0, 8)),
        (conv(3, 4, padding="same"), (-4, 4)),
        (conv(4, 1, padding="same"), (-1, 2)),
        (conv(2, stride=2, padding="valid").then(conv(3)), (-4, 1)),
    ],
)
def test_paddings_and_downsampling_agree_with_sequence_layers(field, start_end):
    assert (-field.past, field.future) == start_end
