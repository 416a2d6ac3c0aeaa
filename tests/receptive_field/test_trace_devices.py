"""Functions split over the devices of a mesh: `trace` needs none of them."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.sharding import AbstractMesh, AxisType
from jax.sharding import PartitionSpec as P

from wavedil.receptive_field import trace

pytestmark = pytest.mark.newest

X = jax.ShapeDtypeStruct((2, 24, 4), jnp.float32)


def split(fn, ins, outs, **sizes):
    """A function on the shards of an array, on a mesh of these sizes."""
    # From jax 0.12 on axes are explicit by default, and the arrays would have to say how they are split.
    types = (AxisType.Auto,) * len(sizes)
    mesh = AbstractMesh(tuple(sizes.values()), tuple(sizes), types)
    return jax.shard_map(fn, mesh=mesh, in_specs=ins, out_specs=outs, check_vma=False)


def causal(x):
    """t and t - 2, of one channel alone."""
    return x + jnp.pad(x, ((0, 0), (2, 0), (0, 0)))[:, :-2]


def summed(x):
    """Each device has some of the channels of some of the signals."""
    return lax.psum(causal(x), "c") + lax.pmean(x, "b") + lax.pmax(x, ("b", "c"))


def with_halo(x):
    """Each device has a part of time, and gets the end of the part before."""
    before = lax.ppermute(x[:, -2:], "t", [(i, i + 1) for i in range(3)])
    return causal(jnp.concatenate([before, x], 1))[:, 2:]


def gathered(x):
    return causal(lax.all_gather(x, "t", axis=1, tiled=True))


def exchanged(x):
    """All of time of some channels, and then all channels of a part of time."""
    y = causal(lax.all_to_all(x, "t", split_axis=2, concat_axis=1, tiled=True))
    y = lax.all_to_all(y, "t", split_axis=1, concat_axis=2, tiled=True)
    every = lax.all_gather(y, "t", axis=1, tiled=True)
    return y + lax.psum_scatter(every, "t", scatter_dimension=1, tiled=True)


def stacked(x):
    """Parts of time as a new axis, and back."""
    parts = lax.all_gather(x, "t", axis=0)
    part = lax.psum_scatter(parts, "t", scatter_dimension=0)
    return causal(lax.all_gather(part, ("t",), axis=1, tiled=True))


def over_two(x):
    return causal(lax.all_gather(x, ("a", "b"), axis=1, tiled=True))


SPLIT = {
    "batch and channels": split(summed, P("b", None, "c"), P("b", None, "c"), b=2, c=2),
    "time with a halo": split(with_halo, P(None, "t"), P(None, "t"), t=4),
    "time gathered": split(gathered, P(None, "t"), P(), t=4),
    "time and channels exchanged": split(exchanged, P(None, "t"), P(None, "t"), t=4),
    "time stacked": split(stacked, P(None, "t"), P(), t=4),
    "time over two axes": split(over_two, P(None, ("a", "b")), P(), a=2, b=2),
    "a scan on each device": split(
        lambda x: causal(lax.scan(lambda c, a: (c + a, c + a), x[:, :, 0], x[None, :, :, 0])[0][..., None]),
        P("b"), P("b"), b=2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("fn", SPLIT.values(), ids=SPLIT)
def test_a_function_split_over_devices_sees_what_it_sees_on_one(fn) -> None:
    field, whole = trace(fn, X), trace(causal, X)
    assert field.upper_bounds == ()
    assert [field.inputs(t) for t in range(24)] == [whole.inputs(t) for t in range(24)]


def test_a_sum_over_devices_that_have_parts_of_time_sees_every_part() -> None:
    fn = split(lambda x: lax.psum(x, "t"), P(None, "t"), P(), t=4)
    assert [trace(fn, X).inputs(t) for t in range(6)] == [
        (t, t + 6, t + 12, t + 18) for t in range(6)
    ]


def test_what_depends_on_the_device_that_it_runs_on_is_an_upper_bound() -> None:
    def own_part(x):
        every = lax.all_gather(x, "t", axis=1, tiled=True)
        return lax.dynamic_slice_in_dim(every, 6 * lax.axis_index("t"), 6, 1)

    field = trace(split(own_part, P(None, "t"), P(None, "t"), t=4), X)
    assert 7 in field.inputs(7)
    assert "not known here" in field.upper_bounds[0]
