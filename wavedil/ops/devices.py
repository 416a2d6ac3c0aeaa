"""A function of whole signals on devices that hold a part of the batch each."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import PartitionSpec

from wavedil.errors import UserError


def on_each_device(function: Callable, x: Array, *others: Any) -> Any:
    """function(x, *others), on every device with the signals that it holds.

    Where x [batch, time, channels] says by its type which axes of the mesh hold its batch (`AxisType.Explicit`), the
    function runs under `jax.shard_map` over these. What is not a signal's is the same on all devices, and its
    gradient is summed over them once, at the end.

    Args:
      function: Of arrays whose first axis is the batch, or that belong to no signal.
      x: Signal.
      *others: Trees of arrays; those with a first axis that is split as x's is belong to its signals.

    Raises:
      UserError: If devices hold parts of a signal.
    """
    batch_axes, *within = jax.typeof(x).sharding.spec
    if any(axes is not None for axes in within):
        raise UserError(
            f"the signal is split as {jax.typeof(x).sharding.spec}, but a stack sees whole signals; split the batch "
            f"alone, with jax.sharding.reshard(x, jax.sharding.PartitionSpec({batch_axes!r}))"
        )
    if batch_axes is None:
        return function(*_varying_alike((x, *others)))

    def spec(leaf: Array) -> PartitionSpec:
        first = jax.typeof(leaf).sharding.spec[0]
        return PartitionSpec(first if first == batch_axes else None)

    return jax.shard_map(
        lambda *arguments: function(*_varying_alike(arguments)),
        in_specs=jax.tree.map(spec, (x, *others)),
        out_specs=PartitionSpec(batch_axes),
        axis_names={batch_axes} if isinstance(batch_axes, str) else set(batch_axes),
    )(x, *others)


def _batch_axes(x: Array) -> Any:
    """The axes of the mesh that split the first axis of x, where its type says so (`AxisType.Explicit`)."""
    return next(iter(jax.typeof(x).sharding.spec), None)


def _varying_alike(arguments: Any) -> Any:
    """The arguments, where `jax.shard_map` keeps account: each varies over the axes that any of them varies over.

    So weights that are the same on all devices become each device's own, whose gradients JAX sums over the devices.
    """
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return arguments
    # A sum varies wherever its terms do; XLA takes the zeros out again.
    zero = sum(jnp.zeros_like(leaf, shape=()) for leaf in jax.tree.leaves(arguments))
    return jax.tree.map(lambda leaf: leaf + zero, arguments)


def split_alike(x: Array, like: Array) -> Array:
    """x with its first axis on the devices that hold the first axis of another array."""
    axes = _batch_axes(like)
    return x if axes is None else jax.sharding.reshard(x, PartitionSpec(axes))


def rows_of(table: Array, rows: Array) -> Array:
    """table[rows], on the devices that hold the rows."""
    axes = _batch_axes(rows)
    return table[rows] if axes is None else table.at[rows].get(out_sharding=PartitionSpec(axes))
